"""The invented dataset: the same for the same seed, complete, well-formed, and as it says it is."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest

from sandbox.dataset import MINIMUM_SESSIONS, Dataset, DatasetObject, digest, expect, generate
from sandbox.dataset.edge_cases import CASES, EDGE_CASE_SESSIONS
from sandbox.dataset.model import Outcome, ignored, loaded
from sandbox.dataset.workspace import Workspace

START = datetime(2026, 3, 2, tzinfo=UTC)
STOP = START + timedelta(days=14)

ASSET_TYPES = {
    "room-composite",
    "room-composite-legacy",
    "room-vod",
    "track",
    "stream",
    "chat",
    "transcript",
    "summary",
}

HEX_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
ID = "[0-9a-f]{24}"

EDGE_CASES = 2 * EDGE_CASE_SESSIONS
"""Sessions that come on top."""

KEYS = {
    "beam": rf"beam/{ID}/\d{{8}}/Rec-{ID}-\d{{13}}\.mp4",
    "live_stream_layer": rf"hls/{ID}/\d{{8}}/\d{{13}}/file-recording/Rec-{ID}-\d{{13}}-\d\.mp4",
    "legacy_composite": rf"{ID}/\d{{8}}/{ID}/Rec-{ID}-\d{{13}}\.mp4",
    "vod_zip": rf"hls/{ID}/\d{{8}}/\d{{13}}/vod/Rec-{ID}-\d{{13}}\.zip",
    "vod_zip_2022": rf"hls/{ID}/\d{{8}}/\d{{13}}/hls-vod/Rec-{ID}-\d{{13}}\.zip",
    "vod_playlist": rf"hls/{ID}/\d{{8}}/\d{{13}}/vod/master\.m3u8",
    "vod_segment": rf"hls/{ID}/\d{{8}}/\d{{13}}/vod/segment-\d{{5}}\.ts",
    "thumbnail": rf"hls/{ID}/\d{{8}}/\d{{13}}/thumbnails/\d+\.png",
    "track": rf"{ID}/\d{{8}}/{ID}/{UUID}/{UUID}/{UUID}\.webm",
    "stream": rf"{ID}/\d{{8}}/{ID}/{UUID}/({UUID})/\1\.mp4",
    "chat": rf"chat/{ID}/\d{{8}}/Rec-{ID}-\d{{13}}\.csv",
    "transcript": rf"transcripts/{ID}/\d{{8}}/{ID}/transcript\.(json|srt|txt)",
    "summary": rf"transcripts/{ID}/\d{{8}}/{ID}/summary\.json",
    "nameless_json": rf"exports/{ID}/\d{{8}}/{ID}/0001\.json",
    "foreign": r"README\.md|\.DS_Store",
    "foreign_text": r"inventory\.csv",
    "foreign_media": r"uploads/trailer\.mp4",
    "folder_marker": r"beam/",
    "awkward_name": r"notes für später \(1\)\+a%20b\.md",
    "named_media": rf"archive/{ID}/(video\.mp4|sound\.webm)",
    "no_room": rf"exports/{ID}/(transcript\.(json|srt|txt)|summary\.json)",
}
"""By case, or else by asset type: media of any other case lie where media of their type do."""
KEYS |= {
    "room-composite": rf"{KEYS['beam']}|{KEYS['live_stream_layer']}",
    "room-composite-legacy": KEYS["legacy_composite"],
    "room-vod": KEYS["vod_zip"],
}

EIGHT_COLUMNS = b"SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID\n"
TRANSCRIPT = (b'{"words"', b"1\n00:")
EDGE_CASE_CHAT = ("unlisted", "failed_job", "overlapping_sessions", "unknown_room")

CONTENTS = {
    "empty_file": lambda b: b == b"",
    "header_only": lambda b: b.count(b"\n") == 1,
    "eight_columns": lambda b: b.startswith(EIGHT_COLUMNS),
    "seven_columns": lambda b: b.startswith(b"SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message\n"),
    "utf8_bom": lambda b: b.startswith(codecs.BOM_UTF8 + b"SenderPeerID,"),
    "crlf": lambda b: b.count(b"Z,chat,") < b.count(b"\r\n") and b.endswith(b"\r\n"),
    "utf16_le": lambda b: b.startswith(codecs.BOM_UTF16_LE) and "SentAt" in b.decode("utf-16"),
    "utf16_be": lambda b: b.startswith(codecs.BOM_UTF16_BE) and "SentAt" in b.decode("utf-16"),
    "permuted_columns": lambda b: b.startswith(b"MessageID,Message,Type,SentAt,"),
    "unknown_columns": lambda b: b"Pinned" in b.split(b"\n")[0] and b'"pinned, 0"' in b,
    "missing_column": lambda b: b"SentAt" not in b.split(b"\n")[0],
    "duplicate_column": lambda b: b.split(b"\n")[0].count(b"SenderName") == 2,
    "invalid_utf8": lambda b: b"caf\xe9 \xff" in b,
    "nul_byte": lambda b: b"before\0after" in b,
    "too_few_cells": lambda b: re.search(rb"\n[^,\n]+,[^,\n]+,[^,\n]*,\[\w*\]\n", re.sub(rb'"[^"]*"', b"q", b)),
    "too_many_cells": lambda b: b",chat,one,two," in b,
    "bad_sent_at": lambda b: b",half past nine,chat," in b,
    "unclosed_quote": lambda b: b.count(b'"') % 2 == 1 and b'"' not in b.split(b'"and that is why')[1],
    "repeated_message": lambda b: Counter(re.findall(UUID.encode() + rb"\n", b)).most_common(1)[0][1] == 2,
    "big_message": lambda b: len(b) > 300_000,
    "formulas": lambda b: all(sign in b for sign in (b',"=', b",+", b",-1", b',"@', b",=")),
    "bidi_and_zero_width": lambda b: all(sign in b.decode() for sign in ("\u202e", "\u200b", "\ufeff", "م")),
    "newlines_and_quotes": lambda b: b'""later""' in b and b'"one\r\ntwo"' in b and b'""""' in b,
    "emoji": lambda b: "👩🏽‍🚀" in b.decode(),
    "several_roles": lambda b: b"[host moderator]" in b and b"[guest]" in b,
    "other_type": lambda b: b",announcement," in b,
    "plain_transcript": lambda b: b.startswith(TRANSCRIPT) or b"\n\n" in b,
    "blank_srt": lambda b: b == b"",
    "white_srt": lambda b: b and not b.strip(),
    "crlf_srt": lambda b: b.count(b"\r\n") == b.count(b"\n") > 3,
    "one_digit_hours": lambda b: re.search(rb"\n0:\d\d:\d\d,\d{3} --> 0:", b),
    "tangled_srt": lambda b: _tangled([_milliseconds(line) for line in b.decode().split("\n") if " --> " in line]),
    "tangled_json": lambda b: _tangled(
        [(int(s["start_time"]), int(s["end_time"])) for s in json.loads(b)["sentences"]]
    ),
    "colon_names_srt": lambda b: re.search(r"\n[^\n]+:[^\n]+: [A-Z]", b.decode()) and b" --> " in b,
    "colon_names_txt": lambda b: all(re.match(r".+:.+: ", line) for line in b.decode().split("\n") if line),
    "number_times": lambda b: all(isinstance(word["start_time"], int) for word in json.loads(b)["words"]),
    "srt_named_json": lambda b: b.startswith(b"1\n00:00:"),
    "nameless_json": lambda b: set(json.loads(b)) == {"words", "sentences"},
    "bad_json": lambda b: not _is_json(b) and b.startswith(b'{"words": ['),
    "unexpected_shape": lambda b: _is_json(b) and b"words" not in b,
    "nested_too_deep": lambda b: b"[" * 10_000 in b,
    "plain_summary": lambda b: list(json.loads(b)) == ["summary"],
    "top_level_summary": lambda b: list(json.loads(b)) == ["sections"],
    "bad_json_summary": lambda b: not _is_json(b) and b'"sections"' in b,
    **dict.fromkeys(EDGE_CASE_CHAT, lambda b: b.startswith(EIGHT_COLUMNS)),
    **dict.fromkeys(("no_room", "no_start"), lambda b: b.startswith((*TRANSCRIPT, b"{\n")) or b"\n\n" in b),
    "stored_by_vendor": lambda b: b.startswith((EIGHT_COLUMNS, *TRANSCRIPT, b"{\n")) or b"\n\n" in b,
}
"""What the bytes of every case must look like."""

