"""Every row gets its session by the strongest evidence that exists, in whatever order it arrives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from roomledger.ledger.database import Database
from roomledger.pipeline.load import load_batches
from roomledger.queries.status import read_status
from roomledger.settings import Source
from sandbox.dataset.workspace import Workspace
from sandbox.hundredms_api import vendor_server
from tests import folders, payloads, vendor_story
from tests.folders import store_of
from tests.warehouses import collect_from, fetch


def test_each_kind_of_evidence_resolves_its_objects(ready: Database, tmp_path: Path) -> None:
    bucket, acme = vendor_story.complete(tmp_path / "bucket")
    with vendor_server([acme]) as vendor:
        run(ready, bucket, acme, vendor.endpoint, "bucket load api load")
    found = (
        "SELECT uri, session_id, session_evidence, split_part(session_reason, ':', 1) FROM object_ledger ORDER BY uri"
    )
    assert {(uri.rpartition("/")[2], *rest) for uri, *rest in fetch(ready, found)} == {
        (f"Rec-room1-{payloads.epoch(1)}.csv", "s1", "asset_record", "asset_record"),
        (f"Rec-room1-{payloads.epoch(91)}.csv", "s2", "time_window", "time_window"),
        (f"Rec-room2-{payloads.epoch(5)}.csv", None, "none", "several_sessions"),
        (f"Rec-room9-{payloads.epoch(5)}.csv", None, "none", "no_session_known"),
        ("unnamed.json", None, "none", "no_room_in_key"),
        (f"Rec-s1-{payloads.epoch(1)}.mp4", "s1", "key", "key"),
        ("one.mp4", "s1", "asset_record", "asset_record"),
        ("0001.json", "s1", "asset_record", "asset_record"),
        ("Rec-room1-1772445700000.csv", "s2", "asset_record", "asset_record"),
    }
    assert fetch(ready, "SELECT DISTINCT disposition FROM object_ledger") == [("loaded",)]
    assert fetch(ready, "SELECT message, session_id FROM chat_messages ORDER BY message") == [
        ("in the window", "s2"),
        ("in two sessions", None),
        ("named", "s1"),
        ("of an unknown room", None),
        ("vendor-stored", "s2"),
    ]
    assert fetch(ready, "SELECT job_id, recording_started_at IS NULL FROM transcripts ORDER BY job_id") == [
        ("j1", False),
        (None, True),
    ]


def test_every_change_of_session_is_recorded(ready: Database, tmp_path: Path) -> None:
    bucket, acme = vendor_story.complete(tmp_path / "bucket")
    with vendor_server([acme]) as vendor:
        run(ready, bucket, acme, vendor.endpoint, "bucket load")
        before = fetch(ready, "SELECT count(*) FROM session_changes")
        run(ready, bucket, acme, vendor.endpoint, "api")
        after = "SELECT from_evidence, to_evidence, to_session_id, changed_by FROM session_changes ORDER BY 2, 3"
        assert before == [(0,)]
        assert fetch(ready, after) == [
            ("none", "asset_record", "s1", "api"),
            ("none", "asset_record", "s1", "api"),
            ("none", "time_window", "s2", "api"),
        ]
        run(ready, bucket, acme, vendor.endpoint, "api bucket load api")
        assert len(fetch(ready, after)) == 3


@pytest.mark.parametrize(
    ("minutes", "session_id"),
    [(0, "s1"), (-9 / 60, "s1"), (-11 / 60, None), (10, "s1"), (10 + 5 / 60, "s1"), (12 - 5 / 60, "s2"), (12, "s2")],
)
def test_a_chat_is_in_a_session_within_the_tolerance_of_its_time_window(
    ready_duckdb: Callable[[Path], Database], tmp_path: Path, minutes: float, session_id: str | None
) -> None:
    acme = payloads.workspace(
        sessions=[payloads.session("s1", "room1", 0, 10), payloads.session("s2", "room1", 12, None)]
    )
    bucket = folders.source_of(tmp_path / "bucket")
    folders.put(
        tmp_path / "bucket", f"chat/room1/20260302/Rec-room1-{payloads.epoch(minutes)}.csv", folders.chat("hello")
    )
    database = ready_duckdb(tmp_path)
    with vendor_server([acme]) as vendor:
        run(database, bucket, acme, vendor.endpoint, "api bucket load")
    assert fetch(database, "SELECT session_id FROM chat_messages") == [(session_id,)]


def run(database: Database, bucket: Source, acme: Workspace, endpoint: str, steps: str) -> None:
    """Collect the bucket, sync the workspace (`api`) or load, in this order."""
    sources = (bucket, payloads.workspace_source(acme))
    with payloads.open_workspace(acme, endpoint) as workspace:
        stores = {bucket.name: store_of(bucket), acme.source: workspace}
        for step in steps.split():
            if step == "load":
                list(load_batches(database, sources, stores))
            else:
                source = sources[step == "api"]
                collect_from(database, source, stores[source.name], sources=sources)


def test_status_lists_the_assets_that_only_the_vendor_stores_and_the_days_left(ready: Database, tmp_path: Path) -> None:
    bucket, acme = vendor_story.complete(tmp_path / "bucket")
    film = payloads.asset("a5", acme.recordings[0], "room-composite", "s3://100ms-storage/film.mp4", 9)
    acme.assets.append(film | {"created_at": payloads.at(24 * 60)})
    acme.assets.append(film | {"id": "a6", "status": "failed", "path": ""})
    now = payloads.START + timedelta(days=5)

    def unsafe() -> list[tuple[str, float]]:
        with ready.begin(read_only=True) as tx:
            return [(row["asset_id"], float(row["days_left"])) for row in read_status(tx, now).unsafe]

    with vendor_server([acme]) as vendor:
        run(ready, bucket, acme, vendor.endpoint, "api")
        assert unsafe() == [("a1", 10.0), ("a2", 10.0), ("a3", 10.0), ("a4", 10.0), ("a5", 11.0)]
        run(ready, bucket, acme, vendor.endpoint, "bucket")
        assert unsafe() == [("a4", 10.0), ("a5", 11.0)]
        run(ready, bucket, acme, vendor.endpoint, "load")
        assert unsafe() == [("a5", 11.0)]
    now += timedelta(days=12)
    assert unsafe() == []
