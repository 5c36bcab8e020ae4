"""Every table of the warehouse, once: names, types, keys and what each column means.

The DDL, the comments in the database, the data dictionary, the Arrow schemas of the bulk writers and the check of the
migrations all come from here. The first sentence of a table's comment is its grain.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from roomledger import model

metadata = MetaData()

Json = JSON().with_variant(JSONB(), "postgresql")
Timestamp = DateTime(timezone=True)

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


def _column(name: str, type_: TypeEngine[Any], comment: str, *, null: bool = True, **options: Any) -> Column[Any]:
    return Column(name, type_, nullable=null, comment=comment, **options)


def _whose() -> list[Column[Any]]:
    """Columns that say to whom and to which session a row belongs."""
    return [
        _column("customer", Text(), "Customer the source belongs to.", null=False),
        _column("source", Text(), "Name of the source in roomledger.toml that the object was found in.", null=False),
        _column("room_id", Text(), "100ms room id; null while nothing says it."),
        _column("session_id", Text(), "100ms session id; null while nothing says it."),
        _column(
            "session_evidence",
            Text(),
            "How session_id is known: asset_record, webhook, key or time_window, strongest first, or none.",
            null=False,
        ),
    ]


def _of_recording() -> list[Column[Any]]:
    """Columns that say which recording an object belongs to, as the vendor's records name it."""
    return [
        _column("job_id", Text(), "Recording job that made it (recordings); null while nothing says it."),
        _column(
            "recording_started_at",
            Timestamp,
            "When that recording started: milliseconds in the file count from here; null while nothing says it.",
        ),
    ]


def _fact(name: str, grain: str, *columns: Column[Any]) -> Table:
    """A table of records: each leads back to the object version, the record in it and the load that brought it."""
    return Table(
        name,
        metadata,
        *_whose(),
        _column(
            "object_id", Text(), "Object version the row was read from (object_ledger).", null=False, primary_key=True
        ),
        _column(
            "ordinal",
            BigInteger(),
            "Number of the record in its file, from 1; 0 for the row that stands for the file.",
            null=False,
            primary_key=True,
            autoincrement=False,
        ),
        _column("load_id", Text(), "Load that brought the row (loads).", null=False),
        *columns,
        Index(f"ix_{name}_session", "session_id").ddl_if(dialect="postgresql"),
        comment=grain,
    )


object_assets = _fact(
    "object_assets",
    "One row per loaded object, media and text alike, with what its key and the listing say of the asset.",
    _column(
        "asset_type", Text(), "room-composite, room-composite-legacy, room-vod, track, stream, chat, …", null=False
    ),
    _column("uri", Text(), "Address of the object, key not URL-encoded.", null=False),
    _column("size_bytes", BigInteger(), "Size in bytes, as the witness said.", null=False),
    _column("created_at", Timestamp, "When the object was written.", null=False),
    _column("peer_id", Text(), "Peer of a track or stream."),
    _column("stream_id", Text(), "Stream of a track or stream."),
    _column("track_id", Text(), "Track id."),
    _column("layer", Text(), "Layer of a live stream's composite."),
    _column("output_mode", Text(), "json, srt or txt of a transcript or summary."),
)

chat_messages = _fact(
    "chat_messages",
    "One row per chat message of one recording.",
    _column("message_id", Text(), "The vendor's message id; files before 2024 have none."),
    _column("sender_peer_id", Text(), "Peer who sent it; new on every join."),
    _column("sender_name", Text(), "Name the sender showed."),
    _column("sender_user_id", Text(), "The customer's own id of the sender."),
    _column("roles", Json, "List of the roles the message was sent to; an empty list means everybody.", null=False),
    _column("roles_raw", Text(), "The roles cell as it stood in the file."),
    _column("sent_at", Timestamp, "When it was sent (whole seconds; ties are in the order of ordinal)."),
    _column("message_type", Text(), "Type as the vendor wrote it, mostly chat."),
    _column("message", Text(), "The text, unchanged.", null=False),
    _column("extra", Json, "Columns of the file that have no column here, by name."),
    _column("recorder_started_at", Timestamp, "When the recorder that wrote the file started, from its key."),
)