REFUSALS = {
    "invalid_utf8", "nul_byte", "unclosed_quote", "too_few_cells", "too_many_cells", "bad_sent_at",
    "missing_column", "duplicate_column", "bad_json", "unexpected_shape", "nested_too_deep",
}  # fmt: skip


@pytest.fixture(scope="module", params=[MINIMUM_SESSIONS, 220], ids=["small", "default"])
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return generate(seed=100, sessions=request.param)


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


def test_another_seed_gives_another_world() -> None:
    ours, other = generate(1, 6), generate(2, 6)
    assert digest(ours.objects) != digest(other.objects)
    assert not {obj.session_id for obj in ours.objects} & {obj.session_id for obj in other.objects} - {None}


def test_the_digest_sees_addresses_and_bytes(dataset: Dataset) -> None:
    obj = next(obj for obj in dataset.objects if obj.content)
    for changed in (replace(obj, uri=obj.uri + "x"), replace(obj, content=obj.content[::-1])):
        assert digest([changed]) != digest([obj])


def test_too_few_sessions_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 6"):
        generate(sessions=MINIMUM_SESSIONS - 1)


@pytest.mark.parametrize("seed", range(5))
def test_every_seed_gives_a_sound_small_world(seed: int) -> None:
    dataset = generate(seed, MINIMUM_SESSIONS)
    test_every_case_is_there_and_its_bytes_show_it(dataset)
    test_plain_files_hold_what_they_are_said_to_hold(dataset)


