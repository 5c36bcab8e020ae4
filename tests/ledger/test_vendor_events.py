"""What webhooks say, in the tables and views: alone, beside the API and the bucket, and in whatever order it comes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, text

from roomledger.formats.object_keys import recognise
from roomledger.hundredms import records
from roomledger.hundredms.fields import canonical, record
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.ledger.tables.columns import Json
from roomledger.ledger.tables.vendor_events import EVENT_SUMMARIES, event_assets, vendor_events
from roomledger.ledger.vendor_events import insert_events
from roomledger.ledger.vendor_records import Record, upsert_records
from roomledger.model import Observation
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.settings import BucketSource, Source, WorkspaceSource
from roomledger.warehouse import facts
from tests import story
from tests.hundredms.test_webhooks import CASES, DOCUMENTED, body, decode
from tests.story import START, at, event
from tests.worlds import Tables, ask, chat, contents, put, source_of, store_of

ACME = WorkspaceSource(name="acme-100ms", customer="Acme", url="100ms://acme")
NOW = START + timedelta(days=2)
Body = dict[str, Any]
Rows = Sequence[tuple[Any, ...]]


@dataclass(slots=True)
class Teller:
    """A transaction in which one thing is told after the other."""

    tx: Connection
    database: Database

    def hear(self, *bodies: Body, source: Source = ACME, now: datetime = NOW) -> dict[str, int]:
        """Webhooks came."""
        ingested = insert_events(self.tx, self.database, story.heard(source, bodies), now=now)
        if ingested.changes:
            facts.rekey_rows(self.tx, ingested.changes)
        return {name: number for name, number in ingested.counts.items() if number}

    def say(self, *said: Record, now: datetime = NOW) -> None:
        """The API was asked."""
        ingested = upsert_records(self.tx, self.database, ACME, said, now=now)
        assert ingested.changes
        facts.rekey_rows(self.tx, ingested.changes)

    def list(self, *uris: str) -> None:
        """The bucket was listed."""
        bucket = BucketSource(name="acme", customer="Acme", url="s3://acme")
        seen = [Observation(uri, "1", START, 9) for uri in uris]
        noted = [(one, bucket.classify(recognise(one))) for one in seen]
        record_observations(self.tx, self.database, bucket, noted, observed_by="listing", now=NOW)

    def ask(self, query: str, **given: Any) -> Rows:
        """The rows of a query; times are minutes of the story."""
        return [tuple(map(_plain, row)) for row in self.tx.execute(text(query), given)]


def _plain(cell: Any) -> Any:
    if isinstance(cell, datetime):
        return (cell - START) / timedelta(minutes=1)
    if isinstance(cell, str) and cell.startswith("["):  # so DuckDB gives JSON
        cell = json.loads(cell)
    return tuple(cell) if isinstance(cell, list) else cell


@pytest.fixture
def acme(shared: Database, tx: Connection) -> Teller:
    return Teller(tx, shared)


def session(*told: Any, **more: Any) -> list[Record]:
    """The API's word of a session, and of who was there."""
    row, peers = records.session(story.session(*told, **more))
    return [row, *peers]


def job(*told: Any, **more: Any) -> Record:
    """The API's word of a recording."""
    return records.recording(story.job(*told) | more, "recording")[0]


def asset(asset_id: str, job_id: str, session_id: str, asset_type: str, path: str, **more: Any) -> Record:
    """The API's word of an asset."""
    of = {"id": job_id, "room_id": "room1", "session_id": session_id}
    return records.asset(story.asset(asset_id, of, asset_type, path, 9) | more)


# -- the types of events


def test_every_event_is_kept_as_it_was_read(acme: Teller) -> None:
    bodies = [body(case) | {"id": name} for name, case in CASES.items()]
    read = sorted((decode(one) for one in bodies), key=lambda one: one[0].event_id)
    assert acme.hear(*bodies) == {"events": len(CASES)}
    common = {"customer": "Acme", "source": "acme-100ms", "ingested_at": NOW}
    received = {"received_at": START + timedelta(days=1)}
    assert _kept(acme, vendor_events) == [row._asdict() | common | received for row, _ in read]
    assert _kept(acme, event_assets) == [
        named._asdict()
        | common
        | {"recorder_id": row.beam_id or row.recording_id or row.event_id, "occurred_at": row.occurred_at}
        for row, assets in read
        for named in assets
    ]


def _kept(acme: Teller, table: Table) -> list[dict[str, Any]]:
    """The rows of a table in the order of its key, with JSON as text."""
    as_text = [column.name for column in table.columns if column.type is Json]
    rows = [dict(row) for row in acme.tx.execute(table.select()).mappings()]
    rows = [row | {name: canonical(row[name]) for name in as_text if row[name] is not None} for row in rows]
    return sorted(rows, key=lambda row: (row["event_id"], row.get("ordinal")))


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


