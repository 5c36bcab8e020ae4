"""Records, events and objects in any order, late or twice: the tables end as if all had come at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from roomledger.ledger.database import Database
from roomledger.ledger.vendor_records import Record
from tests import payloads
from tests.folders import chat, put
from tests.ledger.inputs import (
    BOT,
    FAILED,
    JOINED,
    MADE,
    NELL,
    NELL_AGAIN,
    STREAM,
    TRACK,
    Body,
    Run,
    asset,
    job,
    session,
    without_time,
)
from tests.payloads import at, event
from tests.warehouses import Tables, contents, fetch


def files(folder: Path) -> dict[str, str]:
    """Write the objects of the story; give their addresses by name."""
    keys: dict[str, bytes] = {
        "named": chat("named"), "named by both": chat("named by both"), "named by the api": chat("named by the api"),
        "without a session": chat("without a session"),
    }  # fmt: skip
    uris = {
        name: put(folder, payloads.chat_key_at("room1", n), content)
        for n, (name, content) in enumerate(keys.items(), 1)
    }
    for name, key in {
        "in the window": payloads.chat_key_at("room1", 95),
        "in two windows": payloads.chat_key_at("room2", 5),
        "in a window that ends": payloads.chat_key_at("room3", 60),
        "of an unknown room": payloads.chat_key_at("room9", 5),
        "unnamed key": "x/1.bin",
        "of two types": "x/2.csv",
    }.items():
        uris[name] = put(folder, key, chat(name))
    for name in ("json", "json that nothing names"):
        uris[name] = put(folder, f"x/{name}.json", payloads.TRANSCRIPT)
    uris["json of two types"] = put(
        folder, "x/both.json", b'{"sections": [{"title": "T", "bullets": []}], "words": [], "sentences": []}'
    )
    uris["srt"] = put(folder, "x/1.srt", b"1\n00:00:01,000 --> 00:00:02,500\nNell: Good morning.\n")
    for name, key in {
        "film": f"beam/room1/20260302/Rec-room1-{payloads.epoch(1)}.mp4",
        "film named by the api": f"beam/room1/20260302/Rec-room1-{payloads.epoch(2)}.mp4",
        "legacy": f"room1/20260302/s9/Rec-s9-{payloads.epoch(1)}.mp4",
        "keyed": f"room1/20260302/s9/Rec-s9-{payloads.epoch(2)}.mp4",
        "layer": "films/0.mp4",
        "track": "films/1.mp4",
        "unnamed": "films/2.mp4",
    }.items():
        uris[name] = put(folder, key, b"film")
    return uris


def events(uris: Mapping[str, str]) -> list[Body]:
    """The webhook events of the story."""
    s1: Body = {"room_id": "room1", "session_id": "s1", "session_started_at": at(0)}
    s2: Body = {"room_id": "room1", "session_id": "s2", "session_started_at": at(90)}
    b1, b2 = s1 | {"beam_id": "b1", "job_id": "j1"}, s1 | {"beam_id": "b2", "job_id": "x"}
    live, texts = s2 | {"beam_id": "b4", "recording_id": "r4"}, s1 | MADE | {"recording_id": "r1"}
    return [
        event("session.open.success", 0, **s1, room_name="harbour"),
        event("session.close.success", 31, **s1, session_stopped_at=at(31), room_name="haven"),
        event("session.close.success", 99, **s2, session_stopped_at=at(99)),
        event("session.open.success", 4, session_id="s4", room_id="room2", session_started_at=at(4)),
        event("session.open.success", 50, session_id="s5", room_id="room3", session_started_at=at(50)),
        event("session.close.success", 55, session_id="s5", room_id="room3", session_stopped_at=at(55)),
        event("peer.join.success", 1, **s1 | NELL),
        event("peer.leave.success", 5, **s1 | NELL | {"left_at": at(5), "user_name": "Nell B."}),
        event("peer.join.success", 6, **s1 | NELL_AGAIN),
        event("peer.join.failure", 7, **s1 | NELL_AGAIN | {"user_name": "Not Nell"}, error_message="too late"),
        event("peer.join.success", 2, **s1 | BOT),
        event("peer.join.success", 1, **s1 | JOINED | {"peer_id": "p-s1", "user_name": "Nell of s1"}),
        event("beam.started.success", 1, **b1, recording_enabled=True),
        event("beam.stopped.success", 30, **b1),
        event("beam.failure", 32, **b1, **FAILED),
        event("beam.recording.success", 33, **b1, recording_id="r1", recording_path=uris["film"],
              chat_recording_path=uris["named"]),
        event("beam.recording.success", 34, **b2, recording_id="r2", recording_path=uris["film named by the api"],
              chat_recording_path=uris["named by both"]),
        event("beam.started.success", 3, **b1 | {"beam_id": "b3"}),
        event("hls.started.success", 91, **live, recording_vod_playlist_enabled=True),
        event("hls.recording.success", 100, **live, recording_single_files=[
            {"asset_id": "a-layer", "recording_path": uris["layer"], "layer": "0"}, {"asset_id": "a-lost"}]),
        event("recording.success", 101, **s2, recording_path=uris["legacy"]),
        event("recording.failed", 102, **s2, error="once more"),
        event("transcription.started.success", 40, **texts),
        event("transcription.failure", 41, **texts, transcript_json_path=uris["json"]),
        event("transcription.success", 42, **texts, transcript_json_path=uris["json"], transcript_srt_path=uris["srt"]),
        event("transcription.success", 43, **s2, transcript_json_path=uris["json of two types"]),
        event("track.recording.failure", 35, **s1 | TRACK | {"recording_path": uris["track"]}, **FAILED),
        event("track.recording.success", 36, **s1 | TRACK | {"recording_path": uris["track"]}),
        without_time(event("stream.recording.success", 37, **s2 | STREAM | {"recording_path": uris["track"]}, size=9)),
        event("beam.recording.success", 38, room_id="room7", chat_recording_path=uris["without a session"]),
        event("beam.recording.success", 39, **s2, chat_recording_path=uris["unnamed key"]),
        event("track.recording.success", 44, **s2, recording_path=uris["of two types"]),
        event("session.pause", 45, session_id="s6", room_id="room1", session_started_at=at(90)),
    ]  # fmt: skip


def records_of(uris: Mapping[str, str]) -> list[Record]:
    """The records of the API in the story."""
    return [
        *session("s1", "room1", 0, 31), *session("s3", "room2", 0, 10),
        job("j1", "room1", "s1", 1, 30, "chat", started_at=None), job("j2", "room1", "s1", 2, 30, "chat"),
        asset("a1", "j2", "s3", "chat", uris["named by both"]),
        asset("a2", "j1", "s1", "chat", uris["named by the api"]),
        asset("a3", "j2", "s1", "room-composite", uris["film named by the api"], status="processing"),
        asset("a-layer", "j4", "s2", "room-composite", "", status="processing", size=0),
        asset("a5", "j1", "s1", "summary", uris["json of two types"]),
        asset("a6", "j1", "s1", "chat", uris["of two types"]),
    ]  # fmt: skip


MOST_EVENTS, MOST_RECORDS = 33, 12
Step = tuple[str, frozenset[int]]


def run_steps(run: Run, steps: Sequence[Step]) -> Tables:
    """Write parts of the story, then all of it, and load it; give what the tables hold then."""
    uris = files(run.folder)
    records, bodies = records_of(uris), events(uris)
    assert (len(bodies), len(records)) == (MOST_EVENTS, MOST_RECORDS)
    for verb, which in (*steps, ("insert", range(MOST_EVENTS)), ("upsert", range(MOST_RECORDS)), ("load", ())):
        match verb:
            case "upsert":
                run.upsert(*(records[number] for number in which))
            case "insert":
                run.insert(*(bodies[number] for number in which))
            case "replay":
                run.insert(*(bodies[number] | {"is_replay": True} for number in which))
            case "load":
                run.load()
    return contents(run.database, past=False)


EVENTS, RECORDS = st.frozensets(st.integers(0, MOST_EVENTS - 1)), st.frozensets(st.integers(0, MOST_RECORDS - 1))
STEPS = st.lists(
    st.tuples(st.sampled_from(["insert", "replay"]), EVENTS)
    | st.tuples(st.just("upsert"), RECORDS)
    | st.just(("load", frozenset[int]())),
    max_size=5,
)
ALL_EVENTS, ALL_RECORDS = frozenset(range(MOST_EVENTS)), frozenset(range(MOST_RECORDS))
ODD = frozenset(range(1, MOST_EVENTS, 2))
LOAD: Step = ("load", frozenset())
ONE_BY_ONE: list[Step] = [("insert", frozenset([number])) for number in reversed(range(MOST_EVENTS))]


@pytest.fixture(scope="module")
def plain(ready_duckdb: Callable[[Path], Database], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which all is written at once, and then loaded."""
    folder = tmp_path_factory.mktemp("plain")
    run = Run(ready_duckdb(folder), folder / "bucket")
    run_steps(run, [])
    return run


