"""The database of ledger and tables, behind a few verbs: all other SQL is shared by the engines.

An engine opens transactions (`begin`), appends rows in bulk (`append`) or stages them for the SQL of one transaction
(`stage`), and gives its row locks (`lock`, `skip_locked`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from sqlalchemy import Connection, Table, TextClause, text

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]

Rows: TypeAlias = "pa.Table | Path"
"""What can be staged: rows in memory, or a Parquet file, which is streamed."""

BULK = 1000
"""Rows that may double a table; see `Database.analyze`."""

_numbers = count(1)


class WarehouseError(Exception):
    """The warehouse cannot be used in its current state; the message contains the remedy."""


class QueryError(Exception):
    """A query is refused, fails or takes too long; the message says why."""


QUERY_TIME_S = 300.0
"""Time limit of a query."""
MAX_ROWS = 1_000_000
"""Rows of a query, which are all held in memory."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows that the SQL of one transaction reads as a table: format it into a statement as a table name."""

    name: str

    def __str__(self) -> str:
        return self.name


def staged_name(label: str) -> str:
    """Name a staged table; `label` appears in plans and errors, the number makes the name unique."""
    return f"staged_{label}_{next(_numbers)}"


class Database(Protocol):
    """One engine; the contract that the suite in `tests/ledger/test_engines.py` checks."""

    url: str
    lock: str
    """Clause that locks the rows of a SELECT until the transaction ends; empty for an engine with one writer."""
    skip_locked: str
    """The same, but skips rows that another transaction has locked."""

    def begin(self, *, read_only: bool = False) -> AbstractContextManager[Connection]:
        """Open a transaction: committed when the block ends, rolled back when it raises. Raises WarehouseError."""

    def hold_evidence(self, tx: Connection, *, change: bool) -> None:
        """Lock the vendor's records and events until the transaction ends: shared, or exclusively to `change` them.

        Transactions that only read them, to resolve sessions, run in parallel. Call it before locking rows of the
        ledger: a transaction that waits here must not hold a lock that others wait for.
        """

    def lock_publications(self, tx: Connection) -> None:
        """Lock publications until the transaction ends; take no other lock after it (`publications.publication`)."""

    def append(self, tx: Connection, table: Table, rows: Rows) -> None:
        """Append rows to a table; their columns have the names of its own, JSON is text."""

    def stage(self, tx: Connection, rows: Rows, label: str) -> Staged:
        """Make `rows` readable until the transaction ends."""

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, time_limit_s: float = QUERY_TIME_S
    ) -> list[Row]:
        """Run one query that cannot change anything, in the warehouse or outside; raises QueryError, WarehouseError.

        `:name` in the query is a parameter, unless `parameters` is None.
        """

    def analyze(self) -> None:
        """Collect statistics of the tables that have doubled, for an engine that plans by them.

        Call it after a transaction that wrote BULK rows or more.
        """


def stage_query(tx: Connection, query: str, label: str) -> Staged:
    """Store the current rows of a SELECT, readable until the transaction ends."""
    staged = Staged(staged_name(label))
    if tx.dialect.name == "postgresql":
        tx.execute(text(f"CREATE TEMPORARY TABLE {staged} ON COMMIT DROP AS {query}"))
        tx.exec_driver_sql(f"ANALYZE {staged}")  # without it the planner guesses the size
    else:
        # A temporary table would take 32 kB per column of DuckDB's memory until the transaction ends.
        driver: Any = tx.connection.driver_connection
        driver.register(staged.name, driver.execute(query).to_arrow_table())
    return staged


def count_rows(tx: Connection, staged: Staged) -> int:
    """Count staged rows."""
    return int(tx.execute(text(f"SELECT count(*) FROM {staged}")).scalar_one())


def stage_ids(tx: Connection, database: Database, ids: Sequence[str], column: str = "object_id") -> Staged:
    """Stage a list of ids or addresses as a table of one column."""
    import pyarrow as pa  # takes a while, and commands that only read do without

    return database.stage(tx, pa.table({column: pa.array(ids, pa.string())}), column)


def has_table(tx: Connection, name: str, schema: str | None = None) -> bool:
    """Whether a database has a table of ours; in its default schema, unless another one is named.

    The names are no parameters: for the first one DuckDB imports pandas, where it is installed.
    """
    where = f"'{schema}'" if schema else "current_schema()"
    query = f"SELECT 1 FROM pg_catalog.pg_tables WHERE tablename = '{name}' AND schemaname = {where}"
    return tx.execute(text(query)).first() is not None


def require_names(columns: Sequence[str]) -> None:
    """Raise QueryError for a result in which two columns have one name: of these only one would be shown."""
    for name, times in Counter(columns).items():
        if times > 1:
            raise QueryError(f"{times} columns have the name {name!r}: give each another one with AS")


def bound(sql: str, parameters: Mapping[str, Any]) -> TextClause:
    """Give a query with `:name` for its parameters; raises QueryError for one that is not given."""
    statement = text(sql)
    for name in statement.compile().params:
        if name not in parameters:
            raise QueryError(f"it needs the parameter {name}")
    return statement


def require_text(sql: str, parameters: Mapping[str, Any] | None) -> None:
    """Raise QueryError for what is no text, such as an argument of the command that is not UTF-8."""
    for one in (sql, *(parameters or {}).values()):
        if isinstance(one, str) and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in one):
            raise QueryError("it has characters that are no text: write query and parameters in UTF-8, without NUL")


def take_rows(rows: Iterable[Row]) -> list[Row]:
    """Give the rows of a query, or raise QueryError for too many."""
    taken = list(islice(rows, MAX_ROWS + 1))
    if len(taken) > MAX_ROWS:
        raise QueryError(f"it gives more than {MAX_ROWS:,} rows: aggregate, or add LIMIT")
    return taken


def took_too_long(time_limit_s: float) -> QueryError:
    """Make the error of a query that reached its time limit."""
    return QueryError(f"it took longer than {time_limit_s:g} s: select less, or set a longer --time-limit")


def fetch_rows(tx: Connection, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
    """Give the rows of a query, each by the names of its columns."""
    return [dict(row) for row in tx.execute(text(query), parameters or {}).mappings()]
