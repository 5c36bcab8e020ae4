"""Rows of rooms, sessions, peers, recordings and asset records, read from the JSON objects of the vendor's REST API.

A row's fields are the columns of its table in the table's order, but for those that are added when it is stored. Only
what has no id, or is no object, is refused; any other field of a wrong type gives null and stays in `record`, as do
all fields that have no column. Nothing in a row was not redacted. The shapes are those of the vendor documentation.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import datetime
from math import isfinite
from typing import Any, NamedTuple, TypeVar

from roomledger.times import parse_rfc3339
from roomledger.vendor.redact import redact

MAX_INDEXED_BYTES = 1280
"""Bytes of the longest id or address, in UTF-8: two of them fit into an entry of a PostgreSQL index (2704 bytes), and
so does the longest address of an object (a bucket of 222 and a key of 1024 bytes on GCS)."""

_FINAL = ("completed", "failed")
_TYPES = {"chat-log": "chat", "chat_log": "chat"}
_RECORDER_ROLE, _RECORDER_USER = "__internal_recorder", "100ms_"
_INT32, _INT64 = (1 << 31) - 1, (1 << 63) - 1
_NO_DOUBLE = 1 << 1023

_UNHELD = re.compile("[\0\ud800-\udfff]")
_NUMBER = re.compile(r"\d{1,19}(?:\.\d{1,19})?", re.ASCII)
_WEB = re.compile(r"\s*https?:", re.IGNORECASE)
_OF_JOB = (("job_id", "id"), ("room_id", "room_id"), ("session_id", "session_id"))

_Json = dict[str, Any]
_Row = TypeVar("_Row")


class BadRecord(Exception):
    """The vendor's object cannot become a row: `not_an_object`, `id_missing`, `id_too_long`, `not_json`."""

    def __init__(self, reason_code: str, detail: str) -> None:
        super().__init__(f"{reason_code}: {detail}")
        self.reason_code = reason_code
        self.detail = detail


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
    """Read a room. Raises BadRecord."""
    kept = _kept(said, "room")
    recorded = _object(kept.get("recording_info"))
    storage = _object(recorded.get("upload_info"))
    return Room(
        _id(kept, "room"),
        _text(kept, "name"),
        _text(kept, "description"),
        _flag(kept, "enabled"),
        _text(kept, "template_id"),
        _text(kept, "template"),
        _text(kept, "region"),
        _flag(recorded, "enabled"),
        _text(storage, "type"),
        _text(storage, "location"),
        _text(storage, "prefix"),
        _time(kept, "created_at"),
        _time(kept, "updated_at"),
        *_record(kept),
    )


def session(said: Any) -> tuple[Session, list[Peer]]:
    """Read a session and its peers. Raises BadRecord for the session.

    A peer that cannot be used, or repeats another's id, stays in the session's record. A session that the vendor does
    not call inactive has no end.
    """
    kept = _kept(said, "session")
    session_id = _id(kept, "session")
    peers, rest = _parted(
        kept.pop("peers", None), lambda entry, key: _peer(entry, key, session_id), lambda p: p.peer_id
    )
    if rest:
        kept["peers"] = rest
    active = _flag(kept, "active")
    left = [peer.left_at for peer in peers if peer.left_at]
    ended = None
    if active is False:
        all_left = bool(peers) and not rest and len(left) == len(peers)
        ended = max(left) if all_left else _time(kept, "updated_at")
    row = Session(session_id, _indexed(kept, "room_id"), active, _time(kept, "created_at"), ended, *_record(kept))
    return row, peers


def recording(said: Any, kind: str) -> tuple[Recording, list[AssetRecord]]:
    """Read a job of kind `recording`, `live-stream` or `external-stream`, and the assets it names. Raises BadRecord.

    An asset gives the row that the list of assets gives. One that cannot be used, or repeats another's id, stays in
    the job's record.
    """
    job = dict(_given(said, kind))
    assets, rest = _parted(
        job.pop("recording_assets", None), lambda entry, _: asset(_with_job(entry, job)), lambda row: row.asset_id
    )
    if rest:
        job["recording_assets"] = rest
    kept = _kept(job, kind)
    row = Recording(
        _id(kept, kind),
        kind,
        _indexed(kept, "room_id"),
        _indexed(kept, "session_id"),
        _text(kept, "status"),
        _json(_PLANNED[kind](kept)),
        _time(kept, "created_at"),
        _time(kept, "started_at"),
        _time(kept, "stopped_at"),
        _time(kept, "updated_at"),
        _text(kept, "started_by"),
        _text(kept, "stopped_by"),
        *_record(kept),
    )
    return row, assets


def asset(said: Any) -> AssetRecord:
    """Read a recording asset. Raises BadRecord."""
    kept = _kept(said, "asset")
    found = kept.get("metadata")
    metadata = _object(found)
    size = _object(metadata.get("resolution"))
    thumbnails = kept.get("thumbnails")
    raw_type = _text(kept, "type")
    return AssetRecord(
        _id(kept, "asset"),
        _indexed(kept, "job_id"),
        _indexed(kept, "room_id"),
        _indexed(kept, "session_id"),
        _TYPES.get(raw_type, raw_type) if raw_type else None,
        raw_type,
        _uri(said, kept),
        _text(kept, "status"),
        _whole(kept, "size", _INT64),
        _seconds(kept, "duration"),
        _time(kept, "created_at"),
        _text(metadata, "peer_id"),
        _text(metadata, "user_id"),
        _text(metadata, "stream_id"),
        _text(metadata, "stream_type") or _text(metadata, "type"),
        _text(metadata, "track_id"),
        _text(metadata, "track_type"),
        _first(_whole(size, "width", _INT32), _whole(metadata, "max_width", _INT32)),
        _first(_whole(size, "height", _INT32), _whole(metadata, "max_height", _INT32)),
        _text(metadata, "layer"),
        _whole(metadata, "num_layers", _INT32),
        _text(metadata, "output_mode"),
        _json(found) if isinstance(found, dict) else None,
        _json(thumbnails) if isinstance(thumbnails, list) else None,
        *_record(kept),
    )


