"""The views over the tables: their columns and comments here, their SQL in `views/`.

A view needs no migration: when a definition changes, all views are dropped and created again. The first sentence of a
view's comment is its grain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib import resources

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Double, Table, Text

from roomledger.ledger.database import WarehouseError
from roomledger.ledger.tables import resolved
from roomledger.ledger.tables.columns import Timestamp, column
from roomledger.ledger.tables.ledger import object_ledger
from roomledger.ledger.tables.objects import objects as versions
from roomledger.ledger.tables.vendor_events import event_recordings
from roomledger.ledger.tables.vendor_records import asset_records, job_records, peer_records, session_records
from roomledger.warehouse import fact_views
from roomledger.warehouse.fact_views import (
    FACT_VIEWS,
    HISTORY_VIEWS,
    chat_messages,
    copied,
    object_history,
    objects,
    transcript_segments,
    view,
)

session_changes = view(
    "session_changes",
    "One row per change of the session of an object.",
    *copied(versions, "uri object_id"),
    column("changed_at", Timestamp, "When the session changed."),
    column("changed_by", Text(), "Origin of the new evidence: api, webhook, load, …"),
    column("from_room_id", Text(), "Room before."),
    column("from_session_id", Text(), "Session before."),
    column("from_evidence", Text(), "Session evidence before."),
    column("to_room_id", Text(), "Room after."),
    column("to_session_id", Text(), "Session after."),
    column("to_evidence", Text(), "Session evidence after."),
    column("reason", Text(), "Reason, starting with a stable code."),
)

object_assets = view(
    "object_assets",
    "One row per loaded object, media or text, with what its key and listing say.",
    *copied(chat_messages, "customer source room_id session_id session_evidence object_id"),
    column("ordinal", BigInteger(), "Always 0: the row of the file itself."),
    *copied(chat_messages, "load_id"),
    column("asset_type", Text(), "room-composite, room-composite-legacy, room-vod, track, stream, chat, …"),
    *copied(versions, "uri size_bytes"),
    column("created_at", Timestamp, "When the object was written."),
    *copied(versions, "peer_id stream_id track_id layer output_mode"),
    *copied(versions, "job_id recording_started_at"),
)

rooms, sessions, peers, recordings = (
    view(table.name, str(table.comment), *copied(table, resolved.shown(table)))
    for table in (resolved.rooms, resolved.sessions, resolved.peers, resolved.recordings)
)

recording_assets = view(
    "recording_assets",
    "One row per recording asset: each asset object in a bucket (loaded, refused or pending), and each asset that the"
    " vendor's API or a webhook reports without such an object. A pending or refused newer version does not hide the"
    " loaded one.",
    *copied(chat_messages, "customer source room_id session_id session_evidence"),
    column(
        "object_id", Text(), "Object version of the asset (object_ledger); null when only the vendor reports the asset."
    ),
    column("ordinal", BigInteger(), "Always 0: the row of the file itself."),
    column("load_id", Text(), "Load that settled the object most recently (loads); null while there is none."),
    *copied(asset_records, "asset_type raw_type"),
    column("uri", Text(), "Address of its object, key not URL-encoded; null while it is unknown."),
    column("status", Text(), "completed, failed or processing, as the vendor reports; completed for an object alone."),
    column("size_bytes", BigInteger(), "Size in bytes: of the object, else as the vendor reports."),
    column("vendor_size_bytes", BigInteger(), "Size in bytes, as the vendor reports."),
    column(
        "size_difference_bytes",
        BigInteger(),
        "Size of the object minus vendor_size_bytes; null while one of them is unknown.",
    ),
    *copied(asset_records, "duration_s"),
    column(
        "created_at", Timestamp, "When the asset was created, as the vendor reports; else when its object was written."
    ),
    column("asset_id", Text(), "The vendor's asset id; null while it is unknown."),
    *copied(asset_records, "job_id"),
    *copied(event_recordings, "recording_id"),
    *copied(
        asset_records,
        "peer_id user_id stream_id stream_type track_id track_type width height layer num_layers output_mode"
        " metadata thumbnails",
    ),
    *copied(event_recordings, "error_type error_message"),
    column("disposition", Text(), "Disposition of its object (object_ledger); null without an object."),
    column("first_seen_at", Timestamp, "When it was first observed or ingested, in the bucket or from the vendor."),
    column("first_seen_by", Text(), "First observer: listing, s3_event, gcs_event, webhook or api."),
)

statements = view(
    "statements",
    "One row per statement in a session: a chat message, once even if two recorders wrote it, or a sentence of a"
    " transcript, from the best format of each recording only: json, else srt, else txt.",
    *copied(chat_messages, "customer source session_id room_id session_evidence"),
    column("kind", Text(), "message: a chat message; sentence: a sentence of a transcript."),
    column("said_at", Timestamp, "When it was written or said; null while it is unknown."),
    column(
        "recording_started_at",
        Timestamp,
        "Start of its recording; for a message, start of the recorder that wrote the file, from its key.",
    ),
    *copied(transcript_segments, "start_ms end_ms"),
    column("speaker_name", Text(), "Name of the writer or speaker, from the file, else from peers."),
    column("peer_id", Text(), "Peer id of that person, from the file, else the only peer with that name."),
    column("user_id", Text(), "The customer's own id of that person, from the file, else from peers."),
    column("role", Text(), "Role of that peer, from peers."),
    column(
        "speaker_evidence",
        Text(),
        "Evidence for the person: peer_id or user_id: in the file; name: only the name, which is unique in the session;"
        " none: no evidence; doubtful: a record of the file is broken, so that another person may have written it.",
    ),
    column("text", Text(), "The text, unchanged."),
    *copied(chat_messages, "object_id ordinal load_id"),
    column("copies", BigInteger(), "Number of copies of this message, one per recorder; the first copy is shown."),
)

session_overview = view(
    "session_overview",
    "One row per session that the vendor reports or that a recording names.",
    *copied(session_records, "customer"),
    column("source", Text(), "Name of the source in roomledger.toml that reports the session."),
    *copied(session_records, "session_id room_id"),
    column("room_name", Text(), "Name of the room."),
    *copied(sessions, "active started_at ended_at"),
    column("duration_s", Double(), "Seconds from start to end; null while one of them is unknown."),
    column(
        "attendees",
        BigInteger(),
        "Distinct persons present, by user_id, else by name, else by peer_id; without recorders.",
    ),
    column("peers", BigInteger(), "Stays; a person who rejoins counts again; without recorders."),
    column("messages", BigInteger(), "Chat messages, each once, without doubtful ones (statements)."),
    column("doubtful_messages", BigInteger(), "Messages of files with a broken record (statements)."),
    column("sentences", BigInteger(), "Sentences of transcripts, once per recording (statements)."),
    column("recordings", BigInteger(), "Recording jobs, live streams and external streams (recordings)."),
    column("assets", BigInteger(), "Recording assets (recording_assets)."),
    column("assets_failed", BigInteger(), "Assets that failed, as the vendor reports."),
    column("assets_in_bucket", BigInteger(), "Assets whose object is in the bucket."),
    column("assets_by_type", Text(), "Number of assets of each type, such as: chat 2, track 4."),
    column("assets_by_status", Text(), "Number of assets of each status, such as: completed 5, failed 1."),
)

session_timeline = view(
    "session_timeline",
    "One row per event of a session, all on one clock. happened_at is null when the time of an event is unknown.",
    *copied(chat_messages, "customer source session_id room_id"),
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
    *copied(peer_records, "role"),
    column("is_recorder", Boolean(), "Whether that peer is the vendor's recorder; null without a known stay."),
    column("text", Text(), "Text of a message or sentence."),
    column("speaker_evidence", Text(), "Evidence for the person of a message or sentence (statements)."),
    *copied(job_records, "job_id"),
    column("object_id", Text(), "Object version that a message or sentence was read from (object_ledger)."),
    column("ordinal", BigInteger(), "Number of the message or sentence in its file, from 1."),
)

freshness = view(
    "freshness",
    "One row per loaded object version, with the seconds from its writing to each step. A replayed version counts"
    " with the load that first loaded its rows.",
    *copied(object_ledger, "customer source session_id object_id uri asset_type"),
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

VIEWS = (
    *(objects, object_history, session_changes, object_assets, *FACT_VIEWS.values(), *HISTORY_VIEWS.values()),
    *(rooms, sessions, peers, recordings, recording_assets, statements, session_overview, session_timeline, freshness),
)
"""In the order of creation: some read others."""
OF_FACTS = (*FACT_VIEWS.values(), *HISTORY_VIEWS.values(), statements, session_overview, session_timeline)
"""Views that read rows of records: only where the facts are."""
OF_LEDGER = (freshness,)
"""Views that read the ledger: only where the ledger is."""


def create(tx: sa.Connection, some: Sequence[Table] = VIEWS) -> None:
    """Create these views; none may exist."""
    for statement in _statements(some):
        tx.execute(sa.text(statement))


def digest(some: Sequence[Table] = VIEWS) -> str:
    """Give the digest of the definitions of these views, comments included."""
    return sha256("\n".join(_statements(some)).encode()).hexdigest()


def _statements(some: Sequence[Table]) -> Iterator[str]:
    for shown in some:
        yield f"CREATE VIEW {shown.name} AS\n{query_of(shown)}"
        yield f"COMMENT ON VIEW {shown.name} IS {_literal(shown.comment)}"
        for one in shown.columns:
            yield f"COMMENT ON COLUMN {shown.name}.{one.name} IS {_literal(one.comment)}"


def query_of(shown: Table) -> str:
    """Give the SELECT of a view, in the SQL that DuckDB and PostgreSQL share."""
    if query := fact_views.queries().get(shown.name):
        return query
    for table in resolved.RESOLVED:  # the rows of the published table of this name that still hold
        if table.name == shown.name:
            return f"SELECT {', '.join(resolved.shown(table))} FROM {table.fullname} WHERE NOT is_withdrawn"
    return resources.files(__package__).joinpath("views", f"{shown.name}.sql").read_text("utf-8")


def drop(tx: sa.Connection) -> None:
    """Drop the views that exist; raises WarehouseError when another view depends on one."""
    # In another version such a name may belong to a table.
    existing = set(sa.inspect(tx).get_view_names())
    for shown in reversed(VIEWS):
        if shown.name in existing:
            _drop(tx, shown.name)


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
