"""A workspace is read as far as there is something new, whatever the vendor's API does meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from roomledger import times
from roomledger.ledger.database import Database
from roomledger.pipeline import sync_workspace
from roomledger.pipeline.load import load_batches
from roomledger.settings import BucketSource
from roomledger.stores import StoreError
from sandbox.dataset.workspace import Workspace
from sandbox.hundredms_api import Vendor, vendor_server
from tests import payloads
from tests.folders import chat
from tests.warehouses import collect_from, execute, fetch

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def database(ready_duckdb: Callable[[Path], Database], tmp_path: Path) -> Database:
    return ready_duckdb(tmp_path)


def long_ago(jobs: int, days: float = 60) -> Workspace:
    """A workspace with so many finished jobs, evenly over the days before today, each with a session and two assets."""
    acme = payloads.workspace(rooms=[{"id": "room1", "name": "harbour", "created_at": stamp(days + 1)}])
    for number in range(jobs):
        add_job(acme, number, days * (jobs - number) / jobs)
    return acme


def add_job(acme: Workspace, number: int, days_ago: float, **more: Any) -> None:
    """Add one more recorded session."""
    begin, end = stamp(days_ago), stamp(days_ago - 0.01)
    times = {"created_at": begin, "updated_at": end}
    acme.sessions.append(payloads.session(f"s{number:05}", "room1", 0, 1, peers={}) | times)
    done = payloads.job(f"j{number:05}", "room1", f"s{number:05}", 0, 1, "chat", "room-composite")
    done |= times | {"started_at": begin, "stopped_at": end} | more
    acme.recordings.append(done)
    for kind in ("chat", "room-composite"):
        path = f"s3://acme/{kind}/{number}"
        acme.assets.append(payloads.asset(f"a{number:05}-{kind}", done, kind, path, 7, created_at=end))


def stamp(days_ago: float) -> str:
    return (NOW - timedelta(days=days_ago)).isoformat().replace("+00:00", "Z")


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with vendor_server([]) as server:
        yield server


def sync(database: Database, vendor: Vendor, acme: Workspace) -> Counter[str]:
    """Sync the workspace once; all assets lie in the customer's own bucket."""
    vendor.workspaces = [acme]
    bucket = BucketSource(name="acme", customer="Acme", url="s3://acme")
    with payloads.open_workspace(acme, vendor.endpoint) as opened:
        return collect_from(database, payloads.workspace_source(acme), opened, sources=[bucket])


