"""Tables of the records read from objects, written once: each row leads back to object version, record and load.

They lie in the schema `roomledger_raw`. A row counts when the newest version of its object names its load (`objects`);
the public views of the same names (`views.py`) show the rows that count.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Table, Text

from roomledger import model
from roomledger.ledger.tables.columns import RAW, Json, Timestamp, column, define_table, key


def _fact(name: str, grain: str, *columns: Column[Any]) -> Table:
    """A table of records: each row leads back to the object version, the record in it and the load."""
    return define_table(
        name,
        f"{grain} Rows of every load, whether they count or not.",
        column("object_id", Text(), "Object version that the row was read from (object_ledger).", null=False),
        column(
            "ordinal",
            BigInteger(),
            "Number of the record in its file, from 1; 0 for the row of the file itself.",
            null=False,
        ),
        column("load_id", Text(), "Load that loaded the row (loads).", null=False),
        *columns,
        indexes=("object_id",),
        schema=RAW,
    )


def _extra(where: str) -> Column[Any]:
    """The column of what the file has besides the others."""
    return column("extra", Json, f"What the {where} has besides, by name; also values that are refused.")


chat_messages = _fact(
    "chat_messages",
    "One row per chat message of one recording.",
    column("message_id", Text(), "The vendor's message id; null in files before 2024."),
    column("sender_peer_id", Text(), "Peer that sent it; new on every join."),
    column("sender_name", Text(), "Display name of the sender."),
    column("sender_user_id", Text(), "The customer's own id of the sender."),
    column(
        "roles",
        Json,
        "List of the roles that the message was sent to; an empty list means everybody, null that roles_raw is not"
        " understood.",
    ),
    column("roles_raw", Text(), "The roles cell of the file, unchanged."),
    column("sent_at", Timestamp, "When it was sent, in whole seconds; ordinal orders messages of one second."),
    column("message_type", Text(), "Type as received, mostly chat."),
    column("message", Text(), "The text, unchanged.", null=False),
    column("extra", Json, "Further columns of the file, by name."),
    column("recorder_started_at", Timestamp, "Start of the recorder that wrote the file, from its key."),
    column(
        "is_doubtful",
        Boolean(),
        "True: a record of the file is broken, so that any row of it may be a line of another person's message. Null in"
        " rows that an older version loaded.",
    ),
)


def _speech(text: str) -> list[Column[Any]]:
    """Columns of a sentence or word."""
    return [
        column("speaker_name", Text(), "Name of the speaker."),
        column("speaker_peer_id", Text(), "Peer id of the speaker; only in json transcripts."),
        column("start_ms", BigInteger(), "Start in milliseconds from the start of the recording; null in txt."),
        column("end_ms", BigInteger(), "End in milliseconds from the start of the recording; null in txt."),
        column("text", Text(), text, null=False),
        _extra("entry"),
    ]


transcripts = _fact(
    "transcripts",
    "One row per transcript file.",
    column("output_mode", Text(), "json, srt or txt, by the content of the file.", null=False),
    column("segments", BigInteger(), "Sentences loaded from it.", null=False),
    column("words", BigInteger(), "Words loaded from it; only json has words.", null=False),
    column("language", Text(), "Language, if known."),
    _extra("file"),
)
transcript_segments = _fact(
    "transcript_segments",
    "One row per sentence of a transcript file.",
    *_speech("The sentence."),
)
transcript_words = _fact(
    "transcript_words",
    "One row per word of a json transcript file.",
    *_speech("The word."),
)

summaries = _fact(
    "summaries",
    "One row per summary file.",
    column("sections", BigInteger(), "Sections loaded from it.", null=False),
    column("points", BigInteger(), "Bullets loaded from it.", null=False),
    _extra("file"),
)
summary_sections = _fact(
    "summary_sections",
    "One row per section of a summary.",
    column("title", Text(), "Title, as configured by the customer."),
    column("format", Text(), "bullets or paragraph."),
    column("paragraph", Text(), "Text of a paragraph section."),
    _extra("section"),
)
summary_points = _fact(
    "summary_points",
    "One row per bullet of a summary section.",
    column("section_ordinal", BigInteger(), "Ordinal of its section in summary_sections.", null=False),
    column("text", Text(), "The bullet.", null=False),
)

RECORD_TABLES: dict[type[tuple[Any, ...]], Table] = {
    model.ChatMessage: chat_messages,
    model.Transcript: transcripts,
    model.TranscriptSegment: transcript_segments,
    model.TranscriptWord: transcript_words,
    model.Summary: summaries,
    model.SummarySection: summary_sections,
    model.SummaryPoint: summary_points,
}
FACTS = tuple(RECORD_TABLES.values())

appended_loads = define_table(
    "appended_loads",
    "One row per load that has appended its rows, where the ledger is another database.",
    key("load_id", "Load that appended (loads)."),
    schema=RAW,
)