_SPOKEN = (
    ("speaker_name", Text(), "Name of the speaker."),
    ("speaker_peer_id", Text(), "Peer of the speaker; only json transcripts say it."),
    ("start_ms", BigInteger(), "Start in milliseconds from the start of the recording; txt has no times."),
    ("end_ms", BigInteger(), "End in milliseconds from the start of the recording; txt has no times."),
)

transcripts = _fact(
    "transcripts",
    "One row per transcript file.",
    _column("output_mode", Text(), "json, srt or txt, by what the file holds.", null=False),
    _column("segments", BigInteger(), "Sentences loaded from it.", null=False),
    _column("words", BigInteger(), "Words loaded from it; only json has words.", null=False),
    _column("language", Text(), "Language, where it is known."),
    *_of_recording(),
)
transcript_segments = _fact(
    "transcript_segments",
    "One row per sentence of a transcript file.",
    *(_column(*spec) for spec in _SPOKEN),
    _column("text", Text(), "The sentence.", null=False),
)
transcript_words = _fact(
    "transcript_words",
    "One row per word of a json transcript file.",
    *(_column(*spec) for spec in _SPOKEN),
    _column("text", Text(), "The word.", null=False),
)

summaries = _fact(
    "summaries",
    "One row per summary file.",
    _column("sections", BigInteger(), "Sections loaded from it.", null=False),
    _column("points", BigInteger(), "Bullets loaded from it.", null=False),
    *_of_recording(),
)
summary_sections = _fact(
    "summary_sections",
    "One row per section of a summary.",
    _column("title", Text(), "Title, as the customer configured it."),
    _column("format", Text(), "bullets or paragraph."),
    _column("paragraph", Text(), "Text of a paragraph section."),
)
summary_points = _fact(
    "summary_points",
    "One row per bullet of a summary section.",
    _column("section_ordinal", BigInteger(), "Ordinal of its section in summary_sections.", null=False),
    _column("text", Text(), "The bullet.", null=False),
)

object_ledger = Table(
    "object_ledger",
    metadata,
    _column("object_id", Text(), "Names this version of this object.", null=False, primary_key=True),
    *_whose(),
    _column("session_reason", Text(), "Why session_id is what it is, opening with a stable code; null when ignored."),
    _column("key_room_id", Text(), "Room that the key names."),
    _column("key_session_id", Text(), "Session that the key names."),
    _column("recorder_started_at", Timestamp, "When the recorder that wrote it started, from the key."),
    _column("asset_id", Text(), "The vendor's record of it (asset_records), matched by the exact address."),
    *_of_recording(),
    _column("named_type", Text(), "Type that the vendor's record gives it; goes before what the key says."),
    _column("uri", Text(), "Address of the object, key not URL-encoded.", null=False),
    _column("version", Text(), "S3 ETag, GCS generation, or modification time and size of a file.", null=False),
    _column("version_id", Text(), "S3 VersionId, where a witness gave it."),
    _column("content_tag", Text(), "Fingerprint by the store (S3 ETag, GCS MD5)."),
    _column("modified_at", Timestamp, "When the store says this version was written.", null=False),
    _column("size_bytes", BigInteger(), "Size in bytes as the witness said.", null=False),
    _column("asset_type", Text(), "Type of asset; unknown until the content is read; null when ignored."),
    _column("disposition", Text(), "; ".join(f"{k}: {v}" for k, v in DISPOSITIONS.items()) + ".", null=False),
    _column("reason", Text(), "Why it is so, in one sentence that opens with a stable code.", null=False),
    _column("attempts", Integer(), "Times it was claimed since it was last put in the queue.", null=False),
    _column("rows_parsed", BigInteger(), "Records found: loaded + refused + duplicate.", null=False),
    _column("rows_loaded", BigInteger(), "Records loaded.", null=False),
    _column("rows_refused", BigInteger(), "Records refused.", null=False),
    _column("rows_duplicate", BigInteger(), "Records left out because the file holds them twice.", null=False),
    _column("content_sha256", Text(), "SHA-256 of the bytes that were read, hex; null for media, which is not read."),
    _column("first_seen_at", Timestamp, "When it was first observed.", null=False),
    _column("first_seen_by", Text(), "Witness that observed it first: listing or api.", null=False),
    _column("loaded_at", Timestamp, "When its rows were committed."),
    _column("load_id", Text(), "Load that settled it last (loads)."),
    _column("parser_version", Text(), "Version of the parsers that read it."),
    _column("claimed_by", Text(), "Token of the load that holds the claim."),
    _column("lease_until", Timestamp, "When an unsettled claim comes free again."),
    _column("retry_at", Timestamp, "Not claimed before this time."),
    _column("replay_requested_at", Timestamp, "When somebody asked for it to be read again; null once that is done."),
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
    _column("object_id", Text(), "Object version (object_ledger).", null=False),
    _column("source", Text(), "Source the witness spoke of.", null=False),
    _column("witness", Text(), "Who said it: listing or api.", null=False),
    _column("kind", Text(), "exists, gone or back.", null=False),
    _column("observed_at", Timestamp, "When it was said.", null=False),
    Index("ix_observations_object", "object_id").ddl_if(dialect="postgresql"),
    comment="One row per new thing that a witness said of an object version; a listing that repeats itself adds none.",
)

