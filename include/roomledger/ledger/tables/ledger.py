"""The ledger's tables: what was seen, what became of it, what was refused and what moved to another session."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Date, Index, Integer, LargeBinary, Table, Text

from roomledger.ledger.tables.columns import Timestamp, column, metadata, of_recording, whose

DISPOSITIONS = {
    "seen": "waits to be read",
    "claimed": "is being read by a load",
    "loaded": "its records are in the tables",
    "refused": "could not be understood; see refusals",
    "unchanged": "the same bytes as the version that is loaded",
    "superseded": "a newer version of the object took its place",
    "ignored": "no recording asset, or excluded by the source's settings",
    "missing": "no longer in the bucket; rows that were loaded from it stay",
    "erased": "removed on request",
}
SESSION_EVIDENCE = ("asset_record", "webhook", "key", "time_window", "none")


object_ledger = Table(
    "object_ledger",
    metadata,
    column("object_id", Text(), "Names this version of this object.", null=False, primary_key=True),
    *whose(),
    column("session_reason", Text(), "Why session_id is what it is, opening with a stable code; null when ignored."),
    column("key_room_id", Text(), "Room that the key names."),
    column("key_session_id", Text(), "Session that the key names."),
    column("recorder_started_at", Timestamp, "When the recorder that wrote it started, from the key."),
    column("session_date", Date(), "Day of the session, from the key."),
    column("key_peer_id", Text(), "Peer of a track or stream, from the key."),
    column("key_stream_id", Text(), "Stream of a track or stream, from the key."),
    column("key_track_id", Text(), "Track, from the key."),
    column("key_layer", Text(), "Layer of a live stream's composite, from the key."),
    column("output_mode", Text(), "json, srt or txt of a transcript or summary, from the key or the content."),
    column("asset_id", Text(), "The vendor's id of the asset, matched by the exact address."),
    *of_recording(),
    column("named_type", Text(), "Type that the vendor gives it; goes before what the key says."),
    column("uri", Text(), "Address of the object, key not URL-encoded.", null=False),
    column("version", Text(), "S3 ETag, GCS generation, or modification time and size of a file.", null=False),
    column("version_id", Text(), "S3 VersionId, where a witness gave it."),
    column("content_tag", Text(), "Fingerprint by the store (S3 ETag, GCS MD5)."),
    column("modified_at", Timestamp, "When the store says this version was written.", null=False),
    column("size_bytes", BigInteger(), "Size in bytes as the witness said.", null=False),
    column(
        "asset_type",
        Text(),
        "Type of asset; unknown until the content is read; null when ignored, unless the vendor named it.",
    ),
    column("disposition", Text(), "; ".join(f"{k}: {v}" for k, v in DISPOSITIONS.items()) + ".", null=False),
    column("reason", Text(), "Why it is so, in one sentence that opens with a stable code.", null=False),
    column("attempts", Integer(), "Times it was claimed since it was last put in the queue.", null=False),
    column("rows_parsed", BigInteger(), "Records found: loaded + refused + duplicate.", null=False),
    column("rows_loaded", BigInteger(), "Records loaded.", null=False),
    column("rows_refused", BigInteger(), "Records refused.", null=False),
    column("rows_duplicate", BigInteger(), "Records left out because the file holds them twice.", null=False),
    column("content_sha256", Text(), "SHA-256 of the bytes that were read, hex; null for media, which is not read."),
    column("first_seen_at", Timestamp, "When it was first observed.", null=False),
    column(
        "first_seen_by",
        Text(),
        "Witness that observed it first: listing, s3_event, gcs_event, webhook or api.",
        null=False,
    ),
    column("loaded_at", Timestamp, "When its rows were committed."),
    column("load_id", Text(), "Load that settled it last (loads)."),
    column("first_load_id", Text(), "Load that first brought rows from it (loads); a replay leaves it as it is."),
    column("loaded_asset_type", Text(), "Type of asset that its rows were loaded as; null when it has none."),
    column("parser_version", Text(), "Version of the parsers that read it."),
    column("claimed_by", Text(), "Token of the load that holds the claim."),
    column("lease_until", Timestamp, "When an unsettled claim comes free again."),
    column("retry_at", Timestamp, "Not claimed before this time."),
    column("replay_requested_at", Timestamp, "When somebody asked for it to be read again; null once that is done."),
    CheckConstraint("rows_parsed = rows_loaded + rows_refused + rows_duplicate", name="ck_object_ledger_balance"),
    CheckConstraint(
        "disposition IN ({})".format(", ".join(f"'{name}'" for name in DISPOSITIONS)),
        name="ck_object_ledger_disposition",
    ),
    CheckConstraint("reason <> ''", name="ck_object_ledger_reason"),
    Index("ix_object_ledger_uri", "uri").ddl_if(dialect="postgresql"),
    Index("ix_object_ledger_queue", "disposition", "modified_at").ddl_if(dialect="postgresql"),
    Index("ix_object_ledger_load", "load_id").ddl_if(dialect="postgresql"),
    Index("ix_object_ledger_session", "session_id").ddl_if(dialect="postgresql"),
    Index("ix_object_ledger_room", "key_room_id").ddl_if(dialect="postgresql"),
    Index("ix_object_ledger_job", "job_id").ddl_if(dialect="postgresql"),
    comment="One row per object version that anybody has seen, with what became of it. The ledger is the queue.",
)

observations = Table(
    "observations",
    metadata,
    column("object_id", Text(), "Object version (object_ledger).", null=False),
    column("source", Text(), "Source the witness spoke of.", null=False),
    column("observed_by", Text(), "Who said it: listing, s3_event, gcs_event, webhook or api.", null=False),
    column("kind", Text(), "exists, missing or restored.", null=False),
    column("observed_at", Timestamp, "When it was said.", null=False),
    Index("ix_observations_object", "object_id").ddl_if(dialect="postgresql"),
    comment="One row per new thing that a witness said of an object version; a listing that repeats itself adds none.",
)

loads = Table(
    "loads",
    metadata,
    column("load_id", Text(), "Names the load.", null=False, primary_key=True),
    column("claimed_at", Timestamp, "When its objects were claimed.", null=False),
    column("committed_at", Timestamp, "When it was committed.", null=False),
    column("objects", BigInteger(), "Object versions settled.", null=False),
    column("objects_loaded", BigInteger(), "Object versions whose rows it brought.", null=False),
    column("objects_refused", BigInteger(), "Object versions it refused.", null=False),
    column("rows_loaded", BigInteger(), "Records loaded.", null=False),
    column("rows_refused", BigInteger(), "Records refused.", null=False),
    column("rows_duplicate", BigInteger(), "Records left out as duplicates.", null=False),
    column("parser_version", Text(), "Version of the parsers.", null=False),
    column("started_by", Text(), "Who ran it: the command line, or the Airflow run.", null=False),
    comment="One row per committed batch.",
)

refusals = Table(
    "refusals",
    metadata,
    *whose(),
    column("object_id", Text(), "Object version (object_ledger).", null=False),
    column("ordinal", BigInteger(), "Number of the record in its file, from 1; 0 for the whole file.", null=False),
    column("load_id", Text(), "Load that refused it; null when it was given up without a load."),
    column("uri", Text(), "Address of the object, or of the vendor's record or message.", null=False),
    column("origin", Text(), "What was refused: object, api (a vendor record), webhook or message.", null=False),
    column("reason_code", Text(), "Stable code to count and filter by.", null=False),
    column("detail", Text(), "One sentence for a person, with the line where there are lines.", null=False),
    column("raw", LargeBinary(), "The bytes that were refused; of a file larger than 16 MiB the first 16 MiB."),
    column("refused_at", Timestamp, "When it was refused.", null=False),
    column("resolved_at", Timestamp, "When a replay or a newer version made it good."),
    Index("ix_refusals_object", "object_id").ddl_if(dialect="postgresql"),
    comment="One row per record or file that could not be understood, kept with its bytes.",
)


session_changes = Table(
    "session_changes",
    metadata,
    column("object_id", Text(), "Object version (object_ledger).", null=False),
    column("changed_at", Timestamp, "When its rows were given to another session.", null=False),
    column("changed_by", Text(), "Who brought the evidence: api, webhook or upgrade.", null=False),
    column("from_room_id", Text(), "Room before."),
    column("from_session_id", Text(), "Session before."),
    column("from_evidence", Text(), "Session evidence before.", null=False),
    column("to_room_id", Text(), "Room after."),
    column("to_session_id", Text(), "Session after."),
    column("to_evidence", Text(), "Session evidence after.", null=False),
    column("reason", Text(), "Why, opening with a stable code.", null=False),
    Index("ix_session_changes_object", "object_id").ddl_if(dialect="postgresql"),
    comment="One row per change of the session that an object's rows belong to.",
)
