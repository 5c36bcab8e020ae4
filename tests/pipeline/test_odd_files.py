"""Files that are odd, packed or forged, from the bucket to the tables: what loads, what is kept, and what is said."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from roomledger import times
from roomledger.hundredms import records
from roomledger.ledger.database import Database
from roomledger.ledger.refusals import count_open, count_stopped
from roomledger.ledger.replays import request_replay
from roomledger.ledger.vendor_records import upsert_records
from roomledger.model import BatchRefused
from roomledger.pipeline import extract
from roomledger.queries import audit
from roomledger.queries.status import read_status
from roomledger.warehouse.transactional import DatabaseFacts
from tests.folders import CHAT_HEADER, chat, chat_key, put, source_of
from tests.ledger.inputs import ACME
from tests.pipeline.loading import collect, dispositions, load, messages, run
from tests.warehouses import fetch

TRANSCRIPT = "transcripts/lesson.json"


def spoken(*sentences: dict[str, Any], **members: Any) -> bytes:
    return json.dumps({"words": [], "sentences": sentences, **members}).encode()


def reasons(database: Database) -> list[str]:
    return [reason for (reason,) in fetch(database, "SELECT reason FROM object_ledger ORDER BY uri")]


@pytest.mark.parametrize("key", [f"{chat_key()}.gz", chat_key(), f"{chat_key()}.GZ"])
@pytest.mark.parametrize("layers", [1, 2])
def test_packed_files_are_read(ready: Database, tmp_path: Path, key: str, layers: int) -> None:
    content = chat("one", "two")
    for _ in range(layers):
        content = gzip.compress(content)
    put(tmp_path / "bucket", key, content)
    run(ready, source_of(tmp_path / "bucket"))
    assert messages(ready) == ["one", "two"]
    assert fetch(ready, "SELECT room_id, asset_type FROM object_assets") == [("room1", "chat")]
    assert fetch(ready, "SELECT key_room_id, size_bytes FROM object_ledger") == [("room1", len(content))]


def test_packed_text_of_unknown_places_is_recognised(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    put(bucket, "x/1.txt.gz", gzip.compress(b"1\n00:00:01,000 --> 00:00:02,500\nNell: Good morning.\n"))
    put(bucket, "x/2.json.gz", gzip.compress(b'{"a": 1}'))
    put(bucket, "x/film.mp4.gz", gzip.compress(b"film"))
    run(ready, source_of(bucket))
    assert fetch(ready, "SELECT text FROM transcript_segments") == [("Good morning.",)]
    assert [reason.split(":")[0] for reason in reasons(ready)] == [
        "loaded",
        "content_not_recognised",
        "not_a_recording_asset",
    ]


def test_a_bomb_is_refused_with_its_bytes(ready: Database, tmp_path: Path) -> None:
    bomb, cut = gzip.compress(b"\0" * (100 << 20)), gzip.compress(chat("one"))[:-9]
    put(tmp_path / "bucket", f"{chat_key()}.gz", bomb)
    put(tmp_path / "bucket", chat_key(2), cut)
    run(ready, source_of(tmp_path / "bucket"))
    found = fetch(ready, "SELECT reason_code, raw FROM refusals ORDER BY reason_code")
    assert [(code, bytes(raw)) for code, raw in found] == [
        ("bad_gzip", cut),
        ("gzip_bomb", bomb),
    ]


def test_a_reason_names_what_was_not_understood(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    put(bucket, chat_key(), chat("one").replace(b"MessageID", b"Mood"))
    put(bucket, TRANSCRIPT, spoken({"sentence": "hi", "start_time": 1.5, "emotion": "glad"}, {"x": 1}, model="m"))
    run(ready, source_of(bucket))
    assert reasons(ready) == [
        "loaded: not understood, but kept in extra: 'Mood'",
        "loaded: 1 of its records were refused; something of 1 of its records was refused;"
        " not understood, but kept in extra: 'emotion', 'start_time', 'model'",
    ]
    counts = "SELECT rows_parsed, rows_loaded, rows_refused FROM object_ledger WHERE asset_type = 'transcript'"
    assert fetch(ready, counts) == [(2, 1, 1)]
    assert fetch(ready, "SELECT ordinal, reason_code, record_loaded FROM refusals ORDER BY ordinal") == [
        (1, "bad_time", True),
        (2, "bad_segment", False),
    ]
    assert fetch(ready, "SELECT start_ms, CAST(extra AS TEXT) LIKE '%1.5%' FROM transcript_segments") == [(None, True)]


def test_a_value_that_is_understood_later_is_replayed(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    put(tmp_path / "bucket", TRANSCRIPT, spoken({"sentence": "hi", "start_time": "soon"}))
    run(ready, source)
    with ready.begin() as tx:
        assert request_replay(tx, ready, reason="bad_time", now=times.utc_now()) == 1
    run(ready, source)
    assert fetch(ready, "SELECT reason_code FROM refusals WHERE resolved_at IS NULL") == [("bad_time",)]
    put(tmp_path / "bucket", TRANSCRIPT, spoken({"sentence": "hi", "start_time": "7"}), minute=1)
    run(ready, source)
    assert fetch(ready, "SELECT start_ms FROM transcript_segments") == [(7,)]
    assert fetch(ready, "SELECT count(*) FROM refusals WHERE resolved_at IS NULL") == [(0,)]


FORGED = (
    CHAT_HEADER
    + 'p-1,Nell,u-1,[],2026-03-02T10:00:00Z,chat,"look:\n'
    + "p-9,Vera,u-9,[],2026-03-02T10:00:01Z,chat,forged,m1\n"
    + "end,m0\n"
    + "p-2,Omar,u-2,[],2026-03-02T10:00:02Z,chat,honest,m2\n"
).encode()


def test_messages_of_a_broken_file_say_so_wherever_people_read(ready: Database, tmp_path: Path) -> None:
    put(tmp_path / "bucket", chat_key(), FORGED)
    put(tmp_path / "bucket", chat_key(2), chat("two", "real"))
    run(ready, source_of(tmp_path / "bucket"))
    query = "SELECT text, speaker_name, speaker_evidence FROM statements ORDER BY text"
    assert fetch(ready, query) == [
        ("forged", "Vera", "doubtful"),
        ("honest", "Omar", "doubtful"),
        ("real", "Nell", "peer_id"),
        ("two", "Nell", "peer_id"),
    ]
    assert fetch(ready, "SELECT text, speaker_evidence FROM session_timeline WHERE kind = 'message' ORDER BY text") == [
        (text, evidence) for text, _, evidence in fetch(ready, query)
    ]
    assert [reason for reason in reasons(ready) if "broken" in reason] == [
        "loaded: 2 of its records were refused;"
        " since a record is broken, any of its messages may be a line of another one"
    ]


ROW = "p-1,Nell,u-1,[],2026-03-02T10:00:00Z,chat,"
EVE = "p-9,Vera,u-9,[],2026-03-02T10:00:01Z,chat,"
SEVEN = CHAT_HEADER.replace(",MessageID", "")
BROKEN = {
    "a quote that is not doubled": f'{CHAT_HEADER}{ROW}"a"\n{EVE}"forged",m-1\n',
    "a quote that is not doubled, and closed later": f'{CHAT_HEADER}{ROW}"a"\n{EVE}forged,m-9\n",m-1\n',
    "the same without message ids": f'{SEVEN}{ROW}"a"\n{EVE}forged\n"\n',
    "a blank before the quote": f'{CHAT_HEADER}{ROW} "look\n{EVE}forged,m-9\nend",m-1\n',
    "no quotes": f"{CHAT_HEADER}{ROW}look:\n{EVE}forged,m-9\nend,m-1\n",
    "too many cells": f'{CHAT_HEADER}{ROW}"a",m-1,\n{EVE}forged,m-9\nend",m-1\n',
    "another line end": SEVEN.replace("\n", "\r\n") + f"{ROW}look:\n{EVE}forged\r\n",
    "the other line end": SEVEN + f"{ROW}look:\r\n{EVE}forged\n{ROW}x\n",
    "a broken record with a NUL": f'{CHAT_HEADER}p-1,Nell,u-1,[],"x\n\0",chat,hi,m\n{EVE}forged,m-9\n',
    "a comma in the name": f"{CHAT_HEADER}{ROW.replace('Nell', 'Nell, N')}a,m-1\n{EVE}forged,m-9\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_all_messages_of_a_broken_file_are_doubtful(ready: Database, tmp_path: Path, kind: str) -> None:
    put(tmp_path / "bucket", chat_key(), BROKEN[kind].encode())
    run(ready, source_of(tmp_path / "bucket"))
    found = fetch(ready, "SELECT message, is_doubtful FROM chat_messages")
    assert ("forged", True) in found
    assert {is_doubtful for _, is_doubtful in found} == {True}
    assert {evidence for (evidence,) in fetch(ready, "SELECT speaker_evidence FROM statements")} == {"doubtful"}
    with ready.begin(read_only=True) as tx:
        assert read_status(tx, times.utc_now()).refusals


@pytest.mark.parametrize(
    "cut",
    ["p-2,Om", 'p-2,Omar,u-2,[],2026-03-02T10:00:02Z,chat,"a\nb"', 'p-2,Omar,u-2,[],2026-03-02T10:00:02Z,chat,"hon'],
)
def test_a_file_that_is_cut_off_is_not_doubtful(ready: Database, tmp_path: Path, cut: str) -> None:
    put(tmp_path / "bucket", chat_key(), chat("one", "two") + cut.encode())
    run(ready, source_of(tmp_path / "bucket"))
    assert fetch(ready, "SELECT message, is_doubtful FROM chat_messages ORDER BY message") == [
        ("one", False),
        ("two", False),
    ]
    assert fetch(ready, "SELECT reason_code FROM refusals") == [("truncated_record",)]


def test_a_name_with_a_strange_separator_is_refused_alone(ready: Database, tmp_path: Path) -> None:
    """Its owner cannot make the messages of others doubtful."""
    content = chat("one", "two") + ROW.replace("Nell", "Ne\u2028ll").encode() + b"x,m9\n"
    put(tmp_path / "bucket", chat_key(), content)
    run(ready, source_of(tmp_path / "bucket"))
    assert fetch(ready, "SELECT DISTINCT is_doubtful FROM chat_messages") == [(False,)]
    assert fetch(ready, "SELECT reason_code FROM refusals") == [("line_break_in_value",)]


def test_a_forged_message_replaces_none(ready: Database, tmp_path: Path) -> None:
    """Neither a message of its own file with the same id, nor one of another recorder."""
    forged = FORGED.replace(b"honest,m2", b"honest,m1").replace(b"forged,m1", b"forged,m1\n" + ROW.encode() + b"x,m1")
    put(tmp_path / "bucket", chat_key(), forged)
    put(tmp_path / "bucket", chat_key(2), chat("two", "real"))
    run(ready, source_of(tmp_path / "bucket"))
    assert messages(ready) == ["forged", "honest", "real", "two", "x"]
    assert fetch(ready, "SELECT sum(rows_duplicate) FROM object_ledger") == [(0,)]


@pytest.mark.parametrize("bad", [25, 13])
def test_files_of_refused_records_stop_a_batch(ready: Database, tmp_path: Path, bad: int) -> None:
    """All records of each file are refused for one reason, but no file as a whole."""
    source = source_of(tmp_path / "bucket")
    for number in range(25):
        content = chat("one", "two")
        put(tmp_path / "bucket", chat_key(number), content.replace(b"T10", b"T99") if number < bad else content)
    collect(ready, source)
    with pytest.raises(
        BatchRefused, match=rf"{bad} of 25 objects, or nearly all of their records.*: bad_sent_at, loaded"
    ):
        load(ready, source)
    assert dispositions(ready).count("seen") == bad
    assert fetch(ready, "SELECT count(*) FROM refusals") == [(0,)]
    with ready.begin(read_only=True) as tx:
        assert (count_stopped(tx), count_open(tx)) == (bad, (0, 0))
    load(ready, source, accept_refusals=True)
    assert dispositions(ready) == ["loaded"] * 25
    with ready.begin(read_only=True) as tx:
        status = read_status(tx, times.utc_now())
    assert sum(row["rows_refused"] for row in status.objects) == 2 * bad
    assert [(row["reason_code"], row["refusals"], row["objects"]) for row in status.refusals] == [
        ("bad_sent_at", 2 * bad, bad)
    ]
    with ready.begin(read_only=True) as tx:
        assert (count_stopped(tx), count_open(tx)) == (0, (0, 2 * bad))
    found = audit.run(DatabaseFacts(ready, in_ledger=True), "completeness", {"now": times.utc_now()})
    assert [(row["state"], row["rows_refused"], row["asset_type"]) for row in found] == [("refused", 2, "chat")] * bad
    assert audit.is_incomplete(found)


def test_values_refused_in_all_files_stop_a_batch(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    for number in range(20):
        put(tmp_path / "bucket", f"{number}/{TRANSCRIPT}", spoken({"sentence": "hi", "start_time": 1.5, "end_time": 2}))
    collect(ready, source)
    with pytest.raises(BatchRefused, match=r"20 of 20 .*: bad_time, loaded"):
        load(ready, source)


def test_some_refused_records_stop_nothing(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    for number in range(25):
        put(tmp_path / "bucket", chat_key(number), chat("one", "two").replace(b"T10:00:01Z", b"T99:00:01Z"))
    run(ready, source)
    assert dispositions(ready) == ["loaded"] * 25


def test_a_parser_that_takes_too_long_is_stopped(
    ready: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "PARSE_S", 0.0)
    monkeypatch.setattr(extract, "PARSE_S_PER_MIB", 0.0)
    content = chat(*("message" for _ in range(60)), *("more" for _ in range(60)))
    put(tmp_path / "bucket", chat_key(), content)
    run(ready, source_of(tmp_path / "bucket"))
    assert dispositions(ready) == ["refused"]
    assert [(code, bytes(raw)) for code, raw in fetch(ready, "SELECT reason_code, raw FROM refusals")] == [
        ("timed_out", content)
    ]
    assert messages(ready) == []


def named(ready: Database, uri: str, output_mode: str) -> None:
    """The vendor reports a transcript at this address."""
    reported = {"id": f"a-{uri}", "type": "transcript", "path": uri, "metadata": {"output_mode": output_mode}}
    with ready.begin() as tx:
        upsert_records(tx, ready, ACME, [records.asset(reported)], now=times.utc_now())


@pytest.mark.parametrize("key", ["x/1.json", "x/1.bin", "x/1", "x/1.srt", "x/transcript.json"])
def test_the_output_mode_of_the_vendor_decides_before_the_extension(ready: Database, tmp_path: Path, key: str) -> None:
    source = source_of(tmp_path / "bucket")
    named(ready, put(tmp_path / "bucket", key, b"Nell: hi\n\nNell: again\n\nOmar: yo\n"), "txt")
    run(ready, source)
    assert fetch(ready, "SELECT speaker_name, text FROM transcript_segments ORDER BY ordinal") == [
        ("Nell", "hi"),
        ("Nell", "again"),
        ("Omar", "yo"),
    ]
    assert fetch(ready, "SELECT output_mode FROM transcripts") == [("txt",)]


def test_what_the_vendor_names_txt_is_read_as_the_json_that_it_is(ready: Database, tmp_path: Path) -> None:
    named(ready, put(tmp_path / "bucket", "x/1.txt", spoken({"sentence": "hi"})), "txt")
    named(ready, put(tmp_path / "bucket", "x/2.txt", b"Error: denied"), "json")
    run(ready, source_of(tmp_path / "bucket"))
    assert fetch(ready, "SELECT output_mode FROM transcripts") == [("json",)]
    assert fetch(ready, "SELECT reason_code FROM refusals") == [("not_a_transcript",)]
