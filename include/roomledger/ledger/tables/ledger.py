"""The ledger's tables: object versions and their state, observations, loads and refusals."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Date, Integer, LargeBinary, Text

from roomledger.ledger.tables.columns import (
    Timestamp,
    column,
    define_table,
    index,
    key,
    recording_columns,
    session_columns,
)

DISPOSITIONS = {
    "seen": "waits to be read",
    "claimed": "is being read by a load",
    "loaded": "its records are in the tables",
    "refused": "rejected, see refusals",
    "unchanged": "has the same bytes as the loaded version",
    "superseded": "replaced by a newer version of the object",
    "ignored": "not a recording asset, or excluded by the source's settings",
    "missing": "no longer in the bucket, its loaded rows stay",
    "erased": "deleted on request",
}

object_ledger = define_table(
    "object_ledger",
    "One row per observed object version, with its state. The ledger is also the queue of loads.",
    key("object_id", "Id of this version of this object."),
    *session_columns(),
    column("session_reason", Text(), "Reason for session_id, starting with a stable code; null when ignored."),
    column("key_room_id", Text(), "Room in the key."),
    column("key_session_id", Text(), "Session in the key."),
    column("recorder_started_at", Timestamp, "Start of the recorder that wrote it, from the key."),
    column("session_date", Date(), "Date of the session, from the key."),
    column("key_peer_id", Text(), "Peer of a track or stream, from the key."),
    column("key_stream_id", Text(), "Stream of a track or stream, from the key."),
    column("key_track_id", Text(), "Track, from the key."),
    column("key_layer", Text(), "Layer of a live stream's composite, from the key."),
    column("output_mode", Text(), "json, srt or txt of a transcript or summary, from the key or the content."),
    column("asset_id", Text(), "The vendor's asset id, matched by the exact address."),
    *recording_columns(),
    column("named_type", Text(), "Asset type in the vendor's records; takes precedence over the key."),
    column("uri", Text(), "Address of the object, key not URL-encoded.", null=False),
    column("version", Text(), "S3 ETag, GCS generation, or modification time and size of a file.", null=False),
    column("version_id", Text(), "S3 VersionId, if an observation reported it."),
    column("content_tag", Text(), "Fingerprint from the store (S3 ETag, GCS MD5)."),
    column("modified_at", Timestamp, "When this version was written, by the store's clock.", null=False),
    column("size_bytes", BigInteger(), "Size in bytes, as observed.", null=False),
    column(
        "asset_type",
        Text(),
        "Asset type; unknown until the content is read; null when ignored, unless the vendor names one.",
    ),
    column("disposition", Text(), "; ".join(f"{k}: {v}" for k, v in DISPOSITIONS.items()) + ".", null=False),
    column("reason", Text(), "Reason for the disposition, in one sentence that starts with a stable code.", null=False),
    column("attempts", Integer(), "Number of claims since it was last queued.", null=False),
    column("rows_parsed", BigInteger(), "Records in the file: loaded + refused + duplicate.", null=False),
    column("rows_loaded", BigInteger(), "Records loaded.", null=False),
    column("rows_refused", BigInteger(), "Records refused.", null=False),
    column("rows_duplicate", BigInteger(), "Records skipped because the file contains them twice.", null=False),
    column("content_sha256", Text(), "SHA-256 of the bytes read, hex; null for media, which are not read."),
    column("first_seen_at", Timestamp, "When it was first observed.", null=False),
    column("first_seen_by", Text(), "First observer: listing, s3_event, gcs_event, webhook or api.", null=False),
    column("loaded_at", Timestamp, "When its rows were committed."),
    column("load_id", Text(), "Load that settled it most recently (loads)."),
    column("rows_load_id", Text(), "Load that loaded its rows (loads); null without rows."),
    column("first_load_id", Text(), "Load that first loaded rows from it (loads); a replay does not change it."),
    column("loaded_asset_type", Text(), "Asset type that its rows were loaded as; null without rows."),
    column("parser_version", Text(), "Version of the parsers that read it."),
    column("claimed_by", Text(), "Token of the load that claims it."),
    column("lease_until", Timestamp, "When the claim expires, if it is not settled."),
    column("retry_at", Timestamp, "It is not claimed before this time."),
    column("replay_requested_at", Timestamp, "When a replay was requested; null once it is done."),
    CheckConstraint("rows_parsed = rows_loaded + rows_refused + rows_duplicate", name="ck_object_ledger_balance"),
    CheckConstraint(
        "disposition IN ({})".format(", ".join(f"'{name}'" for name in DISPOSITIONS)),
        name="ck_object_ledger_disposition",
    ),
    CheckConstraint("reason <> ''", name="ck_object_ledger_reason"),
    # For claims; `status` counts without reading the rows.
    index(
        "ix_object_ledger_disposition_modified_at",
        "disposition",
        "modified_at",
        postgresql_include=["source", "rows_loaded"],
    ),
    indexes=("uri", "load_id", "session_id", "key_room_id", "job_id"),
)

observations = define_table(
    "observations",
    "One row per observation that adds something about an object version; repeated listings add none.",
    column("object_id", Text(), "Object version (object_ledger).", null=False),
    column("source", Text(), "Source that was observed.", null=False),
    column("observed_by", Text(), "Observer: listing, s3_event, gcs_event, webhook or api.", null=False),
    column("kind", Text(), "exists, missing or restored.", null=False),
    column("observed_at", Timestamp, "When it was observed.", null=False),
    indexes=("object_id",),
)

loads = define_table(
    "loads",
    "One row per committed batch.",
    key("load_id", "Id of the load."),
    column("claimed_at", Timestamp, "When its objects were claimed.", null=False),
    column("committed_at", Timestamp, "When it was committed.", null=False),
    column("objects", BigInteger(), "Object versions settled.", null=False),
    column("objects_loaded", BigInteger(), "Object versions loaded.", null=False),
    column("objects_refused", BigInteger(), "Object versions refused.", null=False),
    column("rows_loaded", BigInteger(), "Records loaded.", null=False),
    column("rows_refused", BigInteger(), "Records refused.", null=False),
    column("rows_duplicate", BigInteger(), "Records skipped as duplicates.", null=False),
    column("parser_version", Text(), "Version of the parsers.", null=False),
    column("started_by", Text(), "What started it: the command line, or the Airflow run.", null=False),
    column("publication", BigInteger(), "Publication that made its rows visible (publications).", null=False),
)

refusals = define_table(
    "refusals",
    "One row per rejected record, file, webhook or message, stored with its bytes (dead letters).",
    *session_columns(),
    column("object_id", Text(), "Object version (object_ledger).", null=False),
    column("ordinal", BigInteger(), "Number of the record in its file, from 1; 0 for the whole file.", null=False),
    column("load_id", Text(), "Load that refused it; null when no load did."),
    column("uri", Text(), "Address of the object, vendor record, webhook or message.", null=False),
    column("origin", Text(), "What was refused: object, api (a vendor record), webhook or message.", null=False),
    column("reason_code", Text(), "Stable code for counting and filtering.", null=False),
    column("detail", Text(), "Explanation in one sentence, with the line number if there is one.", null=False),
    column("raw", LargeBinary(), "The refused bytes; of a larger file the first 16 MiB."),
    column(
        "record_loaded",
        Boolean(),
        "True: the record is loaded, without the values that detail names, and not counted in rows_refused.",
    ),
    column("refused_at", Timestamp, "When it was refused.", null=False),
    column("resolved_at", Timestamp, "When a replay or a newer version resolved it."),
    indexes=("object_id",),
)