def test_size(dataset: Dataset) -> None:
    megabytes = sum(len(obj.content) for obj in dataset.objects) / 1e6
    small = len(dataset.sessions) == MINIMUM_SESSIONS + EDGE_CASES
    assert small or len(dataset.sessions) == 220 + EDGE_CASES
    assert small or 3_000 <= len(dataset.objects) <= 4_500
    assert 1 < megabytes < (3 if small else 60)


def test_addresses_are_unique_and_below_their_prefix(dataset: Dataset) -> None:
    places = {bucket.source: (bucket.customer, f"{bucket.scheme}://{bucket.name}") for bucket in dataset.buckets}
    urls = {bucket.source: bucket.url for bucket in dataset.buckets}
    for workspace in dataset.workspaces:
        places[workspace.source] = workspace.customer, "s3://vendor-held-recordings"
        urls[workspace.source] = f"s3://vendor-held-recordings/{workspace.name}"
    assert {bucket.scheme for bucket in dataset.buckets} == {"s3", "gs"}
    assert len({obj.uri for obj in dataset.objects}) == len(dataset.objects)
    for obj in dataset.objects:
        customer, bucket = places[obj.source]
        assert obj.customer == customer
        assert obj.uri == f"{bucket}/{obj.key}"
        assert obj.uri.startswith(urls[obj.source] + "/")


def test_keys_are_laid_out_as_documented(dataset: Dataset) -> None:
    prefixes = {bucket.source: bucket.prefix + "/" for bucket in dataset.buckets}
    prefixes |= {workspace.source: workspace.name + "/" for workspace in dataset.workspaces}
    for obj in dataset.objects:
        kind = obj.case if obj.case in KEYS else obj.asset_type
        assert re.fullmatch(KEYS[kind], obj.key.removeprefix(prefixes[obj.source])), obj.key
    assert {obj.case for obj in dataset.objects} >= KEYS.keys() - ASSET_TYPES


def test_ids_and_times_lie_in_the_fortnight(dataset: Dataset) -> None:
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