JOINED = {"peer_id": "~p", "user_id": "u", "user_name": "Nell", "role": "host", "joined_at": at(1)}
BEAM = {"beam_id": "~b", "room_name": "harbour"}
PLANNED = {"recording_enabled": True, "job_id": "~j"}
RAN = {"started_at": at(2), "stopped_at": at(8)}
RECORDED = {"recording_id": "~r", "recording_path": "~.mp4", "chat_recording_path": "~.csv", "size": 7, "duration": 360}
FAILED = {"error_type": "UPLOAD_ERROR", "error_message": "broken off"}
LIVE = {"recording_vod_playlist_enabled": True, "recording_single_file_per_layer_enabled": False, "job_id": "~j"}
MADE = {
    "recording_id": "~r",
    "transcript_json_asset_id": "~1",
    "transcript_srt_asset_id": "~2",
    "summary_json_asset_id": "~3",
}
TRACK = {"peer_id": "p", "stream_id": "s", "track_id": "t", "track_type": "audio", "recording_path": "~.webm"}
STREAM = {"peer_id": "p", "stream_id": "s", "stream_type": "screen", "recording_path": "~.mp4"}
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

SESSIONS = "SELECT session_id, room_name, active, started_at, ended_at FROM sessions"
PEERS = "SELECT session_id, peer_id, user_id, name, role, joined_at, left_at, is_recorder FROM peers"
RECORDINGS = """
    SELECT session_id, job_id, kind, status, planned_types, started_at, stopped_at, beam_id, recording_id, error_message
    FROM recordings
"""
ASSETS = """
    SELECT session_id, asset_type, output_mode, uri, asset_id, recording_id, status, error_message
    FROM recording_assets
"""
TIMELINE = "SELECT session_id, kind, happened_at, peer_id FROM session_timeline"
OVERVIEW = (
    "SELECT session_id, room_name, active, attendees, peers, recordings, assets, assets_failed FROM session_overview"
)
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


def in_order(rows: Sequence[Any]) -> list[Any]:
    """The same in an order of its own."""
    return sorted(rows, key=repr)


# -- several events


@dataclass(frozen=True, slots=True)
class Story:
    """Events of one session, and what they add up to; `~` stands for the name of the story."""

    events: Sequence[Body]
    query: str
    expected: Rows


def of(type_: str, minutes: float, **data: Any) -> Body:
    """An event of the session of a story."""
    return event(type_, minutes, room_id="room1", session_id="~", **data)


def timeless(said: Body) -> Body:
    """The event without its time."""
    return said | {"id": said["id"] + " timeless", "timestamp": None}


NELL, NELL_AGAIN = JOINED | {"peer_id": "~p1"}, JOINED | {"peer_id": "~p2", "joined_at": at(6)}
BOT = {"peer_id": "~bot", "user_id": "100ms_1", "user_name": "Beam", "role": "__internal_recorder", "joined_at": at(2)}
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


def test_events_of_unknown_types_are_kept_and_counted(acme: Teller) -> None:
    said = {"room_id": "room1", "session_id": "s1", "beam_id": "b", "recording_path": "s3://acme/x", **JOINED}
    types = (
        "ping",
        "session.pause",
        "peer.pause",
        "beam.pause",
        "recording.pause",
        "hls.pause",
        "track.recording.pause",
    )
    assert acme.hear(*(event(type_, 1, **said) for type_ in types)) == {"events": len(types)}
    assert acme.ask("SELECT outcome, count(*) FROM vendor_events GROUP BY outcome") == [(None, len(types))]
    for table in (event_assets, *EVENT_SUMMARIES):
        assert acme.ask(f"SELECT count(*) FROM {table.name}") == [(0,)], table.name


@pytest.mark.parametrize("order", [["itself", "replay"], ["replay", "itself"], ["both"], ["replay", "both"]])
def test_an_event_is_kept_as_it_came_by_itself(acme: Teller, order: list[str]) -> None:
    itself = event("beam.recording.success", 1, room_id="room1", session_id="s1", **RECORDED)
    told = {"itself": [itself], "replay": [itself | {"is_replay": True}]}
    told["both"] = told["replay"] + told["itself"]
    moments = [NOW + timedelta(minutes=number) for number in range(len(order))]
    new = [acme.hear(*told[step], now=now).get("events", 0) for step, now in zip(order, moments, strict=True)]
    assert new == [1, *[0] * (len(order) - 1)]
    assert [(row["record"], row["ingested_at"]) for row in _kept(acme, vendor_events)] == [(canonical(itself), NOW)]
    sha256 = record(itself)[1]
    assert acme.ask("SELECT is_replay, record_sha256 FROM vendor_events") == [(False, sha256)]
    assert acme.ask("SELECT count(*) FROM event_assets") == [(2,)]


