"""The dataset is reproducible and complete, and its expected counts add up."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from sandbox.dataset import MINIMUM_SESSIONS, Dataset, DatasetObject, digest, expect, generate
from sandbox.dataset.edge_cases import EDGE_CASE_SESSIONS
from sandbox.dataset.model import Outcome, ignored, loaded
from sandbox.dataset.workspace import Workspace

START = datetime(2026, 3, 2, tzinfo=UTC)
STOP = START + timedelta(days=14)

ASSET_TYPES = {
    "room-composite", "room-composite-legacy", "room-vod", "track", "stream", "chat", "transcript", "summary",
}  # fmt: skip

HEX_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
EDGE_CASES = 2 * EDGE_CASE_SESSIONS
"""Edge-case sessions of both customers."""


def test_the_same_seed_gives_the_same_bytes_in_another_process_without_the_parsers() -> None:
    program = (
        "import hashlib, sys; from sandbox.dataset import digest, generate; dataset = generate(7, 6);"
        "print(digest(dataset.objects), hashlib.sha256(repr(dataset.workspaces).encode()).hexdigest());"
        "sys.exit(any(name.startswith('roomledger') for name in sys.modules))"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, check=True, capture_output=True, text=True)
    again = generate(7, 6)
    assert done.stdout.split() == [digest(again.objects), hashlib.sha256(repr(again.workspaces).encode()).hexdigest()]
    assert generate(7, 6) == again


def test_another_seed_gives_another_dataset() -> None:
    ours, other = generate(1, 6), generate(2, 6)
    assert digest(ours.objects) != digest(other.objects)
    assert not {obj.session_id for obj in ours.objects} & {obj.session_id for obj in other.objects} - {None}


def test_the_digest_depends_on_uris_and_bytes(dataset: Dataset) -> None:
    obj = next(obj for obj in dataset.objects if obj.content)
    for changed in (replace(obj, uri=obj.uri + "x"), replace(obj, content=obj.content[::-1])):
        assert digest([changed]) != digest([obj])


def test_too_few_sessions_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least 6"):
        generate(sessions=MINIMUM_SESSIONS - 1)


def test_the_dataset_has_the_expected_size(dataset: Dataset) -> None:
    megabytes = sum(len(obj.content) for obj in dataset.objects) / 1e6
    small = len(dataset.sessions) == MINIMUM_SESSIONS + EDGE_CASES
    assert small or len(dataset.sessions) == 220 + EDGE_CASES
    assert small or 3_000 <= len(dataset.objects) <= 4_500
    assert 1 < megabytes < (3 if small else 60)


def test_uris_are_unique_and_below_their_prefix(dataset: Dataset) -> None:
    buckets = {bucket.source: (bucket.customer, f"{bucket.scheme}://{bucket.name}") for bucket in dataset.buckets}
    urls = {bucket.source: bucket.url for bucket in dataset.buckets}
    for workspace in dataset.workspaces:
        buckets[workspace.source] = workspace.customer, "s3://vendor-held-recordings"
        urls[workspace.source] = f"s3://vendor-held-recordings/{workspace.name}"
    assert {bucket.scheme for bucket in dataset.buckets} == {"s3", "gs"}
    assert len({obj.uri for obj in dataset.objects}) == len(dataset.objects)
    for obj in dataset.objects:
        customer, bucket = buckets[obj.source]
        assert obj.customer == customer
        assert obj.uri == f"{bucket}/{obj.key}"
        assert obj.uri.startswith(urls[obj.source] + "/")


def test_ids_and_times_are_within_the_two_weeks(dataset: Dataset) -> None:
    for obj in dataset.objects:
        assert START <= obj.written_at < STOP
        for found in HEX_ID.findall(obj.key):
            assert START <= datetime.fromtimestamp(int(found[:8], 16), UTC) <= obj.written_at
        for epoch in re.findall(r"\b\d{13}\b", obj.key):
            assert START < datetime.fromtimestamp(int(epoch) / 1000, UTC) < obj.written_at
        if obj.asset_type == "chat":
            for sent_at in re.findall(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", obj.content):
                assert START < datetime.fromisoformat(sent_at.decode()) < obj.written_at
    for session in dataset.sessions:
        assert START < session.started_at < session.ended_at < STOP
        ids = [session.id, session.room_id, *(job.id for job in session.jobs)]
        assert all(HEX_ID.fullmatch(each) for each in ids)
        assert int(session.id[:8], 16) == int(session.started_at.timestamp())
        assert all(re.fullmatch(UUID, peer.id) for peer in session.peers)


def test_both_customers_have_every_asset_type(dataset: Dataset) -> None:
    for bucket in dataset.buckets:
        assert {obj.asset_type for obj in dataset.objects if obj.source == bucket.source} == ASSET_TYPES | {None}


def test_a_second_recorder_may_have_no_record(dataset: Dataset) -> None:
    chats = [obj for obj in dataset.objects if obj.asset_type == "chat"]
    recorded = {(obj.customer, obj.outcome.message_ids) for obj in chats if obj.evidence == "asset_record"}
    unrecorded = {(obj.customer, obj.outcome.message_ids) for obj in chats if obj.evidence == "time_window"}
    assert {customer for customer, _ in recorded & unrecorded} == {
        workspace.customer for workspace in dataset.workspaces
    }


def test_expected_counts_add_up(dataset: Dataset) -> None:
    expected = dataset.expected
    dispositions = Counter((obj.source, obj.outcome.disposition) for obj in dataset.objects)
    assert expected.objects == {
        one.source: {name: count for (source, name), count in dispositions.items() if source == one.source}
        for one in (*dataset.buckets, *dataset.workspaces)
    }
    loaded = sum(counts["loaded"] for counts in expected.objects.values())
    refused = sum(counts.get("refused", 0) for counts in expected.objects.values())
    assert expected.rows["object_assets"] == loaded
    assert expected.rows["transcripts"] == _loaded(dataset, "transcript")
    assert expected.rows["summaries"] == _loaded(dataset, "summary")
    assert sum(expected.ignored.values()) == sum(counts.get("ignored", 0) for counts in expected.objects.values())
    assert sum(expected.evidence.values()) == loaded + refused
    assert sum(expected.unresolved.values()) == expected.evidence["none"]
    halves = [
        expect([obj for obj in dataset.objects if obj.customer == one.customer], workspaces=[one])
        for one in dataset.workspaces
    ]
    for table, count in expected.rows.items():
        assert count == sum(half.rows[table] for half in halves) > 0
    for evidence, count in expected.evidence.items():
        assert count == sum(half.evidence[evidence] for half in halves)
    assert expected.recorded_twice == sum(half.recorded_twice for half in halves)
    assert expect(dataset.objects, expected.showcase, dataset.workspaces) == expected


def test_without_the_api_only_keys_are_evidence(dataset: Dataset) -> None:
    workspaces = {workspace.source for workspace in dataset.workspaces}
    without_api, expected = expect(dataset.objects), dataset.expected
    assert without_api.objects.keys() == expected.objects.keys() - workspaces
    recorded = sum(obj.case == "named_media" for obj in dataset.objects)
    assert without_api.ignored["media_of_unknown_layout"] == expected.ignored["media_of_unknown_layout"] + recorded
    assets = [obj for obj in dataset.objects if obj.source not in workspaces and obj.outcome.disposition != "ignored"]
    assert sum(without_api.evidence.values()) == without_api.rows["recording_assets"] == len(assets) - recorded
    by_key = [obj for obj in assets if obj.asset_type in ("room-composite-legacy", "track", "stream")]
    assert without_api.evidence["key"] == len([obj for obj in by_key if obj.case != "named_media"])
    assert without_api.evidence.keys() == {"key", "none"}
    assert without_api.unresolved.keys() == {"no_session_known", "no_recorder_start", "no_room_in_key"}
    assert sum(without_api.unresolved.values()) == without_api.evidence["none"]
    tables = ("rooms", "sessions", "peers", "recordings", "asset_records")
    assert [without_api.rows[table] for table in tables] == [0] * len(tables)
    first, second = dataset.workspaces
    mixed = expect(dataset.objects, workspaces=[first])
    assert mixed.objects.keys() == expected.objects.keys() - {second.source}
    assert mixed.rows["sessions"] == len(first.sessions)
    assert without_api.evidence["key"] > mixed.evidence["key"] > expected.evidence["key"]


def test_a_message_of_two_recorders_is_counted_once_per_session(dataset: Dataset) -> None:
    def written(session_id: str, **outcome: object) -> DatasetObject:
        return _object(dataset, source="a", session_id=session_id, outcome_without_api=Outcome("loaded", **outcome))

    total = expect(
        [
            written("one", rows={"chat_messages": 2}, message_ids=("x", "y"), duplicates=1),
            written("one", rows={"chat_messages": 2}, message_ids=("x", "z"), refusals={"nul_byte": 1}),
            written("two", rows={"chat_messages": 1}, message_ids=("x",), refusals={"nul_byte": 2}),
            _object(dataset, source="b", uri="s3://b/1", outcome_without_api=loaded(summaries=1)),
        ]
    )
    assert total.recorded_twice == 1
    assert total.duplicates == 1
    assert total.refusals == {"nul_byte": 3}
    assert total.objects == {"a": {"loaded": 3}, "b": {"loaded": 1}}
    assert total.rows["chat_messages"] == 5
    assert total.rows["object_assets"] == total.rows["summaries"] == 1


def test_the_asset_view_has_objects_with_their_record_and_records_without_object(dataset: Dataset) -> None:
    def workspace(customer: str, *paths: str) -> Workspace:
        return Workspace("w", "w", customer, "key", "secret", assets=[{"path": path} for path in paths])

    only_with_api: dict[str, Any] = {"outcome": loaded(), "outcome_without_api": None, "evidence": "none"}
    objects = [
        _object(dataset, uri="s3://b/1", outcome=loaded(), evidence="asset_record"),
        _object(dataset, uri="s3://b/2", outcome=Outcome("refused"), evidence="key"),
        _object(dataset, uri="s3://b/3", **(only_with_api | {"outcome": ignored("thumbnail")})),
        _object(dataset, uri="s3://b/4", **(only_with_api | {"unresolved_reason": "no_room_in_key"})),
    ]
    with_api = expect(objects, workspaces=[workspace("c", "s3://b/1", "s3://b/1", "s3://b/3", "s3://b/9", "", "")])
    assert with_api.rows["asset_records"] == 6
    assert with_api.rows["recording_assets"] == 3 + 5
    assert (with_api.evidence, with_api.unresolved) == ({"asset_record": 1, "key": 1, "none": 1}, {"no_room_in_key": 1})
    other_customer = expect(objects, workspaces=[workspace("d", "s3://b/1")])
    assert other_customer.rows["recording_assets"] == 2 + 1, "another customer's record is of another object"
    assert (other_customer.evidence, other_customer.unresolved) == ({"none": 2}, {"no_session_known": 2})


def test_objects_belong_to_their_session_and_job(dataset: Dataset) -> None:
    sessions = {session.id: session for session in dataset.sessions}
    rooms = {session.room_id for session in dataset.sessions}
    for obj in dataset.objects:
        if obj.session_id is None:
            assert obj.job_id is None
            assert (obj.room_id is None) == (obj.case != "unknown_room")
            assert obj.room_id not in rooms
            continue
        session = sessions[obj.session_id]
        job = next(job for job in session.jobs if job.id == obj.job_id)
        assert session.customer == obj.customer
        assert obj.room_id == session.room_id
        if obj.case not in ("named_media", "no_room"):
            assert obj.room_id in obj.key
            assert f"/{session.started_at:%Y%m%d}/" in obj.key
        assert job.status == ("failed" if obj.case == "failed_job" else "completed")
        assert obj.asset_type is None or obj.asset_type in job.planned
        assert obj.written_at > job.stopped_at
        for epoch in re.findall(r"\b\d{13}\b", obj.key):
            assert int(epoch) == round(job.started_at.timestamp() * 1000)


def test_evidence_follows_from_record_key_and_sessions(dataset: Dataset) -> None:
    """Derived from the keys and the records alone, without the cases."""
    for obj in dataset.objects:
        workspace = next(one for one in dataset.workspaces if one.customer == obj.customer)
        if obj.outcome.disposition == "ignored":
            assert (obj.evidence, obj.unresolved_reason) == ("none", None)
            continue
        recorded = {asset["session_id"] for asset in workspace.assets if asset["path"] == obj.uri}
        ids = HEX_ID.findall(obj.key)
        room = next((each for each in ids if re.search(rf"{each}/\d{{8}}/", obj.key)), None)
        session = next((each for each in ids if re.search(rf"{room}/\d{{8}}/{each}/", obj.key)), None)
        epochs = re.findall(r"\b\d{13}\b", obj.key)
        if recorded:
            assert obj.evidence == "asset_record"
            assert recorded == {obj.session_id}
        elif session and obj.asset_type not in ("transcript", "summary"):
            assert (obj.evidence, session) == ("key", obj.session_id)
        elif room and epochs:
            start = datetime.fromtimestamp(int(epochs[0]) / 1000, UTC)
            inside = [
                session.id
                for session in dataset.sessions
                if session.room_id == room and session.started_at <= start <= session.ended_at
            ]
            reason = {0: "no_session_known", 1: None}.get(len(inside), "several_sessions")
            assert (obj.evidence, obj.unresolved_reason) == ("none" if reason else "time_window", reason)
            assert reason == "no_session_known" or obj.session_id in inside
        else:
            reason = "no_recorder_start" if room else "no_room_in_key"
            assert (obj.evidence, obj.unresolved_reason) == ("none", reason)
    reasons = {"no_session_known", "several_sessions", "no_room_in_key", "no_recorder_start"}
    assert dataset.expected.evidence.keys() == {"asset_record", "key", "time_window", "none"}
    assert dataset.expected.unresolved.keys() == reasons


def test_sessions_are_plausible(dataset: Dataset) -> None:
    rooms = defaultdict(list)
    for session in dataset.sessions:
        rooms[session.room_id].append(session)
        assert all(session.started_at <= job.started_at < job.stopped_at <= session.ended_at for job in session.jobs)
        assert all(session.started_at <= peer.joined_at < peer.left_at <= session.ended_at for peer in session.peers)
        for earlier, later in pairwise(session.jobs):
            assert later.started_at > earlier.stopped_at or later.stopped_at == earlier.stopped_at, "second recorder"
        bots = [peer for peer in session.peers if peer.is_recorder]
        assert all((bot.name, bot.role, bot.user_id[:6]) == ("Beam", "__internal_recorder", "100ms_") for bot in bots)
        assert len(session.peers) - len(bots) >= 3
    assert any(len(in_room) > 1 for in_room in rooms.values())
    overlapping = 0
    for in_room in rooms.values():
        assert len({session.room_name for session in in_room}) == 1
        overlapping += sum(earlier.ended_at >= later.started_at for earlier, later in pairwise(in_room))
    assert overlapping == len(dataset.workspaces)
    sessions = dataset.sessions
    assert list(sessions) == sorted(sessions, key=lambda session: session.started_at)
    assert any(session.ended_at.date() > session.started_at.date() for session in sessions)
    kinds = {job.kind for session in sessions for job in session.jobs}
    assert kinds == {"recording", "live-stream", "external-stream"}
    failed = {job.id for session in sessions for job in session.jobs if job.status == "failed"}
    assert len(failed) >= 4 * len(dataset.workspaces)
    of_failed = [obj for obj in dataset.objects if obj.job_id in failed]
    assert {(obj.case, obj.asset_type) for obj in of_failed} == {("failed_job", "chat")}
    assert len({obj.id for session in sessions for obj in (session, *session.peers, *session.jobs)}) == sum(
        1 + len(session.peers) + len(session.jobs) for session in sessions
    )


def test_people_have_names_in_many_scripts_and_rejoin() -> None:
    dataset = generate()
    names = {peer.name for session in dataset.sessions for peer in session.peers}
    for sign in ("é", "Ł", "द", "ن", "晓", ": ", ", ", '"', "🦊", "@"):
        assert any(sign in name for name in names), sign
    rejoined = 0
    for session in dataset.sessions:
        stays = Counter(peer.name for peer in session.peers if not peer.is_recorder)
        rejoined += max(stays.values()) > 1
    assert 20 < rejoined < 80
    assert len({session.started_at.date() for session in dataset.sessions}) == 14


def test_shares_of_sessions_with_chat_and_transcripts(dataset: Dataset) -> None:
    with_files = {kind: {t.session_id for t in dataset.objects if t.asset_type == kind} for kind in ASSET_TYPES}
    count = len(dataset.sessions)
    assert len(with_files["chat"]) > 0.9 * count
    assert count / 4 < len(with_files["transcript"]) <= count
    if count == 220 + EDGE_CASES:
        assert len(with_files["chat"]) < count, "some session has no chat file"
        assert count / 3 < len(with_files["transcript"]) < count / 2


def test_the_command_prints_the_summary() -> None:
    command = [sys.executable, "-m", "sandbox.dataset", "--seed", "3", "--sessions", "6", "--summary"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    dataset = generate(3, 6)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert digest(dataset.objects) in done.stdout
    assert ["chat_messages", str(dataset.expected.rows["chat_messages"])] in lines
    assert ["nested_too_deep", "1"] in lines


def _object(dataset: Dataset, **other: Any) -> DatasetObject:
    """An object of customer `c`; its outcome without the API is the same by default."""
    obj = replace(dataset.objects[0], customer="c", key_identifies="start")
    return replace(obj, **({"outcome_without_api": other.get("outcome")} | other))


def _loaded(dataset: Dataset, asset_type: str) -> int:
    return sum(obj.asset_type == asset_type and obj.outcome.disposition == "loaded" for obj in dataset.objects)