def test_the_same_odd_cases_are_there_for_both_customers(dataset: Dataset) -> None:
    odd = {*CASES, "named_media"}
    found = Counter((obj.customer, obj.case) for obj in dataset.objects if obj.case in odd)
    first, second = dataset.workspaces
    assert {case for customer, case in found if customer == first.customer} == odd
    assert {case for customer, case in found if customer == second.customer} == odd
    assert max(found.values()) <= 12, "they stay few"


def test_a_second_recorder_may_be_one_that_the_vendor_does_not_name(dataset: Dataset) -> None:
    chats = [obj for obj in dataset.objects if obj.asset_type == "chat"]
    named = {(obj.customer, obj.outcome.message_ids) for obj in chats if obj.evidence == "asset_record"}
    unnamed = {(obj.customer, obj.outcome.message_ids) for obj in chats if obj.evidence == "time_window"}
    assert {customer for customer, _ in named & unnamed} == {workspace.customer for workspace in dataset.workspaces}


def test_every_case_is_there_and_its_bytes_show_it(dataset: Dataset) -> None:
    text = [obj for obj in dataset.objects if obj.asset_type in ("chat", "transcript", "summary")]
    assert {obj.case for obj in text} == CONTENTS.keys()
    for obj in text:
        assert CONTENTS[obj.case](obj.content), (obj.case, obj.key)
    assert dataset.expected.refusals.keys() == REFUSALS
    assert dataset.expected.ignored.keys() == {
        "vod_segment",
        "thumbnail",
        "folder_marker",
        "not_a_recording_asset",
        "content_not_recognised",
        "media_of_unknown_layout",
    }
    assert dataset.expected.duplicates > 0
    assert dataset.expected.recorded_twice > 0


def test_refusals_are_those_of_the_case(dataset: Dataset) -> None:
    for obj in dataset.objects:
        whole = {
            "missing_column",
            "duplicate_column",
            "bad_json",
            "bad_json_summary",
            "unexpected_shape",
            "nested_too_deep",
        }
        code = obj.case.removesuffix("_summary") if obj.case.startswith("bad_json") else obj.case
        assert obj.outcome.refusals == ({code: 1} if code in REFUSALS else {})
        assert (obj.outcome.disposition == "refused") == (obj.case in whole)
        assert (obj.outcome.disposition == "ignored") == (obj.asset_type is None)
        assert obj.outcome.duplicates == (obj.case == "repeated_message")
        assert obj.outcome.rows.get("object_assets", 0) == (obj.outcome.disposition == "loaded")


def test_plain_files_hold_what_they_are_said_to_hold(dataset: Dataset) -> None:
    """Read with the standard library, by other means than they were written."""
    for obj in dataset.objects:
        rows = dict(obj.outcome.rows)
        plain = (
            "eight_columns",
            "seven_columns",
            "utf8_bom",
            "crlf",
            "newlines_and_quotes",
            "big_message",
            *EDGE_CASE_CHAT,
        )
        if obj.case in plain and obj.asset_type == "chat":
            csv.field_size_limit(1 << 20)
            read = list(csv.DictReader(io.StringIO(obj.content.decode("utf-8-sig"), newline=""), strict=True))
            assert rows["chat_messages"] == len(read) >= 8
            assert [row.get("MessageID") for row in read if "MessageID" in row] == [*obj.outcome.message_ids]
        elif obj.case == "plain_transcript" and obj.key.endswith(".json"):
            document = json.loads(obj.content)
            assert rows["transcript_segments"] == len(document["sentences"]) > 5
            assert rows["transcript_words"] == len(document["words"])
            spoken = " ".join(sentence["sentence"] for sentence in document["sentences"])
            assert spoken == " ".join(word["word"] for word in document["words"])
            pairs = pairwise(document["sentences"])
            assert all(int(earlier["end_time"]) < int(later["start_time"]) for earlier, later in pairs)
            words = iter(document["words"])
            for sentence in document["sentences"]:
                spans = [
                    (int(w["start_time"]), int(w["end_time"]))
                    for w in islice(words, sentence["sentence"].count(" ") + 1)
                ]
                times = [time for span in spans for time in span]
                assert [int(sentence["start_time"])] == times[:1]
                assert times == sorted(times)
                assert times[-1] <= int(sentence["end_time"])
        elif obj.case == "plain_transcript":
            turns = obj.content.decode().strip().split("\n\n")
            assert rows["transcript_segments"] == len(turns) > 5
            assert rows["transcript_words"] == 0
        elif obj.case in ("plain_summary", "top_level_summary"):
            document = json.loads(obj.content)
            sections = document.get("summary", document)["sections"]
            assert rows["summary_sections"] == len(sections)
            assert rows["summary_points"] == sum(len(section["bullets"]) for section in sections)


