"""Decoding of the vendor's webhooks: the body of one request gives one event and the assets that it names.

Only a body that is not an event is rejected: not an object, or without id, type or data. Any other field of a wrong
type gives null and stays in `record`, as do all fields without a column. The shapes are those of the vendor
documentation, which contradicts itself: see `_outcome`, `_error_message` and `_peer_media`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from roomledger.hundredms import fields
from roomledger.hundredms.events import Event, NamedAsset
from roomledger.hundredms.fields import INT32, MAX_BYTES, Json
from roomledger.model import Rejected

_STARTED, _ENDED = ("open", "join", "started"), ("close", "leave", "stopped", "end")
_FAILED = ("failure", "failed")
_STATUS = {"failed": "failed", "started": "processing"}

_IDS = ("room_id", "session_id", "recording_id", "job_id", "beam_id", "transcription_id")
_SAME_NAME: dict[Callable[[Json, str], Any], tuple[str, ...]] = {
    fields.indexed: (*_IDS, "peer_id", "user_id"),
    fields.text: ("room_name", "user_name", "role", "reason", "error_type"),
    fields.time: ("session_started_at", "session_stopped_at", "joined_at", "left_at", "started_at", "stopped_at"),
}
"""Columns of an event with the name of their field, by the function that reads them."""

_PLANNED = (
    ("recording_enabled", "room-composite"),
    ("recording_vod_playlist_enabled", "room-vod"),
    ("recording_single_file_per_layer_enabled", "room-composite"),
)
_TRANSCRIBED = (("transcript", "json"), ("transcript", "srt"), ("transcript", "txt"), ("summary", "json"))


def decode(body: Any) -> tuple[Event, list[NamedAsset]]:
    """Decode the JSON value of a webhook's body, redacted by `redact_body`. Raises Rejected."""
    event = fields.storable(body, "event")
    event_id = fields.identity(event, "event")
    type_, data = fields.indexed(event, "type"), event.get("data")
    if type_ is None:
        raise Rejected("type_missing", "The vendor's event has no type, or its type is too long.")
    if not isinstance(data, dict):
        raise Rejected("data_missing", f"The data of the vendor's event of type {type_} is not an object.")
    error_message = _error_message(data)
    record, record_sha256 = fields.record(event)
    row = Event(
        event_id=event_id,
        type=type_,
        occurred_at=fields.time(event, "timestamp"),
        is_replay=fields.flag(event, "is_replay") is True,
        account_id=fields.indexed(event, "account_id") or fields.indexed(data, "account_id"),
        app_id=fields.indexed(event, "app_id") or fields.indexed(data, "app_id"),
        template_id=fields.indexed(data, "template_id") or fields.indexed(event, "template_id"),
        is_recorder=fields.is_recorder(data) if type_.startswith("peer.") else None,
        duration_s=fields.seconds(data, "session_duration" if "session_duration" in data else "duration"),
        planned_types=_planned_types(data),
        outcome=_outcome(type_, error_message),
        error_message=error_message,
        record=record,
        record_sha256=record_sha256,
        **{name: read(data, name) for read, names in _SAME_NAME.items() for name in names},
    )
    return row, _assets(row, body["data"], data)


def _outcome(type_: str, error_message: str | None) -> str | None:
    """Return the outcome; an error message overrides the type, which may end in `success` for a failed track."""
    subject, _, ending = type_.rpartition(".")
    if error_message or ending in _FAILED:
        return "failed"
    if ending != "success":
        return None
    last = subject.rpartition(".")[2]
    return "started" if last in _STARTED else "ended" if last in _ENDED else "succeeded"


def _error_message(data: Json) -> str | None:
    """Return the error message, which `recording.failed` calls `error`; a number is not a message."""
    messages = (data.get(name) for name in ("error_message", "error"))
    return next((message for message in messages if isinstance(message, str) and message), None)


def _planned_types(data: Json) -> str | None:
    flags = [(asset_type, data[name]) for name, asset_type in _PLANNED if fields.flag(data, name) is not None]
    return fields.canonical([*dict.fromkeys(asset_type for asset_type, planned in flags if planned)]) if flags else None


def _assets(row: Event, raw: Json, data: Json) -> list[NamedAsset]:
    asset_type, read = _READERS.get(row.type.rpartition(".")[0], (None, None))
    if not asset_type or not read or not row.outcome:
        return []
    failed = row.outcome == "failed"
    first = NamedAsset(
        event_id=row.event_id,
        ordinal=1,
        asset_type=asset_type,
        status=_STATUS.get(row.outcome, "completed"),
        error_type=row.error_type if failed else None,
        error_message=row.error_message if failed else None,
        **{name: getattr(row, name) for name in (*_IDS, "started_at", "stopped_at")},
    )
    return [asset._replace(ordinal=ordinal) for ordinal, asset in enumerate(read(raw, data, first), 1)]