loads = Table(
    "loads",
    metadata,
    _column("load_id", Text(), "Names the load.", null=False, primary_key=True),
    _column("claimed_at", Timestamp, "When its objects were claimed.", null=False),
    _column("committed_at", Timestamp, "When it was committed.", null=False),
    _column("objects", BigInteger(), "Object versions settled.", null=False),
    _column("objects_loaded", BigInteger(), "Object versions whose rows it brought.", null=False),
    _column("objects_refused", BigInteger(), "Object versions it refused.", null=False),
    _column("rows_loaded", BigInteger(), "Records loaded.", null=False),
    _column("rows_refused", BigInteger(), "Records refused.", null=False),
    _column("rows_duplicate", BigInteger(), "Records left out as duplicates.", null=False),
    _column("parser_version", Text(), "Version of the parsers.", null=False),
    _column("started_by", Text(), "Who ran it: the command line, or the Airflow run.", null=False),
    comment="One row per committed batch.",
)

refusals = Table(
    "refusals",
    metadata,
    *_whose(),
    _column("object_id", Text(), "Object version (object_ledger).", null=False),
    _column("ordinal", BigInteger(), "Number of the record in its file, from 1; 0 for the whole file.", null=False),
    _column("load_id", Text(), "Load that refused it; null when it was given up without a load."),
    _column("uri", Text(), "Address of the object.", null=False),
    _column("reason_code", Text(), "Stable code to count and filter by.", null=False),
    _column("detail", Text(), "One sentence for a person, with the line where there are lines.", null=False),
    _column("raw", LargeBinary(), "The bytes that were refused; of a file larger than 16 MiB the first 16 MiB."),
    _column("refused_at", Timestamp, "When it was refused.", null=False),
    _column("resolved_at", Timestamp, "When a replay or a newer version made it good."),
    Index("ix_refusals_object", "object_id").ddl_if(dialect="postgresql"),
    comment="One row per record or file that could not be understood, kept with its bytes.",
)


def _said(name: str, grain: str, *columns: Column[Any], indexes: tuple[str, ...] = ()) -> Table:
    """A table of what the vendor says: each row holds the record it comes from, without its secrets."""
    return Table(
        name,
        metadata,
        _column("customer", Text(), "Customer the workspace belongs to.", null=False),
        _column("source", Text(), "Name of the source in roomledger.toml that the workspace is.", null=False),
        *columns,
        _column("record", Json, "The vendor's record as it came, secrets removed.", null=False),
        _column("record_sha256", Text(), "SHA-256 of that record's canonical JSON, hex.", null=False),
        _column("first_seen_at", Timestamp, "When it was first heard of.", null=False),
        _column("first_seen_by", Text(), "Witness that told of it first: api.", null=False),
        _column("read_at", Timestamp, "When the vendor was asked and this is what it said.", null=False),
        *(Index(f"ix_{name}_{column}", column).ddl_if(dialect="postgresql") for column in indexes),
        comment=grain,
    )


def _key(name: str, comment: str) -> Column[Any]:
    return _column(name, Text(), comment, null=False, primary_key=True)


