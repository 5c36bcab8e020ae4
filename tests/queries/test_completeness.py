"""The audit of expected assets: every state, and when a file is due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from roomledger.queries import audit
from tests.rows import NOON, at, put, put_object, run_audit

LATE, MISSING = NOON + timedelta(days=1), NOON + timedelta(days=15)


def _job(tx: Connection, *planned: str, **cells: Any) -> None:
    """A job of 1000 s that stopped at noon."""
    plain = {"job_id": "j", "planned_types": list(planned), "started_at": at(-1000), "stopped_at": NOON}
    put(tx, "job_records", **(plain | cells))


def _named(tx: Connection, asset_type: str, asset_id: str = "a", **cells: Any) -> None:
    plain = {"asset_id": asset_id, "asset_type": asset_type, "job_id": "j", "uri": f"s3://acme/{asset_id}"}
    put(tx, "asset_records", **(plain | cells))


def _object(tx: Connection, asset_type: str, asset_id: str = "a", **cells: Any) -> None:
    """An object at the address of that asset."""
    plain = {"object_id": asset_id, "asset_type": asset_type, "asset_id": asset_id, "job_id": "j"}
    put_object(tx, **(plain | cells))


def _states(tx: Connection, now: Any = LATE, **params: Any) -> list[tuple[str, str | None, str]]:
    rows = run_audit(tx, "completeness", {"now": now, **params})
    return [(row["asset_type"], row["asset_id"], row["state"]) for row in rows]


@pytest.mark.parametrize(
    ("asset_type", "due_at"),
    [
        ("chat", at(3600)),
        ("room-composite", at(3600)),
        ("room-vod", at(3600)),
        ("room-composite-legacy", at(3600 + 1500)),
        ("track", at(3600 + 1500)),
        ("stream", at(3600 + 1500)),
        ("transcript", at(3600 + 300 + 200)),
        ("summary", at(3600 + 300 + 200)),
        ("hologram", at(3600 + 1500)),
    ],
)
def test_an_asset_without_an_object_is_pending_then_late_then_missing(
    tx: Connection, asset_type: str, due_at: Any
) -> None:
    _job(tx, asset_type, status="post_processing")
    (row,) = run_audit(tx, "completeness", {"now": due_at - timedelta(seconds=1)})
    assert (row["asset_type"], row["due_at"], row["state"], row["planned"]) == (asset_type, due_at, "pending", True)
    assert not audit.is_incomplete([row])
    last = MISSING - timedelta(seconds=1)
    for now, state in ((due_at, "late"), (last, "late"), (MISSING, "missing")):
        rows = run_audit(tx, "completeness", {"now": now})
        assert [row["state"] for row in rows] == [state]
        assert audit.is_incomplete(rows)


@pytest.mark.parametrize(
    ("is_there", "state"),
    [
        ({}, "arrived"),
        ({"disposition": "seen"}, "arrived"),
        ({"disposition": "claimed"}, "arrived"),
        ({"disposition": "missing"}, "arrived"),
        ({"disposition": "refused"}, "refused"),
        ({"disposition": "ignored", "asset_type": None, "named_type": "chat"}, "arrived"),
        ({"disposition": "erased"}, "arrived"),
        ({"disposition": "missing", "loaded_at": None}, "late"),
    ],
)
def test_an_asset_with_an_object_has_arrived(tx: Connection, is_there: dict[str, Any], state: str) -> None:
    _job(tx, "chat")
    _named(tx, "chat")
    _object(tx, **({"asset_type": "chat"} | is_there))
    own = [("chat", "a", "late")] if state == "late" else []
    assert _states(tx) == [("chat", None, state), *own]
    rows = run_audit(tx, "completeness", {"now": LATE})
    assert audit.is_incomplete(rows) == (state != "arrived")


def test_a_refused_newer_version_beside_a_loaded_one_has_arrived(tx: Connection) -> None:
    _job(tx, "chat")
    _named(tx, "chat")
    _object(tx, "chat", modified_at=at(1))
    _object(tx, "chat", object_id="newer", uri="s3://acme/a", modified_at=at(2), disposition="refused")
    assert _states(tx) == [("chat", None, "arrived")]


def test_one_format_of_a_transcript_is_enough_but_each_reported_file_counts(tx: Connection) -> None:
    _job(tx, "transcript")
    for form in ("json", "srt", "txt"):
        _named(tx, "transcript", form, status="processing" if form == "txt" else "completed")
    _object(tx, "transcript", "srt")
    assert _states(tx) == [("transcript", None, "arrived"), ("transcript", "json", "late")]
    (row,) = [row for row in run_audit(tx, "completeness", {"now": LATE}) if row["asset_id"]]
    assert (row["uri"], row["planned"]) == ("s3://acme/json", None)


@pytest.mark.parametrize(
    ("job", "asset", "expected"),
    [
        ("failed", None, [("chat", None, "failed")]),
        ("failed", "completed", [("chat", None, "failed"), ("chat", "a", "failed")]),
        ("completed", "failed", [("chat", None, "failed"), ("chat", "a", "failed")]),
        ("completed", "processing", [("chat", None, "late")]),
        ("completed", None, [("chat", None, "none_named")]),
        ("post_processing", None, [("chat", None, "late")]),
    ],
)
def test_the_vendors_status_counts_without_an_object(
    tx: Connection, job: str, asset: str | None, expected: list[Any]
) -> None:
    _job(tx, "chat", status=job)
    if asset:
        _named(tx, "chat", status=asset)
    assert _states(tx) == expected


def test_a_failed_job_can_have_one_asset_that_arrived_and_one_that_did_not(tx: Connection) -> None:
    _job(tx, "room-composite", status="failed")
    _named(tx, "room-composite", "a")
    _object(tx, "room-composite", "a")
    assert _states(tx) == [("room-composite", None, "arrived")]
    _named(tx, "room-composite", "b", status="failed", uri=None)
    assert _states(tx) == [("room-composite", None, "arrived"), ("room-composite", "b", "failed")]


def test_one_failed_asset_is_not_a_failed_type(tx: Connection) -> None:
    _job(tx, "track")
    _named(tx, "track", "a", status="failed")
    _named(tx, "track", "b")
    assert _states(tx) == [("track", None, "late"), ("track", "a", "failed"), ("track", "b", "late")]


def test_a_missing_chat_is_not_a_gap_but_pending_until_it_is_due(tx: Connection) -> None:
    _job(tx, "chat")
    assert _states(tx, at(60)) == [("chat", None, "pending")]
    rows = run_audit(tx, "completeness", {"now": MISSING})
    assert [row["state"] for row in rows] == ["none_named"]
    assert not audit.is_incomplete(rows)


def test_an_unplanned_asset_counts_when_the_vendor_reports_it(tx: Connection) -> None:
    _job(tx)
    _named(tx, "track")
    assert _states(tx) == [("track", None, "late"), ("track", "a", "late")]


def test_an_asset_without_a_known_job_is_judged_by_its_own_time(tx: Connection) -> None:
    _named(tx, "chat", "a", job_id=None, created_at=NOON)
    _named(tx, "chat", "b", job_id="elsewhere", first_seen_at=NOON)
    _named(tx, "chat", "c", job_id=None)
    _object(tx, "chat", "c", job_id=None)
    found = _states(tx, at(60))
    assert sorted(found, key=str) == [("chat", "a", "pending"), ("chat", "b", "pending"), ("chat", None, "pending")]
    assert {state for *_, state in _states(tx, MISSING)} == {"missing"}


@pytest.mark.parametrize(
    ("job", "due_at"),
    [
        ({"stopped_at": None, "status": "completed", "updated_at": at(-1)}, at(3599)),
        ({"stopped_at": None, "status": "running", "updated_at": at(-1)}, at(-1000 + 13 * 3600)),
        ({"stopped_at": None, "status": "starting", "started_at": None, "created_at": NOON}, at(13 * 3600)),
    ],
)
def test_a_job_without_a_stop_is_due_too(tx: Connection, job: dict[str, Any], due_at: Any) -> None:
    _job(tx, "room-vod", **job)
    (row,) = run_audit(tx, "completeness", {"now": NOON})
    assert row["due_at"] == due_at


def test_sizes_are_compared(tx: Connection) -> None:
    _job(tx, "track")
    for name, size in (("a", 90), ("b", 130), ("c", None)):
        _named(tx, "track", name, size_bytes=size)
        _object(tx, "track", name)
    (row,) = run_audit(tx, "completeness", {"now": LATE})
    assert (row["named"], row["arrived"], row["size_difference_bytes"]) == (3, 3, 40)


def test_jobs_are_filtered_by_time_customer_and_workspace(tx: Connection) -> None:
    _job(tx, "chat", job_id="1", source="w1")
    _job(tx, "chat", job_id="2", source="w2", customer="Other", stopped_at=at(10))

    def chosen(**params: Any) -> list[str]:
        return [row["job_id"] for row in run_audit(tx, "completeness", {"now": LATE, **params})]

    assert chosen() == ["1", "2"]
    assert chosen(since=at(10)) == ["2"]
    assert chosen(until=at(10)) == ["1"]
    assert chosen(customer="Other") == ["2"]
    assert chosen(source="w1") == ["1"]
    assert chosen(since="2026-03-03") == []
