"""Webhooks of the vendor, read: one event and the assets that it names, out of the body of one request.

Only what is no event is refused: no object, or one without an id, a type or data. Any other field of a wrong type gives
null and stays in `record`, as do all fields that have no column. The shapes are those of the vendor documentation,
which does not agree with itself: see `_outcome`, `_error_message` and `_of_peer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from roomledger.hundredms import fields
from roomledger.hundredms.events import Event, NamedAsset
from roomledger.hundredms.fields import INT32, INT64, Json
from roomledger.model import Rejected

_BEGUN, _OVER = ("open", "join", "started"), ("close", "leave", "stopped", "end")
_FAILED = ("failure", "failed")
_STATUS = {"failed": "failed", "started": "processing"}

_PLANNED = (
    ("recording_enabled", "room-composite"),
    ("recording_vod_playlist_enabled", "room-vod"),
    ("recording_single_file_per_layer_enabled", "room-composite"),
)
_TRANSCRIBED = (("transcript", "json"), ("transcript", "srt"), ("transcript", "txt"), ("summary", "json"))


def decode(said: Any) -> tuple[Event, list[NamedAsset]]:
    """Decode the JSON value of a webhook's body, from which `redact_body` took the secrets. Raises Rejected."""
    kept = fields.storable(said, "event")
    event_id = fields.identity(kept, "event")
    type_, data = fields.indexed(kept, "type"), kept.get("data")
    if type_ is None:
        raise Rejected("type_missing", "The vendor's event has no type, or one that is far too long.")
    if not isinstance(data, dict):
        raise Rejected("data_missing", f"The vendor's event of type {type_} has no object as its data.")
    error_message = _error_message(data)
    record, record_sha256 = fields.record(kept)
    row = Event(
        event_id=event_id,
        type=type_,
        occurred_at=fields.time(kept, "timestamp"),
        is_replay=fields.flag(kept, "is_replay") is True,
        account_id=fields.indexed(kept, "account_id") or fields.indexed(data, "account_id"),
        app_id=fields.indexed(kept, "app_id") or fields.indexed(data, "app_id"),
        room_id=fields.indexed(data, "room_id"),
        room_name=fields.text(data, "room_name"),
        session_id=fields.indexed(data, "session_id"),
        template_id=fields.indexed(data, "template_id") or fields.indexed(kept, "template_id"),
        peer_id=fields.indexed(data, "peer_id"),
        user_id=fields.indexed(data, "user_id"),
        user_name=fields.text(data, "user_name"),
        role=fields.text(data, "role"),
        is_recorder=fields.is_recorder(data) if type_.startswith("peer.") else None,
        beam_id=fields.indexed(data, "beam_id"),
        job_id=fields.indexed(data, "job_id"),
        recording_id=fields.indexed(data, "recording_id"),
        transcription_id=fields.indexed(data, "transcription_id"),
        session_started_at=fields.time(data, "session_started_at"),
        session_stopped_at=fields.time(data, "session_stopped_at"),
        joined_at=fields.time(data, "joined_at"),
        left_at=fields.time(data, "left_at"),
        started_at=fields.time(data, "started_at"),
        stopped_at=fields.time(data, "stopped_at"),
        duration_s=fields.seconds(data, "session_duration" if "session_duration" in data else "duration"),
        reason=fields.text(data, "reason"),
        planned_types=_planned_types(data),
        outcome=_outcome(type_, error_message),
        error_type=fields.text(data, "error_type"),
        error_message=error_message,
        record=record,
        record_sha256=record_sha256,
    )
    return row, _assets(row, said["data"], data)


def _outcome(type_: str, error_message: str | None) -> str | None:
    """Tell what the event says; the error message goes before the type: one of a failed track may end in `success`."""
    subject, _, ending = type_.rpartition(".")
    if error_message or ending in _FAILED:
        return "failed"
    if ending != "success":
        return None
    last = subject.rpartition(".")[2]
    return "started" if last in _BEGUN else "ended" if last in _OVER else "succeeded"


def _error_message(data: Json) -> str | None:
    """Take the error message, which `recording.failed` calls `error`; a number in such a place is no message."""
    found = (data.get(name) for name in ("error_message", "error"))
    return next((message for message in found if isinstance(message, str) and message), None)


def _planned_types(data: Json) -> str | None:
    told = [(asset_type, data[name]) for name, asset_type in _PLANNED if fields.flag(data, name) is not None]
    return fields.canonical([*dict.fromkeys(asset_type for asset_type, wanted in told if wanted)]) if told else None


def _assets(row: Event, said: Json, data: Json) -> list[NamedAsset]:
    asset_type, read = _READERS.get(row.type.rpartition(".")[0], (None, None))
    if not asset_type or not read or not row.outcome:
        return []
    failed = row.outcome == "failed"
    first = NamedAsset(
        event_id=row.event_id,
        ordinal=1,
        asset_type=asset_type,
        status=_STATUS.get(row.outcome, "completed"),
        room_id=row.room_id,
        session_id=row.session_id,
        recording_id=row.recording_id,
        job_id=row.job_id,
        beam_id=row.beam_id,
        transcription_id=row.transcription_id,
        started_at=row.started_at,
        stopped_at=row.stopped_at,
        error_type=row.error_type if failed else None,
        error_message=row.error_message if failed else None,
    )
    return [asset._replace(ordinal=ordinal) for ordinal, asset in enumerate(read(said, data, first), 1)]


