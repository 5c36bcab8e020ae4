"""The run without chaos: the same buckets, vendor and webhooks, taken by this process into a warehouse of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

_LONG_S = 300.0


class Undisturbed:
    """Takes in what an installation holds, each step of it once and to its end."""

    def __init__(self, place: Installation, warehouse_url: str, inbox: Path) -> None:
        given = read(place.config, {"ROOMLEDGER_WAREHOUSE_URL": warehouse_url})
        self.database: Database = open_database(given)
        self._sources = given.sources
        self._stores = {source.name: _open(place, source) for source in given.sources}
        self._inbox = open_inbox(f"file://{inbox}")
        setup.upgrade(self.database)

    def sweep(self) -> None:
        """Look into every source, and load what is there."""
        for source in self._sources:
            collect_source(self.database, source, self._stores[source.name], sources=self._sources)
        for _ in load_batches(self.database, self._sources, self._stores):
            pass

    def hear(self, events: Mapping[str, Sequence[Record]]) -> None:
        """Take in these webhooks, by the source that they came to, and load what they lead to."""
        for source, some in events.items():
            for event in some:
                self._inbox.put(source, redact_body(json.dumps(event).encode()), datetime.now(UTC))
        subscriptions = [webhook_subscription(self._inbox, self._sources)]
        while self._inbox.peek(0):
            for _ in listen_and_load(
                self.database, self._sources, self._stores, subscriptions, quiet_s=0, most_s=_LONG_S
            ):
                pass


def _open(place: Installation, source: Source) -> Store:
    scheme = source.url.partition("://")[0]
    if scheme == "s3":
        session = boto3.Session(place.s3.access_key, place.s3.secret_key, region_name=place.s3.region)
        return open_store(source.url, Access(session=session, endpoint=source.endpoint))
    if scheme == "gs":
        return open_store(source.url, Access(endpoint=source.endpoint))
    [account] = [each for each in place.world.workspaces if each.source == source.name]
    return open_store(source.url, Access(keys=Keys(account.access_key, account.secret), endpoint=source.endpoint))
