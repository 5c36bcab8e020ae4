"""Tables of the vendor's webhooks: events, the assets that they name, and summaries.

`event_sessions`, `event_peers` and `event_recordings` are computed from `vendor_events`, so that the order in which
events arrive does not matter.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Double, Text

from roomledger.ledger.tables.columns import Json, Timestamp, column, define_table, key, media_columns, source_columns

vendor_events = define_table(
    "vendor_events",
    "One row per webhook event; a repeated or replayed event adds none.",
    column("customer", Text(), "Customer that the workspace belongs to.", null=False),
    key("source", "Name of the source in roomledger.toml that received the webhook."),
    key("event_id", "The vendor's event id; a replay has the same."),
    column("type", Text(), "Event type as received, known or not.", null=False),
    column("occurred_at", Timestamp, "When it happened, as the vendor reports."),
    column("is_replay", Boolean(), "Whether only a replay of the event was received.", null=False),
    column("account_id", Text(), "The vendor's account id."),
    column("app_id", Text(), "The vendor's app id."),
    column("room_id", Text(), "Room."),
    column("room_name", Text(), "Name of the room at that time."),
    column("session_id", Text(), "Session."),
    column("template_id", Text(), "Template of the room."),
    column("peer_id", Text(), "Peer of the event; the recorder itself in events of a recorder."),
    column("user_id", Text(), "The customer's own id of that peer."),
    column("user_name", Text(), "Display name of that peer."),
    column("role", Text(), "Role of that peer."),
    column("is_recorder", Boolean(), "Whether that peer is the vendor's recorder; null without a peer."),
    column("beam_id", Text(), "Recorder (beam) id."),
    column("job_id", Text(), "Job id in webhooks; may differ from the API's job id."),
    column("recording_id", Text(), "Recording id in webhooks."),
    column("transcription_id", Text(), "Transcription id."),
    column("session_started_at", Timestamp, "When the session started."),
    column("session_stopped_at", Timestamp, "When the session ended."),
    column("joined_at", Timestamp, "When the peer joined."),
    column("left_at", Timestamp, "When the peer left."),
    column("started_at", Timestamp, "When the recording or live stream started."),
    column("stopped_at", Timestamp, "When it stopped."),
    column("duration_s", Double(), "Duration in seconds, of the session, stay or recording."),
    column("reason", Text(), "Why a peer left, a recorder stopped or a room was ended."),
    column("planned_types", Json, "List of the asset types that the recorder was configured to produce."),
    column("outcome", Text(), "started, ended, succeeded or failed; null when the type does not imply one."),
    column("error_type", Text(), "The vendor's error type."),
    column("error_message", Text(), "The vendor's error message."),
    column("record", Json, "The event as received, secrets removed.", null=False),
    column("record_sha256", Text(), "SHA-256 of that record's canonical JSON, hex.", null=False),
    column("received_at", Timestamp, "When the endpoint stored it in the inbox.", null=False),
    column("ingested_at", Timestamp, "When it was ingested.", null=False),
    indexes=("session_id", "beam_id", "recording_id"),
)

event_assets = define_table(
    "event_assets",
    "One row per asset in a webhook event; several events may name the same asset.",
    column("customer", Text(), "Customer that the workspace belongs to.", null=False),
    key("source", "Name of the source in roomledger.toml that received the webhook."),
    key("event_id", "Event that names it (vendor_events)."),
    column("ordinal", BigInteger(), "Number in its event, from 1.", null=False, primary_key=True, autoincrement=False),
    column("asset_type", Text(), "room-composite, track, chat, …", null=False),
    column("status", Text(), "completed, failed, or processing for the output of a running transcription.", null=False),
    column("asset_id", Text(), "The vendor's asset id, if the event names it."),
    column("room_id", Text(), "Room."),
    column("session_id", Text(), "Session."),
    column("recording_id", Text(), "Recording id in webhooks."),
    column("job_id", Text(), "Job id in webhooks."),
    column("beam_id", Text(), "Recorder (beam) id."),
    column("transcription_id", Text(), "Transcription id."),
    column("uri", Text(), "Address of its object; null if the event names none."),
    column("size_bytes", BigInteger(), "Size in bytes, as the event reports."),
    column("duration_s", Double(), "Duration in seconds."),
    column("created_at", Timestamp, "When the asset was created."),
    column("started_at", Timestamp, "When its recording started."),
    column("stopped_at", Timestamp, "When its recording stopped."),
    *media_columns(),
    column("error_type", Text(), "The vendor's error type."),
    column("error_message", Text(), "The vendor's error message."),
    column("thumbnails", Json, "List of the addresses of its thumbnails."),
    column("recorder_id", Text(), "Its recorder, recording or event (event_recordings).", null=False),
    column("occurred_at", Timestamp, "When the event happened, as the vendor reports."),
    column("ingested_at", Timestamp, "When it was ingested.", null=False),
    indexes=("asset_id", "recorder_id", "uri", "session_id", "recording_id"),
)

event_sessions = define_table(
    "event_sessions",
    "One row per session in webhook events: their combined state.",
    *source_columns("Name of the source in roomledger.toml that received the webhooks."),
    key("session_id", "100ms session id."),
    column("room_id", Text(), "Room of the session."),
    column("room_name", Text(), "Name of the room."),
    column("started_at", Timestamp, "When it started."),
    column("ended_at", Timestamp, "When it ended; null while no event reports it."),
    column("first_ingested_at", Timestamp, "When an event that names it was first ingested.", null=False),
    indexes=("room_id",),
)

event_peers = define_table(
    "event_peers",
    "One row per stay of a peer in webhook events: their combined state.",
    *source_columns("Name of the source in roomledger.toml that received the webhooks."),
    key("session_id", "Session of the stay."),
    key("peer_id", "100ms peer id, new on every join."),
    column("user_id", Text(), "The customer's own id of the person."),
    column("name", Text(), "Display name of the peer."),
    column("role", Text(), "Role of the peer."),
    column("joined_at", Timestamp, "When the peer joined."),
    column("left_at", Timestamp, "When the peer left; null while no event reports it."),
    column("is_recorder", Boolean(), "Whether it is the vendor's recorder.", null=False),
    column("first_ingested_at", Timestamp, "When an event that names it was first ingested.", null=False),
    indexes=("user_id",),
)

event_recordings = define_table(
    "event_recordings",
    "One row per recorder in webhook events: their combined state.",
    *source_columns("Name of the source in roomledger.toml that received the webhooks."),
    key("recorder_id", "The recorder (beam_id), else the recording (recording_id), else the event (event_id)."),
    column("kind", Text(), "recording, live-stream, or legacy for the old recorder.", null=False),
    column("beam_id", Text(), "Recorder (beam) id."),
    column("job_id", Text(), "Job id in webhooks."),
    column("recording_id", Text(), "Recording id in webhooks."),
    column("room_id", Text(), "Room."),
    column("session_id", Text(), "Session."),
    column("status", Text(), "running, post_processing, completed or failed, from all events.", null=False),
    column(
        "planned_types",
        Json,
        "List of the asset types that it was configured to produce; null while no event reports it.",
    ),
    column("started_at", Timestamp, "When it started."),
    column("stopped_at", Timestamp, "When it stopped."),
    column("error_type", Text(), "The vendor's error type."),
    column("error_message", Text(), "The vendor's error message."),
    column("first_ingested_at", Timestamp, "When an event that names it was first ingested.", null=False),
    column(
        "api_job_id", Text(), "Matching job in the API: the one with the same id, or one that names the same object."
    ),
    indexes=("api_job_id", "session_id", "recording_id"),
)

WEBHOOK_EVENTS = (vendor_events, event_assets)
"""Events as received."""
EVENT_SUMMARIES = (event_sessions, event_peers, event_recordings)
"""Their summaries."""
