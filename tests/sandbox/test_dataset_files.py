"""Files of the dataset: their keys and bytes show the case that each file represents."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from datetime import datetime
from itertools import islice, pairwise

import pytest

from sandbox.dataset import MINIMUM_SESSIONS, Dataset, generate
from sandbox.dataset.edge_cases import CASES

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
ID = "[0-9a-f]{24}"

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
"""By case, or by asset type for cases that are missing here."""
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
    "tangled_srt": lambda b: _overlap([_milliseconds(line) for line in b.decode().split("\n") if " --> " in line]),
    "tangled_json": lambda b: _overlap(
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
"""Checks of the bytes, by case."""

REFUSALS = {
    "invalid_utf8", "nul_byte", "unclosed_quote", "too_few_cells", "too_many_cells", "bad_sent_at",
    "missing_column", "duplicate_column", "bad_json", "unexpected_shape", "nested_too_deep",
}  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_every_seed_gives_a_complete_small_dataset(seed: int) -> None:
    dataset = generate(seed, MINIMUM_SESSIONS)
    test_every_case_exists_and_its_bytes_show_it(dataset)
    test_plain_files_have_the_expected_rows(dataset)


def test_keys_have_the_documented_layout(dataset: Dataset) -> None:
    prefixes = {bucket.source: bucket.prefix + "/" for bucket in dataset.buckets}
    prefixes |= {workspace.source: workspace.name + "/" for workspace in dataset.workspaces}
    for obj in dataset.objects:
        kind = obj.case if obj.case in KEYS else obj.asset_type
        assert re.fullmatch(KEYS[kind], obj.key.removeprefix(prefixes[obj.source])), obj.key
    assert {obj.case for obj in dataset.objects} >= KEYS.keys() - {obj.asset_type for obj in dataset.objects}


def test_both_customers_have_the_same_edge_cases(dataset: Dataset) -> None:
    cases = {*CASES, "named_media"}
    found = Counter((obj.customer, obj.case) for obj in dataset.objects if obj.case in cases)
    first, second = dataset.workspaces
    assert {case for customer, case in found if customer == first.customer} == cases
    assert {case for customer, case in found if customer == second.customer} == cases
    assert max(found.values()) <= 12, "there are only a few"


def test_every_case_exists_and_its_bytes_show_it(dataset: Dataset) -> None:
    texts = [obj for obj in dataset.objects if obj.asset_type in ("chat", "transcript", "summary")]
    assert {obj.case for obj in texts} == CONTENTS.keys()
    for obj in texts:
        assert CONTENTS[obj.case](obj.content), (obj.case, obj.key)
    assert dataset.expected.refusals.keys() == REFUSALS
    assert dataset.expected.ignored.keys() == {
        "vod_segment", "thumbnail", "folder_marker", "not_a_recording_asset", "content_not_recognised",
        "media_of_unknown_layout",
    }  # fmt: skip
    assert dataset.expected.duplicates > 0
    assert dataset.expected.recorded_twice > 0


def test_refusals_match_the_case(dataset: Dataset) -> None:
    for obj in dataset.objects:
        whole = {"missing_column", "duplicate_column", "unexpected_shape", "nested_too_deep"}
        code = obj.case.removesuffix("_summary") if obj.case.startswith("bad_json") else obj.case
        assert obj.outcome.refusals == ({code: 1} if code in REFUSALS else {})
        assert (obj.outcome.disposition == "refused") == (code in whole | {"bad_json"})
        assert (obj.outcome.disposition == "ignored") == (obj.asset_type is None)
        assert obj.outcome.duplicates == (obj.case == "repeated_message")
        assert obj.outcome.rows.get("object_assets", 0) == (obj.outcome.disposition == "loaded")


def test_plain_files_have_the_expected_rows(dataset: Dataset) -> None:
    """Parsed with the standard library, not with the code that generates them."""
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


def test_messages_are_from_peers_of_the_session_while_a_recorder_ran(dataset: Dataset) -> None:
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


def test_the_showcase_matches_its_files(dataset: Dataset) -> None:
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


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _milliseconds(line: str) -> tuple[int, int]:
    """Start and end time of a line of an srt file."""
    h1, m1, s1, f1, h2, m2, s2, f2 = map(int, re.split(r":|,| --> ", line))
    return ((h1 * 60 + m1) * 60 + s1) * 1000 + f1, ((h2 * 60 + m2) * 60 + s2) * 1000 + f2


def _overlap(times: list[tuple[int, int]]) -> bool:
    (_, first_end), (second_start, _), (third_start, third_end) = times[:3]
    return second_start < first_end and third_end < third_start
