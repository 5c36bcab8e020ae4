"""The baseline: the same buckets, API and webhooks without faults, loaded by this process into another warehouse."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import boto3

from roomledger.hundredms.redact import redact_body
from roomledger.hundredms.tokens import Keys
from roomledger.ledger.database import Database, open_database
from roomledger.pipeline.collect import collect_source
from roomledger.pipeline.listen import listen_and_load
from roomledger.pipeline.load import load_batches
from roomledger.pipeline.subscriptions import webhook_subscription
from roomledger.queues.inbox_folder import open_inbox
from roomledger.settings import Source, read
from roomledger.stores import Access, Store, open_store
from roomledger.warehouse import setup
from sandbox.dataset.workspace import Record
from sandbox.servers.installation import Installation

_MAX_S = 300.0


class Baseline:
    """A second warehouse of an installation; every step runs once and to its end."""

    def __init__(self, installation: Installation, warehouse_url: str, inbox: Path) -> None:
        settings = read(installation.config, {"ROOMLEDGER_WAREHOUSE_URL": warehouse_url})
        self.database: Database = open_database(settings)
        self._sources = settings.sources
        self._stores = {source.name: _open(installation, source) for source in settings.sources}
        self._inbox = open_inbox(f"file://{inbox}")
        setup.upgrade(self.database)

    def sweep(self) -> None:
        """Collect every source, and load what is there."""
        for source in self._sources:
            collect_source(self.database, source, self._stores[source.name], sources=self._sources)
        for _ in load_batches(self.database, self._sources, self._stores):
            pass

    def receive_webhooks(self, events: Iterable[tuple[str, Record]]) -> None:
        """Receive these webhooks, each with its source, and load what they announce."""
        for source, event in events:
            self._inbox.put(source, redact_body(json.dumps(event).encode()), datetime.now(UTC))
        subscriptions = [webhook_subscription(self._inbox, self._sources)]
        while self._inbox.peek(0):
            for _ in listen_and_load(
                self.database, self._sources, self._stores, subscriptions, quiet_s=0, most_s=_MAX_S
            ):
                pass


def _open(installation: Installation, source: Source) -> Store:
    scheme = source.url.partition("://")[0]
    if scheme == "s3":
        s3 = installation.s3
        session = boto3.Session(s3.access_key, s3.secret_key, region_name=s3.region)
        return open_store(source.url, Access(session=session, endpoint=source.endpoint))
    if scheme == "gs":
        return open_store(source.url, Access(endpoint=source.endpoint))
    [workspace] = [each for each in installation.world.workspaces if each.source == source.name]
    keys = Keys(workspace.access_key, workspace.secret)
    return open_store(source.url, Access(keys=keys, endpoint=source.endpoint))
