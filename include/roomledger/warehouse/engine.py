"""The facts side behind a few verbs: one module per engine implements them.

The facts side holds the rows of records, which are written once, and the small published tables that say which of them
count. It may be the ledger's own database, or another engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Table


class Facts(Protocol):
    """An engine of the facts side."""

    dialect: str
    """Its name in sqlglot."""
    in_ledger: bool
    """Whether it is the ledger's own database: its verbs then join the ledger's transaction."""

    def append(self, files: Mapping[Table, Path], load_id: str, tx: Connection | None = None) -> None:
        """Append Parquet files to the tables of records; rows of a load that were appended before stay single."""
