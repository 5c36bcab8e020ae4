"""Facts in DuckDB or PostgreSQL: the ledger's own database, or another one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from sqlalchemy import Connection, Table

from roomledger.ledger.database import Database


class DatabaseFacts:
    """The facts side in a database with transactions."""

    def __init__(self, database: Database, *, in_ledger: bool) -> None:
        """`in_ledger` means that `database` is the ledger's own."""
        self._database = database
        self.in_ledger = in_ledger
        self.dialect = "duckdb" if database.url.startswith("duckdb") else "postgres"

    def append(self, files: Mapping[Table, Path], load_id: str, tx: Connection | None = None) -> None:
        """See `Facts`."""
        with nullcontext(tx) if tx else self._database.begin() as own:
            for table, path in files.items():
                self._database.append(own, table, path)
