"""Create the ledger and the tables of recordings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "chat_messages",
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
            "message_id", sa.Text(), nullable=True, comment="The vendor's message id; files before 2024 have none."
        ),
        sa.Column("sender_peer_id", sa.Text(), nullable=True, comment="Peer who sent it; new on every join."),
        sa.Column("sender_name", sa.Text(), nullable=True, comment="Name the sender showed."),
        sa.Column("sender_user_id", sa.Text(), nullable=True, comment="The customer's own id of the sender."),
        sa.Column(
            "roles",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
            comment="List of the roles the message was sent to; an empty list means everybody.",
        ),
        sa.Column("roles_raw", sa.Text(), nullable=True, comment="The roles cell as it stood in the file."),
        sa.Column(
            "sent_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was sent (whole seconds; ties are in the order of ordinal).",
        ),
        sa.Column("message_type", sa.Text(), nullable=True, comment="Type as the vendor wrote it, mostly chat."),
        sa.Column("message", sa.Text(), nullable=False, comment="The text, unchanged."),
        sa.Column(
            "extra",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
            comment="Columns of the file that have no column here, by name.",
        ),
        sa.Column(
            "recorder_started_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the recorder that wrote the file started, from its key.",
        ),
        sa.PrimaryKeyConstraint("object_id", "ordinal"),
        comment="One row per chat message of one recording.",
    )
    op.create_table(
        "loads",
        sa.Column("load_id", sa.Text(), nullable=False, comment="Names the load."),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False, comment="When its objects were claimed."),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False, comment="When it was committed."),
        sa.Column("objects", sa.BigInteger(), nullable=False, comment="Object versions settled."),
        sa.Column("objects_loaded", sa.BigInteger(), nullable=False, comment="Object versions whose rows it brought."),
        sa.Column("objects_refused", sa.BigInteger(), nullable=False, comment="Object versions it refused."),
        sa.Column("rows_loaded", sa.BigInteger(), nullable=False, comment="Records loaded."),
        sa.Column("rows_refused", sa.BigInteger(), nullable=False, comment="Records refused."),
        sa.Column("rows_duplicate", sa.BigInteger(), nullable=False, comment="Records left out as duplicates."),
        sa.Column("parser_version", sa.Text(), nullable=False, comment="Version of the parsers."),
        sa.Column("started_by", sa.Text(), nullable=False, comment="Who ran it: the command line, or the Airflow run."),
        sa.PrimaryKeyConstraint("load_id"),
        comment="One row per committed batch.",
    )
    op.create_table(
        "object_ledger",
        sa.Column("object_id", sa.Text(), nullable=False, comment="Names this version of this object."),
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
        sa.Column("uri", sa.Text(), nullable=False, comment="Address of the object, key not URL-encoded."),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="S3 ETag, GCS generation, or modification time and size of a file.",
        ),
        sa.Column("version_id", sa.Text(), nullable=True, comment="S3 VersionId, where a witness gave it."),
        sa.Column("content_tag", sa.Text(), nullable=True, comment="Fingerprint by the store (S3 ETag, GCS MD5)."),
        sa.Column(
            "modified_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the store says this version was written.",
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="Size in bytes as the witness said."),
        sa.Column(
            "asset_type",
            sa.Text(),
            nullable=True,
            comment="Type of asset; unknown until the content is read; null when ignored.",
        ),
        sa.Column(
            "disposition",
            sa.Text(),
            nullable=False,
            comment="seen: waits to be read; claimed: is being read by a load; loaded: its records are in the tables; refused: could not be understood; see refusals; unchanged: the same bytes as the version that is loaded; superseded: a newer version of the object took its place; ignored: no recording asset, or excluded by the source's settings; missing: no longer in the bucket; rows that were loaded from it stay; erased: removed on request.",
        ),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="Why it is so, in one sentence that opens with a stable code."
        ),
        sa.Column(
            "attempts", sa.Integer(), nullable=False, comment="Times it was claimed since it was last put in the queue."
        ),
        sa.Column(
            "rows_parsed", sa.BigInteger(), nullable=False, comment="Records found: loaded + refused + duplicate."
        ),
        sa.Column("rows_loaded", sa.BigInteger(), nullable=False, comment="Records loaded."),
        sa.Column("rows_refused", sa.BigInteger(), nullable=False, comment="Records refused."),
        sa.Column(
            "rows_duplicate",
            sa.BigInteger(),
            nullable=False,
            comment="Records left out because the file holds them twice.",
        ),
        sa.Column(
            "content_sha256",
            sa.Text(),
            nullable=True,
            comment="SHA-256 of the bytes that were read, hex; null for media, which is not read.",
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first observed."),
        sa.Column("first_seen_by", sa.Text(), nullable=False, comment="Witness that observed it first: listing, …"),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=True, comment="When its rows were committed."),
        sa.Column("load_id", sa.Text(), nullable=True, comment="Load that settled it last (loads)."),
        sa.Column("parser_version", sa.Text(), nullable=True, comment="Version of the parsers that read it."),
        sa.Column("claimed_by", sa.Text(), nullable=True, comment="Token of the load that holds the claim."),
        sa.Column(
            "lease_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When an unsettled claim comes free again.",
        ),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True, comment="Not claimed before this time."),
        sa.Column(
            "replay_requested_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When somebody asked for it to be read again; null once that is done.",
        ),
        sa.CheckConstraint(
            "disposition IN ('seen', 'claimed', 'loaded', 'refused', 'unchanged', 'superseded', 'ignored', 'missing', 'erased')",
            name="ck_object_ledger_disposition",
        ),
        sa.CheckConstraint("reason <> ''", name="ck_object_ledger_reason"),
        sa.CheckConstraint(
            "rows_parsed = rows_loaded + rows_refused + rows_duplicate", name="ck_object_ledger_balance"
        ),
        sa.PrimaryKeyConstraint("object_id"),
        comment="One row per object version that anybody has seen, with what became of it. The ledger is the queue.",
    )
    op.create_table(
        "observations",
        sa.Column("object_id", sa.Text(), nullable=False, comment="Object version (object_ledger)."),
        sa.Column("source", sa.Text(), nullable=False, comment="Source the witness spoke of."),
        sa.Column("witness", sa.Text(), nullable=False, comment="Who said it: listing, …"),
        sa.Column("kind", sa.Text(), nullable=False, comment="exists, gone or back."),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False, comment="When it was said."),
        comment="One row per new thing that a witness said of an object version; a listing that repeats itself adds none.",
    )
    op.create_table(
        "recording_assets",
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
        sa.Column(
            "raw_type", sa.Text(), nullable=True, comment="Type as the vendor wrote it, where the vendor was asked."
        ),
        sa.Column("uri", sa.Text(), nullable=False, comment="Address of the asset's object, key not URL-encoded."),
        sa.Column(
            "status",
            sa.Text(),
            nullable=True,
            comment="completed once the object is in the bucket; else the vendor's status.",
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True, comment="Size in bytes."),
        sa.Column("duration_s", sa.Double(), nullable=True, comment="Duration in seconds, where the vendor was asked."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the asset was made; from a bucket: when its object was written.",
        ),
        sa.Column("asset_id", sa.Text(), nullable=True, comment="The vendor's asset id."),
        sa.Column("job_id", sa.Text(), nullable=True, comment="The vendor's id of the recording job."),
        sa.Column("peer_id", sa.Text(), nullable=True, comment="Peer of a track or stream."),
        sa.Column("user_id", sa.Text(), nullable=True, comment="The customer's own id of that peer."),
        sa.Column("stream_id", sa.Text(), nullable=True, comment="Stream of a track or stream."),
        sa.Column("stream_type", sa.Text(), nullable=True, comment="regular, screen or audio."),
        sa.Column("track_id", sa.Text(), nullable=True, comment="Track id."),
        sa.Column("track_type", sa.Text(), nullable=True, comment="audio or video."),
        sa.Column("width", sa.Integer(), nullable=True, comment="Width in pixels."),
        sa.Column("height", sa.Integer(), nullable=True, comment="Height in pixels."),
        sa.Column(
            "layer", sa.Text(), nullable=True, comment="Layer of a live stream's composite, as the vendor writes it."
        ),
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
            comment="List of the asset's thumbnail addresses.",
        ),
        sa.PrimaryKeyConstraint("object_id", "ordinal"),
        comment="One row per recording asset of any type, media and text alike.",
    )
    op.create_table(
        "refusals",
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
        sa.Column("object_id", sa.Text(), nullable=False, comment="Object version (object_ledger)."),
        sa.Column(
            "ordinal",
            sa.BigInteger(),
            nullable=False,
            comment="Number of the record in its file, from 1; 0 for the whole file.",
        ),
        sa.Column(
            "load_id",
            sa.Text(),
            nullable=True,
            comment="Load that refused it; null when it was given up without a load.",
        ),
        sa.Column("uri", sa.Text(), nullable=False, comment="Address of the object."),
        sa.Column("reason_code", sa.Text(), nullable=False, comment="Stable code to count and filter by."),
        sa.Column(
            "detail",
            sa.Text(),
            nullable=False,
            comment="One sentence for a person, with the line where there are lines.",
        ),
        sa.Column(
            "raw",
            sa.LargeBinary(),
            nullable=True,
            comment="The bytes that were refused; of a file larger than 16 MiB the first 16 MiB.",
        ),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False, comment="When it was refused."),
        sa.Column(
            "resolved_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When a replay or a newer version made it good.",
        ),
        comment="One row per record or file that could not be understood, kept with its bytes.",
    )
    op.create_table(
        "summaries",
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
        sa.Column("sections", sa.BigInteger(), nullable=False, comment="Sections loaded from it."),
        sa.Column("points", sa.BigInteger(), nullable=False, comment="Bullets loaded from it."),
        sa.PrimaryKeyConstraint("object_id", "ordinal"),
        comment="One row per summary file.",
    )
    op.create_table(
        "summary_points",
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
            "section_ordinal", sa.BigInteger(), nullable=False, comment="Ordinal of its section in summary_sections."
        ),
        sa.Column("text", sa.Text(), nullable=False, comment="The bullet."),
        sa.PrimaryKeyConstraint("object_id", "ordinal"),
        comment="One row per bullet of a summary section.",
    )
    op.create_table(
        "summary_sections",
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
        sa.Column("title", sa.Text(), nullable=True, comment="Title, as the customer configured it."),
        sa.Column("format", sa.Text(), nullable=True, comment="bullets or paragraph."),
        sa.Column("paragraph", sa.Text(), nullable=True, comment="Text of a paragraph section."),
        sa.PrimaryKeyConstraint("object_id", "ordinal"),
        comment="One row per section of a summary.",
    )
    op.create_table(
        "transcript_segments",
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
        sa.Column("speaker_name", sa.Text(), nullable=True, comment="Name of the speaker."),
        sa.Column(
            "speaker_peer_id", sa.Text(), nullable=True, comment="Peer of the speaker; only json transcripts say it."
        ),
        sa.Column(
            "start_ms",
            sa.BigInteger(),
            nullable=True,
            comment="Start in milliseconds from the start of the recording; txt has no times.",
        ),
        sa.Column(
            "end_ms",
            sa.BigInteger(),
            nullable=True,
            comment="End in milliseconds from the start of the recording; txt has no times.",
        ),
        sa.Column("text", sa.Text(), nullable=False, comment="The sentence."),
        sa.PrimaryKeyConstraint("object_id", "ordinal"),
        comment="One row per sentence of a transcript file.",
    )
    op.create_table(
        "transcript_words",
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
        sa.Column("speaker_name", sa.Text(), nullable=True, comment="Name of the speaker."),
        sa.Column(
            "speaker_peer_id", sa.Text(), nullable=True, comment="Peer of the speaker; only json transcripts say it."
        ),
        sa.Column(
            "start_ms",
            sa.BigInteger(),
            nullable=True,
            comment="Start in milliseconds from the start of the recording; txt has no times.",
        ),
        sa.Column(
            "end_ms",
            sa.BigInteger(),
            nullable=True,
            comment="End in milliseconds from the start of the recording; txt has no times.",
        ),
        sa.Column("text", sa.Text(), nullable=False, comment="The word."),
        sa.PrimaryKeyConstraint("object_id", "ordinal"),
        comment="One row per word of a json transcript file.",
    )
    op.create_table(
        "transcripts",
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
        sa.Column("output_mode", sa.Text(), nullable=False, comment="json, srt or txt, by what the file holds."),
        sa.Column("segments", sa.BigInteger(), nullable=False, comment="Sentences loaded from it."),
        sa.Column("words", sa.BigInteger(), nullable=False, comment="Words loaded from it; only json has words."),
        sa.Column("language", sa.Text(), nullable=True, comment="Language, where it is known."),
        sa.PrimaryKeyConstraint("object_id", "ordinal"),
        comment="One row per transcript file.",
    )
    if op.get_context().dialect.name == "postgresql":  # DuckDB scans columns and pays for indexes at every write
        op.create_index("ix_chat_messages_session", "chat_messages", ["session_id"], unique=False)
        op.create_index("ix_object_ledger_load", "object_ledger", ["load_id"], unique=False)
        op.create_index("ix_object_ledger_queue", "object_ledger", ["disposition", "modified_at"], unique=False)
        op.create_index("ix_object_ledger_uri", "object_ledger", ["uri"], unique=False)
        op.create_index("ix_observations_object", "observations", ["object_id"], unique=False)
        op.create_index("ix_recording_assets_session", "recording_assets", ["session_id"], unique=False)
        op.create_index("ix_refusals_object", "refusals", ["object_id"], unique=False)
        op.create_index("ix_summaries_session", "summaries", ["session_id"], unique=False)
        op.create_index("ix_summary_points_session", "summary_points", ["session_id"], unique=False)
        op.create_index("ix_summary_sections_session", "summary_sections", ["session_id"], unique=False)
        op.create_index("ix_transcript_segments_session", "transcript_segments", ["session_id"], unique=False)
        op.create_index("ix_transcript_words_session", "transcript_words", ["session_id"], unique=False)
        op.create_index("ix_transcripts_session", "transcripts", ["session_id"], unique=False)
