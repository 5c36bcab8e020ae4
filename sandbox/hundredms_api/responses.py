"""Responses of the API for one workspace: pages of lists, single records, and errors (vendor documentation)."""

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
"""Keys that the fault `missing_fields` removes."""
UNKNOWN_STATUS = "archiving"

_LISTS = {
    "rooms": ("rooms", ()),
    "sessions": ("sessions", ("room_id",)),
    "recordings": ("recordings", ("room_id", "session_id", "status")),
    "live-streams": ("live_streams", ("room_id", "session_id", "status")),
    "external-streams": ("external_streams", ("room_id", "session_id", "status")),
    "recording-assets": ("assets", ("room_id", "session_id", "status", "type")),
}
"""Attribute of the workspace and filters, by name of the list in the path; unknown filters are ignored."""
_JOBS = ("recordings", "live-streams", "external-streams")


class ApiError(Exception):
    """The response to the request is an error."""

    def __init__(self, code: int, message: str, *details: str) -> None:
        super().__init__(message)
        self.code = code
        self.body: Record = {"code": code, "message": message, "details": [*details]}


def list_page(workspace: Workspace, name: str, query: Mapping[str, str], faults: Faults) -> Record:
    """One page of a list, newest first."""
    records = [*reversed(_sorted(_records(workspace, name)))]
    matches = _filter(name, query)
    limit = max(10, min(_integer(query, "limit", 10), 100))
    start = query.get("start", "")
    if faults.offsets:
        skipped = _integer(query, "start", 0) if start else 0
        chosen = [*islice(filter(matches, records), skipped, skipped + limit)]
        last = str(skipped + len(chosen))
    else:
        after = next((at for at, each in enumerate(records, 1) if each["id"] == start), None) if start else 0
        if after is None:
            raise ApiError(400, "invalid start", start)
        # The cursor's record may no longer match the filter, for example if its session has ended.
        chosen = [*islice(filter(matches, records[after:]), limit)]
        last = chosen[-1]["id"] if chosen else ""
    if not chosen:
        return {"limit": limit, "data": None, "last": ""}
    return {"limit": limit, "data": [_with_faults(workspace, name, each, faults) for each in chosen], "last": last}


def single_record(workspace: Workspace, name: str, record_id: str, faults: Faults) -> Record:
    """One record; a job includes its assets."""
    found = _with_faults(workspace, name, find_record(workspace, name, record_id), faults)
    if name in _JOBS:
        assets = [each for each in _records(workspace, "recording-assets") if each.get("job_id") == record_id]
        changed = [_with_faults(workspace, "recording-assets", asset, faults) for asset in reversed(_sorted(assets))]
        found["recording_assets"] = [
            {key: value for key, value in asset.items() if key not in ("job_id", "room_id", "session_id")}
            for asset in changed
        ]
    return found


def find_record(workspace: Workspace, name: str, record_id: str) -> Record:
    """The record without faults. Raises ApiError if there is none."""
    for record in _records(workspace, name):
        if record["id"] == record_id:
            return record
    raise ApiError(404, f"{name.removesuffix('s')} not found", record_id)


def _records(workspace: Workspace, name: str) -> list[Record]:
    if name not in _LISTS:
        raise ApiError(404, "not found", name)
    records: list[Record] = [*getattr(workspace, _LISTS[name][0])]
    if name == "recording-assets" and workspace.processing:
        unfinished: Record = {"status": "processing", "path": "", "size": 0, "duration": 0}
        return [each | unfinished if each["id"] in workspace.processing else each for each in records]
    return records


def _sorted(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda each: (_moment(each.get("created_at", "")), each["id"]))


@cache
def _moment(text: str) -> datetime:
    """Parse a time; records without one are the oldest."""
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)


def _filter(name: str, query: Mapping[str, str]) -> Callable[[Record], bool]:
    """A predicate for the records of a list that match the query."""
    equal = {key: query[key] for key in _LISTS[name][1] if query.get(key)}
    if name != "sessions":
        return lambda record: all(record.get(key) == value for key, value in equal.items())
    active = query.get("active", "true")
    if active not in ("true", "false"):
        raise ApiError(400, "active must be true or false", active)
    equal_or_active: Record = equal | {"active": active == "true"}
    after, before = _time(query, "after"), _time(query, "before")

    def matches(record: Record) -> bool:
        started_at = _moment(record["created_at"])
        return (
            all(record[key] == value for key, value in equal_or_active.items())
            and (after is None or started_at > after)
            and (before is None or started_at < before)
        )

    return matches


def _time(query: Mapping[str, str], key: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(query[key]) if query.get(key) else None
    except ValueError:
        moment = None
    if query.get(key) and (moment is None or moment.tzinfo is None):
        raise ApiError(400, f"{key} is not an RFC 3339 time", query[key])
    return moment


def _integer(query: Mapping[str, str], key: str, default: int) -> int:
    text = query.get(key, str(default))
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, f"{key} is not a whole number", text)
    return int(text)


def _with_faults(workspace: Workspace, name: str, record: Record, faults: Faults) -> Record:
    """A copy of the record, changed by the faults."""
    if not (faults.extra_fields or faults.missing_fields):
        return dict(record)
    index = [each["id"] for each in getattr(workspace, _LISTS[name][0])].index(record["id"])
    if faults.extra_fields:
        record = record | {"region_hint": "eu-9", "audit": {"by": None, "tags": ["a", 1]}}
        if "status" in record and index == 0:
            record["status"] = UNKNOWN_STATUS
    if not faults.missing_fields:
        return record
    if index % 2 == 0:
        return {key: value for key, value in record.items() if key not in OPTIONAL}
    return {key: [*value.values()] if key == "peers" else _numbers_as_strings(value) for key, value in record.items()}


def _numbers_as_strings(value: Any) -> Any:
    """Convert numbers to strings, also in nested objects."""
    if isinstance(value, dict):
        return {key: _numbers_as_strings(each) for key, each in value.items()}
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
