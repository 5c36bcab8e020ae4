"""The warehouse: the tables and the ledger, in an engine behind three verbs.

An engine opens transactions (`begin`), shows rows to the SQL of one transaction in bulk (`stage`) and says how it locks
rows (`lock`, `skip_locked`). Everything else is SQL that all engines share.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from sqlalchemy import Connection, text

from roomledger.settings import Settings

Row = Mapping[str, Any]

Rows = pa.Table | Path
"""What can be staged: rows in memory, or a Parquet file, which is streamed."""


class WarehouseError(Exception):
    """The warehouse cannot be used as it is; the message says what to do."""


class Database(Protocol):
    """One engine; the contract that the suite in `tests/warehouse` checks."""

    url: str
    lock: str
    """Clause that locks the rows of a SELECT until the transaction ends; empty where there is one writer at a time."""
    skip_locked: str
    """The same, leaving out rows that another transaction holds."""

    def begin(self, *, read_only: bool = False) -> AbstractContextManager[Connection]:
        """Open a transaction: committed when the block ends, rolled back when it raises. Raises WarehouseError."""

    def hold_evidence(self, tx: Connection, *, change: bool) -> None:
        """Wait until nobody changes what the vendor says, and keep it so until the transaction ends.

        Who only reads it to place objects may do so beside others; who changes it (`change`) is alone. Call it before
        locking rows of the ledger: whoever waits here must hold nothing that others wait for.
        """

    def stage(self, tx: Connection, name: str, rows: Rows) -> None:
        """Make `rows` readable as the table `name` until the transaction ends."""


def open_database(settings: Settings) -> Database:
    """Give the engine for the settings' address; nothing is opened yet."""
    if settings.warehouse_url.startswith("duckdb:"):
        from roomledger.ledger.duckdb import DuckDB

        return DuckDB(settings.warehouse_url, settings.warehouse_memory_mb)
    from roomledger.ledger.postgres import PostgreSQL

    return PostgreSQL(settings.warehouse_url)


def fetch_rows(tx: Connection, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
    """Give the rows of a query, each by the names of its columns."""
    return [dict(row) for row in tx.execute(text(query), parameters or {}).mappings()]