def test_expected_adds_up(dataset: Dataset) -> None:
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


def test_without_the_vendor_only_keys_tell(dataset: Dataset) -> None:
    held = {workspace.source for workspace in dataset.workspaces}
    alone, expected = expect(dataset.objects), dataset.expected
    assert alone.objects.keys() == expected.objects.keys() - held
    named = sum(obj.case == "named_media" for obj in dataset.objects)
    assert alone.ignored["media_of_unknown_layout"] == expected.ignored["media_of_unknown_layout"] + named
    kept = [obj for obj in dataset.objects if obj.source not in held and obj.outcome.disposition != "ignored"]
    assert sum(alone.evidence.values()) == alone.rows["recording_assets"] == len(kept) - named
    by_key = [obj for obj in kept if obj.asset_type in ("room-composite-legacy", "track", "stream")]
    assert alone.evidence["key"] == len([obj for obj in by_key if obj.case != "named_media"])
    assert alone.evidence.keys() == {"key", "none"}
    assert alone.unresolved.keys() == {"no_session_known", "no_recorder_start", "no_room_in_key"}
    assert sum(alone.unresolved.values()) == alone.evidence["none"]
    tables = ("rooms", "sessions", "peers", "recordings", "asset_records")
    assert [alone.rows[table] for table in tables] == [0] * len(tables)
    first, second = dataset.workspaces
    mixed = expect(dataset.objects, workspaces=[first])
    assert mixed.objects.keys() == expected.objects.keys() - {second.source}
    assert mixed.rows["sessions"] == len(first.sessions)
    assert alone.evidence["key"] > mixed.evidence["key"] > expected.evidence["key"]


def test_expect_counts_a_message_of_two_recorders_once_per_session(dataset: Dataset) -> None:
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


def test_an_asset_of_the_view_is_an_object_with_its_record_or_a_record_without_object(dataset: Dataset) -> None:
    def workspace(customer: str, *paths: str) -> Workspace:
        return Workspace("w", "w", customer, "key", "secret", assets=[{"path": path} for path in paths])

    objects = [
        _object(dataset, uri="s3://b/1", outcome=loaded(), evidence="asset_record"),
        _object(dataset, uri="s3://b/2", outcome=Outcome("refused"), evidence="key"),
        _object(dataset, uri="s3://b/3", outcome=ignored("thumbnail"), outcome_without_api=None, evidence="none"),
        _object(
            dataset,
            uri="s3://b/4",
            outcome=loaded(),
            outcome_without_api=None,
            evidence="none",
            unresolved_reason="no_room_in_key",
        ),
    ]
    told = expect(objects, workspaces=[workspace("c", "s3://b/1", "s3://b/1", "s3://b/3", "s3://b/9", "", "")])
    assert told.rows["asset_records"] == 6
    assert told.rows["recording_assets"] == 3 + 5
    assert (told.evidence, told.unresolved) == ({"asset_record": 1, "key": 1, "none": 1}, {"no_room_in_key": 1})
    others = expect(objects, workspaces=[workspace("d", "s3://b/1")])
    assert others.rows["recording_assets"] == 2 + 1, "another customer's record is of another object"
    assert (others.evidence, others.unresolved) == ({"none": 2}, {"no_session_known": 2})


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


