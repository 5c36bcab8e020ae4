"""Rows of the vendor's webhook events and of the assets they name: what is kept of a webhook once it has been read.

A row's fields are the columns of its table in the table's order, but for those that are added when it is stored.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Event(NamedTuple):
    """A row of `vendor_events`: one per event id. Nothing in it was not redacted.

    `outcome` is what the event says of its subject, told by the type's last words: `started` (a session opened, a peer
    joined, a recorder, stream or transcription started), `ended` (closed, left, stopped, room ended), `succeeded` (the
    files are made, the change was carried out) or `failed` (also whenever there is an error message, whatever the type
    says); null for a type of another form.
    """

    event_id: str
    type: str
    """As the vendor wrote it; there are more types than are known here."""
    occurred_at: datetime | None
    is_replay: bool
    account_id: str | None
    app_id: str | None
    room_id: str | None
    room_name: str | None
    session_id: str | None
    template_id: str | None
    peer_id: str | None
    """The peer that it is about; the recorder itself in events of a recorder."""
    user_id: str | None
    user_name: str | None
    role: str | None
    is_recorder: bool | None
    """Whether the peer is the vendor's recorder; null in events that are not of peers."""
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
    """Of the session, of the peer's stay, of the recorder's run or of the recording, whichever the event is about."""
    reason: str | None
    """Why a peer left, a recorder stopped or a room was ended."""
    planned_types: str | None
    """JSON list of the asset types that a recorder was asked to make; null where the event does not say it."""
    outcome: str | None
    error_type: str | None
    error_message: str | None
    record: str
    """The whole event as canonical JSON, secrets removed."""
    record_sha256: str


class NamedAsset(NamedTuple):
    """A row of `event_assets`: one per asset that an event names.

    `status` is `completed`, `failed`, or `processing` for what a transcription that has started will make.
    """

    event_id: str
    ordinal: int
    """Number of the asset in its event, from 1."""
    asset_type: str
    status: str
    asset_id: str | None = None
    """The vendor's asset id: only the layers of a live stream, transcripts and summaries come with one."""
    room_id: str | None = None
    session_id: str | None = None
    recording_id: str | None = None
    job_id: str | None = None
    beam_id: str | None = None
    transcription_id: str | None = None
    uri: str | None = None
    """Address of its object; null where the event names none or one that held a secret."""
    size_bytes: int | None = None
    duration_s: float | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    """When the recording started that it belongs to."""
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
    """Layer of a live stream's composite; 0 is the best."""
    num_layers: int | None = None
    output_mode: str | None = None
    """json, srt or txt of a transcript or summary, by the name of the field that names it."""
    error_type: str | None = None
    error_message: str | None = None
    thumbnails: str | None = None
    """JSON list of the addresses of its thumbnails."""
