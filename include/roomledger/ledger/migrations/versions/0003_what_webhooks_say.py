"""Take in what webhooks say: events, the assets they name, and what they add up to.

What the API says of sessions, peers and jobs keeps its tables under other names: `sessions`, `peers` and `recordings`
become views of what the API and webhooks say together.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

_RENAMED = {"sessions": "session_records", "peers": "peer_records", "recordings": "job_records"}
_RENAMED_INDEXES = {
    "ix_sessions_room_id": "ix_session_records_room_id",
    "ix_peers_user_id": "ix_peer_records_user_id",
    "ix_recordings_session_id": "ix_job_records_session_id",
}


def upgrade() -> None:
    for before, after in _RENAMED.items():
        op.rename_table(before, after)
    op.create_table(
        "event_assets",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the workspace belongs to."),
        sa.Column("source", sa.Text(), nullable=False, comment="Source that the webhook came to."),
        sa.Column("event_id", sa.Text(), nullable=False, comment="Event that names it (vendor_events)."),
        sa.Column(
            "ordinal", sa.BigInteger(), autoincrement=False, nullable=False, comment="Number in its event, from 1."
        ),
        sa.Column("asset_type", sa.Text(), nullable=False, comment="room-composite, track, chat, …"),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="completed, failed, or processing for what a transcription will make.",
        ),
        sa.Column("asset_id", sa.Text(), nullable=True, comment="The vendor's asset id, where the event names one."),
        sa.Column("room_id", sa.Text(), nullable=True, comment="Room."),
        sa.Column("session_id", sa.Text(), nullable=True, comment="Session."),
        sa.Column("recording_id", sa.Text(), nullable=True, comment="Recording, as webhooks call it."),
        sa.Column("job_id", sa.Text(), nullable=True, comment="Job, as webhooks call it."),
        sa.Column("beam_id", sa.Text(), nullable=True, comment="Recorder."),
        sa.Column("transcription_id", sa.Text(), nullable=True, comment="Transcription."),
        sa.Column("uri", sa.Text(), nullable=True, comment="Address of its object; null where the event names none."),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True, comment="Size in bytes, as the event says."),
        sa.Column("duration_s", sa.Double(), nullable=True, comment="Duration in seconds."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True, comment="When the asset was made."),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True, comment="When its recording started."),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True, comment="When its recording stopped."),
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
        sa.Column("error_type", sa.Text(), nullable=True, comment="Kind of failure."),
        sa.Column("error_message", sa.Text(), nullable=True, comment="What went wrong."),
        sa.Column(
            "thumbnails",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
            comment="List of the addresses of its thumbnails.",
        ),
        sa.Column(
            "recorder_id", sa.Text(), nullable=False, comment="Recorder that made it, where one did (event_recordings)."
        ),
        sa.Column(
            "occurred_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the event happened, as the vendor says.",
        ),
        sa.Column("taken_in_at", sa.DateTime(timezone=True), nullable=False, comment="When it was written here."),
        sa.PrimaryKeyConstraint("source", "event_id", "ordinal"),
        comment="One row per asset that a webhook event names; several events may name the same one.",
    )
    op.create_table(
        "event_peers",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the workspace belongs to."),
        sa.Column("source", sa.Text(), nullable=False, comment="Source that the webhooks came to."),
        sa.Column("session_id", sa.Text(), nullable=False, comment="Session of the stay."),
        sa.Column("peer_id", sa.Text(), nullable=False, comment="100ms peer id, new on every join."),
        sa.Column("user_id", sa.Text(), nullable=True, comment="The customer's own id of the person."),
        sa.Column("name", sa.Text(), nullable=True, comment="Name the peer showed."),
        sa.Column("role", sa.Text(), nullable=True, comment="Role."),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True, comment="When the peer joined."),
        sa.Column(
            "left_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the peer left; null while no event says so.",
        ),
        sa.Column("is_recorder", sa.Boolean(), nullable=False, comment="Whether it is the vendor's recorder."),
        sa.Column(
            "heard_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When an event was first heard that names it.",
        ),
        sa.PrimaryKeyConstraint("session_id", "peer_id"),
        comment="One row per stay of a peer that webhook events tell of, with what they say of it together.",
    )
    op.create_table(
        "event_recordings",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the workspace belongs to."),
        sa.Column("source", sa.Text(), nullable=False, comment="Source that the webhooks came to."),
        sa.Column(
            "recorder_id",
            sa.Text(),
            nullable=False,
            comment="The recorder (beam_id), else the recording (recording_id), else the event that tells of it.",
        ),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="recording, live-stream, or legacy for the recorder of old."
        ),
        sa.Column("beam_id", sa.Text(), nullable=True, comment="Recorder."),
        sa.Column("job_id", sa.Text(), nullable=True, comment="Job, as webhooks call it."),
        sa.Column("recording_id", sa.Text(), nullable=True, comment="Recording, as webhooks call it."),
        sa.Column("room_id", sa.Text(), nullable=True, comment="Room."),
        sa.Column("session_id", sa.Text(), nullable=True, comment="Session."),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="running, post_processing, completed or failed, by the events together.",
        ),
        sa.Column(
            "planned_types",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
            comment="List of the asset types it was asked to make; null where no event says it.",
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True, comment="When it started."),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True, comment="When it stopped."),
        sa.Column("error_type", sa.Text(), nullable=True, comment="Kind of failure, as the vendor calls it."),
        sa.Column("error_message", sa.Text(), nullable=True, comment="What went wrong."),
        sa.Column(
            "heard_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When an event was first heard that names it.",
        ),
        sa.Column(
            "api_job_id",
            sa.Text(),
            nullable=True,
            comment="Job of the API that it is: of the same id, or one that names the same object.",
        ),
        sa.PrimaryKeyConstraint("recorder_id"),
        comment="One row per recorder that webhook events tell of, with what they say of it together.",
    )
    op.create_table(
        "event_sessions",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the workspace belongs to."),
        sa.Column("source", sa.Text(), nullable=False, comment="Source that the webhooks came to."),
        sa.Column("session_id", sa.Text(), nullable=False, comment="100ms session id."),
        sa.Column("room_id", sa.Text(), nullable=True, comment="Room it was held in."),
        sa.Column("room_name", sa.Text(), nullable=True, comment="Name of the room."),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True, comment="When it started."),
        sa.Column(
            "ended_at", sa.DateTime(timezone=True), nullable=True, comment="When it ended; null while no event says so."
        ),
        sa.Column(
            "heard_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When an event was first heard that names it.",
        ),
        sa.PrimaryKeyConstraint("session_id"),
        comment="One row per session that webhook events name, with what they say of it together.",
    )
    op.create_table(
        "vendor_events",
        sa.Column("customer", sa.Text(), nullable=False, comment="Customer the workspace belongs to."),
        sa.Column(
            "source",
            sa.Text(),
            nullable=False,
            comment="Name of the source in roomledger.toml that the webhook came to.",
        ),
        sa.Column(
            "event_id", sa.Text(), nullable=False, comment="The vendor's id of the event; a replay has the same."
        ),
        sa.Column("type", sa.Text(), nullable=False, comment="Type as the vendor wrote it, known or not."),
        sa.Column(
            "occurred_at", sa.DateTime(timezone=True), nullable=True, comment="When it happened, as the vendor says."
        ),
        sa.Column(
            "is_replay",
            sa.Boolean(),
            nullable=False,
            comment="Whether it only came because the vendor was asked to send it again.",
        ),
        sa.Column("account_id", sa.Text(), nullable=True, comment="The vendor's id of the account."),
        sa.Column("app_id", sa.Text(), nullable=True, comment="The vendor's id of the app."),
        sa.Column("room_id", sa.Text(), nullable=True, comment="Room."),
        sa.Column("room_name", sa.Text(), nullable=True, comment="Name of the room at that time."),
        sa.Column("session_id", sa.Text(), nullable=True, comment="Session."),
        sa.Column("template_id", sa.Text(), nullable=True, comment="Template of the room."),
        sa.Column(
            "peer_id",
            sa.Text(),
            nullable=True,
            comment="Peer it is about; the recorder itself in events of a recorder.",
        ),
        sa.Column("user_id", sa.Text(), nullable=True, comment="The customer's own id of that peer."),
        sa.Column("user_name", sa.Text(), nullable=True, comment="Name that peer showed."),
        sa.Column("role", sa.Text(), nullable=True, comment="Role of that peer."),
        sa.Column(
            "is_recorder",
            sa.Boolean(),
            nullable=True,
            comment="Whether that peer is the vendor's recorder; null where it is not about a peer.",
        ),
        sa.Column("beam_id", sa.Text(), nullable=True, comment="Recorder."),
        sa.Column(
            "job_id",
            sa.Text(),
            nullable=True,
            comment="Job, as webhooks call it; not known to be the id that the API gives it.",
        ),
        sa.Column("recording_id", sa.Text(), nullable=True, comment="Recording, as webhooks call it."),
        sa.Column("transcription_id", sa.Text(), nullable=True, comment="Transcription."),
        sa.Column("session_started_at", sa.DateTime(timezone=True), nullable=True, comment="When the session started."),
        sa.Column("session_stopped_at", sa.DateTime(timezone=True), nullable=True, comment="When the session ended."),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True, comment="When the peer joined."),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True, comment="When the peer left."),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the recording or live stream started.",
        ),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True, comment="When it stopped."),
        sa.Column("duration_s", sa.Double(), nullable=True, comment="Duration in seconds of what the event is about."),
        sa.Column(
            "reason", sa.Text(), nullable=True, comment="Why a peer left, a recorder stopped or a room was ended."
        ),
        sa.Column(
            "planned_types",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
            comment="List of the asset types that a recorder was asked to make.",
        ),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=True,
            comment="started, ended, succeeded or failed; null where the type does not tell.",
        ),
        sa.Column("error_type", sa.Text(), nullable=True, comment="Kind of failure, as the vendor calls it."),
        sa.Column("error_message", sa.Text(), nullable=True, comment="What went wrong, as the vendor says."),
        sa.Column(
            "record",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
            comment="The event as it came, secrets removed.",
        ),
        sa.Column("record_sha256", sa.Text(), nullable=False, comment="SHA-256 of that record's canonical JSON, hex."),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the endpoint put it into the inbox.",
        ),
        sa.Column("taken_in_at", sa.DateTime(timezone=True), nullable=False, comment="When it was written here."),
        sa.PrimaryKeyConstraint("source", "event_id"),
        comment="One row per webhook event; one that comes again, or is replayed, adds none.",
    )
    op.create_table_comment(
        "asset_records",
        "One row per recording asset that the vendor's API names.",
        existing_comment="One row per recording asset that the vendor names.",
        schema=None,
    )
    op.create_table_comment(
        "job_records",
        "One row per recording job, live stream or external stream that the vendor's API tells of.",
        existing_comment="One row per recording job, live stream or external stream.",
        schema=None,
    )
    op.alter_column(
        "object_ledger",
        "asset_id",
        existing_type=sa.TEXT(),
        comment="The vendor's id of the asset, matched by the exact address.",
        existing_comment="The vendor's record of it (asset_records), matched by the exact address.",
        existing_nullable=True,
    )
    op.alter_column(
        "object_ledger",
        "named_type",
        existing_type=sa.TEXT(),
        comment="Type that the vendor gives it; goes before what the key says.",
        existing_comment="Type that the vendor's record gives it; goes before what the key says.",
        existing_nullable=True,
    )
    op.alter_column(
        "object_ledger",
        "asset_type",
        existing_type=sa.TEXT(),
        comment="Type of asset; unknown until the content is read; null when ignored, unless the vendor named it.",
        existing_comment="Type of asset; unknown until the content is read; null when ignored.",
        existing_nullable=True,
    )
    op.alter_column(
        "object_ledger",
        "first_seen_by",
        existing_type=sa.TEXT(),
        comment="Witness that observed it first: listing, s3_event, gcs_event, webhook or api.",
        existing_comment="Witness that observed it first: listing or api.",
        existing_nullable=False,
    )
    op.alter_column(
        "observations",
        "witness",
        existing_type=sa.TEXT(),
        comment="Who said it: listing, s3_event, gcs_event, webhook or api.",
        existing_comment="Who said it: listing or api.",
        existing_nullable=False,
    )
    op.create_table_comment(
        "peer_records",
        "One row per stay of a peer in a session that the vendor's API tells of; who comes back has a new peer id.",
        existing_comment="One row per stay of a peer in a session; who comes back has a new peer id.",
        schema=None,
    )
    op.alter_column(
        "refusals",
        "uri",
        existing_type=sa.TEXT(),
        comment="Address of the object, or of the vendor's record or message.",
        existing_comment="Address of the object.",
        existing_nullable=False,
    )
    op.create_table_comment(
        "rooms",
        "One row per room that the vendor's API tells of.",
        existing_comment="One row per room of a workspace.",
        schema=None,
    )
    op.alter_column(
        "session_changes",
        "witness",
        existing_type=sa.TEXT(),
        comment="Who brought the evidence: api, webhook or upgrade.",
        existing_comment="Who brought the evidence: api, listing or upgrade.",
        existing_nullable=False,
    )
    op.create_table_comment(
        "session_records",
        "One row per session that the vendor's API tells of: one continuous call in a room.",
        existing_comment="One row per session: one continuous call in a room.",
        schema=None,
    )
    if op.get_context().dialect.name == "postgresql":  # DuckDB scans columns and pays for indexes at every write
        for before, after in _RENAMED_INDEXES.items():
            op.execute(f"ALTER INDEX {before} RENAME TO {after}")
        op.create_index("ix_event_assets_asset", "event_assets", ["asset_id"], unique=False)
        op.create_index("ix_event_assets_recorder", "event_assets", ["recorder_id"], unique=False)
        op.create_index("ix_event_assets_recording", "event_assets", ["recording_id"], unique=False)
        op.create_index("ix_event_assets_session", "event_assets", ["session_id"], unique=False)
        op.create_index("ix_event_assets_uri", "event_assets", ["uri"], unique=False)
        op.create_index("ix_event_peers_user", "event_peers", ["user_id"], unique=False)
        op.create_index("ix_event_recordings_api_job", "event_recordings", ["api_job_id"], unique=False)
        op.create_index("ix_event_recordings_recording", "event_recordings", ["recording_id"], unique=False)
        op.create_index("ix_event_recordings_session", "event_recordings", ["session_id"], unique=False)
        op.create_index("ix_event_sessions_room", "event_sessions", ["room_id"], unique=False)
        op.create_index("ix_vendor_events_beam", "vendor_events", ["beam_id"], unique=False)
        op.create_index("ix_vendor_events_recording", "vendor_events", ["recording_id"], unique=False)
        op.create_index("ix_vendor_events_session", "vendor_events", ["session_id"], unique=False)