def test_evidence_is_what_record_key_and_sessions_give(dataset: Dataset) -> None:
    """Worked out from the addresses and the records, which know nothing of the cases."""
    for obj in dataset.objects:
        workspace = next(one for one in dataset.workspaces if one.customer == obj.customer)
        if obj.outcome.disposition == "ignored":
            assert (obj.evidence, obj.unresolved_reason) == ("none", None)
            continue
        named = {asset["session_id"] for asset in workspace.assets if asset["path"] == obj.uri}
        ids = HEX_ID.findall(obj.key)
        room = next((each for each in ids if re.search(rf"{each}/\d{{8}}/", obj.key)), None)
        session = next((each for each in ids if re.search(rf"{room}/\d{{8}}/{each}/", obj.key)), None)
        epochs = re.findall(r"\b\d{13}\b", obj.key)
        if named:
            assert obj.evidence == "asset_record"
            assert named == {obj.session_id}
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
    evidences = {"asset_record", "key", "time_window", "none"}
    assert dataset.expected.evidence.keys() == evidences
    assert dataset.expected.unresolved.keys() == {
        "no_session_known",
        "several_sessions",
        "no_room_in_key",
        "no_recorder_start",
    }


def test_messages_were_sent_by_peers_of_the_session_while_a_recorder_ran(dataset: Dataset) -> None:
    sessions = {session.id: session for session in dataset.sessions}
    for obj in dataset.objects:
        if obj.asset_type != "chat" or obj.case not in ("eight_columns", *EDGE_CASE_CHAT[:-1]):
            continue
        session = sessions[obj.session_id]
        peers = {peer.id: peer for peer in session.peers if not peer.is_recorder}
        job = next(job for job in session.jobs if job.id == obj.job_id)
        sent = []
        for row in csv.DictReader(io.StringIO(obj.content.decode(), newline="")):
            sent.append(datetime.fromisoformat(row["SentAt"]))
            peer = peers[row["SenderPeerID"]]
            assert (peer.name, peer.user_id) == (row["SenderName"], row["SenderUserID"])
            assert max(peer.joined_at, job.started_at) <= sent[-1] <= min(peer.left_at, job.stopped_at)
        assert sent == sorted(sent)


def test_sessions_are_as_the_vendor_would_have_them(dataset: Dataset) -> None:
    rooms = defaultdict(list)
    for session in dataset.sessions:
        rooms[session.room_id].append(session)
        assert all(session.started_at <= job.started_at < job.stopped_at <= session.ended_at for job in session.jobs)
        assert all(session.started_at <= peer.joined_at < peer.left_at <= session.ended_at for peer in session.peers)
        for earlier, later in pairwise(session.jobs):
            assert later.started_at > earlier.stopped_at or later.stopped_at == earlier.stopped_at, (
                "after it, or its twin"
            )
        bots = [peer for peer in session.peers if peer.is_recorder]
        assert all((bot.name, bot.role, bot.user_id[:6]) == ("Beam", "__internal_recorder", "100ms_") for bot in bots)
        assert len(session.peers) - len(bots) >= 3
    assert any(len(held) > 1 for held in rooms.values())
    overlapping = 0
    for held in rooms.values():
        assert len({session.room_name for session in held}) == 1
        overlapping += sum(earlier.ended_at >= later.started_at for earlier, later in pairwise(held))
    assert overlapping == len(dataset.workspaces)
    sessions = dataset.sessions
    assert list(sessions) == sorted(sessions, key=lambda session: session.started_at)
    assert any(session.ended_at.date() > session.started_at.date() for session in sessions)
    kinds = {job.kind for session in sessions for job in session.jobs}
    assert kinds == {"recording", "live-stream", "external-stream"}
    failed = {job.id for session in sessions for job in session.jobs if job.status == "failed"}
    assert len(failed) >= 4 * len(dataset.workspaces)
    came = [obj for obj in dataset.objects if obj.job_id in failed]
    assert {(obj.case, obj.asset_type) for obj in came} == {("failed_job", "chat")}
    assert len({obj.id for session in sessions for obj in (session, *session.peers, *session.jobs)}) == sum(
        1 + len(session.peers) + len(session.jobs) for session in sessions
    )