rooms = _said(
    "rooms",
    "One row per room of a workspace.",
    _key("room_id", "100ms room id."),
    _column("name", Text(), "Name of the room."),
    _column("description", Text(), "Its description."),
    _column("enabled", Boolean(), "Whether it can be joined."),
    _column("template_id", Text(), "Template it was made from."),
    _column("template", Text(), "Name of that template."),
    _column("region", Text(), "Region."),
    _column("recording_enabled", Boolean(), "Whether it is recorded by itself."),
    _column("storage_type", Text(), "Where its recordings are put: s3, gs, oss or azure; null for the vendor's own."),
    _column("storage_location", Text(), "Bucket its recordings are put into."),
    _column("storage_prefix", Text(), "Prefix in that bucket."),
    _column("created_at", Timestamp, "When it was made."),
    _column("updated_at", Timestamp, "When it was last changed."),
)

sessions = _said(
    "sessions",
    "One row per session: one continuous call in a room.",
    _key("session_id", "100ms session id."),
    _column("room_id", Text(), "Room it was held in."),
    _column("active", Boolean(), "Whether it was still going on when the vendor was asked."),
    _column("started_at", Timestamp, "When it started."),
    _column("ended_at", Timestamp, "When the last peer left; null while it is going on."),
    indexes=("room_id",),
)

peers = _said(
    "peers",
    "One row per stay of a peer in a session; who comes back has a new peer id.",
    _key("session_id", "Session of the stay."),
    _key("peer_id", "100ms peer id, new on every join."),
    _column("user_id", Text(), "The customer's own id of the person; null when it gave none."),
    _column("name", Text(), "Name the peer showed."),
    _column("role", Text(), "Role."),
    _column("joined_at", Timestamp, "When the peer joined."),
    _column("left_at", Timestamp, "When the peer left; null while it is there."),
    _column("is_recorder", Boolean(), "Whether it is the vendor's recorder: leave it out of attendance.", null=False),
    indexes=("user_id",),
)

recordings = _said(
    "recordings",
    "One row per recording job, live stream or external stream.",
    _key("job_id", "The vendor's id of the job."),
    _column("kind", Text(), "recording, live-stream or external-stream.", null=False),
    _column("room_id", Text(), "Room."),
    _column("session_id", Text(), "Session it ran in."),
    _column("status", Text(), "starting, running, stopping, post_processing, completed or failed, as the vendor says."),
    _column("planned_types", Json, "List of the asset types it was asked to make.", null=False),
    _column("created_at", Timestamp, "When it was made."),
    _column("started_at", Timestamp, "When it started."),
    _column("stopped_at", Timestamp, "When it stopped."),
    _column("updated_at", Timestamp, "When the vendor last changed it; may lie before its assets were made."),
    _column("started_by", Text(), "Peer who started it; null when the customer's server did."),
    _column("stopped_by", Text(), "Peer who stopped it; null when the customer's server did."),
    _column("check_at", Timestamp, "When the vendor is asked about it again; null once nothing more can come of it."),
    indexes=("session_id",),
)

asset_records = _said(
    "asset_records",
    "One row per recording asset that the vendor names.",
    _key("asset_id", "The vendor's asset id."),
    _column("job_id", Text(), "Recording job that made it (recordings)."),
    _column("room_id", Text(), "Room."),
    _column("session_id", Text(), "Session."),
    _column("asset_type", Text(), "room-composite, track, chat, …; an unknown type as the vendor wrote it."),
    _column("raw_type", Text(), "Type as the vendor wrote it."),
    _column("uri", Text(), "Address of its object, as the vendor's path; null while there is none."),
    _column("status", Text(), "completed, failed or processing, as the vendor says."),
    _column("size_bytes", BigInteger(), "Size in bytes, as the vendor says."),
    _column("duration_s", Double(), "Duration in seconds."),
    _column("created_at", Timestamp, "When the asset was made."),
    _column("peer_id", Text(), "Peer of a track or stream."),
    _column("user_id", Text(), "The customer's own id of that peer."),
    _column("stream_id", Text(), "Stream of a track or stream."),
    _column("stream_type", Text(), "regular, screen or audio."),
    _column("track_id", Text(), "Track id."),
    _column("track_type", Text(), "audio or video."),
    _column("width", Integer(), "Width in pixels."),
    _column("height", Integer(), "Height in pixels."),
    _column("layer", Text(), "Layer of a live stream's composite."),
    _column("num_layers", Integer(), "Layers of a VOD."),
    _column("output_mode", Text(), "json, srt or txt of a transcript or summary."),
    _column("metadata", Json, "The vendor's metadata object as it came."),
    _column("thumbnails", Json, "List of the addresses of its thumbnails."),
    indexes=("uri", "job_id", "session_id"),
)

