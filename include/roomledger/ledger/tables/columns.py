"""Building blocks of the tables: types, and columns that several tables share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TextClause,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

if TYPE_CHECKING:
    import pyarrow as pa

metadata = MetaData()

RAW = "roomledger_raw"
"""Schema of the tables under the public views: rows as loaded, and what is published about them."""

Json = JSON().with_variant(JSONB(), "postgresql")
Timestamp = DateTime(timezone=True)


def define_table(
    name: str,
    grain: str,
    *columns: Column[Any] | CheckConstraint | Index,
    indexes: Sequence[str] = (),
    schema: str | None = None,
) -> Table:
    """A table whose comment starts with its grain; each of `indexes` names its columns, separated by blanks."""
    made = (index(f"ix_{name}_{'_'.join(names.split())}", *names.split()) for names in indexes)
    return Table(name, metadata, *columns, *made, comment=grain, schema=schema)


def index(name: str, *columns: str | TextClause, **options: Any) -> Index:
    """An index on columns or expressions. Only PostgreSQL gets it: DuckDB scans."""
    return Index(name, *columns, **options).ddl_if(dialect="postgresql")


def column(name: str, type_: TypeEngine[Any], comment: str, *, null: bool = True, **options: Any) -> Column[Any]:
    """A column with its meaning; `null=False` for a column that always has a value."""
    return Column(name, type_, nullable=null, comment=comment, **options)


def source_columns(source: str) -> list[Column[Any]]:
    """Columns that name the customer and the source of a row; `source` is the comment of the latter."""
    return [
        column("customer", Text(), "Customer that the source belongs to.", null=False),
        column("source", Text(), source, null=False),
    ]


def session_columns() -> list[Column[Any]]:
    """Columns that name the customer, source, room and session of a row."""
    return [
        *source_columns("Name of the source in roomledger.toml that holds the object."),
        column("room_id", Text(), "100ms room id; null while it is unknown."),
        column("session_id", Text(), "100ms session id; null while it is unknown."),
        column(
            "session_evidence",
            Text(),
            "Evidence for session_id: asset_record, webhook, key or time_window, strongest first, or none.",
            null=False,
        ),
    ]


def recording_columns() -> list[Column[Any]]:
    """Columns that name the recording of an object, as the vendor's records report it."""
    return [
        column("job_id", Text(), "Recording job that made it (recordings); null while it is unknown."),
        column(
            "recording_started_at",
            Timestamp,
            "Start of that recording, from which the milliseconds in the file count; null while it is unknown.",
        ),
    ]


def media_columns() -> list[Column[Any]]:
    """Columns that describe an asset, as the vendor's records and events report it."""
    return [
        column("peer_id", Text(), "Peer of a track or stream."),
        column("user_id", Text(), "The customer's own id of that peer."),
        column("stream_id", Text(), "Stream of a track or stream."),
        column("stream_type", Text(), "regular, screen or audio."),
        column("track_id", Text(), "Track id."),
        column("track_type", Text(), "audio or video."),
        column("width", Integer(), "Width in pixels."),
        column("height", Integer(), "Height in pixels."),
        column("layer", Text(), "Layer of a live stream's composite."),
        column("num_layers", Integer(), "Number of layers of a VOD."),
        column("output_mode", Text(), "json, srt or txt of a transcript or summary."),
    ]


def key(name: str, comment: str) -> Column[Any]:
    """A column of the primary key that holds an id."""
    return column(name, Text(), comment, null=False, primary_key=True)


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of rows of `table`, in the order of its columns; JSON becomes text."""
    import pyarrow as pa  # takes a while, and commands that only read do without

    types: tuple[tuple[type[TypeEngine[Any]], pa.DataType], ...] = (
        (JSON, pa.string()),
        (Text, pa.string()),
        (Boolean, pa.bool_()),
        (Integer, pa.int64()),  # BigInteger is an Integer too
        (Double, pa.float64()),
        (Date, pa.date32()),
        (DateTime, pa.timestamp("us", tz="UTC")),
        (LargeBinary, pa.binary()),
    )

    def arrow_type(type_: TypeEngine[Any]) -> pa.DataType:
        for sql, arrow in types:
            if isinstance(type_, sql):
                return arrow
        raise TypeError(f"no Arrow type for {type_!r}")

    return pa.schema([(column.name, arrow_type(column.type)) for column in table.columns])
