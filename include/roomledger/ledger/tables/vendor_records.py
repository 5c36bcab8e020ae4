"""Tables of the vendor's API: its records, and how far they have been read."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Table, Text, text

from roomledger.ledger.tables.columns import (
    Json,
    Timestamp,
    column,
    define_table,
    index,
    key,
    media_columns,
    source_columns,
)


def _records(name: str, grain: str, *columns: Column[Any] | Index, indexes: tuple[str, ...] = ()) -> Table:
    """A table of API records: each row holds the record it comes from, without its secrets."""
    return define_table(
        name,
        grain,
        *source_columns("Name of the workspace's source in roomledger.toml."),
        *columns,
        column("record", Json, "The vendor's record as received, secrets removed.", null=False),
        column("record_sha256", Text(), "SHA-256 of that record's canonical JSON, hex.", null=False),
        column("first_seen_at", Timestamp, "When it was first ingested.", null=False),
        column("first_seen_by", Text(), "First reported by: api.", null=False),
        column("read_at", Timestamp, "When this state was read from the vendor.", null=False),
        indexes=indexes,
    )


room_records = _records(
    "room_records",
    "One row per room that the vendor's API reports.",
    key("room_id", "100ms room id."),
    column("name", Text(), "Name of the room."),
    column("description", Text(), "Description of the room."),
    column("enabled", Boolean(), "Whether it can be joined."),
    column("template_id", Text(), "Template of the room."),
    column("template", Text(), "Name of that template."),
    column("region", Text(), "Region."),
    column("recording_enabled", Boolean(), "Whether it is recorded automatically."),
    column("storage_type", Text(), "Storage of its recordings: s3, gs, oss or azure; null for the vendor's own."),
    column("storage_location", Text(), "Bucket of its recordings."),
    column("storage_prefix", Text(), "Prefix in that bucket."),
    column("created_at", Timestamp, "When it was created."),
    column("updated_at", Timestamp, "When it was last changed."),
)

session_records = _records(
    "session_records",
    "One row per session that the vendor's API reports: one continuous call in a room.",
    key("session_id", "100ms session id."),
    column("room_id", Text(), "Room of the session."),
    column("active", Boolean(), "Whether it was in progress when the record was read."),
    column("started_at", Timestamp, "When it started."),
    column("ended_at", Timestamp, "When the last peer left; null while it is in progress."),
    indexes=("room_id",),
)

peer_records = _records(
    "peer_records",
    "One row per stay of a peer in a session that the vendor's API reports; a person who rejoins has a new peer id.",
    key("session_id", "Session of the stay."),
    key("peer_id", "100ms peer id, new on every join."),
    column("user_id", Text(), "The customer's own id of the person; null when the customer set none."),
    column("name", Text(), "Display name of the peer."),
    column("role", Text(), "Role of the peer."),
    column("joined_at", Timestamp, "When the peer joined."),
    column("left_at", Timestamp, "When the peer left; null while it is present."),
    column("is_recorder", Boolean(), "Whether it is the vendor's recorder: exclude it from attendance.", null=False),
    indexes=("user_id",),
)

job_records = _records(
    "job_records",
    "One row per recording job, live stream or external stream that the vendor's API reports.",
    key("job_id", "The vendor's job id."),
    column("kind", Text(), "recording, live-stream or external-stream.", null=False),
    column("room_id", Text(), "Room."),
    column("session_id", Text(), "Session that it ran in."),
    column(
        "status", Text(), "starting, running, stopping, post_processing, completed or failed, as the vendor reports."
    ),
    column("planned_types", Json, "List of the asset types that it was configured to produce.", null=False),
    column("created_at", Timestamp, "When it was created."),
    column("started_at", Timestamp, "When it started."),
    column("stopped_at", Timestamp, "When it stopped."),
    column("updated_at", Timestamp, "When the vendor last changed it; may be earlier than the creation of its assets."),
    column("started_by", Text(), "Peer that started it; null when the customer's server did."),
    column("stopped_by", Text(), "Peer that stopped it; null when the customer's server did."),
    column("poll_at", Timestamp, "When it is polled again; null once it cannot change any more."),
    indexes=("session_id",),
)

asset_records = _records(
    "asset_records",
    "One row per recording asset that the vendor's API reports.",
    key("asset_id", "The vendor's asset id."),
    column("job_id", Text(), "Recording job that made it (recordings)."),
    column("room_id", Text(), "Room."),
    column("session_id", Text(), "Session."),
    column("asset_type", Text(), "room-composite, track, chat, …; an unknown type is stored as received."),
    column("raw_type", Text(), "Type as received."),
    column("uri", Text(), "Address of its object, from the vendor's path; null while there is none."),
    column("status", Text(), "completed, failed or processing, as the vendor reports."),
    column("size_bytes", BigInteger(), "Size in bytes, as the vendor reports."),
    column("duration_s", Double(), "Duration in seconds."),
    column("created_at", Timestamp, "When the asset was created."),
    *media_columns(),
    column("metadata", Json, "The vendor's metadata object as received."),
    column("thumbnails", Json, "List of the addresses of its thumbnails."),
    index("ix_asset_records_since", text("COALESCE(created_at, first_seen_at)")),
    indexes=("uri", "job_id", "session_id"),
)

vendor_cursors = define_table(
    "vendor_cursors",
    "One row per list of a workspace's API, with how far it has been read.",
    key("source", "Name of the workspace's source."),
    key("list", "List of the vendor's API, such as recording-assets."),
    column("read_until", Timestamp, "All records created before this time were read, except late ones."),
    column("reading_since", Timestamp, "Newest record of the sync in progress; null when none is in progress."),
    column("next_start", Text(), "Page where that sync continues; null when none is in progress."),
    column("stop_at", Timestamp, "Time at which that sync stops; null for the end of the list."),
)

vendor_unknown_ids = define_table(
    "vendor_unknown_ids",
    "One row per id that a record names and the vendor, when polled, did not know.",
    key("source", "Name of the workspace's source."),
    key("id", "Id of a job, session or room that a record names."),
    column("first_polled_at", Timestamp, "When it was first polled and unknown.", null=False),
    column("poll_at", Timestamp, "When it is polled again; null once it is too old."),
)

VENDOR_RECORDS = (room_records, session_records, peer_records, job_records, asset_records)
"""The records of the vendor's API, by its parts."""
