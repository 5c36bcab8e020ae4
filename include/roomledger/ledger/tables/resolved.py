"""The tables that are resolved once from the vendor's records and events, and published: small, one row per thing.

Where the vendor's API and webhooks report the same thing the API's values take precedence, and webhooks fill the gaps.
Each table has a public view without its last two columns.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Table, Text

from roomledger.ledger.tables.columns import RAW, Json, Timestamp, column, define_table, media_columns
from roomledger.ledger.tables.vendor_events import event_recordings
from roomledger.ledger.tables.vendor_records import (
    asset_records,
    job_records,
    peer_records,
    room_records,
    session_records,
)


def copied(table: Table, names: str) -> list[Column[Any]]:
    """Columns with the types and comments of that table; `names` are separated by blanks."""
    wanted = [table.columns[name] for name in names.split()]
    return [Column(one.name, one.type, comment=one.comment) for one in wanted]


OWN = ("publication", "is_withdrawn")
"""Columns that say when a row was published last, and whether it still holds."""


def _resolved(name: str, grain: str, *columns: Column[Any], indexes: tuple[str, ...]) -> Table:
    """A published table; the first of its indexes names its key."""
    own = (
        column(OWN[0], BigInteger(), "Publication that changed the row last (publications).", null=False),
        column(OWN[1], Boolean(), "Whether nothing reports it any more: the row is not shown.", null=False),
    )
    table = define_table(name, grain, *columns, *own, indexes=(*indexes, "publication"), schema=RAW)
    table.info["key"] = indexes[0].split()
    return table


def _first_seen() -> list[Column[Any]]:
    return [
        column("record", Json, "The API's record as received, secrets removed; null when only webhooks report it."),
        column("first_seen_at", Timestamp, "When it was first ingested."),
        column("first_seen_by", Text(), "First reported by: api or webhook."),
    ]


rooms = _resolved(
    "rooms",
    str(room_records.comment),
    *copied(
        room_records,
        "customer source room_id name description enabled template_id template region recording_enabled storage_type"
        " storage_location storage_prefix created_at updated_at record first_seen_at first_seen_by",
    ),
    indexes=("room_id",),
)

sessions = _resolved(
    "sessions",
    "One row per session that the vendor's API or a webhook reports. The API's values take precedence; webhooks fill"
    " the gaps.",
    *copied(session_records, "customer source session_id room_id"),
    column("active", Boolean(), "Whether it was in progress, by all records and events so far."),
    *copied(session_records, "started_at"),
    column("ended_at", Timestamp, "When it ended; null while it is in progress."),
    column("room_name", Text(), "Name of the room at that time, from webhooks."),
    *_first_seen(),
    indexes=("session_id", "room_id"),
)

peers = _resolved(
    "peers",
    "One row per stay of a peer in a session that the vendor's API or a webhook reports; a person who rejoins has a"
    " new peer id.",
    *copied(peer_records, "customer source session_id peer_id user_id name role joined_at left_at is_recorder"),
    *_first_seen(),
    indexes=("session_id peer_id", "user_id"),
)

recordings = _resolved(
    "recordings",
    "One row per recording job, live stream or external stream that the vendor's API reports, and per recorder that"
    " only webhooks report. A recorder belongs to the job with its id, else to the job that names the same object.",
    *copied(job_records, "customer source"),
    column("job_id", Text(), "The vendor's job id; null when only webhooks report the recording, without a job id."),
    column("kind", Text(), "recording, live-stream, external-stream, or legacy for the old recorder."),
    *copied(
        job_records,
        "room_id session_id status planned_types created_at started_at stopped_at updated_at started_by stopped_by",
    ),
    *copied(event_recordings, "beam_id recording_id error_type error_message"),
    *_first_seen(),
    column("recording_key", Text(), "The job, or the recorder that no job matches.", null=False),
    indexes=("recording_key", "session_id", "job_id"),
)

_ASSET = [
    column("asset_type", Text(), "room-composite, track, chat, …"),
    column("raw_type", Text(), "Type as the API reports it."),
    column("status", Text(), "completed, failed or processing, as the vendor reports."),
    column("size_bytes", BigInteger(), "Size in bytes, as the vendor reports."),
    column("duration_s", Double(), "Duration in seconds."),
    column("created_at", Timestamp, "When the asset was created, as the vendor reports."),
    column("job_id", Text(), "Recording job that made it (recordings)."),
    *copied(event_recordings, "recording_id"),
    *media_columns(),
    *copied(asset_records, "metadata thumbnails"),
    *copied(event_recordings, "error_type error_message"),
    column("first_seen_at", Timestamp, "When the vendor's report was first ingested."),
    column("first_seen_by", Text(), "First reported by: api or webhook."),
]
ASSET_COLUMNS = [one.name for one in _ASSET]
"""What the vendor reports of an asset, in both tables below."""


def _asset_columns() -> list[Column[Any]]:
    return [Column(one.name, one.type, comment=one.comment) for one in _ASSET]


object_reports = _resolved(
    "object_reports",
    "One row per address of an object that the vendor's API or a webhook reports: what is known of the object there.",
    *copied(asset_records, "customer"),
    column("uri", Text(), "Address of the object, from the vendor's path.", null=False),
    *_asset_columns(),
    indexes=("customer uri", "uri"),
)

asset_reports = _resolved(
    "asset_reports",
    "One row per asset that the vendor's API reports, and per asset that only webhooks report.",
    column("report_key", Text(), "The asset id in the API; of an asset that only webhooks report, its address or id."),
    *copied(asset_records, "customer source room_id session_id"),
    column("session_evidence", Text(), "asset_record or webhook; none without a session."),
    *copied(asset_records, "asset_id uri"),
    *_asset_columns(),
    column("is_from_api", Boolean(), "Whether the API reports it; false when only webhooks do."),
    indexes=("report_key", "session_id", "uri", "asset_id"),
)

RESOLVED = (rooms, sessions, peers, recordings, object_reports, asset_reports)


def shown(table: Table) -> list[str]:
    """Name the columns that the public view of a published table has."""
    return [one.name for one in table.columns if one.name not in (*OWN, "recording_key")]
