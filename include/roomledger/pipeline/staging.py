"""Staging files: the records of a batch as Parquet in a temporary folder, one file per table.

Many readers add to them concurrently. Memory is bounded for objects of any size, because rows are written to disk in
batches; the database then streams the files. Rows of an object that is not loaded are skipped by the commit.
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

from roomledger.ledger.database import Rows
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.ledger import refusals
from roomledger.model import Record, Refusal
from roomledger.warehouse.tables import OBJECT_COLUMNS, RECORD_TABLES

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetWriter

_ROWS = 8192
"""Rows of one row group."""


class StagingFiles:
    """Accepts records by object; writes one file of rows per table."""

    def __init__(self) -> None:
        self._buffered: dict[Table, list[tuple[Any, ...]]] = defaultdict(list)
        self._files: dict[Table, tuple[Path, ParquetWriter]] = {}
        self._lock = threading.Lock()
        self._stack = ExitStack()

    def __enter__(self) -> StagingFiles:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="roomledger-")))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def add(self, object_id: str, records: Iterable[Record | Refusal], *, flush: bool = False) -> None:
        """Add records of one object; `flush` writes all buffered rows to disk, for large records."""
        with self._lock:
            for record in records:
                self._buffered[_table(record)].append((object_id, *record))
            for table, rows in self._buffered.items():
                if rows and (flush or len(rows) >= _ROWS):
                    self._write(table, rows)

    def close(self) -> dict[Table, Rows]:
        """Finish the files; return those with rows, by table, and always `refusals`."""
        with self._lock:
            for table, rows in self._buffered.items():
                if rows:
                    self._write(table, rows)
            for _, writer in self._files.values():
                writer.close()
        files: dict[Table, Rows] = {table: path for table, (path, _) in self._files.items()}
        return {refusals: _schema(refusals).empty_table()} | files

    def _write(self, table: Table, rows: list[tuple[Any, ...]]) -> None:
        schema = _schema(table)
        columns = [pa.array(cells, field.type) for cells, field in zip(zip(*rows, strict=True), schema, strict=True)]
        rows.clear()
        if table not in self._files:
            from pyarrow.parquet import ParquetWriter  # takes a while to import

            path = self._folder / f"{table.name}.parquet"
            self._files[table] = (path, self._stack.enter_context(ParquetWriter(path, schema)))
        self._files[table][1].write_batch(pa.record_batch(columns, schema=schema))


def _schema(table: Table) -> pa.Schema:
    """The columns that a reader fills in: those of the table except the ones copied from the ledger."""
    names = ("object_id", "ordinal", "reason_code", "detail", "raw") if table is refusals else None
    return pa.schema(
        [field for field in arrow_schema(table) if (field.name in names if names else field.name not in OBJECT_COLUMNS)]
    )


def _table(record: Record | Refusal) -> Table:
    return refusals if isinstance(record, Refusal) else RECORD_TABLES[type(record)]
