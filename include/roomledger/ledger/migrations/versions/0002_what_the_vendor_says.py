"""Take in what the vendor says: rooms, sessions, peers, recordings, assets, and the evidence for sessions.

What a bucket says of its objects moves from `recording_assets`, which becomes a view, to `object_assets`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_KEEP_ASSETS = """
INSERT INTO object_assets (customer, source, room_id, session_id, session_evidence, object_id, ordinal, load_id,
                           asset_type, uri, size_bytes, created_at, peer_id, stream_id, track_id, layer, output_mode)
SELECT customer, source, room_id, session_id, session_evidence, object_id, ordinal, load_id,
       asset_type, uri, size_bytes, created_at, peer_id, stream_id, track_id, layer, output_mode
FROM recording_assets
"""

_KEY_FACTS = "UPDATE object_ledger SET key_room_id = room_id, key_session_id = session_id"

# Until now only chat messages kept the start of the recorder; it is the name's last number, or a live stream's folder.
_RECORDER_STARTS = r"""
UPDATE object_ledger
SET recorder_started_at = to_timestamp(CAST(regexp_replace(uri,
    '^.*(/Rec-[^/]*-([0-9]{13})(-[^/-]*)?[.][a-z0-9]+|/hls/[^/]+/[0-9]{8}/([0-9]{13})/.*)$', '\2\4') AS BIGINT) / 1000.0)
WHERE regexp_replace(uri,
    '^.*(/Rec-[^/]*-([0-9]{13})(-[^/-]*)?[.][a-z0-9]+|/hls/[^/]+/[0-9]{8}/([0-9]{13})/.*)$', 'found') = 'found'