def _peer(kept: Any, key: str | None, session_id: str) -> Peer:
    _given(kept, "peer")
    user_id, role = _text(kept, "user_id"), _text(kept, "role")
    return Peer(
        session_id,
        _id(kept if _text(kept, "id") else {"id": key}, "peer"),
        _indexed(kept, "user_id"),
        _text(kept, "name"),
        role,
        _time(kept, "joined_at"),
        _time(kept, "left_at"),
        # Its name is no sign: anybody may be called Beam.
        role == _RECORDER_ROLE or (user_id or "").startswith(_RECORDER_USER),
        *_record(kept),
    )


def _with_job(entry: Any, job: _Json) -> Any:
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
        except BadRecord:
            rest.append((key, entry))
        else:
            if rows.setdefault(identity(row), row) != row:
                rest.append((key, entry))
    return list(rows.values()), dict(rest) if isinstance(found, dict) else [entry for _, entry in rest]


def _planned(found: Any) -> list[str]:
    types = [_TYPES.get(name, name) for name in found if isinstance(name, str)] if isinstance(found, list) else []
    return list(dict.fromkeys(filter(None, types)))


def _planned_live(job: _Json) -> list[str]:
    wanted = _object(job.get("recording"))
    flags = (("hls_vod", "room-vod"), ("single_file_per_layer", "room-composite"))
    return [asset_type for flag, asset_type in flags if wanted.get(flag) is True]


_PLANNED: dict[str, Callable[[_Json], list[str]]] = {
    "recording": lambda job: _planned(job.get("asset_types")),
    "live-stream": _planned_live,
    "external-stream": lambda job: ["room-composite"] if job.get("recording") is True else [],
}


def _given(said: Any, what: str) -> _Json:
    if not isinstance(said, dict):
        raise BadRecord("not_an_object", f"The vendor's {what} is no JSON object but a {type(said).__name__}.")
    return said


def _kept(said: Any, what: str) -> _Json:
    """Give what may be kept of the vendor's object: no secrets, no text or number that the warehouse cannot hold."""
    try:
        kept: _Json = redact(_held(_given(said, what)))
        _json(kept)
    except RecursionError:
        raise BadRecord("not_json", f"The vendor's {what} is nested deeper than any of its objects.") from None
    except (TypeError, ValueError) as error:
        raise BadRecord("not_json", f"The vendor's {what} holds what is no JSON: {error}.") from None
    return kept


def _held(value: Any) -> Any:
    """Give a JSON value as the warehouse can hold it.

    In text NUL and halves of surrogate pairs become U+FFFD; numbers that are no finite double become text.
    """
    if isinstance(value, str):
        return _UNHELD.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_held(name): _held(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_held(entry) for entry in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) >= _NO_DOUBLE:
        return str(value)
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _record(kept: _Json) -> tuple[str, str]:
    """Give an object as canonical JSON text, and its SHA-256 in hex."""
    text = _json(kept)
    return text, hashlib.sha256(text.encode()).hexdigest()


def _object(value: Any) -> _Json:
    return value if isinstance(value, dict) else {}


def _id(kept: _Json, what: str) -> str:
    text = _text(kept, "id")
    if text is None:
        raise BadRecord("id_missing", f"The vendor's {what} has no id, so no row can stand for it.")
    if len(text.encode()) > MAX_INDEXED_BYTES:
        raise BadRecord("id_too_long", f"The id of the vendor's {what} has more than {MAX_INDEXED_BYTES} bytes.")
    return text


def _indexed(kept: _Json, name: str) -> str | None:
    text = _text(kept, name)
    return text if text and len(text.encode()) <= MAX_INDEXED_BYTES else None


def _uri(said: _Json, kept: _Json) -> str | None:
    """Give the address of an asset's object; web addresses and what else held a secret are none."""
    path = kept.get("path")
    if not isinstance(path, str) or path != said.get("path") or _WEB.match(path):
        return None
    return _indexed(kept, "path")


def _text(kept: _Json, name: str) -> str | None:
    """Take a text, or a number that stands for one; the vendor's empty texts say that there is none."""
    value = kept.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value or None if isinstance(value, str) else None


def _flag(kept: _Json, name: str) -> bool | None:
    value = kept.get(name)
    return value if isinstance(value, bool) else None


def _time(kept: _Json, name: str) -> datetime | None:
    value = kept.get(name)
    try:
        return parse_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _number(value: Any) -> int | float | None:
    """Take a number from 0 up, or a text with one."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def _whole(kept: _Json, name: str, most: int) -> int | None:
    number = _number(kept.get(name))
    return int(number) if number is not None and number == int(number) and number <= most else None


def _seconds(kept: _Json, name: str) -> float | None:
    number = _number(kept.get(name))
    return None if number is None else float(number)


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one
