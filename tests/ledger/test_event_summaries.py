"""What webhook events add up to in the views: each type alone, and several of one session in any order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hundredms.test_webhooks import DOCUMENTED
from tests.ledger.inputs import VIEWS, Body, Ledger, Rows, in_order, without_time
from tests.payloads import at, event

Case = dict[str, Any]
CASES = Path(__file__).parents[1] / "cases" / "hundredms" / "views"
EVENT_TYPES: Mapping[str, Case] = yaml.safe_load((CASES / "event_types.yaml").read_text())
SEVERAL_EVENTS: Mapping[str, Case] = yaml.safe_load((CASES / "several_events.yaml").read_text())

SUMMARIES = (
    ("event_sessions", "sessions", "customer, source, session_id, room_id, room_name, started_at, ended_at"),
    (
        "event_peers",
        "peers",
        "customer, source, session_id, peer_id, user_id, name, role, joined_at, left_at, is_recorder",
    ),
    (
        "event_recordings",
        "recordings",
        "customer, source, job_id, kind, room_id, session_id, status, planned_types, started_at, stopped_at, beam_id,"
        " recording_id, error_type, error_message",
    ),
)
ORDERS: Mapping[str, Callable[[list[Body]], list[list[Body]]]] = {
    "one by one": lambda events: [[one] for one in events],
    "backwards": lambda events: [[one] for one in reversed(events)],
    "at once": lambda events: [events],
    "twice": lambda events: [events[1:], events, events[::-1]],
}


def test_each_type_of_event_shows_its_rows_in_the_views(acme: Ledger) -> None:
    assert EVENT_TYPES.keys() == DOCUMENTED
    acme.insert(*(webhook(type_, case["data"], 20, type_, session_started_at=0) for type_, case in EVENT_TYPES.items()))
    found = {view: acme.view(view) for view in VIEWS if view != "asset_sizes"}
    for type_, case in EVENT_TYPES.items():
        for view in ("sessions", "peers", "recordings", "recording_assets", "session_timeline"):
            assert of_session(type_, found[view]) == expected(type_, view, case.get(view, [])), (type_, view)
        [session] = case["sessions"]
        assets = case.get("recording_assets", [])
        overview = {
            "room_name": session.get("room_name"),
            "active": session["active"],
            "attendees": len(case.get("peers", [])),
            "peers": len(case.get("peers", [])),
            "recordings": len(case.get("recordings", [])),
            "assets": len(assets),
            "assets_failed": sum(asset["status"] == "failed" for asset in assets),
        }
        assert of_session(type_, found["session_overview"]) == expected(type_, "session_overview", [overview]), type_
    for table, view, columns in SUMMARIES:
        summary = acme.fetch(f"SELECT {columns}, first_ingested_at FROM {table}")
        assert in_order(summary) == in_order(acme.fetch(f"SELECT {columns}, first_seen_at FROM {view}"))
        origins = acme.fetch(f"SELECT DISTINCT customer, source, first_seen_by, record IS NULL FROM {view}")
        assert origins == [("Acme", "acme-100ms", "webhook", True)]


@pytest.mark.parametrize("order", ORDERS)
def test_several_events_add_up_to_the_same_rows_in_any_order(acme: Ledger, order: str) -> None:
    steps: dict[int, list[Body]] = {}
    for name, case in SEVERAL_EVENTS.items():
        events = [webhook(one["type"], one["data"], one["at"], name) for one in case["events"]]
        for number, batch in enumerate(ORDERS[order]([one | {"id": f"{name} {one['id']}"} for one in events])):
            steps.setdefault(number, []).extend(batch)
    inserted = sum(acme.insert(*batch).get("events", 0) for batch in steps.values())
    assert inserted == sum(len(case["events"]) for case in SEVERAL_EVENTS.values())
    found = {view: acme.view(view) for view in {*chain.from_iterable(SEVERAL_EVENTS.values())} - {"events"}}
    for name, case in SEVERAL_EVENTS.items():
        [view] = case.keys() - {"events"}
        assert of_session(name, found[view]) == expected(name, view, case[view]), name


def webhook(type_: str, data: Body, minutes: float | None, name: str, **more: Any) -> Body:
    """An event of the session of this name, in which minutes become timestamps and `$` the name."""
    cells = {
        key: at(value) if key.endswith("_at") and value is not None else value for key, value in (data | more).items()
    }
    body = event(type_, minutes or 0, room_id="room1", session_id="$", **cells)
    return named(body if minutes is not None else without_time(body), name)


def expected(name: str, view: str, rows: Sequence[Case]) -> list[Any]:
    """The rows of a case as a query of the view returns them, without their session."""
    columns = VIEWS[view].split()[1:]
    assert all(row.keys() <= set(columns) for row in rows), (name, view)
    return in_order(named([[row.get(column) for column in columns] for row in rows], name))


def of_session(session_id: str, found: Rows) -> list[Any]:
    """The rows of one session, without its id."""
    return in_order(json.loads(json.dumps([row[1:] for row in found if row[0] == session_id])))


def named(value: Any, name: str) -> Any:
    """The same JSON value with this name for each `$`."""
    return json.loads(json.dumps(value).replace("$", name))
