"""Rows of rooms, sessions, peers, recordings and asset records, read from the JSON objects of the vendor's REST API.

The fields of a row are the columns of its table in order, without those that storing adds. Only a value without an id,
or one that is not an object, is rejected. A field of a wrong type gives null and stays in `record`, as do all fields
without a column. All values are redacted. The shapes are those of the vendor documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from roomledger.hundredms import fields
from roomledger.hundredms.fields import INT32, MAX_BYTES, Json
from roomledger.model import Rejected

_TYPE_ALIASES = {"chat-log": "chat", "chat_log": "chat"}
_JOB_FIELDS = (("job_id", "id"), ("room_id", "room_id"), ("session_id", "session_id"))

_Row = TypeVar("_Row")


class Room(NamedTuple):
    """A row of `room_records`."""

    room_id: str
    name: str | None
    description: str | None
    enabled: bool | None
    template_id: str | None
    template: str | None
    region: str | None
    recording_enabled: bool | None
    storage_type: str | None
    storage_location: str | None
    storage_prefix: str | None
    created_at: datetime | None
    updated_at: datetime | None
    record: str
    record_sha256: str


class Session(NamedTuple):
    """A row of `sessions`; `ended_at` also depends on the peers, which `record` leaves out."""

    session_id: str
    room_id: str | None
    active: bool | None
    started_at: datetime | None
    ended_at: datetime | None
    record: str
    record_sha256: str


class Peer(NamedTuple):
    """A row of `peers`."""

    session_id: str
    peer_id: str
    user_id: str | None
    name: str | None
    role: str | None
    joined_at: datetime | None
    left_at: datetime | None
    is_recorder: bool
    record: str
    record_sha256: str


class Recording(NamedTuple):
    """A row of `recordings`: a job of any kind; `planned_types` is JSON text, `record` leaves its assets out."""

    job_id: str
    kind: str
    room_id: str | None
    session_id: str | None
    status: str | None
    planned_types: str
    created_at: datetime | None
    started_at: datetime | None
    stopped_at: datetime | None
    updated_at: datetime | None
    started_by: str | None
    stopped_by: str | None
    record: str
    record_sha256: str


class AssetRecord(NamedTuple):
    """A row of `asset_records`; `metadata` (of an object) and `thumbnails` (of a list) are JSON text."""

    asset_id: str
    job_id: str | None
    room_id: str | None
    session_id: str | None
    asset_type: str | None
    raw_type: str | None
    uri: str | None
    status: str | None
    size_bytes: int | None
    duration_s: float | None
    created_at: datetime | None
    peer_id: str | None
    user_id: str | None
    stream_id: str | None
    stream_type: str | None
    track_id: str | None
    track_type: str | None
    width: int | None
    height: int | None
    layer: str | None
    num_layers: int | None
    output_mode: str | None
    metadata: str | None
    thumbnails: str | None
    record: str
    record_sha256: str


def is_final(status: str | None) -> bool:
    """Tell whether this status of an asset or job is final; unknown ones are pending. A final job may get assets."""
    return status in ("completed", "failed")


def room(value: Any) -> Room:
    """Read a room. Raises Rejected."""
    clean = fields.sanitize(value, "room")
    recording_info = fields.inner(clean, "recording_info")
    storage = fields.inner(recording_info, "upload_info")
    return Room(
        fields.identity(clean, "room"),
        fields.text(clean, "name"),
        fields.text(clean, "description"),
        fields.flag(clean, "enabled"),
        fields.text(clean, "template_id"),
        fields.text(clean, "template"),
        fields.text(clean, "region"),
        fields.flag(recording_info, "enabled"),
        fields.text(storage, "type"),
        fields.text(storage, "location"),
        fields.text(storage, "prefix"),
        fields.time(clean, "created_at"),
        fields.time(clean, "updated_at"),
        *fields.record(clean),
    )


def session(value: Any) -> tuple[Session, list[Peer]]:
    """Read a session and its peers. Raises Rejected for the session.

    A peer that is rejected, or repeats the id of another one, stays in the session's record. A session ends only when
    the vendor reports it as inactive.
    """
    clean = fields.sanitize(value, "session")
    session_id = fields.identity(clean, "session")
    peers, rejected = _read_entries(
        clean.pop("peers", None), lambda entry, key: _peer(entry, key, session_id), lambda peer: peer.peer_id
    )
    if rejected:
        clean["peers"] = rejected
    active = fields.flag(clean, "active")
    left = [peer.left_at for peer in peers if peer.left_at]
    ended = None
    if active is False:
        all_left = bool(peers) and not rejected and len(left) == len(peers)
        ended = max(left) if all_left else fields.time(clean, "updated_at")
    room_id, started = fields.indexed(clean, "room_id"), fields.time(clean, "created_at")
    return Session(session_id, room_id, active, started, ended, *fields.record(clean)), peers


def recording(value: Any, kind: str) -> tuple[Recording, list[AssetRecord]]:
    """Read a job of kind `recording`, `live-stream` or `external-stream`, and the assets it names. Raises Rejected.

    An asset gives the same row as in the list of assets. One that is rejected, or repeats the id of another one, stays
    in the job's record.
    """
    job = dict(fields.require_object(value, kind))
    assets, rejected = _read_entries(
        job.pop("recording_assets", None), lambda entry, _: asset(_with_job(entry, job)), lambda row: row.asset_id
    )
    if rejected:
        job["recording_assets"] = rejected
    clean = fields.sanitize(job, kind)
    row = Recording(
        fields.identity(clean, kind),
        kind,
        fields.indexed(clean, "room_id"),
        fields.indexed(clean, "session_id"),
        fields.text(clean, "status"),
        fields.canonical(_PLANNED[kind](clean)),
        fields.time(clean, "created_at"),
        fields.time(clean, "started_at"),
        fields.time(clean, "stopped_at"),
        fields.time(clean, "updated_at"),
        fields.text(clean, "started_by"),
        fields.text(clean, "stopped_by"),
        *fields.record(clean),
    )
    return row, assets


def asset(value: Any) -> AssetRecord:
    """Read a recording asset. Raises Rejected."""
    clean = fields.sanitize(value, "asset")
    metadata = fields.inner(clean, "metadata")
    size = fields.inner(metadata, "resolution")
    thumbnails = clean.get("thumbnails")
    raw_type = fields.text(clean, "type")
    return AssetRecord(
        fields.identity(clean, "asset"),
        fields.indexed(clean, "job_id"),
        fields.indexed(clean, "room_id"),
        fields.indexed(clean, "session_id"),
        _TYPE_ALIASES.get(raw_type, raw_type) if raw_type else None,
        raw_type,
        fields.uri(value, clean, "path"),
        fields.text(clean, "status"),
        fields.whole(clean, "size", MAX_BYTES),
        fields.seconds(clean, "duration"),
        fields.time(clean, "created_at"),
        fields.text(metadata, "peer_id"),
        fields.text(metadata, "user_id"),
        fields.text(metadata, "stream_id"),
        fields.text(metadata, "stream_type") or fields.text(metadata, "type"),
        fields.text(metadata, "track_id"),
        fields.text(metadata, "track_type"),
        _first(fields.whole(size, "width", INT32), fields.whole(metadata, "max_width", INT32)),
        _first(fields.whole(size, "height", INT32), fields.whole(metadata, "max_height", INT32)),
        fields.text(metadata, "layer"),
        fields.whole(metadata, "num_layers", INT32),
        fields.text(metadata, "output_mode"),
        fields.canonical(metadata) if isinstance(clean.get("metadata"), dict) else None,
        fields.canonical(thumbnails) if isinstance(thumbnails, list) else None,
        *fields.record(clean),
    )


def _peer(clean: Any, key: str | None, session_id: str) -> Peer:
    fields.require_object(clean, "peer")
    return Peer(
        session_id,
        fields.identity(clean if fields.text(clean, "id") else {"id": key}, "peer"),
        fields.indexed(clean, "user_id"),
        fields.text(clean, "name"),
        fields.text(clean, "role"),
        fields.time(clean, "joined_at"),
        fields.time(clean, "left_at"),
        fields.is_recorder(clean),
        *fields.record(clean),
    )


def _with_job(entry: Any, job: Json) -> Any:
    """Add job, room and session to an asset of a job, as in the list of assets."""
    if not isinstance(entry, dict):
        return entry
    missing = {name: job.get(source) for name, source in _JOB_FIELDS if entry.get(name) in (None, "")}
    return {**entry, **{name: value for name, value in missing.items() if value not in (None, "")}}


def _read_entries(
    entries: Any, read: Callable[[Any, str | None], _Row], identity: Callable[[_Row], str]
) -> tuple[list[_Row], Any]:
    """Read the entries of a list, or of an object by key; return the rows and the entries that gave none."""
    if not isinstance(entries, (dict, list)):
        return [], entries
    rows: dict[str, _Row] = {}
    rejected = []
    for key, entry in entries.items() if isinstance(entries, dict) else ((None, entry) for entry in entries):
        try:
            row = read(entry, key)
        except Rejected:
            rejected.append((key, entry))
        else:
            if rows.setdefault(identity(row), row) != row:
                rejected.append((key, entry))
    return list(rows.values()), dict(rejected) if isinstance(entries, dict) else [entry for _, entry in rejected]


def _planned_recording(job: Json) -> list[str]:
    names = job.get("asset_types")
    texts = [name for name in names if name and isinstance(name, str)] if isinstance(names, list) else []
    return list(dict.fromkeys(_TYPE_ALIASES.get(name, name) for name in texts))


def _planned_live(job: Json) -> list[str]:
    options = fields.inner(job, "recording")
    flags = (("hls_vod", "room-vod"), ("single_file_per_layer", "room-composite"))
    return [asset_type for flag, asset_type in flags if options.get(flag) is True]


_PLANNED: dict[str, Callable[[Json], list[str]]] = {
    "recording": _planned_recording,
    "live-stream": _planned_live,
    "external-stream": lambda job: ["room-composite"] if job.get("recording") is True else [],
}


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one
