"""What both the API and webhooks report is one row: sessions, peers, recordings and assets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from roomledger.ledger.vendor_records import Record
from roomledger.settings import WorkspaceSource
from tests.ledger.inputs import (
    JOINED,
    NOW,
    Body,
    Ledger,
    Rows,
    asset,
    in_order,
    job,
    session,
)
from tests.payloads import START, at, event


@pytest.mark.parametrize("first", ["api", "webhooks"])
def test_what_api_and_webhooks_both_report_is_one_row(acme: Ledger, first: str) -> None:
    api = [*session("s1", "room1", 0, None, peers={"p1": {"id": "p1", "name": "Nell Brady", "joined_at": at(0)}}),
           job("j1", "room1", "s1", 1, 30, "chat", started_at=None, stopped_at=None),
           asset("a1", "j1", "s1", "chat", "s3://acme/chat", status="processing", size=0)]  # fmt: skip
    common = {"room_id": "room1", "session_id": "s1", "room_name": "harbour", "session_started_at": at(-1)}
    bodies = [
        event("session.close.success", 31, **common, session_stopped_at=at(31)),
        event("peer.leave.success", 9, **common | JOINED | {"peer_id": "p1", "left_at": at(9)}),
        event("peer.join.success", 9, **common | JOINED | {"peer_id": "p2"}),
        event("beam.recording.success", 40, **common, beam_id="b", recording_id="r", started_at=at(2),
              stopped_at=at(29), chat_recording_path="s3://acme/chat"),
        event("beam.stopped.success", 29, **common, beam_id="b", job_id="j1"),
    ]  # fmt: skip
    writes: list[Callable[[], object]] = [
        lambda: acme.upsert(*api, now=NOW + timedelta(minutes=1)),
        lambda: acme.insert(*bodies, now=NOW + timedelta(minutes=2)),
    ]
    for write in writes if first == "api" else reversed(writes):
        write()
    assert acme.view("sessions") == [("s1", "harbour", False, 0, 31)]
    assert in_order(acme.view("peers")) == [
        ("s1", "p1", "u", "Nell Brady", "host", 0, 9, False),
        ("s1", "p2", "u", "Nell", "host", 1, None, False),
    ]
    assert acme.view("recordings") == [("s1", "j1", "recording", "completed", ("chat",), 2, 29, "b", "r", None)]
    # The chat is completed, as its event reports. The recording of the same event has no address and is no asset.
    assert acme.view("recording_assets") == [("s1", "chat", None, "s3://acme/chat", "a1", "r", "completed", None)]
    assert acme.view("session_overview") == [("s1", "harbour", False, 1, 2, 1, 1, 0)]
    for view in ("sessions", "peers", "recordings", "recording_assets"):
        key = "peer_id <> 'p2'" if view == "peers" else "1 = 1"
        minutes = (NOW - START) / timedelta(minutes=1) + 1
        assert acme.fetch(f"SELECT first_seen_at, first_seen_by FROM {view} WHERE {key}") == [(minutes, "api")], view


@pytest.mark.parametrize("first", ["api", "webhooks", "bucket"])
@pytest.mark.parametrize("path", ["", "s3://acme/x/1.json"])
def test_a_file_that_is_completed_between_two_polls_of_the_api_is_one_asset(
    acme: Ledger, first: str, path: str
) -> None:
    common = {"room_id": "room1", "session_id": "s1", "recording_id": "r", "transcript_json_asset_id": "a1"}
    writes: dict[str, Callable[[], object]] = {
        "webhooks": lambda: acme.insert(
            event("transcription.success", 9, transcript_json_path="s3://acme/x/1.json", **common)
        ),
        "api": lambda: acme.upsert(asset("a1", "j1", "s1", "transcript", path, status="processing", size=0)),
        "bucket": lambda: acme.observe("s3://acme/x/1.json"),
    }
    writes.pop(first)()
    whole = "SELECT uri, asset_id, status, session_id, recording_id, object_id IS NULL FROM recording_assets"
    row = ("s3://acme/x/1.json", "a1", "completed", "s1", "r")
    for number, write in enumerate(writes.values()):
        write()
        if first != "bucket" or number == 1:
            assert acme.fetch(whole) == [(*row, first != "bucket" and not number)]
    assert acme.fetch("SELECT job_id FROM recording_assets") == [("j1",)]


JOBS = "SELECT job_id, beam_id, recording_id FROM recordings ORDER BY job_id, beam_id"


def recorder_events(beam_id: str | None, job_id: str | None, *paths: str, **more: Any) -> list[Body]:
    """A recorder that was started as this job and made these files."""
    common = {"room_id": "room1", "session_id": "s1", "beam_id": beam_id, **more}
    made = [event("beam.recording.success", 30 + n, **common, recording_path=path) for n, path in enumerate(paths)]
    return [event("beam.started.success", 1, **common, job_id=job_id), *made]


@pytest.mark.parametrize("first", ["api", "webhooks"])
@pytest.mark.parametrize(
    ("rows", "recorders", "expected"),
    [
        ([job("j1", "room1", "s1", 1, 30)], [("b1", "j1")], [("j1", "b1", None)]),
        # Its id in webhooks differs from the job's, but both name the same file.
        (
            [job("j1", "room1", "s1", 1, 30), asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4")],
            [("b1", "x", "s3://acme/1.mp4"), ("b2", "y", "s3://acme/2.mp4")],
            [("j1", "b1", None), ("y", "b2", None)],
        ),
        # An asset of the job is known, but not the job itself: no job matches.
        (
            [asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4")],
            [("b1", None, "s3://acme/1.mp4")],
            [(None, "b1", None)],
        ),
        # The id goes before the files that are named.
        (
            [*(job(name, "room1", "s1", 1, 30) for name in ("j1", "j2", "j3")),
             asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4"),
             asset("a2", "j3", "s1", "room-composite", "s3://acme/1.mp4")],
            [("b1", "j2", "s3://acme/1.mp4")],
            [("j1", None, None), ("j2", "b1", None), ("j3", None, None)],
        ),
        # Two recorders of one job: one by its id, one by a file.
        (
            [job("j1", "room1", "s1", 1, 30), asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4")],
            [("b2", "x", "s3://acme/1.mp4"), ("b1", "j1", "s3://acme/2.mp4")],
            [("j1", "b1", None)],
        ),
    ],
)  # fmt: skip
def test_a_recorder_is_the_job_that_its_id_or_its_files_name(
    acme: Ledger, first: str, rows: list[Record], recorders: list[tuple[Any, ...]], expected: Rows
) -> None:
    writes: list[Callable[[], object]] = [
        lambda: acme.upsert(*rows),
        lambda: acme.insert(*(one for cells in recorders for one in recorder_events(*cells))),
    ]
    for write in writes if first == "api" else reversed(writes):
        write()
    assert acme.fetch(JOBS) == expected
    acme.upsert(*rows[::-1])
    acme.insert(*(one for cells in recorders for one in recorder_events(*cells)))
    assert acme.fetch(JOBS) == expected


def test_a_recorder_is_never_the_job_of_another_customer(acme: Ledger) -> None:
    acme.upsert(job("j1", "room1", "s1", 1, 30), asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4"))
    other = WorkspaceSource(name="other", customer="Other", url="100ms://other")
    acme.insert(*recorder_events("b1", "j1", "s3://acme/1.mp4"), source=other)
    assert acme.fetch("SELECT customer, job_id, beam_id FROM recordings ORDER BY customer") == [
        ("Acme", "j1", None),
        ("Other", "j1", "b1"),
    ]
    assert acme.fetch("SELECT api_job_id FROM event_recordings") == [(None,)]


def test_a_recorder_becomes_another_job_once_the_api_reports_it(acme: Ledger) -> None:
    acme.insert(*recorder_events(None, None, "s3://acme/1.mp4", recording_id="r"))
    acme.upsert(job("j1", "room1", "s1", 1, 30), asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4"))
    assert acme.fetch(JOBS) == [("j1", None, "r")]
    # Another recorder of the same recording takes nothing from the first.
    acme.insert(event("hls.started.success", 2, session_id="s1", beam_id="b", recording_vod_playlist_enabled=True))
    acme.insert(event("hls.stopped.success", 3, session_id="s1", beam_id="b", recording_id="r"))
    assert acme.fetch(JOBS) == [("j1", None, "r"), (None, "b", "r")]
    acme.upsert(asset("a1", "j1", "s1", "room-composite", "s3://acme/2.mp4"))
    assert acme.fetch(JOBS) == [("j1", None, None), (None, "b", "r"), (None, None, "r")]
    acme.insert(
        event("beam.recording.success", 31, session_id="s1", recording_id="r", recording_path="s3://acme/2.mp4")
    )
    assert acme.fetch(JOBS) == [("j1", None, "r"), (None, "b", "r")]
    assert acme.fetch("SELECT planned_types FROM recordings WHERE beam_id = 'b'") == [(("room-vod",),)]
