"""Tables of what the vendor's API says, and of how far it has been asked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, Table, Text

from roomledger.ledger.tables.columns import Json, Timestamp, column, key, metadata


def _said(name: str, grain: str, *columns: Column[Any], indexes: tuple[str, ...] = ()) -> Table:
    """A table of what the vendor says: each row holds the record it comes from, without its secrets."""
    return Table(
        name,
        metadata,
        column("customer", Text(), "Customer the workspace belongs to.", null=False),
        column("source", Text(), "Name of the source in roomledger.toml that the workspace is.", null=False),
        *columns,
        column("record", Json, "The vendor's record as it came, secrets removed.", null=False),
        column("record_sha256", Text(), "SHA-256 of that record's canonical JSON, hex.", null=False),
        column("first_seen_at", Timestamp, "When it was first heard of.", null=False),
        column("first_seen_by", Text(), "Witness that told of it first: api.", null=False),
        column("read_at", Timestamp, "When the vendor was asked and this is what it said.", null=False),
        *(Index(f"ix_{name}_{column}", column).ddl_if(dialect="postgresql") for column in indexes),
        comment=grain,
    )


rooms = _said(
    "rooms",
    "One row per room that the vendor's API tells of.",
    key("room_id", "100ms room id."),
    column("name", Text(), "Name of the room."),
    column("description", Text(), "Its description."),
    column("enabled", Boolean(), "Whether it can be joined."),
    column("template_id", Text(), "Template it was made from."),
    column("template", Text(), "Name of that template."),
    column("region", Text(), "Region."),
    column("recording_enabled", Boolean(), "Whether it is recorded by itself."),
    column("storage_type", Text(), "Where its recordings are put: s3, gs, oss or azure; null for the vendor's own."),
    column("storage_location", Text(), "Bucket its recordings are put into."),
    column("storage_prefix", Text(), "Prefix in that bucket."),
    column("created_at", Timestamp, "When it was made."),
    column("updated_at", Timestamp, "When it was last changed."),
)

session_records = _said(
    "session_records",
    "One row per session that the vendor's API tells of: one continuous call in a room.",
    key("session_id", "100ms session id."),
    column("room_id", Text(), "Room it was held in."),
    column("active", Boolean(), "Whether it was still going on when the vendor was asked."),
    column("started_at", Timestamp, "When it started."),
    column("ended_at", Timestamp, "When the last peer left; null while it is going on."),
    indexes=("room_id",),
)

peer_records = _said(
    "peer_records",
    "One row per stay of a peer in a session that the vendor's API tells of; who comes back has a new peer id.",
    key("session_id", "Session of the stay."),
    key("peer_id", "100ms peer id, new on every join."),
    column("user_id", Text(), "The customer's own id of the person; null when it gave none."),
    column("name", Text(), "Name the peer showed."),
    column("role", Text(), "Role."),
    column("joined_at", Timestamp, "When the peer joined."),
    column("left_at", Timestamp, "When the peer left; null while it is there."),
    column("is_recorder", Boolean(), "Whether it is the vendor's recorder: leave it out of attendance.", null=False),
    indexes=("user_id",),
)

job_records = _said(
    "job_records",
    "One row per recording job, live stream or external stream that the vendor's API tells of.",
    key("job_id", "The vendor's id of the job."),
    column("kind", Text(), "recording, live-stream or external-stream.", null=False),
    column("room_id", Text(), "Room."),
    column("session_id", Text(), "Session it ran in."),
    column("status", Text(), "starting, running, stopping, post_processing, completed or failed, as the vendor says."),
    column("planned_types", Json, "List of the asset types it was asked to make.", null=False),
    column("created_at", Timestamp, "When it was made."),
    column("started_at", Timestamp, "When it started."),
    column("stopped_at", Timestamp, "When it stopped."),
    column("updated_at", Timestamp, "When the vendor last changed it; may lie before its assets were made."),
    column("started_by", Text(), "Peer who started it; null when the customer's server did."),
    column("stopped_by", Text(), "Peer who stopped it; null when the customer's server did."),
    column("poll_at", Timestamp, "When the vendor is asked about it again; null once nothing more can come of it."),
    indexes=("session_id",),
)

asset_records = _said(
    "asset_records",
    "One row per recording asset that the vendor's API names.",
    key("asset_id", "The vendor's asset id."),
    column("job_id", Text(), "Recording job that made it (recordings)."),
    column("room_id", Text(), "Room."),
    column("session_id", Text(), "Session."),
    column("asset_type", Text(), "room-composite, track, chat, …; an unknown type as the vendor wrote it."),
    column("raw_type", Text(), "Type as the vendor wrote it."),
    column("uri", Text(), "Address of its object, as the vendor's path; null while there is none."),
    column("status", Text(), "completed, failed or processing, as the vendor says."),
    column("size_bytes", BigInteger(), "Size in bytes, as the vendor says."),
    column("duration_s", Double(), "Duration in seconds."),
    column("created_at", Timestamp, "When the asset was made."),
    column("peer_id", Text(), "Peer of a track or stream."),
    column("user_id", Text(), "The customer's own id of that peer."),
    column("stream_id", Text(), "Stream of a track or stream."),
    column("stream_type", Text(), "regular, screen or audio."),
    column("track_id", Text(), "Track id."),
    column("track_type", Text(), "audio or video."),
    column("width", Integer(), "Width in pixels."),
    column("height", Integer(), "Height in pixels."),
    column("layer", Text(), "Layer of a live stream's composite."),
    column("num_layers", Integer(), "Layers of a VOD."),
    column("output_mode", Text(), "json, srt or txt of a transcript or summary."),
    column("metadata", Json, "The vendor's metadata object as it came."),
    column("thumbnails", Json, "List of the addresses of its thumbnails."),
    indexes=("uri", "job_id", "session_id"),
)

vendor_cursors = Table(
    "vendor_cursors",
    metadata,
    key("source", "Source that is a workspace."),
    key("list", "List of the vendor's API that is read, such as recording-assets."),
    column("read_until", Timestamp, "Everything made before this was read, but for what comes late."),
    column("reading_since", Timestamp, "What a reading that goes on has read down from; null when none goes on."),
    column("next_start", Text(), "Where that reading goes on; null when none goes on."),
    column("stop_at", Timestamp, "Where that reading ends; null reads to the end of the list."),
    comment="One row per list of a workspace, with how far it has been read.",
)

vendor_unknown_ids = Table(
    "vendor_unknown_ids",
    metadata,
    key("source", "Source that is a workspace."),
    key("id", "Id of a job, session or room that a record names."),
    column("first_polled_at", Timestamp, "When the vendor first did not know it.", null=False),
    column("poll_at", Timestamp, "When it is asked for again; null once it is too old for that."),
    comment="One row per id that a record names and the vendor, when asked, did not know.",
)

VENDOR_RECORDS = (rooms, session_records, peer_records, job_records, asset_records)
"""What the vendor says, by the parts of its API."""
