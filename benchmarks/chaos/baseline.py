"""The baseline: the same buckets, API and webhooks without faults, loaded by this process into another warehouse."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import boto3

from roomledger.hundredms.access import Keys, WorkspaceAccess
from roomledger.hundredms.redact import redact_body
from roomledger.pipeline.collect import collect_source
from roomledger.pipeline.listen import listen_and_load
from roomledger.pipeline.load import load_batches
from roomledger.pipeline.subscriptions import webhook_subscription
from roomledger.runtime import StandardConnections, open_inbox, open_runtime
from roomledger.settings import BucketSource, WorkspaceSource, read
from roomledger.stores import Access
from roomledger.warehouse import setup
from sandbox.dataset.workspace import Record
from sandbox.servers.installation import Installation

_MAX_S = 300.0


class _Connections(StandardConnections):
    """The credentials of the installation's servers."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def bucket(self, source: BucketSource) -> Access:
        """See `Connections`."""
        if not source.url.startswith("s3:"):
            return Access(endpoint=source.endpoint)
        s3 = self._installation.s3
        session = boto3.Session(s3.access_key, s3.secret_key, region_name=s3.region)
        return Access(session=session, endpoint=source.endpoint)

    def workspace(self, source: WorkspaceSource) -> WorkspaceAccess:
        """See `Connections`."""
        [workspace] = [each for each in self._installation.dataset.workspaces if each.source == source.name]
        return WorkspaceAccess(Keys(workspace.access_key, workspace.secret), source.endpoint)


class Baseline:
    """A second warehouse of an installation; every step runs once and to its end."""

    def __init__(self, installation: Installation, warehouse_url: str, inbox: Path) -> None:
        settings = read(installation.config, {"ROOMLEDGER_WAREHOUSE_URL": warehouse_url})
        self._runtime = open_runtime(settings, (), _Connections(installation), needs_tables=False)
        self.database = self._runtime.database
        self._stores = self._runtime.stores()
        self._readers = self._runtime.readers(self._stores)
        self._inbox = open_inbox(f"file://{inbox}")
        setup.upgrade(self.database)

    def sweep(self) -> None:
        """Collect every source, and load what is there."""
        for source in self._runtime.sources:
            collect_source(self._runtime, source)
        for _ in load_batches(self.database, self._runtime.sources, self._readers):
            pass

    def receive_webhooks(self, events: Iterable[tuple[str, Record]]) -> None:
        """Receive these webhooks, each with its source, and load what they announce."""
        for source, event in events:
            self._inbox.put(source, redact_body(json.dumps(event).encode()), datetime.now(UTC))
        sources = self._runtime.settings.sources
        subscriptions = [webhook_subscription(self._inbox, sources)]
        while self._inbox.peek(0):
            for _ in listen_and_load(
                self.database, sources, self._readers, self._stores, subscriptions, quiet_s=0, most_s=_MAX_S
            ):
                pass