@pytest.fixture(scope="module")
def tables(plain: Run) -> Tables:
    """What the tables hold after it."""
    return contents(plain.database, past=False)


def check(found: Tables, tables: Tables) -> None:
    """Assert that the tables are the same; show the rows that differ first."""
    for table, expected in tables.items():
        more = [row for row in found[table] if row not in expected]
        less = [row for row in expected if row not in found[table]]
        assert (table, more, less) == (table, [], [])
        assert found[table] == expected, table


def test_the_story_has_every_kind_of_evidence(plain: Run) -> None:
    kinds = "SELECT DISTINCT session_evidence, split_part(session_reason, ':', 1) FROM object_ledger ORDER BY ALL"
    assert fetch(plain.database, kinds) == [
        ("asset_record", "asset_record"),
        ("key", "key"),
        ("none", "no_room_in_key"),
        ("none", "no_session_known"),
        ("none", "several_sessions"),
        ("none", None),
        ("time_window", "time_window"),
        ("webhook", "webhook"),
    ]
    recordings = "SELECT kind, status, job_id, beam_id FROM recordings ORDER BY ALL"
    assert fetch(plain.database, recordings) == [
        ("legacy", "completed", None, None),
        ("legacy", "failed", None, None),
        ("live-stream", "completed", None, "b4"),
        ("recording", "completed", "j1", "b1"),
        ("recording", "completed", "j2", "b2"),
        # Recorders without an id and without a file of a job.
        ("recording", "completed", None, None),
        ("recording", "completed", None, None),
    ]


@example(steps=[LOAD, *ONE_BY_ONE, LOAD])
@example(steps=[LOAD, ("replay", ALL_EVENTS), ("upsert", ALL_RECORDS)])
@given(steps=STEPS)
@settings(
    deadline=None,
    max_examples=6,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=set(Phase) - {Phase.explain},
)
def test_the_order_of_arrival_changes_nothing(
    ready_postgres: Callable[[], Database], plain: Run, tables: Tables, steps: list[Step]
) -> None:
    check(run_steps(Run(ready_postgres(), plain.folder), steps), tables)


@pytest.mark.parametrize(
    "steps",
    [
        [LOAD, ("insert", ALL_EVENTS), ("upsert", ALL_RECORDS)],
        [("upsert", ALL_RECORDS), ("replay", ALL_EVENTS), LOAD],
        [("insert", ALL_EVENTS - ODD), LOAD, ("upsert", ALL_RECORDS), ("replay", ODD)],
    ],
)
def test_the_order_of_arrival_changes_nothing_in_duckdb(
    ready_duckdb: Callable[[Path], Database], tmp_path: Path, plain: Run, tables: Tables, steps: list[Step]
) -> None:
    check(run_steps(Run(ready_duckdb(tmp_path), plain.folder), steps), tables)
