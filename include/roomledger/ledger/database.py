"""The database that holds ledger and tables, behind a few verbs: everything else is SQL that all engines share.

An engine opens transactions (`begin`), makes rows readable to the SQL of one transaction in bulk (`stage`) and says how
it locks rows (`lock`, `skip_locked`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from sqlalchemy import Connection, text

Row = Mapping[str, Any]

Rows = pa.Table | Path
"""What can be staged: rows in memory, or a Parquet file, which is streamed."""

_numbers = count(1)


class WarehouseError(Exception):
    """The warehouse cannot be used in its current state; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows that the SQL of one transaction reads as a table: put it into a statement where a table name stands."""

    name: str

    def __str__(self) -> str:
        return self.name


def staged_name(label: str) -> str:
    """Name a staged table; `label` shows in plans and errors, the number keeps two of them apart."""
    return f"staged_{label}_{next(_numbers)}"


class Database(Protocol):
    """One engine; the contract that the suite in `tests/ledger/test_engines.py` checks."""

    url: str
    lock: str
    """Clause that locks the rows of a SELECT until the transaction ends; empty where there is one writer at a time."""
    skip_locked: str
    """The same, leaving out rows that another transaction holds."""

    def begin(self, *, read_only: bool = False) -> AbstractContextManager[Connection]:
        """Open a transaction: committed when the block ends, rolled back when it raises. Raises WarehouseError."""

    def hold_evidence(self, tx: Connection, *, change: bool) -> None:
        """Wait until nobody changes the vendor's records, and keep it so until the transaction ends.

        Transactions that only read them, to resolve sessions, run side by side; one that changes them (`change`) runs
        alone. Call it before locking rows of the ledger: a transaction that waits here must hold nothing that others
        wait for.
        """

    def stage(self, tx: Connection, rows: Rows, label: str) -> Staged:
        """Make `rows` readable until the transaction ends."""


def stage_query(tx: Connection, query: str, label: str) -> Staged:
    """Keep the rows of a SELECT as they are now, readable until the transaction ends."""
    staged = Staged(staged_name(label))
    on_commit = " ON COMMIT DROP" if tx.dialect.name == "postgresql" else ""
    tx.execute(text(f"CREATE TEMPORARY TABLE {staged}{on_commit} AS {query}"))
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"ANALYZE {staged}")  # the planner would guess its size
    return staged


def stage_ids(tx: Connection, database: Database, ids: Sequence[str], column: str = "object_id") -> Staged:
    """Stage a list of ids or addresses as a table of one column."""
    return database.stage(tx, pa.table({column: pa.array(ids, pa.string())}), column)


def fetch_rows(tx: Connection, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
    """Give the rows of a query, each by the names of its columns."""
    return [dict(row) for row in tx.execute(text(query), parameters or {}).mappings()]
