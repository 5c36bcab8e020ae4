"""Rows of rooms, sessions, peers, recordings and asset records, read from the JSON objects of the vendor's REST API.

A row's fields are the columns of its table in the table's order, but for those that are added when it is stored. Only
what has no id, or is no object, is refused; any other field of a wrong type gives null and stays in `record`, as do
all fields that have no column. Nothing in a row was not redacted. The shapes are those of the vendor documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from roomledger.hundredms import fields
from roomledger.hundredms.fields import INT32, INT64, Json
from roomledger.hundredms.fields import MAX_INDEXED_BYTES as MAX_INDEXED_BYTES  # who reads records meets these two, too
from roomledger.model import Rejected as Rejected

_FINAL = ("completed", "failed")
_TYPES = {"chat-log": "chat", "chat_log": "chat"}
_OF_JOB = (("job_id", "id"), ("room_id", "room_id"), ("session_id", "session_id"))

_Row = TypeVar("_Row")


class Room(NamedTuple):
    """A row of `rooms`."""

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
    """A row of `sessions`; `ended_at` comes from the peers, too, which `record` leaves out."""

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


def final_asset(status: str | None) -> bool:
    """Tell whether an asset of this status is done; unknown statuses are pending."""
    return status in _FINAL


def final_job(status: str | None) -> bool:
    """Tell whether a job of this status is done; its assets may still come, and unknown statuses are pending."""
    return status in _FINAL


def room(said: Any) -> Room:
    """Read a room. Raises Rejected."""
    kept = fields.keep(said, "room")
    recorded = fields.inner(kept, "recording_info")
    storage = fields.inner(recorded, "upload_info")
    return Room(
        fields.identity(kept, "room"),
        fields.text(kept, "name"),
        fields.text(kept, "description"),
        fields.flag(kept, "enabled"),
        fields.text(kept, "template_id"),
        fields.text(kept, "template"),
        fields.text(kept, "region"),
        fields.flag(recorded, "enabled"),
        fields.text(storage, "type"),
        fields.text(storage, "location"),
        fields.text(storage, "prefix"),
        fields.time(kept, "created_at"),
        fields.time(kept, "updated_at"),
        *fields.record(kept),
    )


def session(said: Any) -> tuple[Session, list[Peer]]:
    """Read a session and its peers. Raises Rejected for the session.

    A peer that cannot be used, or repeats another's id, stays in the session's record. A session that the vendor does
    not call inactive has no end.
    """
    kept = fields.keep(said, "session")
    session_id = fields.identity(kept, "session")
    peers, rest = _parted(
        kept.pop("peers", None), lambda entry, key: _peer(entry, key, session_id), lambda p: p.peer_id
    )
    if rest:
        kept["peers"] = rest
    active = fields.flag(kept, "active")
    left = [peer.left_at for peer in peers if peer.left_at]
    ended = None
    if active is False:
        all_left = bool(peers) and not rest and len(left) == len(peers)
        ended = max(left) if all_left else fields.time(kept, "updated_at")
    row = Session(
        session_id,
        fields.indexed(kept, "room_id"),
        active,
        fields.time(kept, "created_at"),
        ended,
        *fields.record(kept),
    )
    return row, peers


def recording(said: Any, kind: str) -> tuple[Recording, list[AssetRecord]]:
    """Read a job of kind `recording`, `live-stream` or `external-stream`, and the assets it names. Raises Rejected.

    An asset gives the row that the list of assets gives. One that cannot be used, or repeats another's id, stays in
    the job's record.
    """
    job = dict(fields.given(said, kind))
    assets, rest = _parted(
        job.pop("recording_assets", None), lambda entry, _: asset(_with_job(entry, job)), lambda row: row.asset_id
    )
    if rest:
        job["recording_assets"] = rest
    kept = fields.keep(job, kind)
    row = Recording(
        fields.identity(kept, kind),
        kind,
        fields.indexed(kept, "room_id"),
        fields.indexed(kept, "session_id"),
        fields.text(kept, "status"),
        fields.canonical(_PLANNED[kind](kept)),
        fields.time(kept, "created_at"),
        fields.time(kept, "started_at"),
        fields.time(kept, "stopped_at"),
        fields.time(kept, "updated_at"),
        fields.text(kept, "started_by"),
        fields.text(kept, "stopped_by"),
        *fields.record(kept),
    )
    return row, assets


def asset(said: Any) -> AssetRecord:
    """Read a recording asset. Raises Rejected."""
    kept = fields.keep(said, "asset")
    metadata = fields.inner(kept, "metadata")
    size = fields.inner(metadata, "resolution")
    thumbnails = kept.get("thumbnails")
    raw_type = fields.text(kept, "type")
    return AssetRecord(
        fields.identity(kept, "asset"),
        fields.indexed(kept, "job_id"),
        fields.indexed(kept, "room_id"),
        fields.indexed(kept, "session_id"),
        _TYPES.get(raw_type, raw_type) if raw_type else None,
        raw_type,
        fields.uri(said, kept, "path"),
        fields.text(kept, "status"),
        fields.whole(kept, "size", INT64),
        fields.seconds(kept, "duration"),
        fields.time(kept, "created_at"),
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
        fields.canonical(metadata) if isinstance(kept.get("metadata"), dict) else None,
        fields.canonical(thumbnails) if isinstance(thumbnails, list) else None,
        *fields.record(kept),
    )


def _peer(kept: Any, key: str | None, session_id: str) -> Peer:
    fields.given(kept, "peer")
    return Peer(
        session_id,
        fields.identity(kept if fields.text(kept, "id") else {"id": key}, "peer"),
        fields.indexed(kept, "user_id"),
        fields.text(kept, "name"),
        fields.text(kept, "role"),
        fields.time(kept, "joined_at"),
        fields.time(kept, "left_at"),
        fields.is_recorder(kept),
        *fields.record(kept),
    )


def _with_job(entry: Any, job: Json) -> Any:
    """Give an asset of a job as the list of assets has it: there it names job, room and session."""
    if not isinstance(entry, dict):
        return entry
    lacks = {name: job.get(of) for name, of in _OF_JOB if entry.get(name) in (None, "")}
    return {**entry, **{name: value for name, value in lacks.items() if value not in (None, "")}}


def _parted(
    found: Any, read: Callable[[Any, str | None], _Row], identity: Callable[[_Row], str]
) -> tuple[list[_Row], Any]:
    """Read the entries of a list, or of an object by key, and give with the rows what did not become one."""
    if not isinstance(found, (dict, list)):
        return [], found
    entries = list(found.items()) if isinstance(found, dict) else [(None, entry) for entry in found]
    rows: dict[str, _Row] = {}
    rest = []
    for key, entry in entries:
        try:
            row = read(entry, key)
        except Rejected:
            rest.append((key, entry))
        else:
            if rows.setdefault(identity(row), row) != row:
                rest.append((key, entry))
    return list(rows.values()), dict(rest) if isinstance(found, dict) else [entry for _, entry in rest]


def _planned(found: Any) -> list[str]:
    types = [_TYPES.get(name, name) for name in found if isinstance(name, str)] if isinstance(found, list) else []
    return list(dict.fromkeys(filter(None, types)))


def _planned_live(job: Json) -> list[str]:
    wanted = fields.inner(job, "recording")
    flags = (("hls_vod", "room-vod"), ("single_file_per_layer", "room-composite"))
    return [asset_type for flag, asset_type in flags if wanted.get(flag) is True]


_PLANNED: dict[str, Callable[[Json], list[str]]] = {
    "recording": lambda job: _planned(job.get("asset_types")),
    "live-stream": _planned_live,
    "external-stream": lambda job: ["room-composite"] if job.get("recording") is True else [],
}


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one
