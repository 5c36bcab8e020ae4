"""The views over the tables: their columns and comments here, their SQL in `views/`.

A view needs no migration: when a definition changes, all views are dropped and created again. The first sentence of a
view's comment is its grain.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from importlib import resources
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Double, MetaData, Table, Text

from roomledger.ledger.database import WarehouseError
from roomledger.ledger.tables.columns import Json, Timestamp, column
from roomledger.ledger.tables.ledger import object_ledger
from roomledger.ledger.tables.vendor_events import event_recordings
from roomledger.ledger.tables.vendor_records import asset_records, job_records, peer_records, session_records
from roomledger.warehouse.tables import chat_messages, transcript_segments

metadata = MetaData()


def _as_in(table: Table, names: str) -> list[Column[Any]]:
    """Columns with the types and comments of that table."""
    return [Column(name, table.columns[name].type, comment=table.columns[name].comment) for name in names.split()]


def _view(name: str, grain: str, *columns: Column[Any]) -> Table:
    return Table(name, metadata, *columns, comment=grain)


def _first_seen() -> list[Column[Any]]:
    return [
        column("record", Json, "The API's record as received, secrets removed; null when only webhooks report it."),
        column("first_seen_at", Timestamp, "When it was first ingested."),
        column("first_seen_by", Text(), "First reported by: api or webhook."),
    ]


sessions = _view(
    "sessions",
    "One row per session that the vendor's API or a webhook reports. The API's values take precedence; webhooks fill"
    " the gaps.",
    *_as_in(session_records, "customer source session_id room_id"),
    column("active", Boolean(), "Whether it was in progress, by all records and events so far."),
    *_as_in(session_records, "started_at"),
    column("ended_at", Timestamp, "When it ended; null while it is in progress."),
    column("room_name", Text(), "Name of the room at that time, from webhooks."),
    *_first_seen(),
)

peers = _view(
    "peers",
    "One row per stay of a peer in a session that the vendor's API or a webhook reports; a person who rejoins has a"
    " new peer id.",
    *_as_in(peer_records, "customer source session_id peer_id user_id name role joined_at left_at is_recorder"),
    *_first_seen(),
)

recordings = _view(
    "recordings",
    "One row per recording job, live stream or external stream that the vendor's API reports, and per recorder that"
    " only webhooks report. A recorder belongs to the job with its id, else to the job that names the same object.",
    *_as_in(job_records, "customer source"),
    column("job_id", Text(), "The vendor's job id; null when only webhooks report the recording, without a job id."),
    column("kind", Text(), "recording, live-stream, external-stream, or legacy for the old recorder."),
    *_as_in(
        job_records,
        "room_id session_id status planned_types created_at started_at stopped_at updated_at started_by stopped_by",
    ),
    *_as_in(event_recordings, "beam_id recording_id error_type error_message"),
    *_first_seen(),
)

recording_assets = _view(
    "recording_assets",
    "One row per recording asset: each asset object in a bucket (loaded, refused or pending), and each asset that the"
    " vendor's API or a webhook reports without such an object. A pending or refused newer version does not hide the"
    " loaded one.",
    *_as_in(chat_messages, "customer source room_id session_id session_evidence"),
    column(
        "object_id", Text(), "Object version of the asset (object_ledger); null when only the vendor reports the asset."
    ),
    column("ordinal", BigInteger(), "Always 0: the row of the file itself."),
    column("load_id", Text(), "Load that settled the object most recently (loads); null while there is none."),
    *_as_in(asset_records, "asset_type raw_type"),
    column("uri", Text(), "Address of its object, key not URL-encoded; null while it is unknown."),
    column("status", Text(), "completed, failed or processing, as the vendor reports; completed for an object alone."),
    column("size_bytes", BigInteger(), "Size in bytes: of the object, else as the vendor reports."),
    column("vendor_size_bytes", BigInteger(), "Size in bytes, as the vendor reports."),
    column(
        "size_difference_bytes",
        BigInteger(),
        "Size of the object minus vendor_size_bytes; null while one of them is unknown.",
    ),
    *_as_in(asset_records, "duration_s"),
    column(
        "created_at", Timestamp, "When the asset was created, as the vendor reports; else when its object was written."
    ),
    column("asset_id", Text(), "The vendor's asset id; null while it is unknown."),
    *_as_in(asset_records, "job_id"),
    *_as_in(event_recordings, "recording_id"),
    *_as_in(
        asset_records,
        "peer_id user_id stream_id stream_type track_id track_type width height layer num_layers output_mode"
        " metadata thumbnails",
    ),
    *_as_in(event_recordings, "error_type error_message"),
    column("disposition", Text(), "Disposition of its object (object_ledger); null without an object."),
    column("first_seen_at", Timestamp, "When it was first observed or ingested, in the bucket or from the vendor."),
    column("first_seen_by", Text(), "First observer: listing, s3_event, gcs_event, webhook or api."),
)

statements = _view(
    "statements",
    "One row per statement in a session: a chat message, once even if two recorders wrote it, or a sentence of a"
    " transcript, from the best format of each recording only: json, else srt, else txt.",
    *_as_in(chat_messages, "customer source session_id room_id session_evidence"),
    column("kind", Text(), "message: a chat message; sentence: a sentence of a transcript."),
    column("said_at", Timestamp, "When it was written or said; null while it is unknown."),
    column(
        "recording_started_at",
        Timestamp,
        "Start of its recording; for a message, start of the recorder that wrote the file, from its key.",
    ),
    *_as_in(transcript_segments, "start_ms end_ms"),
    column("speaker_name", Text(), "Name of the writer or speaker, from the file, else from peers."),
    column("peer_id", Text(), "Peer id of that person, from the file, else the only peer with that name."),
    column("user_id", Text(), "The customer's own id of that person, from the file, else from peers."),
    column("role", Text(), "Role of that peer, from peers."),
    column(
        "speaker_evidence",
        Text(),
        "Evidence for the person: peer_id or user_id: in the file; name: only the name, which is unique in the session;"
        " none: no evidence.",
    ),
    column("text", Text(), "The text, unchanged."),
    *_as_in(chat_messages, "object_id ordinal load_id"),
    column("copies", BigInteger(), "Number of copies of this message, one per recorder; the first copy is shown."),
)

session_overview = _view(
    "session_overview",
    "One row per session that the vendor reports or that a recording names.",
    *_as_in(session_records, "customer"),
    column("source", Text(), "Name of the source in roomledger.toml that reports the session."),
    *_as_in(session_records, "session_id room_id"),
    column("room_name", Text(), "Name of the room."),
    *_as_in(sessions, "active started_at ended_at"),
    column("duration_s", Double(), "Seconds from start to end; null while one of them is unknown."),
    column(
        "attendees",
        BigInteger(),
        "Distinct persons present, by user_id, else by name, else by peer_id; without recorders.",
    ),
    column("peers", BigInteger(), "Stays; a person who rejoins counts again; without recorders."),
    column("messages", BigInteger(), "Chat messages, each once (statements)."),
    column("sentences", BigInteger(), "Sentences of transcripts, once per recording (statements)."),
    column("recordings", BigInteger(), "Recording jobs, live streams and external streams (recordings)."),
    column("assets", BigInteger(), "Recording assets (recording_assets)."),
    column("assets_failed", BigInteger(), "Assets that failed, as the vendor reports."),
    column("assets_in_bucket", BigInteger(), "Assets whose object is in the bucket."),
    column("assets_by_type", Text(), "Number of assets of each type, such as: chat 2, track 4."),
    column("assets_by_status", Text(), "Number of assets of each status, such as: completed 5, failed 1."),
)

session_timeline = _view(
    "session_timeline",
    "One row per event of a session, all on one clock. happened_at is null when the time of an event is unknown.",
    *_as_in(chat_messages, "customer source session_id room_id"),
    column("happened_at", Timestamp, "When it happened; null while it is unknown."),
    column("offset_s", Double(), "Seconds since the session started; null while one of the two times is unknown."),
    column(
        "kind",
        Text(),
        "session_start, session_end, join, leave, message, sentence, recording_start or recording_stop.",
    ),
    column("peer_id", Text(), "Peer that did it; null when no peer is known."),
    column("user_id", Text(), "The customer's own id of that person."),
    column("name", Text(), "Name of that person."),
    *_as_in(peer_records, "role"),
    column("is_recorder", Boolean(), "Whether that peer is the vendor's recorder; null without a known stay."),
    column("text", Text(), "Text of a message or sentence."),
    *_as_in(job_records, "job_id"),
    column("object_id", Text(), "Object version that a message or sentence was read from (object_ledger)."),
    column("ordinal", BigInteger(), "Number of the message or sentence in its file, from 1."),
)

freshness = _view(
    "freshness",
    "One row per loaded object version, with the seconds from its writing to each step. A replayed version counts"
    " with the load that first loaded its rows.",
    *_as_in(object_ledger, "customer source session_id object_id uri asset_type"),
    column("load_id", Text(), "Load that first loaded its rows (loads)."),
    column(
        "written_at",
        Timestamp,
        "When this version was written, by the store's clock; on S3 in whole seconds, and for a multipart upload when"
        " the upload began.",
    ),
    column("seen_at", Timestamp, "When it was first observed."),
    column("seen_by", Text(), "First observer: listing, s3_event, gcs_event, webhook or api."),
    column("claimed_at", Timestamp, "When that load claimed it."),
    column("queryable_at", Timestamp, "When that load committed; its rows become visible a moment later."),
    column("seen_after_s", Double(), "Seconds from written_at to seen_at; negative when clocks disagree."),
    column("claimed_after_s", Double(), "Seconds from written_at to claimed_at; negative when clocks disagree."),
    column("queryable_after_s", Double(), "Seconds from written_at to queryable_at; negative when clocks disagree."),
)

VIEWS = (sessions, peers, recordings, recording_assets, statements, session_overview, session_timeline, freshness)
"""In the order of creation: some read others."""


def create(tx: sa.Connection) -> None:
    """Create the views; none may exist."""
    for statement in _statements():
        tx.execute(sa.text(statement))


def query_of(view: Table) -> str:
    """Give the SELECT of a view, in the SQL that DuckDB and PostgreSQL share."""
    return resources.files(__package__).joinpath("views", f"{view.name}.sql").read_text("utf-8")


def digest() -> str:
    """Give the digest of these definitions, comments included."""
    return sha256("\n".join(_statements()).encode()).hexdigest()


def _statements() -> Iterator[str]:
    for view in VIEWS:
        yield f"CREATE VIEW {view.name} AS\n{query_of(view)}"
        yield f"COMMENT ON VIEW {view.name} IS {_literal(view.comment)}"
        for one in view.columns:
            yield f"COMMENT ON COLUMN {view.name}.{one.name} IS {_literal(one.comment)}"


def drop(tx: sa.Connection) -> None:
    """Drop the views that exist; raises WarehouseError when another view depends on one."""
    # In another version such a name may belong to a table.
    existing = set(sa.inspect(tx).get_view_names())
    for view in reversed(VIEWS):
        if view.name in existing:
            _drop(tx, view.name)


_OTHERS_DEPEND = "2BP01"
"""PostgreSQL's code for an object that others depend on; DuckDB does not track dependencies."""


def _drop(tx: sa.Connection, name: str) -> None:
    try:
        tx.execute(sa.text(f"DROP VIEW {name}"))
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _OTHERS_DEPEND:
            raise
        which = getattr(getattr(error.orig, "diag", None), "message_detail", None) or str(error.orig)
        raise WarehouseError(
            f"the view {name} cannot be replaced, because another object depends on it ({which}): drop that object, "
            "run `roomledger init`, and create the object again; nothing was changed"
        ) from error


def _literal(comment: str | None) -> str:
    return "'" + (comment or "").replace("'", "''").replace(":", "\\:") + "'"
