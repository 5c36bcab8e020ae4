"""Collect and load one bucket, query what was loaded, and read from a store that fails as networks do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from roomledger.ledger.database import Database
from roomledger.model import Observation
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.settings import Source
from roomledger.stores import Store, StoreError
from tests.folders import store_of
from tests.warehouses import fetch


def collect(database: Database, source: Source) -> Counter[str]:
    return collect_bucket(database, source, store_of(source))


def load(database: Database, *sources: Source, batch: int = 1000, accept_refusals: bool = False) -> int:
    """Load until nothing is pending; give the number of loads."""
    stores = {source.name: store_of(source) for source in sources}
    return len(list(load_batches(database, sources, stores, batch=batch, accept_refusals=accept_refusals)))


def run(database: Database, *sources: Source) -> None:
    for source in sources:
        collect(database, source)
    load(database, *sources)


def messages(database: Database) -> list[str]:
    return [content for (content,) in fetch(database, "SELECT message FROM chat_messages ORDER BY message")]


def dispositions(database: Database) -> list[str]:
    return [
        disposition
        for (disposition,) in fetch(database, "SELECT disposition FROM object_ledger ORDER BY modified_at, uri")
    ]


class Flaky:
    """A store whose reads fail half-way, `failures` times, or whose listing does."""

    def __init__(self, store: Store, *, failures: int = 0, list_fails: bool = False) -> None:
        self.url = store.url
        self._store = store
        self._failures = failures
        self._list_fails = list_fails

    def list(self) -> Iterator[list[Observation]]:
        yield []
        if self._list_fails:
            raise StoreError("the connection was cut off")
        yield from self._store.list()

    def read(self, seen: Observation) -> Iterator[bytes]:
        first, *_ = self._store.read(seen)
        yield first[: len(first) // 2]
        if self._failures:
            self._failures -= 1
            raise StoreError("the connection was cut off")
        yield first[len(first) // 2 :]
