"""What the tables are put together from: types, and columns that several tables share."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from sqlalchemy import JSON, Boolean, Column, Date, DateTime, Double, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

metadata = MetaData()

Json = JSON().with_variant(JSONB(), "postgresql")
Timestamp = DateTime(timezone=True)


def column(name: str, type_: TypeEngine[Any], comment: str, *, null: bool = True, **options: Any) -> Column[Any]:
    """A column with what it means; without `null` it always has a value."""
    return Column(name, type_, nullable=null, comment=comment, **options)


def whose() -> list[Column[Any]]:
    """Columns that say to whom and to which session a row belongs."""
    return [
        column("customer", Text(), "Customer the source belongs to.", null=False),
        column("source", Text(), "Name of the source in roomledger.toml that the object was found in.", null=False),
        column("room_id", Text(), "100ms room id; null while nothing says it."),
        column("session_id", Text(), "100ms session id; null while nothing says it."),
        column(
            "session_evidence",
            Text(),
            "How session_id is known: asset_record, webhook, key or time_window, strongest first, or none.",
            null=False,
        ),
    ]


def of_recording() -> list[Column[Any]]:
    """Columns that say which recording an object belongs to, as the vendor's records name it."""
    return [
        column("job_id", Text(), "Recording job that made it (recordings); null while nothing says it."),
        column(
            "recording_started_at",
            Timestamp,
            "When that recording started: milliseconds in the file count from here; null while nothing says it.",
        ),
    ]


def key(name: str, comment: str) -> Column[Any]:
    """A column of the primary key that holds an id."""
    return column(name, Text(), comment, null=False, primary_key=True)


_ARROW: tuple[tuple[type[TypeEngine[Any]], pa.DataType], ...] = (
    (JSON, pa.string()),
    (Text, pa.string()),
    (Boolean, pa.bool_()),
    (Integer, pa.int64()),  # BigInteger is an Integer too
    (Double, pa.float64()),
    (Date, pa.date32()),
    (DateTime, pa.timestamp("us", tz="UTC")),
    (LargeBinary, pa.binary()),
)


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema that holds rows of `table`, column by column in its order; JSON travels as text."""
    return pa.schema([(column.name, _arrow_type(column.type)) for column in table.columns])


def _arrow_type(type_: TypeEngine[Any]) -> pa.DataType:
    for sql, arrow in _ARROW:
        if isinstance(type_, sql):
            return arrow
    raise TypeError(f"no Arrow type for {type_!r}")