def test_people_have_names_in_many_scripts_and_come_back() -> None:
    dataset = generate()
    names = {peer.name for session in dataset.sessions for peer in session.peers}
    for sign in ("é", "Ł", "द", "ن", "晓", ": ", ", ", '"', "🦊", "@"):
        assert any(sign in name for name in names), sign
    again = 0
    for session in dataset.sessions:
        stays = Counter(peer.name for peer in session.peers if not peer.is_recorder)
        again += max(stays.values()) > 1
    assert 20 < again < 80
    assert len({session.started_at.date() for session in dataset.sessions}) == 14


def test_shares_of_sessions(dataset: Dataset) -> None:
    with_files = {kind: {t.session_id for t in dataset.objects if t.asset_type == kind} for kind in ASSET_TYPES}
    count = len(dataset.sessions)
    assert len(with_files["chat"]) > 0.9 * count
    assert count / 4 < len(with_files["transcript"]) <= count
    if count == 220 + EDGE_CASES:
        assert len(with_files["chat"]) < count, "some session has no chat file"
        assert count / 3 < len(with_files["transcript"]) < count / 2


def test_the_showcase_is_what_its_files_say(dataset: Dataset) -> None:
    showcase = dataset.expected.showcase
    files = [obj for obj in dataset.objects if obj.session_id == showcase.session_id]
    assert sorted(obj.case for obj in files) == [
        "beam", "eight_columns", "plain_summary", "plain_transcript", "plain_transcript", "plain_transcript",
    ]  # fmt: skip
    text = {obj.key.rsplit(".", 1)[1] if obj.asset_type == "transcript" else obj.asset_type: obj for obj in files}
    rows = csv.DictReader(io.StringIO(text["chat"].content.decode(), newline=""))
    assert [(row["MessageID"], row["SenderName"], row["Message"], row["SentAt"]) for row in rows] == [
        (m.message_id, m.sender.name, m.text, m.sent_at.isoformat().replace("+00:00", "Z")) for m in showcase.chat
    ]
    assert [
        (each["name"], each["peer_id"], int(each["start_time"]), int(each["end_time"]), each["sentence"])
        for each in json.loads(text["json"].content)["sentences"]
    ] == [(s.speaker.name, s.speaker.id, s.start_ms, s.end_ms, s.text) for s in showcase.transcript]
    times = [_milliseconds(line) for line in text["srt"].content.decode().split("\n") if " --> " in line]
    assert times == [(s.start_ms, s.end_ms) for s in showcase.transcript]
    assert text["txt"].content.decode() == "\n".join(f"{s.speaker.name}: {s.text}\n" for s in showcase.transcript)
    assert not any(":" in sentence.speaker.name for sentence in showcase.transcript)
    assert [
        (each["title"], tuple(each["bullets"]), each["paragraph"])
        for each in json.loads(text["summary"].content)["summary"]["sections"]
    ] == [*showcase.summary]


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
    """A loaded object of customer `c`, whatever it is; alone it is what it is otherwise."""
    obj = replace(dataset.objects[0], customer="c", key_identifies="start")
    return replace(obj, **({"outcome_without_api": other.get("outcome")} | other))


def _loaded(dataset: Dataset, asset_type: str) -> int:
    return sum(obj.asset_type == asset_type and obj.outcome.disposition == "loaded" for obj in dataset.objects)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _milliseconds(line: str) -> tuple[int, int]:
    """The two times of a line of an srt file."""
    h1, m1, s1, f1, h2, m2, s2, f2 = map(int, re.split(r":|,| --> ", line))
    return ((h1 * 60 + m1) * 60 + s1) * 1000 + f1, ((h2 * 60 + m2) * 60 + s2) * 1000 + f2


def _tangled(times: list[tuple[int, int]]) -> bool:
    (_, first_end), (second_start, _), (third_start, third_end) = times[:3]
    return second_start < first_end and third_end < third_start
