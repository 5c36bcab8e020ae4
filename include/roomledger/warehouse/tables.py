"""Tables of what was read from objects: each row leads back to object version, record and load."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Table, Text

from roomledger import model
from roomledger.ledger.tables.columns import Json, Timestamp, column, of_recording, whose
from roomledger.ledger.tables.columns import metadata as metadata


def _fact(name: str, grain: str, *columns: Column[Any]) -> Table:
    """A table of records: each leads back to the object version, the record in it and the load that brought it."""
    return Table(
        name,
        metadata,
        *whose(),
        column(
            "object_id", Text(), "Object version the row was read from (object_ledger).", null=False, primary_key=True
        ),
        column(
            "ordinal",
            BigInteger(),
            "Number of the record in its file, from 1; 0 for the row that stands for the file.",
            null=False,
            primary_key=True,
            autoincrement=False,
        ),
        column("load_id", Text(), "Load that brought the row (loads).", null=False),
        *columns,
        Index(f"ix_{name}_session", "session_id").ddl_if(dialect="postgresql"),
        comment=grain,
    )


object_assets = _fact(
    "object_assets",
    "One row per loaded object, media and text alike, with what its key and the listing say of the asset.",
    column("asset_type", Text(), "room-composite, room-composite-legacy, room-vod, track, stream, chat, …", null=False),
    column("uri", Text(), "Address of the object, key not URL-encoded.", null=False),
    column("size_bytes", BigInteger(), "Size in bytes, as the witness said.", null=False),
    column("created_at", Timestamp, "When the object was written.", null=False),
    column("peer_id", Text(), "Peer of a track or stream."),
    column("stream_id", Text(), "Stream of a track or stream."),
    column("track_id", Text(), "Track id."),
    column("layer", Text(), "Layer of a live stream's composite."),
    column("output_mode", Text(), "json, srt or txt of a transcript or summary."),
)

chat_messages = _fact(
    "chat_messages",
    "One row per chat message of one recording.",
    column("message_id", Text(), "The vendor's message id; files before 2024 have none."),
    column("sender_peer_id", Text(), "Peer who sent it; new on every join."),
    column("sender_name", Text(), "Name the sender showed."),
    column("sender_user_id", Text(), "The customer's own id of the sender."),
    column("roles", Json, "List of the roles the message was sent to; an empty list means everybody.", null=False),
    column("roles_raw", Text(), "The roles cell as it stood in the file."),
    column("sent_at", Timestamp, "When it was sent (whole seconds; ties are in the order of ordinal)."),
    column("message_type", Text(), "Type as the vendor wrote it, mostly chat."),
    column("message", Text(), "The text, unchanged.", null=False),
    column("extra", Json, "Columns of the file that have no column here, by name."),
    column("recorder_started_at", Timestamp, "When the recorder that wrote the file started, from its key."),
)

_SPOKEN = (
    ("speaker_name", Text(), "Name of the speaker."),
    ("speaker_peer_id", Text(), "Peer of the speaker; only json transcripts say it."),
    ("start_ms", BigInteger(), "Start in milliseconds from the start of the recording; txt has no times."),
    ("end_ms", BigInteger(), "End in milliseconds from the start of the recording; txt has no times."),
)

transcripts = _fact(
    "transcripts",
    "One row per transcript file.",
    column("output_mode", Text(), "json, srt or txt, by what the file holds.", null=False),
    column("segments", BigInteger(), "Sentences loaded from it.", null=False),
    column("words", BigInteger(), "Words loaded from it; only json has words.", null=False),
    column("language", Text(), "Language, where it is known."),
    *of_recording(),
)
transcript_segments = _fact(
    "transcript_segments",
    "One row per sentence of a transcript file.",
    *(column(*spec) for spec in _SPOKEN),
    column("text", Text(), "The sentence.", null=False),
)
transcript_words = _fact(
    "transcript_words",
    "One row per word of a json transcript file.",
    *(column(*spec) for spec in _SPOKEN),
    column("text", Text(), "The word.", null=False),
)

summaries = _fact(
    "summaries",
    "One row per summary file.",
    column("sections", BigInteger(), "Sections loaded from it.", null=False),
    column("points", BigInteger(), "Bullets loaded from it.", null=False),
    *of_recording(),
)
summary_sections = _fact(
    "summary_sections",
    "One row per section of a summary.",
    column("title", Text(), "Title, as the customer configured it."),
    column("format", Text(), "bullets or paragraph."),
    column("paragraph", Text(), "Text of a paragraph section."),
)
summary_points = _fact(
    "summary_points",
    "One row per bullet of a summary section.",
    column("section_ordinal", BigInteger(), "Ordinal of its section in summary_sections.", null=False),
    column("text", Text(), "The bullet.", null=False),
)

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
