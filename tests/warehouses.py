"""A warehouse in a test: fill it from a source, query it, and compare all its rows with those of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

from roomledger.hundredms.storage import VendorStorage
from roomledger.ledger.database import Database
from roomledger.ledger.tables.columns import metadata
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.sync_workspace import sync_workspace
from roomledger.settings import BucketSource, Source
from roomledger.stores import Store
from sandbox import warehouse_contents

Tables = Mapping[str, list[tuple[Any, ...]]]


def contents(database: Database, *, past: bool = True) -> Tables:
    """All rows, as `sandbox.warehouse_contents` reads them, in an order of their own."""
    return {
        name: sorted(table.rows, key=repr) for name, table in warehouse_contents.contents(database, past=past).items()
    }


def delete_all_rows(database: Database) -> None:
    """Delete all rows of all tables."""
    with database.begin() as tx:
        for table in metadata.sorted_tables:
            tx.execute(table.delete())


def fetch(database: Database, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with database.begin(read_only=True) as tx:
        return [tuple(row) for row in tx.execute(text(query))]


def execute(database: Database, statement: str) -> None:
    """Run a statement that changes the ledger, such as one that lets a lease expire."""
    with database.begin() as tx:
        tx.execute(text(statement))


def collect_from(
    database: Database, source: Source, opened: Store | VendorStorage, sources: Sequence[Source] = ()
) -> Counter[str]:
    """Collect a bucket from its store, or a workspace by its client; `sources` are all that the settings name."""
    if isinstance(source, BucketSource):
        assert not isinstance(opened, VendorStorage)
        return collect_bucket(database, source, opened)
    assert isinstance(opened, VendorStorage)
    buckets = [f"{one.url}/" for one in sources if isinstance(one, BucketSource)]
    return sync_workspace(database, source, opened.client, buckets)