def counted(database: Database) -> dict[str, int]:
    tables = ("rooms", "sessions", "recordings", "asset_records")
    return {table: fetch(database, f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def test_the_number_of_requests_grows_with_what_is_new(database: Database, vendor: Vendor) -> None:
    acme = long_ago(600)
    first = sync(database, vendor, acme)
    assert counted(database) == {"rooms": 1, "sessions": 600, "recordings": 600, "asset_records": 1200}
    assert first["vendor_records"] == 2401
    assert first["requests"] == 13 + 7 + 1 + 1 + 1 + 7 + 1  # one page more where the last one is full
    again = sync(database, vendor, acme)
    # A list ends with the first page that is wholly old, so the long ones take two.
    assert (again["vendor_records"], again["requests"]) == (0, 10)
    for number in range(600, 610):
        add_job(acme, number, 0.02)
    third = sync(database, vendor, acme)
    assert (third["vendor_records"], third["requests"]) == (40, 10)


def test_records_that_appear_late_are_found(database: Database, vendor: Vendor) -> None:
    """An asset gets its id before its file exists: it appears below newer ones."""
    acme = long_ago(300)
    sync(database, vendor, acme)
    add_job(acme, 900, 1.5)
    sync(database, vendor, acme)
    assert counted(database) == {"rooms": 1, "sessions": 301, "recordings": 301, "asset_records": 602}


def test_an_unfinished_job_is_polled_until_all_planned_assets_exist(
    database: Database, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = long_ago(300)
    add_job(acme, 900, 1, status="post_processing", asset_types=["chat", "room-composite", "transcript"])
    job = acme.recordings[-1]
    sync(database, vendor, acme)
    check = "SELECT status, poll_at IS NULL FROM job_records WHERE job_id = 'j00900'"
    assert fetch(database, check) == [("post_processing", False)]
    job["status"] = "completed"
    acme.assets.append(payloads.asset("late", job, "transcript", "s3://acme/t.txt", 5, created_at=stamp(1), status="x"))
    days = [NOW + timedelta(days=3)]
    monkeypatch.setattr(times, "utc_now", lambda: days[0])
    assert (
        sync(database, vendor, acme)["vendor_records"] == 2
    )  # by its id: the lists are read no further back than two days
    assert fetch(database, check) == [("completed", False)]
    acme.assets[-1]["status"] = "completed"
    days[0] += timedelta(days=3)
    assert sync(database, vendor, acme)["vendor_records"] == 1
    assert fetch(database, check) == [("completed", True)]
    before = len(vendor.requests)
    days[0] += timedelta(days=3)
    sync(database, vendor, acme)
    assert not any("j00900" in request for request in vendor.requests[before:])


def test_a_first_sync_resumes_where_it_was_interrupted(
    database: Database, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_workspace, "_WRITTEN_TOGETHER", 200)
    acme = long_ago(600)

    def fail(target: str) -> None:
        if len(vendor.requests) == 8:
            vendor.faults.server_errors = 100

    vendor.faults.on_page = fail
    with pytest.raises(StoreError, match="try again"):
        sync(database, vendor, acme)
    assert counted(database)["asset_records"] == 800
    vendor.faults.server_errors, vendor.faults.on_page = 0, None
    add_job(acme, 600, 0.02)
    before = len(vendor.requests)
    sync(database, vendor, acme)
    assert counted(database) == {"rooms": 1, "sessions": 601, "recordings": 601, "asset_records": 1202}
    pages = [request for request in vendor.requests[before:] if "recording-assets?" in request]
    assert len(pages) == 5 + 2  # what was left, then the newest down to a page that is wholly old


@pytest.mark.parametrize("offsets", [False, True])
def test_records_that_arrive_while_a_list_is_read_are_neither_lost_nor_doubled(
    database: Database, vendor: Vendor, offsets: bool
) -> None:
    acme = long_ago(250)
    vendor.faults.offsets = offsets

    def arrive(target: str) -> None:
        if len(acme.recordings) < 280:
            add_job(acme, len(acme.recordings) + 1000, 0.02)

    vendor.faults.on_page = arrive
    sync(database, vendor, acme)
    vendor.faults.on_page = None
    sync(database, vendor, acme)
    jobs = len(acme.recordings)
    assert counted(database) == {"rooms": 1, "sessions": jobs, "recordings": jobs, "asset_records": 2 * jobs}


@pytest.mark.parametrize(
    "faults",
    [
        {"rate_limit": 3, "retry_after_s": 0},
        {"rate_limit": 3, "rate_limit_form": "text", "retry_after_s": 0},
        {"server_errors": 3},
        {"cut": 3},
        {"garbage": 3},
        {"extra_fields": True},
        {"missing_fields": True},
    ],
    ids=lambda faults: " ".join(faults),
)
def test_no_record_is_lost_to_a_fault_of_the_api(database: Database, vendor: Vendor, faults: dict[str, Any]) -> None:
    acme = long_ago(120)
    for name, value in faults.items():
        setattr(vendor.faults, name, value)
    sync(database, vendor, acme)
    assert counted(database) == {"rooms": 1, "sessions": 120, "recordings": 120, "asset_records": 240}


def test_records_that_are_named_but_not_listed_are_requested_once(database: Database, vendor: Vendor) -> None:
    acme = long_ago(2)
    ghost = payloads.job("ghost", "room8", "s-ghost", 0, 1)
    acme.assets.append(payloads.asset("a-ghost", ghost, "chat", "s3://acme/ghost.csv", 5))
    sync(database, vendor, acme)
    requested = [
        request.partition("/v2/")[2] for request in vendor.requests if "ghost" in request or "room8" in request
    ]
    assert sorted(requested) == [
        "external-streams/ghost", "live-streams/ghost", "recordings/ghost", "rooms/room8", "sessions/s-ghost",
    ]  # fmt: skip
    before = len(vendor.requests)
    sync(database, vendor, acme)
    assert not any("ghost" in request for request in vendor.requests[before:])


def test_records_that_the_vendor_no_longer_knows_are_not_requested_at_every_sync(
    database: Database, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor no longer knows a running job, an active session, and a room with a new session."""
    acme = long_ago(2)
    add_job(acme, 8, 1, status="started")
    acme.sessions[-1] |= {"active": True, "peers": {}}
    sync(database, vendor, acme)
    add_job(acme, 9, -2)
    forgotten = (acme.rooms[0], acme.sessions.pop(-2), acme.recordings.pop(-2))
    acme.rooms.clear()
    days = [NOW + timedelta(days=2)]
    monkeypatch.setattr(times, "utc_now", lambda: days[0])

    def requested() -> list[str]:
        before = len(vendor.requests)
        sync(database, vendor, acme)
        singles = {"rooms/room1", "sessions/s00008", "recordings/j00008"}
        return sorted(singles & {request.partition("/v2/")[2] for request in vendor.requests[before:]})

    assert requested() == ["recordings/j00008", "rooms/room1", "sessions/s00008"]
    assert requested() == []
    days[0] += timedelta(hours=1)
    assert requested() == ["recordings/j00008", "rooms/room1", "sessions/s00008"]
    acme.rooms.append(forgotten[0])
    acme.sessions.insert(-1, forgotten[1] | {"active": False})
    acme.recordings.insert(-1, forgotten[2] | {"status": "completed"})
    days[0] += timedelta(hours=2)
    assert requested() == []  # the lists have them again
    assert fetch(database, "SELECT count(*) FROM vendor_unknown_ids") == [(0,)]
    assert fetch(database, "SELECT status FROM recordings WHERE job_id = 'j00008'") == [("completed",)]


def test_texts_of_a_bucket_that_is_no_longer_a_source_are_loaded_from_the_vendor(
    database: Database, vendor: Vendor
) -> None:
    acme = long_ago(3)
    sync(database, vendor, acme)
    assert fetch(database, "SELECT count(*) FROM object_ledger") == [(0,)]
    with payloads.open_workspace(acme, vendor.endpoint) as opened:
        found = collect_from(database, payloads.workspace_source(acme), opened, sources=[])
        again = collect_from(database, payloads.workspace_source(acme), opened, sources=[])
    assert (found["vendor_records"], found["new_seen"], again["new_seen"]) == (0, 3, 0)
    assert fetch(database, "SELECT DISTINCT asset_type, disposition FROM object_ledger") == [("chat", "seen")]


@pytest.mark.parametrize(("days_ago", "becomes"), [(1, "loaded"), (16, "missing")])
def test_a_missing_text_is_retried_as_long_as_the_vendor_stores_it(
    database: Database, vendor: Vendor, days_ago: float, becomes: str
) -> None:
    acme, source = payloads.workspace(), payloads.workspace_source(payloads.workspace())
    add_job(acme, 1, days_ago)
    vendor.workspaces = [acme]
    with payloads.open_workspace(acme, vendor.endpoint) as opened:
        collect_from(database, source, opened, sources=[])
        list(load_batches(database, [source], {source.name: opened}))
        acme.contents["a00001-chat"] = chat("late")
        execute(database, "UPDATE object_ledger SET retry_at = NULL")  # as half a minute later
        list(load_batches(database, [source], {source.name: opened}))
    assert fetch(database, "SELECT asset_type, disposition FROM object_ledger") == [("chat", becomes)]


def test_a_rejected_record_is_refused_and_upserted_once_it_can_be_read(database: Database, vendor: Vendor) -> None:
    acme = long_ago(2)
    acme.assets.append({"id": "", "type": "chat", "created_at": stamp(1), "rtmp": "rtmp://live/secret-key"})
    assert sync(database, vendor, acme)["records_refused"] == 1
    sync(database, vendor, acme)
    [(uri, code, raw, resolved)] = fetch(database, "SELECT uri, reason_code, raw, resolved_at FROM refusals")
    assert uri.startswith("100ms://acme/recording-assets/")
    assert (code, resolved) == ("id_missing", None)
    assert b"secret-key" not in bytes(raw)
    with database.begin() as tx:  # as if an older version had refused what this one can read
        tx.exec_driver_sql('UPDATE refusals SET raw = encode(\'{"id": "a-good", "type": "chat"}\')')
    sync(database, vendor, long_ago(2))
    assert fetch(database, "SELECT asset_type FROM asset_records WHERE asset_id = 'a-good'") == [("chat",)]
    assert fetch(database, "SELECT resolved_at IS NULL FROM refusals") == [(False,)]