def _recording(said: Json, data: Json, row: NamedAsset) -> Iterator[NamedAsset]:
    """The file of a recorder, which is named by the type of the event even where there is none; and the chat."""
    yield row._replace(
        uri=fields.uri(said, data, "recording_path"),
        size_bytes=fields.whole(data, "size", INT64),
        duration_s=fields.seconds(data, "duration"),
        created_at=fields.time(data, "created_at"),
        width=fields.whole(data, "max_width", INT32),
        height=fields.whole(data, "max_height", INT32),
    )
    yield from _chat(said, data, row)


def _live_stream(said: Json, data: Json, row: NamedAsset) -> Iterator[NamedAsset]:
    """The VOD with the thumbnails, a file for each layer, and the chat, whichever of them there are."""
    row = row._replace(
        duration_s=fields.seconds(data, "duration"), created_at=fields.time(data, "recording_created_at")
    )
    if fields.text(data, "hls_vod_recording_path"):
        yield row._replace(
            asset_type="room-vod",
            uri=fields.uri(said, data, "hls_vod_recording_path"),
            size_bytes=fields.whole(data, "hls_vod_recording_size", INT64),
            width=fields.whole(data, "max_width", INT32),
            height=fields.whole(data, "max_height", INT32),
            num_layers=fields.whole(data, "num_layers", INT32),
            thumbnails=_thumbnails(said, data),
        )
    for file_said, file in _entries(said, data, "recording_single_files"):
        asset_id = fields.indexed(file, "asset_id")
        if asset_id or fields.text(file, "recording_path"):
            yield row._replace(
                asset_id=asset_id,
                uri=fields.uri(file_said, file, "recording_path"),
                size_bytes=fields.whole(file, "size", INT64),
                width=fields.whole(file, "width", INT32),
                height=fields.whole(file, "height", INT32),
                layer=fields.text(file, "layer"),
            )
    yield from _chat(said, data, row._replace(duration_s=None, created_at=None))


def _of_peer(said: Json, data: Json, row: NamedAsset) -> Iterator[NamedAsset]:
    """The file of a track or stream; a stream's kind stands under one of two names."""
    stream_type = fields.text(data, "stream_type")
    yield row._replace(
        uri=fields.uri(said, data, "recording_path"),
        size_bytes=fields.whole(data, "size", INT64),
        duration_s=fields.seconds(data, "duration"),
        peer_id=fields.indexed(data, "peer_id"),
        user_id=fields.indexed(data, "user_id"),
        stream_id=fields.indexed(data, "stream_id"),
        stream_type=stream_type or (fields.text(data, "type") if row.asset_type == "stream" else None),
        track_id=fields.indexed(data, "track_id"),
        track_type=fields.text(data, "track_type"),
    )


def _transcription(said: Json, data: Json, row: NamedAsset) -> Iterator[NamedAsset]:
    """The transcript in each of its forms, and the summary; the extension of a path says nothing of its form."""
    for asset_type, output_mode in _TRANSCRIBED:
        name = f"{asset_type}_{output_mode}"
        asset_id, path = fields.indexed(data, f"{name}_asset_id"), f"{name}_path"
        if asset_id or fields.text(data, path):
            yield (_made(row) if fields.text(data, path) else row)._replace(
                asset_type=asset_type,
                asset_id=asset_id,
                uri=fields.uri(said, data, path),
                duration_s=fields.seconds(data, "duration"),
                output_mode=output_mode,
            )


def _chat(said: Json, data: Json, row: NamedAsset) -> Iterator[NamedAsset]:
    if fields.text(data, "chat_recording_path"):
        yield _made(row)._replace(asset_type="chat", uri=fields.uri(said, data, "chat_recording_path"))


def _made(row: NamedAsset) -> NamedAsset:
    """What has a path of its own was made, though what it belongs to may have failed."""
    if row.status != "failed":
        return row
    return row._replace(status="completed", error_type=None, error_message=None)


def _thumbnails(said: Json, data: Json) -> str | None:
    if not isinstance(data.get("recording_thumbnails"), list):
        return None
    found = (fields.uri(one_said, one, "location") for one_said, one in _entries(said, data, "recording_thumbnails"))
    return fields.canonical([address for address in found if address])


def _entries(said: Json, data: Json, name: str) -> Iterator[tuple[Json, Json]]:
    """Give the objects of a list, each as it came and as it may be kept."""
    found = data.get(name)
    if isinstance(found, list):
        for one_said, one in zip(said[name], found, strict=True):
            if isinstance(one, dict):
                yield one_said, one


_READERS: dict[str, tuple[str, Callable[[Json, Json, NamedAsset], Iterator[NamedAsset]]]] = {
    "beam.recording": ("room-composite", _recording),
    "recording": ("room-composite-legacy", _recording),
    "hls.recording": ("room-composite", _live_stream),
    "track.recording": ("track", _of_peer),
    "stream.recording": ("stream", _of_peer),
    "transcription.started": ("transcript", _transcription),
    "transcription": ("transcript", _transcription),
}
"""How the assets of an event are read, by its type without the last word, and of which type they are at first."""
