"""The facts side behind five verbs: one module per engine implements them.

The facts side holds the rows of records, which are written once, and the published tables that say which of them count.
It may be the ledger's own database, or another engine. Every verb may be repeated: a crash between two of them, or in
the middle of one, costs at most the time until it is repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection, Table

from roomledger.ledger.database import QUERY_TIME_S, Row

if TYPE_CHECKING:
    import pyarrow as pa


class Facts(Protocol):
    """An engine of the facts side; the contract that the suite in `tests/contracts/test_facts.py` checks."""

    dialect: str
    """Its name in sqlglot."""
    in_ledger: bool
    """Whether it is the ledger's own database: append and vacuum then join the ledger's transaction, and what the
    ledger publishes is there already."""

    def ensure(self, installation_id: str, published: int = 0) -> None:
        """Create the schema, tables and views of this installation, or change those of an older version.

        Raises WarehouseError, also when it is empty although the ledger has published so many times.
        """

    def require_current(self, installation_id: str | None = None) -> None:
        """Raise WarehouseError unless tables and views are there, of this version and of this installation."""

    def append(self, files: Mapping[Table, Path], load_id: str, tx: Connection | None = None) -> None:
        """Append Parquet files to the tables of records; a second time with the same load it changes nothing.

        Nobody sees the rows before an object that names the load is published.
        """

    def published(self) -> int:
        """Return the number of the last publication that it has."""

    def publish(self, changes: Mapping[Table, pa.Table]) -> None:
        """Apply changed rows of the published tables, those of `publications` last.

        Of each key the row with the highest publication counts, in whatever order they come.
        """

    def vacuum(
        self,
        loads: Sequence[str] = (),
        rows: pa.Table | None = None,
        versions: pa.Table | None = None,
        tx: Connection | None = None,
    ) -> Mapping[str, int]:
        """Delete the rows of dead loads, `rows` (`object_id`, `load_id`), and `versions` (`uri`, `publication`).

        Gives the number of deleted rows by table.
        """

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, time_limit_s: float = QUERY_TIME_S
    ) -> Sequence[Row]:
        """Run one query that cannot change anything; give its rows, each by the names of its columns.

        `:name` in the query is a parameter, unless `parameters` is None. Raises QueryError and WarehouseError.
        """
