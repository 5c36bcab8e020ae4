"""A warehouse with both the webhooks and the API records of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roomledger.hundredms import records
from roomledger.ledger.database import Database
from roomledger.ledger.vendor_events import WebhookEvent, insert_events
from roomledger.ledger.vendor_records import Record as Row
from roomledger.ledger.vendor_records import upsert_records
from roomledger.settings import WorkspaceSource
from sandbox.dataset import Dataset, Workspace
from sandbox.dataset.webhook_events import webhook_events
from sandbox.dataset.workspace import Record
from tests.hundredms.test_webhooks import decode
from tests.warehouses import fetch

NOW = datetime(2026, 3, 20, tzinfo=UTC)


def events_of(workspace: Workspace) -> list[Record]:
    return [one for session in workspace.sessions for one in webhook_events(workspace, session["id"])]


def source(workspace: Workspace) -> WorkspaceSource:
    return WorkspaceSource(name=workspace.source, customer=workspace.customer, url=workspace.url)


def rows_of(workspace: Workspace) -> Iterator[Row]:
    yield from (records.room(room) for room in workspace.rooms)
    for session in workspace.sessions:
        row, peers = records.session(session)
        yield row
        yield from peers
    kinds = {"recording": workspace.recordings, "live-stream": workspace.live_streams}
    for kind, jobs in (kinds | {"external-stream": workspace.external_streams}).items():
        yield from (records.recording(job, kind)[0] for job in jobs)
    yield from (records.asset(asset) for asset in workspace.assets)


def insert_all_events(database: Database, dataset: Dataset) -> int:
    received = [
        WebhookEvent(source(workspace), *decode(one), received_at=NOW)
        for workspace in dataset.workspaces
        for one in events_of(workspace)
    ]
    with database.begin() as tx:
        return insert_events(tx, database, received, now=NOW)["events"]


def upsert_all_records(database: Database, dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        with database.begin() as tx:
            upsert_records(tx, database, source(workspace), rows_of(workspace), now=NOW)


@pytest.fixture(scope="module", params=["api first", "webhooks first"])
def both(
    request: pytest.FixtureRequest,
    small: Dataset,
    ready_duckdb: Callable[[Path], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> Database:
    """A warehouse with all API records and all webhook events of the dataset."""
    database = ready_duckdb(tmp_path_factory.mktemp("both"))
    if request.param == "api first":
        upsert_all_records(database, small)
    assert insert_all_events(database, small) == sum(len(events_of(workspace)) for workspace in small.workspaces)
    if request.param == "webhooks first":
        upsert_all_records(database, small)
    return database


def test_webhooks_add_no_session_peer_or_asset_to_those_of_the_api(both: Database, small: Dataset) -> None:
    counted = {view: fetch(both, f"SELECT count(*) FROM {view}")[0][0] for view in VIEWS}
    assert counted == {view: small.expected.rows[table] for view, table in VIEWS.items()}
    of_peers = "session_id, peer_id, user_id, name, role, joined_at, left_at, is_recorder"
    for events, api, columns in (
        ("event_sessions", "session_records", "session_id, customer, source, room_id, started_at, ended_at"),
        ("event_peers", "peer_records", f"customer, source, {of_peers}"),
    ):
        query = f"SELECT {columns} FROM {{}} ORDER BY ALL"
        assert fetch(both, query.format(events)) == fetch(both, query.format(api)), events


VIEWS = {"sessions": "sessions", "peers": "peers", "recording_assets": "asset_records"}
"""Views over API and webhooks, and the expected count that they share with the API alone."""


def test_a_recorder_is_matched_with_the_job_of_its_files(both: Database, small: Dataset) -> None:
    expected: dict[str, str] = {}
    jobs, without = set(), set()
    for workspace in small.workspaces:
        job_of = {asset["path"]: asset["job_id"] for asset in workspace.assets}
        for one in events_of(workspace):
            if one["type"] in ("beam.recording.success", "hls.recording.success", "recording.success"):
                _, assets = decode(one)
                [job] = {job_of[asset.uri] for asset in assets if asset.uri}
                expected[one["data"].get("beam_id") or one["id"]] = job
        jobs |= {job["id"] for job in workspace.jobs()}
        without |= {one["data"]["beam_id"] for one in events_of(workspace) if "beam_id" in one["data"]}
    without -= expected.keys()
    assert 0 < len(without) < len(expected)
    found = dict(fetch(both, "SELECT recorder_id, api_job_id FROM event_recordings"))
    assert found == expected | dict.fromkeys(without)
    assert len({*expected.values()}) == len(expected)
    # A recorder without files in the API cannot be matched with a job: it is a recording of its own.
    assert fetch(both, "SELECT count(*), count(job_id) FROM recordings") == [
        (len(jobs) + len(without), len(jobs) + len(without))
    ]
    assert {job for (job,) in fetch(both, "SELECT job_id FROM recordings")} >= jobs
    assert not (jobs - {*expected.values()}) & {asset["job_id"] for asset in recorded(small)}


def recorded(dataset: Dataset) -> Iterator[Record]:
    """Assets that a `recording` event names."""
    for workspace in dataset.workspaces:
        for asset in workspace.assets:
            if asset["status"] == "completed" and asset["type"] not in ("track", "stream", "transcript", "summary"):
                yield asset
