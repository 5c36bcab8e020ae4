"""Webhook events as session evidence: which objects they rekey, and which of several events counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests import payloads
from tests.folders import chat
from tests.ledger.inputs import (
    Body,
    Ledger,
    Run,
    asset,
    session,
    without_time,
)
from tests.payloads import START, at, event
from tests.warehouses import fetch


def test_webhooks_rekey_loaded_objects_by_the_strength_of_their_evidence(run: Run) -> None:
    named, named_twice, sessionless, in_window, too_early = (
        run.put(payloads.chat_key_at("room1", minutes), chat(f"at {minutes}")) for minutes in (1, 2, 3, 4, -20)
    )
    roomless, unnamed_key = (run.put(key, chat(key)) for key in ("x/1.csv", "x/1.bin"))
    transcript, track = run.put("x/1.json", payloads.TRANSCRIPT), run.put("films/1.mp4", b"film")
    film, stream = (
        run.put(f"room1/20260302/s9/{key}-{payloads.epoch(1)}.mp4", b"film") for key in ("Rec-s9", "p/s/whole")
    )
    run.load()
    room_only, nothing = (None, "none", "room1"), (None, "none", None)
    assert run.resolved() == {
        **dict.fromkeys((named, named_twice, sessionless, in_window, too_early), room_only),
        **dict.fromkeys((roomless, unnamed_key, transcript, track), nothing),
        **dict.fromkeys((film, stream), ("s9", "key", "room1")),
    }

    opened = event("session.open.success", 0, room_id="room1", session_id="s1", session_started_at=at(0))
    s2 = {"room_id": "room2", "session_id": "s2"}
    counts = run.insert(
        opened,
        event("beam.recording.success", 40, **s2, chat_recording_path=named),
        event("beam.recording.success", 41, **s2, chat_recording_path=named_twice),
        event("beam.recording.success", 42, room_id="room2", chat_recording_path=sessionless),
        event("beam.recording.success", 43, session_id="s2", chat_recording_path=roomless),
        event("beam.recording.success", 44, **s2, chat_recording_path=unnamed_key),
        event("recording.success", 45, **s2, recording_path=film),
        event("stream.recording.failure", 46, **s2, recording_path=stream, error_message="lost"),
        event("transcription.success", 47, **s2, recording_id="r", transcript_json_path=transcript),
        event("track.recording.success", 48, recording_path=track),
    )
    assert counts == {"events": 10, "rekeyed": 8, "new_seen": 2}
    assert run.insert(opened) == {}
    run.upsert(asset("a1", "j1", "s3", "chat", named_twice))
    run.load()
    assert run.resolved() == {
        **dict.fromkeys((named, unnamed_key, film, stream, transcript), ("s2", "webhook", "room2")),
        roomless: ("s2", "webhook", None),
        named_twice: ("s3", "asset_record", "room1"),
        **dict.fromkeys((sessionless, in_window), ("s1", "time_window", "room1")),
        too_early: room_only,
        track: nothing,
    }
    changes = "SELECT changed_by, from_evidence, to_evidence, to_session_id, count(*) FROM session_changes GROUP BY ALL"
    changes = changes.replace("ALL", "1, 2, 3, 4 ORDER BY 1, 2, 3, 4")
    assert fetch(run.database, changes) == [
        ("api", "webhook", "asset_record", "s3", 1),
        ("webhook", "key", "webhook", "s2", 2),
        ("webhook", "none", "time_window", "s1", 2),
        ("webhook", "none", "webhook", "s2", 4),
    ]
    messages = fetch(run.database, "SELECT message, session_id, session_evidence FROM chat_messages ORDER BY message")
    assert messages == [
        ("at -20", None, "none"),
        ("at 1", "s2", "webhook"),
        ("at 2", "s3", "asset_record"),
        ("at 3", "s1", "time_window"),
        ("at 4", "s1", "time_window"),
        ("x/1.bin", "s2", "webhook"),
        ("x/1.csv", "s2", "webhook"),
    ]
    # An object whose key does not tell its type has the type that the webhook names.
    shown = (
        "SELECT asset_type, session_id, status, disposition FROM recording_assets WHERE uri IN ('{}', '{}') ORDER BY 1"
    )
    assert fetch(run.database, shown.format(track, stream)) == [
        ("stream", "s2", "failed", "loaded"),
        ("track", None, "completed", "loaded"),
    ]
    reason = fetch(run.database, f"SELECT session_reason FROM object_ledger WHERE uri = '{named}'")
    first = event("beam.recording.success", 40, **s2, chat_recording_path=named)["id"]
    assert reason == [(f"webhook: the vendor names it in event {first}",)]

    # The start of a recorder arrives last, in an event without the id of the recording.
    began = "SELECT recording_started_at FROM transcripts"
    recorder = {"room_id": "room2", "session_id": "s2", "beam_id": "b"}
    run.insert(event("beam.recording.success", 50, **recorder, recording_id="r"))
    assert fetch(run.database, began) == [(None,)]
    assert run.insert(event("beam.started.success", 2, **recorder)) == {"events": 1}
    assert fetch(run.database, began) == [(START + timedelta(minutes=2),)]
    assert fetch(run.database, "SELECT said_at FROM statements WHERE kind = 'sentence'") == [
        (START + timedelta(minutes=2, seconds=1),)
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_start_of_a_files_recording_is_found_in_any_order(acme: Ledger, order: tuple[int, ...]) -> None:
    uris = [
        f"s3://acme/x/{name}.json"
        for name in ("own", "of its recorder", "of two recorders", "of no recorder", "of a recording")
    ]
    common = {"room_id": "room1", "session_id": "s1"}
    made = [
        event("transcription.success", 40, **common, recording_id=f"r{number}", transcript_json_path=uri)
        for number, uri in enumerate(uris)
    ]
    made[0]["data"]["started_at"] = at(1)
    writes: list[Callable[[], object]] = [
        lambda: acme.observe(*uris),
        lambda: acme.insert(*made),
        lambda: acme.insert(
            event("hls.started.success", 2, **common, beam_id="b1", recording_id="r0"),
            event("hls.started.success", 3, **common, beam_id="b2", recording_id="r1", started_at=at(4)),
            event("recording.success", 5, **common, recording_id="r2", started_at=at(6)),
            event("hls.recording.success", 5, **common, beam_id="a", recording_id="r2"),
            event("hls.started.success", 7, **common, beam_id="z", recording_id="r2"),
            event("recording.success", 8, **common, recording_id="r4", started_at=at(8)),
        ),
    ]
    for step in order:
        writes[step]()
    found = acme.fetch("SELECT recording_started_at, session_evidence FROM object_ledger ORDER BY uri")
    assert found == [(minutes, "webhook") for minutes in (8, 4, None, 6, 1)]


def test_of_several_events_that_name_a_file_the_strongest_counts(acme: Ledger) -> None:
    uris = [f"s3://acme/x/{name}.json" for name in "abcd"]
    acme.observe(*uris)
    common: Body = {"room_id": "room1"}

    def named(uri: str, minutes: float, type_: str, session_id: str | None, **more: Any) -> Body:
        return event(
            type_, minutes, **common, session_id=session_id, transcript_json_path=uri, recording_path=uri, **more
        )

    acme.insert(
        # A session goes before none, completed before failed, late before early, and any time before none.
        named(uris[0], 9, "track.recording.success", None),
        named(uris[0], 1, "transcription.failure", "s1"),
        named(uris[1], 9, "stream.recording.failure", "s1"),
        named(uris[1], 1, "transcription.success", "s2"),
        named(uris[2], 1, "transcription.success", "s1"),
        named(uris[2], 2, "transcription.success", "s2"),
        without_time(named(uris[3], 1, "transcription.success", "s1")),
        named(uris[3], 2, "transcription.success", "s2"),
    )
    found = acme.fetch("SELECT named_type, session_id FROM object_ledger ORDER BY uri")
    assert found == [("transcript", name) for name in ("s1", "s2", "s2", "s2")]


def test_a_session_that_changes_rooms_rekeys_the_objects_of_both_rooms(acme: Ledger) -> None:
    sessions = "SELECT session_id FROM object_ledger ORDER BY uri"
    acme.upsert(*session("s1", "room1", 0, None))
    acme.observe("s3://acme/" + payloads.chat_key_at("room1", 1), "s3://acme/" + payloads.chat_key_at("room1", 20))
    # Of two rooms of a session the last one counts; the session is no longer in the first.
    s2 = {"session_id": "s2", "session_started_at": at(0)}
    acme.insert(event("peer.join.success", 1, room_id="room1", **s2))
    assert acme.fetch(sessions) == [(None,), (None,)]
    acme.insert(event("peer.join.success", 2, room_id="room2", **s2))
    assert acme.fetch(sessions) == [("s1",), ("s1",)]
    # The end of a session may come without its room, which the API knows.
    acme.insert(event("session.close.success", 9, session_id="s1", session_stopped_at=at(9)))
    assert acme.fetch(sessions) == [("s1",), (None,)]
    # The API moves a session out of the room that a webhook, or the API itself, reported before.
    acme.insert(event("session.open.success", 19, session_id="s3", room_id="room1", session_started_at=at(19)))
    assert acme.fetch(sessions) == [("s1",), ("s3",)]
    acme.upsert(*session("s3", "room2", 19, None))
    acme.upsert(*session("s1", "room2", 0, None))
    assert acme.fetch(sessions) == [(None,), (None,)]
