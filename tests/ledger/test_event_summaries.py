"""What webhook events add up to in the views: each type alone, and several of one session in any order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hundredms.test_webhooks import DOCUMENTED
from tests.ledger.inputs import (
    ASSETS,
    BOT,
    FAILED,
    JOINED,
    MADE,
    NELL,
    NELL_AGAIN,
    OVERVIEW,
    PEERS,
    RECORDED,
    RECORDINGS,
    SESSIONS,
    STREAM,
    TIMELINE,
    TRACK,
    Body,
    Rows,
    Teller,
    in_order,
    timeless,
)
from tests.payloads import at, event


@dataclass(frozen=True, slots=True)
class Told:
    """What an event says, and the rows that come of it; `~` stands for its type, so that nothing of two is the same."""

    type: str
    data: Body
    session: tuple[Any, ...] = (None, True, 0, None)
    """Name of the room, whether it goes on, start and end."""
    peers: Rows = ()
    recordings: Rows = ()
    assets: Rows = ()
    timeline: Rows = ()
    """But for the start of the session."""


BEAM = {"beam_id": "~b", "room_name": "harbour"}
PLANNED = {"recording_enabled": True, "job_id": "~j"}
RAN = {"started_at": at(2), "stopped_at": at(8)}
LIVE = {"recording_vod_playlist_enabled": True, "recording_single_file_per_layer_enabled": False, "job_id": "~j"}
NAMED, CLOSED = ("harbour", True, 0, None), ("harbour", False, 0, 9)
BEGAN, ENDED = ("recording_start", 2, None), ("recording_stop", 8, None)
TYPES = [
    Told("session.open.success", {"room_name": "harbour"}, NAMED),
    Told("session.close.success", {"room_name": "harbour", "session_stopped_at": at(9)}, CLOSED,
         timeline=[("session_end", 9, None)]),
    Told("room.end.success", {"room_name": "harbour", "peer_id": "p", "reason": "over"}, NAMED),
    Told("room.end.failure", {"error_message": "no such session"}),
    Told("peer.join.success", JOINED, peers=[("~p", "u", "Nell", "host", 1, None, False)],
         timeline=[("join", 1, "~p")]),
    Told("peer.join.failure", JOINED | {"error_message": "not allowed"}),
    Told("peer.leave.success", JOINED | {"left_at": at(5)}, peers=[("~p", "u", "Nell", "host", 1, 5, False)],
         timeline=[("join", 1, "~p"), ("leave", 5, "~p")]),
    Told("peer.leave.failure", JOINED | {"error_message": "not there"}),
    Told("role.change.success", JOINED | {"role": "guest"}),
    Told("role.change.failure", JOINED | {"error_message": "too many of them"}),
    Told("beam.started.success", BEAM | PLANNED, NAMED,
         recordings=[("~j", "recording", "running", ("room-composite",), 20, None, "~b", None, None)],
         timeline=[("recording_start", 20, None)]),
    Told("beam.stopped.success", BEAM | PLANNED | {"duration": 60}, NAMED,
         recordings=[("~j", "recording", "post_processing", ("room-composite",), None, 20, "~b", None, None)],
         timeline=[("recording_start", None, None), ("recording_stop", 20, None)]),
    Told("beam.recording.success", BEAM | RECORDED | RAN, NAMED,
         recordings=[(None, "recording", "completed", None, 2, 8, "~b", "~r", None)],
         assets=[("chat", None, "~.csv", None, "~r", "completed", None),
                 ("room-composite", None, "~.mp4", None, "~r", "completed", None)],
         timeline=[BEGAN, ENDED]),
    Told("beam.failure", BEAM | PLANNED | FAILED, NAMED,
         recordings=[("~j", "recording", "failed", ("room-composite",), None, None, "~b", None, "broken off")]),
    Told("recording.success", RECORDED | {"session_stopped_at": at(9)}, (None, False, 0, 9),
         recordings=[(None, "legacy", "completed", None, None, None, None, "~r", None)],
         assets=[("chat", None, "~.csv", None, "~r", "completed", None),
                 ("room-composite-legacy", None, "~.mp4", None, "~r", "completed", None)],
         timeline=[("session_end", 9, None), ("recording_start", None, None), ("recording_stop", None, None)]),
    # Where a file has failed that has neither an address nor an id, only the recording tells of it.
    Told("recording.failed", {"error": "no input", "error_type": "INPUT_ERROR"},
         recordings=[(None, "legacy", "failed", None, None, None, None, None, "no input")]),
    Told("hls.started.success", BEAM | LIVE | {"started_at": at(2)}, NAMED,
         recordings=[("~j", "live-stream", "running", ("room-vod",), 2, None, "~b", None, None)], timeline=[BEGAN]),
    Told("hls.stopped.success", BEAM | LIVE | RAN, NAMED,
         recordings=[("~j", "live-stream", "post_processing", ("room-vod",), 2, 8, "~b", None, None)],
         timeline=[BEGAN, ENDED]),
    Told("hls.recording.success", BEAM | RAN | {
            "recording_id": "~r", "hls_vod_recording_path": "~.m3u8", "chat_recording_path": "~.csv",
            "recording_single_files": [{"asset_id": "~1", "recording_path": "~-0.mp4"}, {"asset_id": "~2"}],
         }, NAMED,
         recordings=[(None, "live-stream", "completed", None, 2, 8, "~b", "~r", None)],
         assets=[("chat", None, "~.csv", None, "~r", "completed", None),
                 ("room-composite", None, "~-0.mp4", "~1", "~r", "completed", None),
                 ("room-composite", None, None, "~2", "~r", "completed", None),
                 ("room-vod", None, "~.m3u8", None, "~r", "completed", None)],
         timeline=[BEGAN, ENDED]),
    Told("hls.failure", BEAM | LIVE | FAILED, NAMED,
         recordings=[("~j", "live-stream", "failed", ("room-vod",), None, None, "~b", None, "broken off")]),
    Told("transcription.started.success", MADE | {"room_name": "harbour"}, NAMED,
         assets=[("summary", "json", None, "~3", "~r", "processing", None),
                 ("transcript", "json", None, "~1", "~r", "processing", None),
                 ("transcript", "srt", None, "~2", "~r", "processing", None)]),
    Told("transcription.success",
         MADE | {"transcript_json_path": "~.json", "transcript_srt_path": "~.srt", "summary_json_path": "~.sum"},
         assets=[("summary", "json", "~.sum", "~3", "~r", "completed", None),
                 ("transcript", "json", "~.json", "~1", "~r", "completed", None),
                 ("transcript", "srt", "~.srt", "~2", "~r", "completed", None)]),
    Told("transcription.failure", MADE | {"transcript_json_path": "~.json", "error_message": "too long"},
         assets=[("summary", "json", None, "~3", "~r", "failed", "too long"),
                 ("transcript", "json", "~.json", "~1", "~r", "completed", None),
                 ("transcript", "srt", None, "~2", "~r", "failed", "too long")]),
    Told("transcription.failed", {"transcript_txt_asset_id": "~1"},
         assets=[("transcript", "txt", None, "~1", None, "failed", None)]),
    Told("track.recording.started.success", TRACK | {"recording_path": None}),
    Told("track.recording.success", TRACK, assets=[("track", None, "~.webm", None, None, "completed", None)]),
    Told("track.recording.failure", TRACK | FAILED,
         assets=[("track", None, "~.webm", None, None, "failed", "broken off")]),
    Told("stream.recording.success", STREAM, assets=[("stream", None, "~.mp4", None, None, "completed", None)]),
    Told("stream.recording.failure", STREAM | FAILED,
         assets=[("stream", None, "~.mp4", None, None, "failed", "broken off")]),
]  # fmt: skip
SUMS = (
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


def test_what_each_type_of_event_tells(acme: Teller) -> None:
    assert {told.type for told in TYPES} == DOCUMENTED
    common = {"room_id": "room1", "session_id": "~", "session_started_at": at(0)}
    acme.hear(*(named(event(told.type, 20, **common | told.data), told.type) for told in TYPES))
    queries = (SESSIONS, PEERS, RECORDINGS, ASSETS, TIMELINE, OVERVIEW)
    found = {query: acme.ask(query) for query in queries}
    for told in TYPES:
        failed = sum(row[5] == "failed" for row in told.assets)
        counts = (len(told.peers), len(told.peers), len(told.recordings), len(told.assets), failed)
        began, overview = ("session_start", 0, None), (*told.session[:2], *counts)
        expected = ([told.session], told.peers, told.recordings, told.assets, [began, *told.timeline], [overview])
        for query, rows in zip(queries, expected, strict=True):
            assert of_session(told.type, found[query]) == in_order(named(rows, told.type)), told.type
    for table, view, columns in SUMS:
        summed_up = acme.ask(f"SELECT {columns}, first_ingested_at FROM {table}")
        assert in_order(summed_up) == in_order(acme.ask(f"SELECT {columns}, first_seen_at FROM {view}"))
        by = acme.ask(f"SELECT DISTINCT customer, source, first_seen_by, record IS NULL FROM {view}")
        assert by == [("Acme", "acme-100ms", "webhook", True)]


def named(told: Any, name: str) -> Any:
    """The same with this name for each `~`."""
    return json.loads(json.dumps(told).replace("~", name))


def of_session(session_id: str, found: Rows) -> list[Any]:
    """What rows say of a session that begin with its id."""
    return in_order(named([row[1:] for row in found if row[0] == session_id], ""))


@dataclass(frozen=True, slots=True)
class Story:
    """Events of one session, and what they add up to; `~` stands for the name of the story."""

    events: Sequence[Body]
    query: str
    expected: Rows


def of(type_: str, minutes: float, **data: Any) -> Body:
    """An event of the session of a story."""
    return event(type_, minutes, room_id="room1", session_id="~", **data)


HALF = {"transcript_json_path": "~.json"}
WHOLE = HALF | {"transcript_srt_path": "~.srt", "summary_json_path": "~.sum"}
TEXTS = [("summary", "json", "~.sum", "~3", "~r", "completed", None),
         ("transcript", "json", "~.json", "~1", "~r", "completed", None),
         ("transcript", "srt", "~.srt", "~2", "~r", "completed", None)]  # fmt: skip
STORIES = {
    "a recorder": Story(
        [of("beam.started.success", 1, **BEAM, **PLANNED), of("beam.stopped.success", 9, **BEAM, **PLANNED),
         of("beam.recording.success", 30, **BEAM, **RECORDED, started_at=at(2))],
        RECORDINGS, [("~j", "recording", "completed", ("room-composite",), 2, 9, "~b", "~r", None)],
    ),
    "a recorder that tells no times": Story(
        [of("beam.started.success", 1, **BEAM), of("beam.stopped.success", 9, **BEAM)],
        RECORDINGS, [(None, "recording", "post_processing", None, 1, 9, "~b", None, None)],
    ),
    "a recorder fails after all": Story(
        [of("beam.stopped.success", 9, **BEAM), of("beam.failure", 10, **BEAM, **FAILED)],
        RECORDINGS, [(None, "recording", "failed", None, None, 9, "~b", None, "broken off")],
    ),
    "a recorder that made its files has not failed": Story(
        [of("beam.recording.success", 30, **BEAM, **RECORDED), of("beam.failure", 31, **BEAM, **FAILED)],
        RECORDINGS, [(None, "recording", "completed", None, None, None, "~b", "~r", "broken off")],
    ),
    "of two failures the last word is shown": Story(
        [of("hls.failure", 9, **BEAM, error_message="the first"),
         of("hls.failure", 10, **BEAM, error_message="the last")],
        RECORDINGS, [(None, "live-stream", "failed", None, None, None, "~b", None, "the last")],
    ),
    "recorders without an id are one for each recording, else for each event": Story(
        [of("recording.success", 30, **RECORDED), of("recording.failed", 31, recording_id="~r", error="late"),
         of("recording.failed", 32, error="one"), of("recording.failed", 33, error="two")],
        RECORDINGS, [(None, "legacy", "completed", None, None, None, None, "~r", "late"),
                     (None, "legacy", "failed", None, None, None, None, None, "one"),
                     (None, "legacy", "failed", None, None, None, None, None, "two")],
    ),
    "what nobody knows of says nothing of a recorder": Story(
        [of("beam.started.success", 1, **BEAM), of("beam.pause.success", 2, **BEAM), of("beam.paused", 3, **BEAM)],
        RECORDINGS, [(None, "recording", "running", None, 1, None, "~b", None, None)],
    ),
    "a file that failed is made": Story(
        [of("track.recording.failure", 9, **TRACK, **FAILED), of("track.recording.success", 10, **TRACK)],
        ASSETS, [("track", None, "~.webm", None, None, "completed", None)],
    ),
    "a file that was made does not fail": Story(
        [of("track.recording.success", 9, **TRACK), of("track.recording.failure", 10, **TRACK, **FAILED)],
        ASSETS, [("track", None, "~.webm", None, None, "completed", None)],
    ),
    "half of a transcription": Story(
        [of("transcription.started.success", 9, **MADE), of("transcription.failure", 10, **MADE, **HALF)],
        ASSETS, [("summary", "json", None, "~3", "~r", "failed", None),
                 ("transcript", "json", "~.json", "~1", "~r", "completed", None),
                 ("transcript", "srt", None, "~2", "~r", "failed", None)],
    ),
    "the other half": Story(
        [of("transcription.started.success", 9, **MADE), of("transcription.failure", 10, **MADE, **HALF),
         of("transcription.success", 11, **MADE, **WHOLE)],
        ASSETS, TEXTS,
    ),
    "all of it, then half": Story(
        [of("transcription.success", 10, **MADE, **WHOLE), of("transcription.failure", 11, **MADE, **HALF)],
        ASSETS, TEXTS,
    ),
    "the last word on a file counts, and none without a time": Story(
        [of("track.recording.success", 10, **TRACK, size=7), of("track.recording.success", 11, **TRACK, size=8),
         timeless(of("track.recording.success", 12, **TRACK, size=9))],
        "SELECT session_id, uri, size_bytes FROM recording_assets", [("~.webm", 8)],
    ),
    "a session": Story(
        [of("peer.join.success", 2, **NELL, session_started_at=at(2), session_stopped_at=at(29)),
         of("session.open.success", 1, session_started_at=at(1), room_name="harbour"),
         of("session.close.success", 30, session_started_at=at(1), session_stopped_at=at(30), room_name="haven")],
        SESSIONS, [("haven", False, 1, 30)],
    ),
    "what nobody knows of says nothing of a session": Story(
        [of("session.pause", 1, session_started_at=at(1)), of("peer.pause", 2, **NELL)],
        SESSIONS, [],
    ),
    "who comes back has a new id": Story(
        [of("peer.join.success", 1, **NELL), of("peer.leave.success", 5, **NELL, left_at=at(5)),
         of("peer.join.success", 6, **NELL_AGAIN), of("peer.join.success", 2, **BOT)],
        PEERS, [("~bot", "100ms_1", "Beam", "__internal_recorder", 2, None, True),
                ("~p1", "u", "Nell", "host", 1, 5, False), ("~p2", "u", "Nell", "host", 6, None, False)],
    ),
    "attendance": Story(
        [of("peer.join.success", 1, **NELL), of("peer.leave.success", 5, **NELL, left_at=at(5)),
         of("peer.join.success", 6, **NELL_AGAIN), of("peer.join.success", 2, **BOT)],
        OVERVIEW, [(None, True, 1, 2, 0, 0, 0)],
    ),
    "a stay is as long as any word makes it": Story(
        [of("peer.leave.success", 5, **NELL | {"joined_at": at(2), "left_at": at(6)}),
         of("peer.leave.success", 6, **NELL | {"left_at": at(5)})],
        PEERS, [("~p1", "u", "Nell", "host", 1, 6, False)],
    ),
    "the last word on a peer counts": Story(
        [of("peer.join.success", 1, **NELL),
         of("peer.leave.success", 5, **NELL | {"user_name": "Nell B.", "user_id": None}),
         of("peer.leave.failure", 6, **NELL | {"user_name": "Nobody"}), of("peer.pause", 7, **NELL | {"role": "idle"})],
        PEERS, [("~p1", "u", "Nell B.", "host", 1, None, False)],
    ),
}  # fmt: skip
ORDERS: Mapping[str, Callable[[list[Body]], list[list[Body]]]] = {
    "one by one": lambda told: [[one] for one in told],
    "backwards": lambda told: [[one] for one in reversed(told)],
    "at once": lambda told: [told],
    "twice": lambda told: [told[1:], told, told[::-1]],
}


@pytest.mark.parametrize("order", ORDERS)
def test_what_events_add_up_to(acme: Teller, order: str) -> None:
    steps: dict[int, list[Body]] = {}
    for name, told in STORIES.items():
        events = named(told.events, name)
        for number, batch in enumerate(ORDERS[order]([one | {"id": f"{name} {one['id']}"} for one in events])):
            steps.setdefault(number, []).extend(batch)
    heard = sum(acme.hear(*batch).get("events", 0) for batch in steps.values())
    assert heard == sum(len(told.events) for told in STORIES.values())
    found = {query: acme.ask(query) for query in {told.query for told in STORIES.values()}}
    for name, told in STORIES.items():
        assert of_session(name, found[told.query]) == in_order(named(told.expected, name)), name