def _recording(raw: Json, data: Json, row: NamedAsset) -> Iterator[NamedAsset]:
    """The recorder's file, which the event type implies even without a path, and the chat."""
    yield row._replace(
        uri=fields.uri(raw, data, "recording_path"),
        size_bytes=fields.whole(data, "size", MAX_BYTES),
        duration_s=fields.seconds(data, "duration"),
        created_at=fields.time(data, "created_at"),
        width=fields.whole(data, "max_width", INT32),
        height=fields.whole(data, "max_height", INT32),
    )
    yield from _chat(raw, data, row)


def _live_stream(raw: Json, data: Json, row: NamedAsset) -> Iterator[NamedAsset]:
    """The VOD with its thumbnails, one file per layer, and the chat, as far as the event names them."""
    row = row._replace(
        duration_s=fields.seconds(data, "duration"), created_at=fields.time(data, "recording_created_at")
    )
    if fields.text(data, "hls_vod_recording_path"):
        yield row._replace(
            asset_type="room-vod",
            uri=fields.uri(raw, data, "hls_vod_recording_path"),
            size_bytes=fields.whole(data, "hls_vod_recording_size", MAX_BYTES),
            width=fields.whole(data, "max_width", INT32),
            height=fields.whole(data, "max_height", INT32),
            num_layers=fields.whole(data, "num_layers", INT32),
            thumbnails=_thumbnails(raw, data),
        )
    for raw_file, file in _entries(raw, data, "recording_single_files"):
        asset_id = fields.indexed(file, "asset_id")
        if asset_id or fields.text(file, "recording_path"):
            yield row._replace(
                asset_id=asset_id,
                uri=fields.uri(raw_file, file, "recording_path"),
                size_bytes=fields.whole(file, "size", MAX_BYTES),
                width=fields.whole(file, "width", INT32),
                height=fields.whole(file, "height", INT32),
                layer=fields.text(file, "layer"),
            )
    yield from _chat(raw, data, row._replace(duration_s=None, created_at=None))


def _peer_media(raw: Json, data: Json, row: NamedAsset) -> Iterator[NamedAsset]:
    """The file of a track or stream; one of two fields holds the type of a stream."""
    stream_type = fields.text(data, "stream_type")
    yield row._replace(
        uri=fields.uri(raw, data, "recording_path"),
        size_bytes=fields.whole(data, "size", MAX_BYTES),
        duration_s=fields.seconds(data, "duration"),
        peer_id=fields.indexed(data, "peer_id"),
        user_id=fields.indexed(data, "user_id"),
        stream_id=fields.indexed(data, "stream_id"),
        stream_type=stream_type or (fields.text(data, "type") if row.asset_type == "stream" else None),
        track_id=fields.indexed(data, "track_id"),
        track_type=fields.text(data, "track_type"),
    )


def _transcription(raw: Json, data: Json, row: NamedAsset) -> Iterator[NamedAsset]:
    """The transcript in each output mode, and the summary; the extension of a path does not tell the output mode."""
    for asset_type, output_mode in _TRANSCRIBED:
        name = f"{asset_type}_{output_mode}"
        asset_id, path = fields.indexed(data, f"{name}_asset_id"), f"{name}_path"
        if asset_id or fields.text(data, path):
            yield (_completed(row) if fields.text(data, path) else row)._replace(
                asset_type=asset_type,
                asset_id=asset_id,
                uri=fields.uri(raw, data, path),
                duration_s=fields.seconds(data, "duration"),
                output_mode=output_mode,
            )


def _chat(raw: Json, data: Json, row: NamedAsset) -> Iterator[NamedAsset]:
    if fields.text(data, "chat_recording_path"):
        yield _completed(row)._replace(asset_type="chat", uri=fields.uri(raw, data, "chat_recording_path"))


def _completed(row: NamedAsset) -> NamedAsset:
    """Mark an asset with its own path as completed, even if its recording or transcription failed."""
    if row.status != "failed":
        return row
    return row._replace(status="completed", error_type=None, error_message=None)


def _thumbnails(raw: Json, data: Json) -> str | None:
    if not isinstance(data.get("recording_thumbnails"), list):
        return None
    entries = _entries(raw, data, "recording_thumbnails")
    uris = (fields.uri(raw_entry, entry, "location") for raw_entry, entry in entries)
    return fields.canonical([uri for uri in uris if uri])


def _entries(raw: Json, data: Json, name: str) -> list[tuple[Json, Json]]:
    """Return the objects of a list, each as received and as sanitized."""
    if not isinstance(data.get(name), list):
        return []
    return [pair for pair in zip(raw[name], data[name], strict=True) if isinstance(pair[1], dict)]


_READERS: dict[str, tuple[str, Callable[[Json, Json, NamedAsset], Iterator[NamedAsset]]]] = {
    "beam.recording": ("room-composite", _recording),
    "recording": ("room-composite-legacy", _recording),
    "hls.recording": ("room-composite", _live_stream),
    "track.recording": ("track", _peer_media),
    "stream.recording": ("stream", _peer_media),
    "transcription.started": ("transcript", _transcription),
    "transcription": ("transcript", _transcription),
}
"""By the event type without its last part: the type of the first asset, and the reader of all assets."""
