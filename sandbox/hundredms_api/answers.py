"""What the API answers about one workspace: lists in pages, single records, and errors (vendor documentation)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any

from sandbox.dataset.workspace import Record, Workspace
from sandbox.hundredms_api.faults import Faults

OPTIONAL = (
    "thumbnails", "metadata", "updated_at", "size", "duration", "stopped_at", "started_by", "stopped_by", "meeting_url",
    "asset_types", "user_id", "description", "recording_info", "customer_id", "playback", "resolution",
)  # fmt: skip
"""Keys that `missing_fields` leaves out."""
UNKNOWN_STATUS = "archiving"

_LISTS = {
    "rooms": ("rooms", ()),
    "sessions": ("sessions", ("room_id",)),
    "recordings": ("recordings", ("room_id", "session_id", "status")),
    "live-streams": ("live_streams", ("room_id", "session_id", "status")),
    "external-streams": ("external_streams", ("room_id", "session_id", "status")),
    "recording-assets": ("assets", ("room_id", "session_id", "status", "type")),
}
"""Attribute of the workspace and filters, by the name of the list in the path; unknown filters are passed over."""
_JOBS = ("recordings", "live-streams", "external-streams")


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, code: int, message: str, *details: str) -> None:
        super().__init__(message)
        self.code = code
        self.body: Record = {"code": code, "message": message, "details": [*details]}


def page(workspace: Workspace, name: str, query: Mapping[str, str], faults: Faults) -> Record:
    """One page of a list, newest first."""
    records = [*reversed(_sorted(_records(workspace, name)))]
    wanted = _filter(name, query)
    limit = max(10, min(_whole(query, "limit", 10), 100))
    start = query.get("start", "")
    if faults.offsets:
        skipped = _whole(query, "start", 0) if start else 0
        chosen = [*islice(filter(wanted, records), skipped, skipped + limit)]
        last = str(skipped + len(chosen))
    else:
        after = next((at for at, each in enumerate(records, 1) if each["id"] == start), None) if start else 0
        if after is None:
            raise Refused(400, "invalid start", start)
        # The cursor's own record may no longer pass the filter: a session has ended since.
        chosen = [*islice(filter(wanted, records[after:]), limit)]
        last = chosen[-1]["id"] if chosen else ""
    if not chosen:
        return {"limit": limit, "data": None, "last": ""}
    return {"limit": limit, "data": [_spoilt(workspace, name, each, faults) for each in chosen], "last": last}


def single(workspace: Workspace, name: str, record_id: str, faults: Faults) -> Record:
    """One record; a job comes with its assets."""
    found = _spoilt(workspace, name, find(workspace, name, record_id), faults)
    if name in _JOBS:
        assets = [each for each in _records(workspace, "recording-assets") if each.get("job_id") == record_id]
        told = [_spoilt(workspace, "recording-assets", asset, faults) for asset in reversed(_sorted(assets))]
        found["recording_assets"] = [
            {key: value for key, value in asset.items() if key not in ("job_id", "room_id", "session_id")}
            for asset in told
        ]
    return found


def find(workspace: Workspace, name: str, record_id: str) -> Record:
    """A record as it stands."""
    for record in _records(workspace, name):
        if record["id"] == record_id:
            return record
    raise Refused(404, f"{name.removesuffix('s')} not found", record_id)


def _records(workspace: Workspace, name: str) -> list[Record]:
    if name not in _LISTS:
        raise Refused(404, "not found", name)
    records: list[Record] = [*getattr(workspace, _LISTS[name][0])]
    if name == "recording-assets" and workspace.processing:
        unfinished: Record = {"status": "processing", "path": "", "size": 0, "duration": 0}
        return [each | unfinished if each["id"] in workspace.processing else each for each in records]
    return records


def _sorted(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda each: (_moment(each.get("created_at", "")), each["id"]))


@cache
def _moment(text: str) -> datetime:
    """A time as the vendor writes it; records without one are the oldest."""
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)


def _filter(name: str, query: Mapping[str, str]) -> Callable[[Record], bool]:
    """Tell which records of a list are asked for."""
    equal = {key: query[key] for key in _LISTS[name][1] if query.get(key)}
    if name != "sessions":
        return lambda record: all(record.get(key) == value for key, value in equal.items())
    active = query.get("active", "true")
    if active not in ("true", "false"):
        raise Refused(400, "active is true or false", active)
    equal_or_active: Record = equal | {"active": active == "true"}
    after, before = _asked(query, "after"), _asked(query, "before")

    def wanted(record: Record) -> bool:
        started_at = _moment(record["created_at"])
        return (
            all(record[key] == value for key, value in equal_or_active.items())
            and (after is None or started_at > after)
            and (before is None or started_at < before)
        )

    return wanted


def _asked(query: Mapping[str, str], key: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(query[key]) if query.get(key) else None
    except ValueError:
        moment = None
    if query.get(key) and (moment is None or moment.tzinfo is None):
        raise Refused(400, f"{key} is not a time of RFC 3339", query[key])
    return moment


def _whole(query: Mapping[str, str], key: str, default: int) -> int:
    text = query.get(key, str(default))
    if not (text.isascii() and text.isdigit()):
        raise Refused(400, f"{key} is not a whole number", text)
    return int(text)


def _spoilt(workspace: Workspace, name: str, record: Record, faults: Faults) -> Record:
    """A copy of the record, with what the faults do to it."""
    if not (faults.extra_fields or faults.missing_fields):
        return dict(record)
    place = [each["id"] for each in getattr(workspace, _LISTS[name][0])].index(record["id"])
    if faults.extra_fields:
        record = record | {"region_hint": "eu-9", "audit": {"by": None, "tags": ["a", 1]}}
        if "status" in record and place == 0:
            record["status"] = UNKNOWN_STATUS
    if not faults.missing_fields:
        return record
    if place % 2 == 0:
        return {key: value for key, value in record.items() if key not in OPTIONAL}
    return {key: [*value.values()] if key == "peers" else _stringly(value) for key, value in record.items()}


def _stringly(value: Any) -> Any:
    """Numbers as strings, at any depth of objects."""
    if isinstance(value, dict):
        return {key: _stringly(each) for key, each in value.items()}
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
