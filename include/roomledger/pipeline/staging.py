"""The records of a batch on their way to the warehouse: Parquet files in a temporary folder, one per table.

Many readers add to it at once. Memory stays bounded however large a file is, because rows go to disk in batches; the
warehouse then streams the files. What is added for an object that is not loaded in the end is left out by the commit.
"""

from __future__ import annotations

import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import Table

from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.ledger import refusals
from roomledger.model import Record, Refusal
from roomledger.warehouse.tables import OBJECT_COLUMNS, RECORD_TABLES

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetWriter

_ROWS = 8192
"""Rows that are written at once, as one row group."""


class Spool:
    """Takes records by object, gives one stream of rows per table."""

    def __init__(self) -> None:
        self._waiting: dict[Table, list[tuple[Any, ...]]] = defaultdict(list)
        self._files: dict[Table, tuple[Path, ParquetWriter]] = {}
        self._lock = threading.Lock()
        self._stack = ExitStack()

    def __enter__(self) -> Spool:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="roomledger-")))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def add(self, object_id: str, records: Iterable[Record | Refusal], *, flush: bool = False) -> None:
        """Add records of one object; `flush` writes what waits to disk, for when the records are large."""
        with self._lock:
            for record in records:
                self._waiting[_table(record)].append((object_id, *record))
            for table, rows in self._waiting.items():
                if rows and (flush or len(rows) >= _ROWS):
                    self._write(table, rows)

    def tables(self) -> dict[Table, Path]:
        """Close the files and give the rows of every table that has any; call it once, when all is added."""
        with self._lock:
            for table, rows in self._waiting.items():
                if rows:
                    self._write(table, rows)
            for _, writer in self._files.values():
                writer.close()
        return {table: path for table, (path, _) in self._files.items()}

    def _write(self, table: Table, rows: list[tuple[Any, ...]]) -> None:
        schema = spooled_schema(table)
        columns = [pa.array(cells, field.type) for cells, field in zip(zip(*rows, strict=True), schema, strict=True)]
        rows.clear()
        if table not in self._files:
            from pyarrow.parquet import ParquetWriter  # takes a while to import

            path = self._folder / f"{table.name}.parquet"
            self._files[table] = (path, self._stack.enter_context(ParquetWriter(path, schema)))
        self._files[table][1].write_batch(pa.record_batch(columns, schema=schema))


def spooled_schema(table: Table) -> pa.Schema:
    """The columns that a reader fills in: those of the table less what its object's ledger row says."""
    names = ("object_id", "ordinal", "reason_code", "detail", "raw") if table is refusals else None
    return pa.schema(
        [field for field in arrow_schema(table) if (field.name in names if names else field.name not in OBJECT_COLUMNS)]
    )


def _table(record: Record | Refusal) -> Table:
    return refusals if isinstance(record, Refusal) else RECORD_TABLES[type(record)]