def test_an_event_that_only_came_as_a_replay_says_so(acme: Teller) -> None:
    acme.hear(event("session.open.success", 1, session_id="s1") | {"is_replay": True})
    assert acme.ask("SELECT is_replay FROM vendor_events") == [(True,)]
    assert acme.ask("SELECT session_id FROM sessions") == [("s1",)]


# -- beside the API


@pytest.mark.parametrize("first", ["api", "webhooks"])
def test_of_what_both_tell_there_is_one_row(acme: Teller, first: str) -> None:
    api = [*session("s1", "room1", 0, None, peers={"p1": {"id": "p1", "name": "Nell Brady", "joined_at": at(0)}}),
           job("j1", "room1", "s1", 1, 30, "chat", started_at=None, stopped_at=None),
           asset("a1", "j1", "s1", "chat", "s3://acme/chat", status="processing", size=0)]  # fmt: skip
    common = {"room_id": "room1", "session_id": "s1", "room_name": "harbour", "session_started_at": at(-1)}
    webhooks_say = [
        event("session.close.success", 31, **common, session_stopped_at=at(31)),
        event("peer.leave.success", 9, **common | JOINED | {"peer_id": "p1", "left_at": at(9)}),
        event("peer.join.success", 9, **common | JOINED | {"peer_id": "p2"}),
        event("beam.recording.success", 40, **common, beam_id="b", recording_id="r", started_at=at(2),
              stopped_at=at(29), chat_recording_path="s3://acme/chat"),
        event("beam.stopped.success", 29, **common, beam_id="b", job_id="j1"),
    ]  # fmt: skip
    say: list[Callable[[], object]] = [
        lambda: acme.say(*api, now=NOW + timedelta(minutes=1)),
        lambda: acme.hear(*webhooks_say, now=NOW + timedelta(minutes=2)),
    ]
    for speak in say if first == "api" else reversed(say):
        speak()
    assert acme.ask(SESSIONS) == [("s1", "harbour", False, 0, 31)]
    assert in_order(acme.ask(PEERS)) == [
        ("s1", "p1", "u", "Nell Brady", "host", 0, 9, False),
        ("s1", "p2", "u", "Nell", "host", 1, None, False),
    ]
    assert acme.ask(RECORDINGS) == [("s1", "j1", "recording", "completed", ("chat",), 2, 29, "b", "r", None)]
    # The chat is made: so its event says. The recording with it has no address, so it is nobody's asset.
    assert acme.ask(ASSETS) == [("s1", "chat", None, "s3://acme/chat", "a1", "r", "completed", None)]
    assert acme.ask(OVERVIEW) == [("s1", "harbour", False, 1, 2, 1, 1, 0)]
    for view in ("sessions", "peers", "recordings", "recording_assets"):
        key = "peer_id <> 'p2'" if view == "peers" else "1 = 1"
        at_ = (NOW - START) / timedelta(minutes=1) + 1
        assert acme.ask(f"SELECT first_seen_at, first_seen_by FROM {view} WHERE {key}") == [(at_, "api")], view


@pytest.mark.parametrize("first", ["api", "webhooks", "bucket"])
@pytest.mark.parametrize("path", ["", "s3://acme/x/1.json"])
def test_a_file_that_is_made_between_two_looks_at_the_api_is_one_asset(acme: Teller, first: str, path: str) -> None:
    common = {"room_id": "room1", "session_id": "s1", "recording_id": "r", "transcript_json_asset_id": "a1"}
    say: dict[str, Callable[[], object]] = {
        "webhooks": lambda: acme.hear(
            event("transcription.success", 9, transcript_json_path="s3://acme/x/1.json", **common)
        ),
        "api": lambda: acme.say(asset("a1", "j1", "s1", "transcript", path, status="processing", size=0)),
        "bucket": lambda: acme.list("s3://acme/x/1.json"),
    }
    say.pop(first)()
    whole = "SELECT uri, asset_id, status, session_id, recording_id, object_id IS NULL FROM recording_assets"
    row = ("s3://acme/x/1.json", "a1", "completed", "s1", "r")
    for number, speak in enumerate(say.values()):
        speak()
        if first != "bucket" or number == 1:
            assert acme.ask(whole) == [(*row, first != "bucket" and not number)]
    assert acme.ask("SELECT job_id FROM recording_assets") == [("j1",)]


