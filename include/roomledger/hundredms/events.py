"""Rows of the vendor's webhook events and of the assets they name.

The fields of a row are the columns of its table in order, without those that storing adds.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Event(NamedTuple):
    """A row of `vendor_events`: one per event id. All values are redacted.

    `outcome` follows from the last parts of the type: `started` (a session opened, a peer joined, a recorder, stream or
    transcription started), `ended` (closed, left, stopped, room ended), `succeeded` (files created, change applied) or
    `failed` (also for any type with an error message); null for a type of another form.
    """

    event_id: str
    type: str
    """As sent by the vendor; unknown types occur."""
    occurred_at: datetime | None
    is_replay: bool
    account_id: str | None
    app_id: str | None
    room_id: str | None
    room_name: str | None
    session_id: str | None
    template_id: str | None
    peer_id: str | None
    """The peer of the event; in events of a recorder the recorder itself."""
    user_id: str | None
    user_name: str | None
    role: str | None
    is_recorder: bool | None
    """Whether the peer is the vendor's recorder; null unless the event is of a peer."""
    beam_id: str | None
    job_id: str | None
    recording_id: str | None
    transcription_id: str | None
    session_started_at: datetime | None
    session_stopped_at: datetime | None
    joined_at: datetime | None
    left_at: datetime | None
    started_at: datetime | None
    """When the recording or live stream started."""
    stopped_at: datetime | None
    duration_s: float | None
    """Duration of the event's subject: session, peer's stay, recorder's run or recording."""
    reason: str | None
    """Why a peer left, a recorder stopped or a room was ended."""
    planned_types: str | None
    """JSON list of the asset types that a recorder shall create; null if the event does not tell."""
    outcome: str | None
    error_type: str | None
    error_message: str | None
    record: str
    """The whole event as canonical JSON, redacted."""
    record_sha256: str


class NamedAsset(NamedTuple):
    """A row of `event_assets`: one per asset that an event names.

    `status` is `completed`, `failed`, or `processing` for the assets of a started transcription.
    """

    event_id: str
    ordinal: int
    """Number of the asset in its event, from 1."""
    asset_type: str
    status: str
    asset_id: str | None = None
    """The vendor's asset id; only layers of a live stream, transcripts and summaries have one in events."""
    room_id: str | None = None
    session_id: str | None = None
    recording_id: str | None = None
    job_id: str | None = None
    beam_id: str | None = None
    transcription_id: str | None = None
    uri: str | None = None
    """URI of its object; null if the event names none or one that held a secret."""
    size_bytes: int | None = None
    duration_s: float | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    """When its recording started."""
    stopped_at: datetime | None = None
    peer_id: str | None = None
    """Peer of a track or stream."""
    user_id: str | None = None
    stream_id: str | None = None
    stream_type: str | None = None
    track_id: str | None = None
    track_type: str | None = None
    width: int | None = None
    height: int | None = None
    layer: str | None = None
    """Layer of a live stream's composite; 0 has the best quality."""
    num_layers: int | None = None
    output_mode: str | None = None
    """json, srt or txt of a transcript or summary, from the name of the field with its path."""
    error_type: str | None = None
    error_message: str | None = None
    thumbnails: str | None = None
    """JSON list of the URIs of its thumbnails."""