session_changes = Table(
    "session_changes",
    metadata,
    _column("object_id", Text(), "Object version (object_ledger).", null=False),
    _column("changed_at", Timestamp, "When its rows were given to another session.", null=False),
    _column("witness", Text(), "Who brought the evidence: api, listing or upgrade.", null=False),
    _column("from_room_id", Text(), "Room before."),
    _column("from_session_id", Text(), "Session before."),
    _column("from_evidence", Text(), "Session evidence before.", null=False),
    _column("to_room_id", Text(), "Room after."),
    _column("to_session_id", Text(), "Session after."),
    _column("to_evidence", Text(), "Session evidence after.", null=False),
    _column("reason", Text(), "Why, opening with a stable code.", null=False),
    Index("ix_session_changes_object", "object_id").ddl_if(dialect="postgresql"),
    comment="One row per change of the session that an object's rows belong to.",
)

vendor_cursors = Table(
    "vendor_cursors",
    metadata,
    _key("source", "Source that is a workspace."),
    _key("list", "List of the vendor's API that is read, such as recording-assets."),
    _column("read_until", Timestamp, "Everything made before this was read, but for what comes late."),
    _column("reading_since", Timestamp, "What a reading that goes on has read down from; null when none goes on."),
    _column("next_start", Text(), "Where that reading goes on; null when none goes on."),
    _column("stop_at", Timestamp, "Where that reading ends; null reads to the end of the list."),
    comment="One row per list of a workspace, with how far it has been read.",
)

vendor_unknown = Table(
    "vendor_unknown",
    metadata,
    _key("source", "Source that is a workspace."),
    _key("id", "Id of a job, session or room that a record names."),
    _column("first_asked_at", Timestamp, "When the vendor first did not know it.", null=False),
    _column("ask_at", Timestamp, "When it is asked for again; null once it is too old for that."),
    comment="One row per id that a record names and the vendor, when asked, did not know.",
)

SAID = (rooms, sessions, peers, recordings, asset_records)
"""What the vendor says, by the parts of its API."""

RECORD_TABLES: dict[type[tuple[Any, ...]], Table] = {
    model.ObjectAsset: object_assets,
    model.ChatMessage: chat_messages,
    model.Transcript: transcripts,
    model.TranscriptSegment: transcript_segments,
    model.TranscriptWord: transcript_words,
    model.Summary: summaries,
    model.SummarySection: summary_sections,
    model.SummaryPoint: summary_points,
}
FACTS = tuple(RECORD_TABLES.values())
PLACE = ("room_id", "session_id", "session_evidence", "job_id", "recording_started_at")
"""Columns that say where an object belongs; when the ledger learns better, they change in the facts, too."""
OBJECT_COLUMNS = ("customer", "source", *PLACE, "load_id")
"""Columns of a fact that are the same for all records of an object: they come from its ledger row."""

_ARROW: tuple[tuple[type[TypeEngine[Any]], pa.DataType], ...] = (
    (JSON, pa.string()),
    (Text, pa.string()),
    (Boolean, pa.bool_()),
    (Integer, pa.int64()),  # BigInteger is an Integer too
    (Double, pa.float64()),
    (DateTime, pa.timestamp("us", tz="UTC")),
    (LargeBinary, pa.binary()),
)


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema that holds rows of `table`, column by column in its order; JSON travels as text."""
    return pa.schema([(column.name, _arrow_type(column.type)) for column in table.columns])


def _arrow_type(type_: TypeEngine[Any]) -> pa.DataType:
    for sql, arrow in _ARROW:
        if isinstance(type_, sql):
            return arrow
    raise TypeError(f"no Arrow type for {type_!r}")