JOBS = "SELECT job_id, beam_id, recording_id FROM recordings ORDER BY job_id, beam_id"


def recorded(beam_id: str | None, job_id: str | None, *paths: str, **more: Any) -> list[Body]:
    """A recorder that was started as this job and made these files."""
    common = {"room_id": "room1", "session_id": "s1", "beam_id": beam_id, **more}
    made = [event("beam.recording.success", 30 + n, **common, recording_path=path) for n, path in enumerate(paths)]
    return [event("beam.started.success", 1, **common, job_id=job_id), *made]


@pytest.mark.parametrize("first", ["api", "webhooks"])
@pytest.mark.parametrize(
    ("said", "heard", "expected"),
    [
        ([job("j1", "room1", "s1", 1, 30)], [("b1", "j1")], [("j1", "b1", None)]),
        # Its id in webhooks is another, but it names what the job names.
        (
            [job("j1", "room1", "s1", 1, 30), asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4")],
            [("b1", "x", "s3://acme/1.mp4"), ("b2", "y", "s3://acme/2.mp4")],
            [("j1", "b1", None), ("y", "b2", None)],
        ),
        # A job of whose assets one is known, but not the job itself, is nobody's.
        (
            [asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4")],
            [("b1", None, "s3://acme/1.mp4")],
            [(None, "b1", None)],
        ),
        # The id goes before what it names.
        (
            [*(job(name, "room1", "s1", 1, 30) for name in ("j1", "j2", "j3")),
             asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4"),
             asset("a2", "j3", "s1", "room-composite", "s3://acme/1.mp4")],
            [("b1", "j2", "s3://acme/1.mp4")],
            [("j1", None, None), ("j2", "b1", None), ("j3", None, None)],
        ),
        # Two recorders of one job: one by its id, one by what it names.
        (
            [job("j1", "room1", "s1", 1, 30), asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4")],
            [("b2", "x", "s3://acme/1.mp4"), ("b1", "j1", "s3://acme/2.mp4")],
            [("j1", "b1", None)],
        ),
    ],
)  # fmt: skip
def test_which_job_a_recorder_is(
    acme: Teller, first: str, said: list[Record], heard: list[tuple[Any, ...]], expected: Rows
) -> None:
    say: list[Callable[[], object]] = [
        lambda: acme.say(*said),
        lambda: acme.hear(*(one for told in heard for one in recorded(*told))),
    ]
    for speak in say if first == "api" else reversed(say):
        speak()
    assert acme.ask(JOBS) == expected
    acme.say(*said[::-1])
    acme.hear(*(one for told in heard for one in recorded(*told)))
    assert acme.ask(JOBS) == expected


def test_another_customers_job_is_no_recorders(acme: Teller) -> None:
    acme.say(job("j1", "room1", "s1", 1, 30), asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4"))
    other = WorkspaceSource(name="other", customer="Other", url="100ms://other")
    acme.hear(*recorded("b1", "j1", "s3://acme/1.mp4"), source=other)
    assert acme.ask("SELECT customer, job_id, beam_id FROM recordings ORDER BY customer") == [
        ("Acme", "j1", None),
        ("Other", "j1", "b1"),
    ]
    assert acme.ask("SELECT api_job_id FROM event_recordings") == [(None,)]


def test_a_recorder_is_another_job_once_the_api_says_so(acme: Teller) -> None:
    acme.hear(*recorded(None, None, "s3://acme/1.mp4", recording_id="r"))
    acme.say(job("j1", "room1", "s1", 1, 30), asset("a1", "j1", "s1", "room-composite", "s3://acme/1.mp4"))
    assert acme.ask(JOBS) == [("j1", None, "r")]
    # Of another recorder, though of the same recording: it takes nothing from the first.
    acme.hear(event("hls.started.success", 2, session_id="s1", beam_id="b", recording_vod_playlist_enabled=True))
    acme.hear(event("hls.stopped.success", 3, session_id="s1", beam_id="b", recording_id="r"))
    assert acme.ask(JOBS) == [("j1", None, "r"), (None, "b", "r")]
    acme.say(asset("a1", "j1", "s1", "room-composite", "s3://acme/2.mp4"))
    assert acme.ask(JOBS) == [("j1", None, None), (None, "b", "r"), (None, None, "r")]
    acme.hear(event("beam.recording.success", 31, session_id="s1", recording_id="r", recording_path="s3://acme/2.mp4"))
    assert acme.ask(JOBS) == [("j1", None, "r"), (None, "b", "r")]
    assert acme.ask("SELECT planned_types FROM recordings WHERE beam_id = 'b'") == [(("room-vod",),)]


# -- beside the bucket


@dataclass(slots=True)
class Run:
    """A bucket, and a warehouse that is told of it."""

    database: Database
    folder: Path

    def put(self, key: str, content: bytes) -> str:
        """Put an object into the bucket; give its address."""
        return put(self.folder, key, content)

    def load(self) -> None:
        """Look into the bucket and load what is new."""
        bucket = source_of(self.folder)
        collect_bucket(self.database, bucket, store_of(bucket))
        list(load_batches(self.database, [bucket], {bucket.name: store_of(bucket)}))

    def hear(self, *bodies: Body) -> dict[str, int]:
        """Webhooks came."""
        with self.database.begin() as tx:
            return Teller(tx, self.database).hear(*bodies)

    def say(self, *said: Record) -> None:
        """The API was asked."""
        with self.database.begin() as tx:
            Teller(tx, self.database).say(*said)

    def placed(self) -> dict[str, tuple[Any, ...]]:
        """Where each object belongs."""
        rows = ask(self.database, "SELECT uri, session_id, session_evidence, room_id FROM object_ledger")
        return {uri: tuple(rest) for uri, *rest in rows}


@pytest.fixture
def run(ready: Database, tmp_path: Path) -> Run:
    return Run(ready, tmp_path / "bucket")


def test_webhooks_move_what_is_loaded_by_the_strength_of_their_evidence(run: Run) -> None:
    named, named_twice, sessionless, in_window, too_early = (
        run.put(story.chat_at("room1", minutes), chat(f"at {minutes}")) for minutes in (1, 2, 3, 4, -20)
    )
    roomless, silent = (run.put(key, chat(key)) for key in ("x/1.csv", "x/1.bin"))
    spoken, unnamed = run.put("x/1.json", story.TRANSCRIPT), run.put("films/1.mp4", b"film")
    film, stream = (
        run.put(f"room1/20260302/s9/{key}-{story.epoch(1)}.mp4", b"film") for key in ("Rec-s9", "p/s/whole")
    )
    run.load()
    nowhere, elsewhere = (None, "none", "room1"), (None, "none", None)
    assert run.placed() == {
        **dict.fromkeys((named, named_twice, sessionless, in_window, too_early), nowhere),
        **dict.fromkeys((roomless, silent, spoken, unnamed), elsewhere),
        **dict.fromkeys((film, stream), ("s9", "key", "room1")),
    }

    opened = event("session.open.success", 0, room_id="room1", session_id="s1", session_started_at=at(0))
    s2 = {"room_id": "room2", "session_id": "s2"}
    heard = run.hear(
        opened,
        event("beam.recording.success", 40, **s2, chat_recording_path=named),
        event("beam.recording.success", 41, **s2, chat_recording_path=named_twice),
        event("beam.recording.success", 42, room_id="room2", chat_recording_path=sessionless),
        event("beam.recording.success", 43, session_id="s2", chat_recording_path=roomless),
        event("beam.recording.success", 44, **s2, chat_recording_path=silent),
        event("recording.success", 45, **s2, recording_path=film),
        event("stream.recording.failure", 46, **s2, recording_path=stream, error_message="lost"),
        event("transcription.success", 47, **s2, recording_id="r", transcript_json_path=spoken),
        event("track.recording.success", 48, recording_path=unnamed),
    )
    assert heard == {"events": 10, "rekeyed": 8, "new_seen": 2}
    assert run.hear(opened) == {}
    run.say(asset("a1", "j1", "s3", "chat", named_twice))
    run.load()
    assert run.placed() == {
        **dict.fromkeys((named, silent, film, stream, spoken), ("s2", "webhook", "room2")),
        roomless: ("s2", "webhook", None),
        named_twice: ("s3", "asset_record", "room1"),
        **dict.fromkeys((sessionless, in_window), ("s1", "time_window", "room1")),
        too_early: nowhere,
        unnamed: elsewhere,
    }
    changes = "SELECT changed_by, from_evidence, to_evidence, to_session_id, count(*) FROM session_changes GROUP BY ALL"
    changes = changes.replace("ALL", "1, 2, 3, 4 ORDER BY 1, 2, 3, 4")
    assert ask(run.database, changes) == [
        ("api", "webhook", "asset_record", "s3", 1),
        ("webhook", "key", "webhook", "s2", 2),
        ("webhook", "none", "time_window", "s1", 2),
        ("webhook", "none", "webhook", "s2", 4),
    ]
    said = ask(run.database, "SELECT message, session_id, session_evidence FROM chat_messages ORDER BY message")
    assert said == [
        ("at -20", None, "none"),
        ("at 1", "s2", "webhook"),
        ("at 2", "s3", "asset_record"),
        ("at 3", "s1", "time_window"),
        ("at 4", "s1", "time_window"),
        ("x/1.bin", "s2", "webhook"),
        ("x/1.csv", "s2", "webhook"),
    ]
    # What its key does not tell is read as what the webhook calls it.
    shown = (
        "SELECT asset_type, session_id, status, disposition FROM recording_assets WHERE uri IN ('{}', '{}') ORDER BY 1"
    )
    assert ask(run.database, shown.format(unnamed, stream)) == [
        ("stream", "s2", "failed", "loaded"),
        ("track", None, "completed", "loaded"),
    ]
    reason = ask(run.database, f"SELECT session_reason FROM object_ledger WHERE uri = '{named}'")
    first = event("beam.recording.success", 40, **s2, chat_recording_path=named)["id"]
    assert reason == [(f"webhook: the vendor names it in event {first}",)]

    # Of the recorder that made a recording the start is told in the end, without the recording's id.
    began = "SELECT recording_started_at FROM transcripts"
    recorder = {"room_id": "room2", "session_id": "s2", "beam_id": "b"}
    run.hear(event("beam.recording.success", 50, **recorder, recording_id="r"))
    assert ask(run.database, began) == [(None,)]
    assert run.hear(event("beam.started.success", 2, **recorder)) == {"events": 1}
    assert ask(run.database, began) == [(START + timedelta(minutes=2),)]
    assert ask(run.database, "SELECT said_at FROM statements WHERE kind = 'sentence'") == [
        (START + timedelta(minutes=2, seconds=1),)
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_when_the_recording_of_a_file_started(acme: Teller, order: tuple[int, ...]) -> None:
    uris = [
        f"s3://acme/x/{name}.json"
        for name in ("own", "of its recorder", "of two recorders", "of nobody", "of a recording")
    ]
    common = {"room_id": "room1", "session_id": "s1"}
    made = [
        event("transcription.success", 40, **common, recording_id=f"r{number}", transcript_json_path=uri)
        for number, uri in enumerate(uris)
    ]
    made[0]["data"]["started_at"] = at(1)
    say: list[Callable[[], object]] = [
        lambda: acme.list(*uris),
        lambda: acme.hear(*made),
        lambda: acme.hear(
            event("hls.started.success", 2, **common, beam_id="b1", recording_id="r0"),
            event("hls.started.success", 3, **common, beam_id="b2", recording_id="r1", started_at=at(4)),
            event("recording.success", 5, **common, recording_id="r2", started_at=at(6)),
            event("hls.recording.success", 5, **common, beam_id="a", recording_id="r2"),
            event("hls.started.success", 7, **common, beam_id="z", recording_id="r2"),
            event("recording.success", 8, **common, recording_id="r4", started_at=at(8)),
        ),
    ]
    for step in order:
        say[step]()
    found = acme.ask("SELECT recording_started_at, session_evidence FROM object_ledger ORDER BY uri")
    assert found == [(minutes, "webhook") for minutes in (8, 4, None, 6, 1)]


def test_of_several_events_that_name_a_file_one_counts(acme: Teller) -> None:
    uris = [f"s3://acme/x/{name}.json" for name in "abcd"]
    acme.list(*uris)
    common: Body = {"room_id": "room1"}

    def named(uri: str, minutes: float, type_: str, session_id: str | None, **more: Any) -> Body:
        return event(
            type_, minutes, **common, session_id=session_id, transcript_json_path=uri, recording_path=uri, **more
        )

    acme.hear(
        # With a session goes before without, made before failed, late before early, and any time before none.
        named(uris[0], 9, "track.recording.success", None),
        named(uris[0], 1, "transcription.failure", "s1"),
        named(uris[1], 9, "stream.recording.failure", "s1"),
        named(uris[1], 1, "transcription.success", "s2"),
        named(uris[2], 1, "transcription.success", "s1"),
        named(uris[2], 2, "transcription.success", "s2"),
        timeless(named(uris[3], 1, "transcription.success", "s1")),
        named(uris[3], 2, "transcription.success", "s2"),
    )
    found = acme.ask("SELECT named_type, session_id FROM object_ledger ORDER BY uri")
    assert found == [("transcript", name) for name in ("s1", "s2", "s2", "s2")]


def test_rooms_that_a_session_is_in_by_any_word_are_looked_at(acme: Teller) -> None:
    sessions = "SELECT session_id FROM object_ledger ORDER BY uri"
    acme.say(*session("s1", "room1", 0, None))
    acme.list("s3://acme/" + story.chat_at("room1", 1), "s3://acme/" + story.chat_at("room1", 20))
    # Of two rooms of a session the last counts; the first is no longer its.
    s2 = {"session_id": "s2", "session_started_at": at(0)}
    acme.hear(event("peer.join.success", 1, room_id="room1", **s2))
    assert acme.ask(sessions) == [(None,), (None,)]
    acme.hear(event("peer.join.success", 2, room_id="room2", **s2))
    assert acme.ask(sessions) == [("s1",), ("s1",)]
    # That a session is over may be said without its room, which the API knows.
    acme.hear(event("session.close.success", 9, session_id="s1", session_stopped_at=at(9)))
    assert acme.ask(sessions) == [("s1",), (None,)]
    # The API takes a session out of the room that a webhook, or itself, said before.
    acme.hear(event("session.open.success", 19, session_id="s3", room_id="room1", session_started_at=at(19)))
    assert acme.ask(sessions) == [("s1",), ("s3",)]
    acme.say(*session("s3", "room2", 19, None))
    acme.say(*session("s1", "room2", 0, None))
    assert acme.ask(sessions) == [(None,), (None,)]


# -- in any order


def files(folder: Path) -> dict[str, str]:
    """The objects of the story, by name: their addresses."""
    keys: dict[str, bytes] = {
        "named": chat("named"), "named by both": chat("named by both"), "named by the api": chat("named by the api"),
        "sessionless": chat("sessionless"),
    }  # fmt: skip
    uris = {name: put(folder, story.chat_at("room1", n), content) for n, (name, content) in enumerate(keys.items(), 1)}
    for name, key in {
        "in the window": story.chat_at("room1", 95),
        "in two windows": story.chat_at("room2", 5),
        "in a window that ends": story.chat_at("room3", 60),
        "of nobody's room": story.chat_at("room9", 5),
        "silent": "x/1.bin",
        "otherwise": "x/2.csv",
    }.items():
        uris[name] = put(folder, key, chat(name))
    for name in ("json", "json of nobody"):
        uris[name] = put(folder, f"x/{name}.json", story.TRANSCRIPT)
    uris["json otherwise"] = put(folder, "x/both.json", b'{"sections": [], "words": [], "sentences": []}')
    uris["srt"] = put(folder, "x/1.srt", b"1\n00:00:01,000 --> 00:00:02,500\nNell: Good morning.\n")
    for name, key in {
        "film": f"beam/room1/20260302/Rec-room1-{story.epoch(1)}.mp4",
        "film named by the api": f"beam/room1/20260302/Rec-room1-{story.epoch(2)}.mp4",
        "legacy": f"room1/20260302/s9/Rec-s9-{story.epoch(1)}.mp4",
        "keyed": f"room1/20260302/s9/Rec-s9-{story.epoch(2)}.mp4",
        "layer": "films/0.mp4",
        "track": "films/1.mp4",
        "unnamed": "films/2.mp4",
    }.items():
        uris[name] = put(folder, key, b"film")
    return uris


def events(uris: Mapping[str, str]) -> list[Body]:
    """What webhooks say in the story."""
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
        event("peer.join.failure", 7, **s1 | NELL_AGAIN | {"user_name": "Nobody"}, error_message="too late"),
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
        event("transcription.success", 43, **s2, transcript_json_path=uris["json otherwise"]),
        event("track.recording.failure", 35, **s1 | TRACK | {"recording_path": uris["track"]}, **FAILED),
        event("track.recording.success", 36, **s1 | TRACK | {"recording_path": uris["track"]}),
        timeless(event("stream.recording.success", 37, **s2 | STREAM | {"recording_path": uris["track"]}, size=9)),
        event("beam.recording.success", 38, room_id="room7", chat_recording_path=uris["sessionless"]),
        event("beam.recording.success", 39, **s2, chat_recording_path=uris["silent"]),
        event("track.recording.success", 44, **s2, recording_path=uris["otherwise"]),
        event("session.pause", 45, session_id="s6", room_id="room1", session_started_at=at(90)),
    ]  # fmt: skip


def records_of(uris: Mapping[str, str]) -> list[Record]:
    """What the API says in the story."""
    return [
        *session("s1", "room1", 0, 31), *session("s3", "room2", 0, 10),
        job("j1", "room1", "s1", 1, 30, "chat", started_at=None), job("j2", "room1", "s1", 2, 30, "chat"),
        asset("a1", "j2", "s3", "chat", uris["named by both"]),
        asset("a2", "j1", "s1", "chat", uris["named by the api"]),
        asset("a3", "j2", "s1", "room-composite", uris["film named by the api"], status="processing"),
        asset("a-layer", "j4", "s2", "room-composite", "", status="processing", size=0),
        asset("a5", "j1", "s1", "summary", uris["json otherwise"]), asset("a6", "j1", "s1", "chat", uris["otherwise"]),
    ]  # fmt: skip


MOST_EVENTS, MOST_RECORDS = 33, 12
Step = tuple[str, frozenset[int]]


def take(run: Run, steps: Sequence[Step]) -> Tables:
    """Tell parts of the story, then all of it; give what the tables hold then."""
    uris = files(run.folder)
    said, heard = records_of(uris), events(uris)
    assert (len(heard), len(said)) == (MOST_EVENTS, MOST_RECORDS)
    for verb, which in (*steps, ("hear", range(MOST_EVENTS)), ("say", range(MOST_RECORDS)), ("load", ())):
        match verb:
            case "say":
                run.say(*(said[number] for number in which))
            case "hear":
                run.hear(*(heard[number] for number in which))
            case "replay":
                run.hear(*(heard[number] | {"is_replay": True} for number in which))
            case "load":
                run.load()
    return contents(run.database, past=False)


EVENTS, RECORDS = st.frozensets(st.integers(0, MOST_EVENTS - 1)), st.frozensets(st.integers(0, MOST_RECORDS - 1))
STEPS = st.lists(
    st.tuples(st.sampled_from(["hear", "replay"]), EVENTS)
    | st.tuples(st.just("say"), RECORDS)
    | st.just(("load", frozenset[int]())),
    max_size=5,
)
ALL_EVENTS, ALL_RECORDS = frozenset(range(MOST_EVENTS)), frozenset(range(MOST_RECORDS))
ODD = frozenset(range(1, MOST_EVENTS, 2))
LOAD: Step = ("load", frozenset())
ONE_BY_ONE: list[Step] = [("hear", frozenset([number])) for number in reversed(range(MOST_EVENTS))]


@pytest.fixture(scope="module")
def plain(ready_duckdb: Callable[[Path], Database], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All was told at once, and then loaded."""
    folder = tmp_path_factory.mktemp("plain")
    run = Run(ready_duckdb(folder), folder / "bucket")
    take(run, [])
    return run


@pytest.fixture(scope="module")
def tables(plain: Run) -> Tables:
    """What the tables hold then."""
    return contents(plain.database, past=False)


def check(found: Tables, tables: Tables) -> None:
    """See that what came out is the same."""
    for table, expected in tables.items():
        more = [row for row in found[table] if row not in expected]
        less = [row for row in expected if row not in found[table]]
        assert (table, more, less) == (table, [], [])
        assert found[table] == expected, table


def test_the_story_has_every_kind_of_evidence(plain: Run) -> None:
    kinds = "SELECT DISTINCT session_evidence, split_part(session_reason, ':', 1) FROM object_ledger ORDER BY ALL"
    assert ask(plain.database, kinds) == [
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
    assert ask(plain.database, recordings) == [
        ("legacy", "completed", None, None),
        ("legacy", "failed", None, None),
        ("live-stream", "completed", None, "b4"),
        ("recording", "completed", "j1", "b1"),
        ("recording", "completed", "j2", "b2"),
        # Recorders that have neither an id nor a job's file.
        ("recording", "completed", None, None),
        ("recording", "completed", None, None),
    ]


@example(steps=[LOAD, *ONE_BY_ONE, LOAD])
@example(steps=[LOAD, ("replay", ALL_EVENTS), ("say", ALL_RECORDS)])
@given(steps=STEPS)
@settings(
    deadline=None,
    max_examples=6,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=set(Phase) - {Phase.explain},
)
def test_what_comes_first_changes_nothing(
    ready_postgres: Callable[[], Database], plain: Run, tables: Tables, steps: list[Step]
) -> None:
    check(take(Run(ready_postgres(), plain.folder), steps), tables)


@pytest.mark.parametrize(
    "steps",
    [
        [LOAD, ("hear", ALL_EVENTS), ("say", ALL_RECORDS)],
        [("say", ALL_RECORDS), ("replay", ALL_EVENTS), LOAD],
        [("hear", ALL_EVENTS - ODD), LOAD, ("say", ALL_RECORDS), ("replay", ODD)],
    ],
)
def test_what_comes_first_changes_nothing_in_duckdb(
    ready_duckdb: Callable[[Path], Database], tmp_path: Path, plain: Run, tables: Tables, steps: list[Step]
) -> None:
    check(take(Run(ready_duckdb(tmp_path), plain.folder), steps), tables)
