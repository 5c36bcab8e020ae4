"""What readers ask: the views over the tables, their SQL in files beside this one, and what their columns mean.

A view is derived from the tables at every reading, so it needs no migration: when a definition changes, all of them are
made anew. The first sentence of a view's comment is its grain.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from importlib import resources
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Double, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

from roomledger.ledger.database import WarehouseError
from roomledger.ledger.tables.columns import Json, Timestamp
from roomledger.ledger.tables.ledger import object_ledger
from roomledger.ledger.tables.vendor_events import event_recordings
from roomledger.ledger.tables.vendor_records import asset_records, job_records, peer_records, session_records
from roomledger.warehouse.tables import chat_messages, transcript_segments

metadata = MetaData()


def _as_in(table: Table, names: str) -> list[Column[Any]]:
    """Columns that mean what they mean in that table."""
    return [Column(name, table.columns[name].type, comment=table.columns[name].comment) for name in names.split()]


def _column(name: str, type_: TypeEngine[Any], comment: str) -> Column[Any]:
    return Column(name, type_, comment=comment)


_WHOSE = "customer source room_id session_id session_evidence"


def _witness() -> list[Column[Any]]:
    return [
        _column("record", Json, "The API's record as it came, secrets removed; null when only webhooks tell of it."),
        _column("first_seen_at", Timestamp, "When it was first heard of."),
        _column("first_seen_by", Text(), "Witness that told of it first: api or webhook."),
    ]


sessions = Table(
    "sessions",
    metadata,
    *_as_in(session_records, "customer source session_id room_id"),
    _column("active", Boolean(), "Whether it was still going on, by all that was heard."),
    *_as_in(session_records, "started_at"),
    _column("ended_at", Timestamp, "When it ended; null while it is going on."),
    _column("room_name", Text(), "Name of the room at that time, from webhooks."),
    *_witness(),
    comment="One row per session that the vendor's API or a webhook tells of. Where both do the API's word counts, and"
    " webhooks fill what it leaves out.",
)

peers = Table(
    "peers",
    metadata,
    *_as_in(peer_records, "customer source session_id peer_id user_id name role joined_at left_at is_recorder"),
    *_witness(),
    comment="One row per stay of a peer in a session that the vendor's API or a webhook tells of; who comes back has a"
    " new peer id.",
)

recordings = Table(
    "recordings",
    metadata,
    *_as_in(job_records, "customer source"),
    _column("job_id", Text(), "The vendor's id of the job; null when only webhooks tell of it, and name none."),
    _column("kind", Text(), "recording, live-stream, external-stream, or legacy for the recorder of old."),
    *_as_in(
        job_records,
        "room_id session_id status planned_types created_at started_at stopped_at updated_at started_by stopped_by",
    ),
    *_as_in(event_recordings, "beam_id recording_id error_type error_message"),
    *_witness(),
    comment="One row per recording job, live stream or external stream that the vendor's API tells of, and per recorder"
    " that only webhooks tell of. A recorder is a job's when it has the job's id or both name one object.",
)

recording_assets = Table(
    "recording_assets",
    metadata,
    *_as_in(chat_messages, _WHOSE),
    _column("object_id", Text(), "Its object version (object_ledger); null when only the vendor names it."),
    _column("ordinal", BigInteger(), "Always 0: the row stands for the file."),
    _column("load_id", Text(), "Load that settled the object last (loads); null while there is none."),
    *_as_in(asset_records, "asset_type raw_type"),
    _column("uri", Text(), "Address of its object, key not URL-encoded; null while the vendor names none."),
    _column(
        "status", Text(), "completed, failed or processing, as the vendor says; completed where only the object is."
    ),
    _column("size_bytes", BigInteger(), "Size in bytes: the object's, else what the vendor says."),
    _column("vendor_size_bytes", BigInteger(), "Size in bytes, as the vendor says."),
    _column(
        "size_difference_bytes",
        BigInteger(),
        "The object's size less the vendor's; null without an object or while one of them is unknown.",
    ),
    *_as_in(asset_records, "duration_s"),
    _column("created_at", Timestamp, "When the asset was made, as the vendor says; else when its object was written."),
    _column("asset_id", Text(), "The vendor's asset id; null while nobody names it."),
    *_as_in(asset_records, "job_id"),
    *_as_in(event_recordings, "recording_id"),
    *_as_in(
        asset_records,
        "peer_id user_id stream_id stream_type track_id track_type width height layer num_layers output_mode"
        " metadata thumbnails",
    ),
    *_as_in(event_recordings, "error_type error_message"),
    _column("disposition", Text(), "What became of its object (object_ledger); null when there is none."),
    _column("first_seen_at", Timestamp, "When it was first heard of, from the bucket or from the vendor."),
    _column("first_seen_by", Text(), "Witness that told of it first: listing, s3_event, gcs_event, webhook or api."),
    comment="One row per recording asset: per address in a bucket that is one, loaded, refused or waiting, and per"
    " asset that the vendor's API or a webhook names and whose object is not there. A newer version that waits or was"
    " refused does not hide the one whose rows are loaded.",
)

statements = Table(
    "statements",
    metadata,
    *_as_in(chat_messages, "customer source session_id room_id session_evidence"),
    _column("kind", Text(), "message: written in the chat; sentence: said, from a transcript."),
    _column("said_at", Timestamp, "When it was written or said; null while nothing says when."),
    _column(
        "recording_started_at",
        Timestamp,
        "When the recording it is from started; of a message: the recorder that wrote the file, from its key.",
    ),
    *_as_in(transcript_segments, "start_ms end_ms"),
    _column("speaker_name", Text(), "Name of who wrote or said it, from the file, else from peers."),
    _column("peer_id", Text(), "Peer who wrote or said it, from the file, else the only peer of that name."),
    _column("user_id", Text(), "The customer's own id of that person, from the file, else from peers."),
    _column("role", Text(), "Role of that peer, from peers."),
    _column(
        "speaker_evidence",
        Text(),
        "How the person is known: peer_id or user_id: the file says so; name: only by name, which one person alone"
        " bears in this session; none: not at all.",
    ),
    _column("text", Text(), "What was written or said, unchanged."),
    *_as_in(chat_messages, "object_id ordinal load_id"),
    _column("copies", BigInteger(), "How many recorders wrote this message down; the first of them is shown."),
    comment="One row per thing that was written or said in a session: a chat message, once even if two recorders wrote"
    " it, or a sentence of a transcript, of each recording from the best form only: json, else srt, else txt.",
)

session_overview = Table(
    "session_overview",
    metadata,
    *_as_in(session_records, "customer"),
    _column("source", Text(), "Source in roomledger.toml that tells of the session."),
    *_as_in(session_records, "session_id room_id"),
    _column("room_name", Text(), "Name of the room."),
    *_as_in(sessions, "active started_at ended_at"),
    _column("duration_s", Double(), "Seconds from start to end; null while one of them is unknown."),
    _column(
        "attendees",
        BigInteger(),
        "Persons who were there, each once: by user_id, else by name, else by peer_id; recorders left out.",
    ),
    _column("peers", BigInteger(), "Stays in it, who comes back counts again; recorders left out."),
    _column("messages", BigInteger(), "Chat messages, each once (statements)."),
    _column("sentences", BigInteger(), "Sentences of transcripts, of each recording once (statements)."),
    _column("recordings", BigInteger(), "Recording jobs, live streams and external streams (recordings)."),
    _column("assets", BigInteger(), "Recording assets (recording_assets)."),
    _column("assets_failed", BigInteger(), "Those that failed, as the vendor says."),
    _column("assets_in_bucket", BigInteger(), "Those whose object is in the bucket."),
    _column("assets_by_type", Text(), "How many of each type, such as: chat 2, track 4."),
    _column("assets_by_status", Text(), "How many of each status, such as: completed 5, failed 1."),
    comment="One row per session: of those that the vendor tells of and those that only a recording names.",
)

session_timeline = Table(
    "session_timeline",
    metadata,
    *_as_in(chat_messages, "customer source session_id room_id"),
    _column("happened_at", Timestamp, "When it happened; null while nothing says when."),
    _column("offset_s", Double(), "Seconds since the session started; null while one of the two times is unknown."),
    _column(
        "kind",
        Text(),
        "session_start, session_end, join, leave, message, sentence, recording_start or recording_stop.",
    ),
    _column("peer_id", Text(), "Peer who did it; null when nobody is named."),
    _column("user_id", Text(), "The customer's own id of that person."),
    _column("name", Text(), "Name of that person."),
    *_as_in(peer_records, "role"),
    _column("is_recorder", Boolean(), "Whether that peer is the vendor's recorder; null where no stay is named."),
    _column("text", Text(), "What was written or said."),
    *_as_in(job_records, "job_id"),
    _column("object_id", Text(), "Object version a message or sentence was read from (object_ledger)."),
    _column("ordinal", BigInteger(), "Number of the message or sentence in its file, from 1."),
    comment="One row per event of a session, all on one clock. An event whose time is unknown has no happened_at;"
    " ordered by that it comes last.",
)

freshness = Table(
    "freshness",
    metadata,
    *_as_in(object_ledger, "customer source session_id object_id uri asset_type"),
    _column("load_id", Text(), "Load that first brought its rows (loads)."),
    _column(
        "written_at",
        Timestamp,
        "When the store says this version was written, by its own clock; S3 says it in whole seconds, and of a"
        " multipart upload when that began.",
    ),
    _column("seen_at", Timestamp, "When it was first observed."),
    _column("seen_by", Text(), "Witness that observed it first: listing, s3_event, gcs_event, webhook or api."),
    _column("claimed_at", Timestamp, "When that load claimed it."),
    _column("queryable_at", Timestamp, "When that load committed; the commit itself takes a moment more."),
    _column("seen_after_s", Double(), "Seconds from written_at to seen_at; below 0 where two clocks disagree."),
    _column("claimed_after_s", Double(), "Seconds from written_at to claimed_at; below 0 where two clocks disagree."),
    _column(
        "queryable_after_s", Double(), "Seconds from written_at to queryable_at; below 0 where two clocks disagree."
    ),
    comment="One row per object version that was loaded, with how long that took from when it was written. What"
    " was read again (a replay) counts from the load that first brought its rows.",
)

VIEWS = (sessions, peers, recordings, recording_assets, statements, session_overview, session_timeline, freshness)
"""In the order in which they can be created: some read others."""


def create(tx: sa.Connection) -> None:
    """Create the views, none of which is there."""
    for statement in _statements():
        tx.execute(sa.text(statement))


def digest() -> str:
    """Give what tells these definitions, comments included, from those of another version."""
    return sha256("\n".join(_statements()).encode()).hexdigest()


def _statements() -> Iterator[str]:
    for view in VIEWS:
        query = resources.files(__package__).joinpath("views", f"{view.name}.sql").read_text("utf-8")
        yield f"CREATE VIEW {view.name} AS\n{query}"
        yield f"COMMENT ON VIEW {view.name} IS {_literal(view.comment)}"
        for column in view.columns:
            yield f"COMMENT ON COLUMN {view.name}.{column.name} IS {_literal(column.comment)}"


def drop(tx: sa.Connection) -> None:
    """Drop those of the views that are there; raises WarehouseError when somebody's own view reads one."""
    # What another version has under such a name may be a table.
    there = set(tx.execute(sa.text(_THERE)).scalars())
    for view in reversed(VIEWS):
        if view.name in there:
            _drop(tx, view.name)


_THERE = "SELECT table_name FROM information_schema.views WHERE table_schema = current_schema()"
_OTHERS_DEPEND = "2BP01"
"""PostgreSQL's code for an object that others depend on; DuckDB keeps no such record."""


def _drop(tx: sa.Connection, name: str) -> None:
    try:
        tx.execute(sa.text(f"DROP VIEW {name}"))
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _OTHERS_DEPEND:
            raise
        which = getattr(getattr(error.orig, "diag", None), "message_detail", None) or str(error.orig)
        raise WarehouseError(
            f"the view {name} cannot be made anew, because something of yours depends on it ({which}): drop that, run "
            "`roomledger init` again, and create it anew; nothing was changed"
        ) from error


def _literal(comment: str | None) -> str:
    return "'" + (comment or "").replace("'", "''").replace(":", "\\:") + "'"
