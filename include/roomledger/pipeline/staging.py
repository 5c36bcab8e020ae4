"""Staging files: the records of a batch as Parquet in a temporary folder, one file per table.

Many readers add to them concurrently. Memory is bounded for objects of any size, because rows are written to disk in
batches; the database then streams the files. Whatever is not to be loaded is found and left out here, in the same way
for every engine: rows of objects that are not loaded, and chat messages that repeat an earlier one of their file.
"""

from __future__ import annotations

import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from sqlalchemy import Table

from roomledger.ledger.database import Rows
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.ledger import refusals
from roomledger.model import Record, Refusal
from roomledger.settings import DEFAULT_MEMORY_MB
from roomledger.warehouse.staged_rows import select_rows
from roomledger.warehouse.tables import RECORD_TABLES

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetWriter

_ROWS = 8192
"""Rows of one row group."""


class StagedBatch(NamedTuple):
    """The finished files of a batch."""

    files: Mapping[Table, Path]
    """Rows to append, of each table that has any."""
    refused: Rows
    """Rows of `refusals`, without the columns that the ledger fills in."""
    duplicates: Mapping[str, int]
    """Number of chat messages left out, by object id."""


class StagingFiles:
    """Accepts records by object; writes one file of rows per table."""

    def __init__(self, load_id: str, memory_mb: int = DEFAULT_MEMORY_MB) -> None:
        """`memory_mb` bounds the search for duplicates."""
        self._load_id = load_id
        self._memory_mb = memory_mb
        self._buffered: dict[Table, list[tuple[Any, ...]]] = defaultdict(list)
        self._objects: dict[Table, set[str]] = defaultdict(set)
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
                table = _table(record)
                self._buffered[table].append((object_id, *record))
                self._objects[table].add(object_id)
            for table, rows in self._buffered.items():
                if rows and (flush or len(rows) >= _ROWS):
                    self._write(table, rows)

    def finish(self, loaded: Set[str], doubtful: Set[str] = frozenset()) -> StagedBatch:
        """Finish the files, with the rows of the objects `loaded`, without duplicates; mark messages of `doubtful`."""
        with self._lock:
            for table, rows in self._buffered.items():
                if rows:
                    self._write(table, rows)
            for _, writer in self._files.values():
                writer.close()
        files = {table: path for table, (path, _) in self._files.items()}
        refused: Rows = files.pop(refusals, _schema(refusals).empty_table())
        duplicates: dict[str, int] = {}
        if files:
            files, duplicates = select_rows(files, self._objects, loaded, doubtful, self._folder, self._memory_mb)
        return StagedBatch(files, refused, duplicates)

    def _write(self, table: Table, rows: list[tuple[Any, ...]]) -> None:
        schema = _schema(table)
        columns = [pa.array(cells, field.type) for cells, field in zip(zip(*rows, strict=True), schema, strict=False)]
        if table is not refusals:
            columns.append(pa.array([self._load_id] * len(rows), pa.string()))
        rows.clear()
        if table not in self._files:
            from pyarrow.parquet import ParquetWriter  # takes a while to import

            path = self._folder / f"{table.name}.parquet"
            self._files[table] = (path, self._stack.enter_context(ParquetWriter(path, schema)))
        self._files[table][1].write_batch(pa.record_batch(columns, schema=schema))


def _schema(table: Table) -> pa.Schema:
    """The columns of a file: the fields of a record after `object_id`, then `load_id`; of a refusal its own fields."""
    fields = {field.name: field for field in arrow_schema(table)}
    if table is refusals:
        return pa.schema([fields[name] for name in ("object_id", *Refusal._fields)])
    load_id = fields.pop("load_id")
    return pa.schema([*fields.values(), load_id])


def _table(record: Record | Refusal) -> Table:
    return refusals if isinstance(record, Refusal) else RECORD_TABLES[type(record)]
