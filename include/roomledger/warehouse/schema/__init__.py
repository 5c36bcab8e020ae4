"""Every table of the warehouse, once: names, types, keys and what each column means.

The DDL, the comments in the database, the data dictionary, the Arrow schemas of the bulk writers and the check of the
migrations all come from here. The first sentence of a table's comment is its grain.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from sqlalchemy import JSON, Boolean, DateTime, Double, Integer, LargeBinary, Table, Text
from sqlalchemy.types import TypeEngine

from roomledger import model
from roomledger.warehouse.schema.columns import Json, Timestamp, metadata
from roomledger.warehouse.schema.events import (
    HEARD,
    SUMMED_UP,
    event_assets,
    event_peers,
    event_recordings,
    event_sessions,
    vendor_events,
)
from roomledger.warehouse.schema.facts import (
    chat_messages,
    object_assets,
    summaries,
    summary_points,
    summary_sections,
    transcript_segments,
    transcript_words,
    transcripts,
)
from roomledger.warehouse.schema.ledger import (
    DISPOSITIONS,
    SESSION_EVIDENCE,
    loads,
    object_ledger,
    observations,
    refusals,
    session_changes,
)
from roomledger.warehouse.schema.records import (
    SAID,
    asset_records,
    job_records,
    peer_records,
    rooms,
    session_records,
    vendor_cursors,
    vendor_unknown,
)

__all__ = [
    "DISPOSITIONS",
    "FACTS",
    "HEARD",
    "OBJECT_COLUMNS",
    "PLACE",
    "RECORD_TABLES",
    "SAID",
    "SESSION_EVIDENCE",
    "SUMMED_UP",
    "Json",
    "Timestamp",
    "arrow_schema",
    "asset_records",
    "chat_messages",
    "event_assets",
    "event_peers",
    "event_recordings",
    "event_sessions",
    "job_records",
    "loads",
    "metadata",
    "object_assets",
    "object_ledger",
    "observations",
    "peer_records",
    "refusals",
    "rooms",
    "session_changes",
    "session_records",
    "summaries",
    "summary_points",
    "summary_sections",
    "transcript_segments",
    "transcript_words",
    "transcripts",
    "vendor_cursors",
    "vendor_events",
    "vendor_unknown",
]

RECORD_TABLES: dict[type[tuple[Any, ...]], Table] = {
    model.ObjectAsset: object_assets,
    model.ChatMessage: chat_messages,
    model.Transcript: transcripts,
    model.TranscriptSegment: transcript_segments,
    model.TranscriptWord: transcript_words,
    model.Summary: summaries,
    model.SummarySection: summary_sections,
    model.SummaryPoint: summary_points,
}
FACTS = tuple(RECORD_TABLES.values())
PLACE = ("room_id", "session_id", "session_evidence", "job_id", "recording_started_at")
"""Columns that say where an object belongs; when the ledger learns better, they change in the facts, too."""
OBJECT_COLUMNS = ("customer", "source", *PLACE, "load_id")
"""Columns of a fact that are the same for all records of an object: they come from its ledger row."""

_ARROW: tuple[tuple[type[TypeEngine[Any]], pa.DataType], ...] = (
    (JSON, pa.string()),
    (Text, pa.string()),
    (Boolean, pa.bool_()),
    (Integer, pa.int64()),  # BigInteger is an Integer too
    (Double, pa.float64()),
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