"""


def upgrade() -> None:
    op.create_table(
        "asset_records",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the workspace belongs to."),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="Name of the source in roomledger.toml that the workspace is."
        ),
        sa.Column("asset_id", sa.Text(), nullable=False, comment="The vendor's asset id."),
        sa.Column("job_id", sa.Text(), nullable=True, comment="Recording job that made it (recordings)."),
        sa.Column("room_id", sa.Text(), nullable=True, comment="Room."),
        sa.Column("session_id", sa.Text(), nullable=True, comment="Session."),
        sa.Column(
            "asset_type",
            sa.Text(),
            nullable=True,
            comment="room-composite, track, chat, …; an unknown type as the vendor wrote it.",
        ),
        sa.Column("raw_type", sa.Text(), nullable=True, comment="Type as the vendor wrote it."),
        sa.Column(
            "uri",
            sa.Text(),
            nullable=True,
            comment="Address of its object, as the vendor's path; null while there is none.",
        ),
        sa.Column("status", sa.Text(), nullable=True, comment="completed, failed or processing, as the vendor says."),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True, comment="Size in bytes, as the vendor says."),
        sa.Column("duration_s", sa.Double(), nullable=True, comment="Duration in seconds."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True, comment="When the asset was made."),
        sa.Column("peer_id", sa.Text(), nullable=True, comment="Peer of a track or stream."),
        sa.Column("user_id", sa.Text(), nullable=True, comment="The customer's own id of that peer."),
        sa.Column("stream_id", sa.Text(), nullable=True, comment="Stream of a track or stream."),
        sa.Column("stream_type", sa.Text(), nullable=True, comment="regular, screen or audio."),
        sa.Column("track_id", sa.Text(), nullable=True, comment="Track id."),
        sa.Column("track_type", sa.Text(), nullable=True, comment="audio or video."),
        sa.Column("width", sa.Integer(), nullable=True, comment="Width in pixels."),
        sa.Column("height", sa.Integer(), nullable=True, comment="Height in pixels."),
        sa.Column("layer", sa.Text(), nullable=True, comment="Layer of a live stream's composite."),
        sa.Column("num_layers", sa.Integer(), nullable=True, comment="Layers of a VOD."),
        sa.Column("output_mode", sa.Text(), nullable=True, comment="json, srt or txt of a transcript or summary."),
        sa.Column(
            "metadata",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
            comment="The vendor's metadata object as it came.",
        ),
        sa.Column(
            "thumbnails",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
            comment="List of the addresses of its thumbnails.",
        ),
        sa.Column(
            "record",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
            comment="The vendor's record as it came, secrets removed.",
        ),
        sa.Column("record_sha256", sa.Text(), nullable=False, comment="SHA-256 of that record's canonical JSON, hex."),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first heard of."),
        sa.Column("first_seen_by", sa.Text(), nullable=False, comment="Witness that told of it first: api."),
        sa.Column(
            "read_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the vendor was asked and this is what it said.",
        ),
        sa.PrimaryKeyConstraint("asset_id"),
        comment="One row per recording asset that the vendor names.",
    )
    op.create_table(
        "object_assets",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the source belongs to."),
        sa.Column(
            "source",
            sa.Text(),
            nullable=False,
            comment="Name of the source in roomledger.toml that the object was found in.",
        ),
        sa.Column("room_id", sa.Text(), nullable=True, comment="100ms room id; null while nothing says it."),
        sa.Column("session_id", sa.Text(), nullable=True, comment="100ms session id; null while nothing says it."),
        sa.Column(
            "session_evidence",
            sa.Text(),
            nullable=False,
            comment="How session_id is known: asset_record, webhook, key or time_window, strongest first, or none.",
        ),
        sa.Column(
            "object_id", sa.Text(), nullable=False, comment="Object version the row was read from (object_ledger)."
        ),
        sa.Column(
            "ordinal",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Number of the record in its file, from 1; 0 for the row that stands for the file.",
        ),
        sa.Column("load_id", sa.Text(), nullable=False, comment="Load that brought the row (loads)."),
        sa.Column(
            "asset_type",
            sa.Text(),
            nullable=False,
            comment="room-composite, room-composite-legacy, room-vod, track, stream, chat, …",
        ),
        sa.Column("uri", sa.Text(), nullable=False, comment="Address of the object, key not URL-encoded."),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="Size in bytes, as the witness said."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When the object was written."),
        sa.Column("peer_id", sa.Text(), nullable=True, comment="Peer of a track or stream."),
        sa.Column("stream_id", sa.Text(), nullable=True, comment="Stream of a track or stream."),
        sa.Column("track_id", sa.Text(), nullable=True, comment="Track id."),
        sa.Column("layer", sa.Text(), nullable=True, comment="Layer of a live stream's composite."),
        sa.Column("output_mode", sa.Text(), nullable=True, comment="json, srt or txt of a transcript or summary."),
        sa.PrimaryKeyConstraint("object_id", "ordinal"),
        comment="One row per loaded object, media and text alike, with what its key and the listing say of the asset.",
    )
    op.create_table(
        "peers",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the workspace belongs to."),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="Name of the source in roomledger.toml that the workspace is."
        ),
        sa.Column("session_id", sa.Text(), nullable=False, comment="Session of the stay."),
        sa.Column("peer_id", sa.Text(), nullable=False, comment="100ms peer id, new on every join."),
        sa.Column(
            "user_id", sa.Text(), nullable=True, comment="The customer's own id of the person; null when it gave none."
        ),
        sa.Column("name", sa.Text(), nullable=True, comment="Name the peer showed."),
        sa.Column("role", sa.Text(), nullable=True, comment="Role."),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True, comment="When the peer joined."),
        sa.Column(
            "left_at", sa.DateTime(timezone=True), nullable=True, comment="When the peer left; null while it is there."
        ),
        sa.Column(
            "is_recorder",
            sa.Boolean(),
            nullable=False,
            comment="Whether it is the vendor's recorder: leave it out of attendance.",
        ),
        sa.Column(
            "record",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
            comment="The vendor's record as it came, secrets removed.",
        ),
        sa.Column("record_sha256", sa.Text(), nullable=False, comment="SHA-256 of that record's canonical JSON, hex."),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first heard of."),
        sa.Column("first_seen_by", sa.Text(), nullable=False, comment="Witness that told of it first: api."),
        sa.Column(
            "read_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the vendor was asked and this is what it said.",
        ),
        sa.PrimaryKeyConstraint("session_id", "peer_id"),
        comment="One row per stay of a peer in a session; who comes back has a new peer id.",
    )
    op.create_table(
        "recordings",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the workspace belongs to."),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="Name of the source in roomledger.toml that the workspace is."
        ),
        sa.Column("job_id", sa.Text(), nullable=False, comment="The vendor's id of the job."),
        sa.Column("kind", sa.Text(), nullable=False, comment="recording, live-stream or external-stream."),
        sa.Column("room_id", sa.Text(), nullable=True, comment="Room."),
        sa.Column("session_id", sa.Text(), nullable=True, comment="Session it ran in."),
        sa.Column(
            "status",
            sa.Text(),
            nullable=True,
            comment="starting, running, stopping, post_processing, completed or failed, as the vendor says.",
        ),
        sa.Column(
            "planned_types",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
            comment="List of the asset types it was asked to make.",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True, comment="When it was made."),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True, comment="When it started."),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True, comment="When it stopped."),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the vendor last changed it; may lie before its assets were made.",
        ),
        sa.Column(
            "started_by", sa.Text(), nullable=True, comment="Peer who started it; null when the customer's server did."
        ),
        sa.Column(
            "stopped_by", sa.Text(), nullable=True, comment="Peer who stopped it; null when the customer's server did."
        ),
        sa.Column(
            "check_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the vendor is asked about it again; null once nothing more can come of it.",
        ),
        sa.Column(
            "record",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
            comment="The vendor's record as it came, secrets removed.",
        ),
        sa.Column("record_sha256", sa.Text(), nullable=False, comment="SHA-256 of that record's canonical JSON, hex."),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first heard of."),
        sa.Column("first_seen_by", sa.Text(), nullable=False, comment="Witness that told of it first: api."),
        sa.Column(
            "read_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the vendor was asked and this is what it said.",
        ),
        sa.PrimaryKeyConstraint("job_id"),
        comment="One row per recording job, live stream or external stream.",
    )
    op.create_table(
        "rooms",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the workspace belongs to."),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="Name of the source in roomledger.toml that the workspace is."
        ),
        sa.Column("room_id", sa.Text(), nullable=False, comment="100ms room id."),
        sa.Column("name", sa.Text(), nullable=True, comment="Name of the room."),
        sa.Column("description", sa.Text(), nullable=True, comment="Its description."),
        sa.Column("enabled", sa.Boolean(), nullable=True, comment="Whether it can be joined."),
        sa.Column("template_id", sa.Text(), nullable=True, comment="Template it was made from."),
        sa.Column("template", sa.Text(), nullable=True, comment="Name of that template."),
        sa.Column("region", sa.Text(), nullable=True, comment="Region."),
        sa.Column("recording_enabled", sa.Boolean(), nullable=True, comment="Whether it is recorded by itself."),
        sa.Column(
            "storage_type",
            sa.Text(),
            nullable=True,
            comment="Where its recordings are put: s3, gs, oss or azure; null for the vendor's own.",
        ),
        sa.Column("storage_location", sa.Text(), nullable=True, comment="Bucket its recordings are put into."),
        sa.Column("storage_prefix", sa.Text(), nullable=True, comment="Prefix in that bucket."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True, comment="When it was made."),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True, comment="When it was last changed."),
        sa.Column(
            "record",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
            comment="The vendor's record as it came, secrets removed.",
        ),
        sa.Column("record_sha256", sa.Text(), nullable=False, comment="SHA-256 of that record's canonical JSON, hex."),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first heard of."),
        sa.Column("first_seen_by", sa.Text(), nullable=False, comment="Witness that told of it first: api."),
        sa.Column(
            "read_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the vendor was asked and this is what it said.",
        ),
        sa.PrimaryKeyConstraint("room_id"),
        comment="One row per room of a workspace.",
    )
    op.create_table(
        "session_changes",
        sa.Column("object_id", sa.Text(), nullable=False, comment="Object version (object_ledger)."),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When its rows were given to another session.",
        ),
        sa.Column("witness", sa.Text(), nullable=False, comment="Who brought the evidence: api, listing or upgrade."),
        sa.Column("from_room_id", sa.Text(), nullable=True, comment="Room before."),
        sa.Column("from_session_id", sa.Text(), nullable=True, comment="Session before."),
        sa.Column("from_evidence", sa.Text(), nullable=False, comment="Session evidence before."),
        sa.Column("to_room_id", sa.Text(), nullable=True, comment="Room after."),
        sa.Column("to_session_id", sa.Text(), nullable=True, comment="Session after."),
        sa.Column("to_evidence", sa.Text(), nullable=False, comment="Session evidence after."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, opening with a stable code."),
        comment="One row per change of the session that an object's rows belong to.",
    )
    op.create_table(
        "sessions",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the workspace belongs to."),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="Name of the source in roomledger.toml that the workspace is."
        ),
        sa.Column("session_id", sa.Text(), nullable=False, comment="100ms session id."),
        sa.Column("room_id", sa.Text(), nullable=True, comment="Room it was held in."),
        sa.Column(
            "active", sa.Boolean(), nullable=True, comment="Whether it was still going on when the vendor was asked."
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True, comment="When it started."),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the last peer left; null while it is going on.",
        ),
        sa.Column(
            "record",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
            comment="The vendor's record as it came, secrets removed.",
        ),
        sa.Column("record_sha256", sa.Text(), nullable=False, comment="SHA-256 of that record's canonical JSON, hex."),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first heard of."),
        sa.Column("first_seen_by", sa.Text(), nullable=False, comment="Witness that told of it first: api."),
        sa.Column(
            "read_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the vendor was asked and this is what it said.",
        ),
        sa.PrimaryKeyConstraint("session_id"),
        comment="One row per session: one continuous call in a room.",
    )
    op.create_table(
        "vendor_cursors",
        sa.Column("source", sa.Text(), nullable=False, comment="Source that is a workspace."),
        sa.Column(
            "list",
            sa.Text(),
            nullable=False,
            comment="List of the vendor's API that is read, such as recording-assets.",
        ),
        sa.Column(
            "read_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Everything made before this was read, but for what comes late.",
        ),
        sa.Column(
            "reading_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="What a reading that goes on has read down from; null when none goes on.",
        ),
        sa.Column(
            "next_start", sa.Text(), nullable=True, comment="Where that reading goes on; null when none goes on."
        ),
        sa.Column(
            "stop_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Where that reading ends; null reads to the end of the list.",
        ),
        sa.PrimaryKeyConstraint("source", "list"),
        comment="One row per list of a workspace, with how far it has been read.",
    )
    op.create_table(
        "vendor_unknown",
        sa.Column("source", sa.Text(), nullable=False, comment="Source that is a workspace."),
        sa.Column("id", sa.Text(), nullable=False, comment="Id of a job, session or room that a record names."),
        sa.Column(
            "first_asked_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the vendor first did not know it.",
        ),
        sa.Column(
            "ask_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it is asked for again; null once it is too old for that.",
        ),
        sa.PrimaryKeyConstraint("source", "id"),
        comment="One row per id that a record names and the vendor, when asked, did not know.",
    )
    op.add_column(
        "object_ledger",
        sa.Column(
            "session_reason",
            sa.Text(),
            nullable=True,
            comment="Why session_id is what it is, opening with a stable code; null when ignored.",
        ),
    )
    op.add_column(
        "object_ledger", sa.Column("key_room_id", sa.Text(), nullable=True, comment="Room that the key names.")
    )
    op.add_column(
        "object_ledger", sa.Column("key_session_id", sa.Text(), nullable=True, comment="Session that the key names.")
    )
    op.add_column(
        "object_ledger",
        sa.Column(
            "recorder_started_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the recorder that wrote it started, from the key.",
        ),
    )
    op.add_column(
        "object_ledger",
        sa.Column(
            "asset_id",
            sa.Text(),
            nullable=True,
            comment="The vendor's record of it (asset_records), matched by the exact address.",
        ),
    )
    op.add_column(
        "object_ledger",
        sa.Column(
            "job_id",
            sa.Text(),
            nullable=True,
            comment="Recording job that made it (recordings); null while nothing says it.",
        ),
    )
    op.add_column(
        "object_ledger",
        sa.Column(
            "recording_started_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When that recording started: milliseconds in the file count from here; null while nothing says it.",
        ),
    )
    op.add_column(
        "object_ledger",
        sa.Column(
            "named_type",
            sa.Text(),
            nullable=True,
            comment="Type that the vendor's record gives it; goes before what the key says.",
        ),
    )
    op.alter_column(
        "object_ledger",
        "first_seen_by",
        existing_type=sa.TEXT(),
        comment="Witness that observed it first: listing or api.",
        existing_comment="Witness that observed it first: listing, …",
        existing_nullable=False,
    )
    op.alter_column(
        "observations",
        "witness",
        existing_type=sa.TEXT(),
        comment="Who said it: listing or api.",
        existing_comment="Who said it: listing, …",
        existing_nullable=False,
    )
    op.add_column(
        "summaries",
        sa.Column(
            "job_id",
            sa.Text(),
            nullable=True,
            comment="Recording job that made it (recordings); null while nothing says it.",
        ),
    )
    op.add_column(
        "summaries",
        sa.Column(
            "recording_started_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When that recording started: milliseconds in the file count from here; null while nothing says it.",
        ),
    )
    op.add_column(
        "transcripts",
        sa.Column(
            "job_id",
            sa.Text(),
            nullable=True,
            comment="Recording job that made it (recordings); null while nothing says it.",
        ),
    )
    op.add_column(
        "transcripts",
        sa.Column(
            "recording_started_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When that recording started: milliseconds in the file count from here; null while nothing says it.",
        ),
    )
    op.execute(_KEEP_ASSETS)
    op.drop_table("recording_assets")
    op.execute(_KEY_FACTS)
    op.execute(_RECORDER_STARTS)
    if op.get_context().dialect.name == "postgresql":  # DuckDB scans columns and pays for indexes at every write
        op.create_index("ix_asset_records_job_id", "asset_records", ["job_id"], unique=False)
        op.create_index("ix_asset_records_session_id", "asset_records", ["session_id"], unique=False)
        op.create_index("ix_asset_records_uri", "asset_records", ["uri"], unique=False)
        op.create_index("ix_object_assets_session", "object_assets", ["session_id"], unique=False)
        op.create_index("ix_peers_user_id", "peers", ["user_id"], unique=False)
        op.create_index("ix_recordings_session_id", "recordings", ["session_id"], unique=False)
        op.create_index("ix_session_changes_object", "session_changes", ["object_id"], unique=False)
        op.create_index("ix_sessions_room_id", "sessions", ["room_id"], unique=False)
        op.create_index("ix_object_ledger_job", "object_ledger", ["job_id"], unique=False)
        op.create_index("ix_object_ledger_room", "object_ledger", ["key_room_id"], unique=False)
        op.create_index("ix_object_ledger_session", "object_ledger", ["session_id"], unique=False)
