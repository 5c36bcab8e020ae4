"""Collect and load real files: rows lead back to their bytes, corrections replace rows, deleted files keep them."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from roomledger import times
from roomledger.formats import PARSER_VERSION, PARSERS
from roomledger.ledger.database import Database
from roomledger.ledger.replays import request_replay
from roomledger.model import TEXT_TYPES
from tests.folders import chat, chat_key, put, source_of
from tests.pipeline.loading import collect, dispositions, load, messages, run
from tests.warehouses import fetch


def test_a_second_run_changes_nothing(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("one", "two"))
    run(ready, source)
    before = fetch(ready, "SELECT * FROM object_ledger"), fetch(ready, "SELECT * FROM observations")
    run(ready, source)
    assert (fetch(ready, "SELECT * FROM object_ledger"), fetch(ready, "SELECT * FROM observations")) == before


def test_rows_lead_back_to_the_bytes(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    uri = put(tmp_path / "bucket", chat_key(), b"\xef\xbb\xbf" + chat("one", "two"))
    run(ready, source)
    [row] = fetch(
        ready,
        "SELECT m.room_id, m.session_id, m.session_evidence, m.ordinal, l.uri, l.content_sha256, l.parser_version,"
        " l.rows_parsed, l.rows_loaded, loads.rows_loaded, loads.started_by FROM chat_messages m"
        " JOIN object_ledger l ON l.object_id = m.object_id JOIN loads ON loads.load_id = m.load_id"
        " WHERE m.message = 'two'",
    )
    digest = hashlib.sha256(b"\xef\xbb\xbf" + chat("one", "two")).hexdigest()
    assert row == ("room1", None, "none", 2, uri, digest, PARSER_VERSION, 2, 2, 2, "command line")
    assert fetch(ready, "SELECT asset_type, uri, status, ordinal FROM recording_assets") == [
        ("chat", uri, "completed", 0)
    ]


def test_a_media_file_is_recorded_by_its_key_and_never_read(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    put(bucket, "chat/room/20260302/session/peer/stream/track.webm", b"")
    (bucket / "chat/room/20260302/session/peer/stream/track.webm").chmod(0)
    run(ready, source_of(bucket))
    [row] = fetch(
        ready,
        "SELECT asset_type, room_id, session_id, session_evidence, peer_id, stream_id, track_id FROM object_assets",
    )
    assert row == ("track", "room", "session", "key", "peer", "stream", "track")
    assert fetch(ready, "SELECT rows_parsed, rows_loaded, content_sha256 FROM object_ledger") == [(1, 1, None)]


def test_a_corrected_file_replaces_its_rows_and_the_same_bytes_change_nothing(ready: Database, tmp_path: Path) -> None:
    bucket, key = tmp_path / "bucket", chat_key()
    source = source_of(bucket)
    put(bucket, key, chat("wrong", "right"))
    run(ready, source)
    put(bucket, key, chat("right"), minute=5)
    run(ready, source)
    assert messages(ready) == ["right"]
    rows = fetch(ready, "SELECT * FROM chat_messages")
    put(bucket, key, chat("right"), minute=9)
    run(ready, source)
    assert fetch(ready, "SELECT * FROM chat_messages") == rows
    assert dispositions(ready) == ["superseded", "loaded", "unchanged"]
    put(bucket, key, chat("wrong", "right"), minute=12)
    run(ready, source)
    assert messages(ready) == ["right", "wrong"]
    assert dispositions(ready) == ["superseded", "superseded", "superseded", "loaded"]


def test_a_file_that_changes_before_it_is_read_is_loaded_in_its_new_version(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    put(bucket, chat_key(), chat("first"))
    collect(ready, source)
    put(bucket, chat_key(), chat("second"), minute=5)
    load(ready, source)
    [(disposition, reason)] = fetch(ready, "SELECT disposition, reason FROM object_ledger")
    assert (disposition, reason.split(":")[:2]) == ("seen", ["retry", " changed"])
    assert messages(ready) == []
    run(ready, source)
    assert messages(ready) == ["second"]
    assert dispositions(ready) == ["superseded", "loaded"]


def test_a_file_that_is_deleted_before_it_is_read_is_missing(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    put(bucket, chat_key(), chat("first"))
    collect(ready, source)
    (bucket / chat_key()).unlink()
    load(ready, source)
    assert dispositions(ready) == ["missing"]
    put(bucket, chat_key(), chat("first"))
    run(ready, source)
    assert (messages(ready), dispositions(ready)) == (["first"], ["loaded"])


def test_rows_of_a_deleted_file_stay(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    put(bucket, chat_key(1), chat("deleted"))
    put(bucket, chat_key(2), chat("existing"), minute=1)
    run(ready, source)
    (bucket / chat_key(1)).unlink()
    assert collect(ready, source)["missing"] == 1
    assert collect(ready, source)["missing"] == 0
    assert (messages(ready), dispositions(ready)) == (["deleted", "existing"], ["missing", "loaded"])


@pytest.mark.parametrize("batch", [1, 1000])
def test_two_loads_at_once_share_the_work(ready: Database, tmp_path: Path, batch: int) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    for number in range(12):
        put(bucket, chat_key(number), chat(f"message {number}"), minute=number)
    collect(ready, source)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: load(ready, source, batch=batch), range(3)))
    assert sorted(messages(ready)) == sorted(f"message {n}" for n in range(12))
    assert set(dispositions(ready)) == {"loaded"}


def test_the_settings_exclude_types_and_dates(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    put(bucket, "chat/room/20260302/Rec-room-1772445600000.csv", chat("in"))
    put(bucket, "chat/room/20260225/Rec-room-1772012800000.csv", chat("too old"))
    put(bucket, "beam/room/20260302/Rec-room-1772445600000.mp4", b"")
    put(bucket, "notes.json", b'{"sections": [{"title": "T", "bullets": []}]}')
    run(ready, source_of(bucket, asset_types=frozenset({"chat"}), not_before=date(2026, 3, 1)))
    assert messages(ready) == ["in"]
    reasons = fetch(ready, "SELECT reason FROM object_ledger WHERE disposition = 'ignored' ORDER BY reason")
    assert [reason.split(":")[0] for (reason,) in reasons] == [
        "before_not_before",
        "excluded_by_source",
        "excluded_by_source",
    ]
    with ready.begin() as tx:
        assert request_replay(tx, ready, reason="excluded_by_source", now=times.utc_now()) == 2
    load(ready, source_of(bucket))
    assert fetch(ready, "SELECT asset_type FROM recording_assets ORDER BY 1") == [
        ("chat",),
        ("room-composite",),
        ("summary",),
    ]


def test_settings_that_exclude_a_corrected_file_withdraw_its_earlier_rows(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    put(bucket, chat_key(), chat("in"))
    run(ready, source_of(bucket))
    excluding = source_of(bucket, asset_types=frozenset({"transcript"}))
    put(bucket, chat_key(), chat("corrected"), 1)
    run(ready, excluding)
    assert messages(ready) == ["in"]
    with ready.begin() as tx:
        request_replay(tx, ready, everything=True, now=times.utc_now())
    load(ready, excluding)
    assert messages(ready) == []
    with ready.begin() as tx:
        request_replay(tx, ready, everything=True, now=times.utc_now())
    load(ready, source_of(bucket))
    assert messages(ready) == ["corrected"]


def test_a_corrected_file_keeps_its_earlier_text_as_history(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    for minute, text in enumerate(("first", "second")):
        put(bucket, chat_key(), chat(text), minute)
        run(ready, source_of(bucket))
    assert messages(ready) == ["second"]
    history = "SELECT message, valid_until IS NULL, replaced_because FROM chat_messages_history ORDER BY valid_from"
    assert fetch(ready, history) == [
        ("first", False, "newer_version: a newer version of the object was loaded"),
        ("second", True, None),
    ]
    as_of = """
        SELECT message FROM chat_messages_history
        WHERE valid_from <= (SELECT min(valid_from) FROM object_history WHERE load_id IS NOT NULL)
          AND (valid_until IS NULL
               OR valid_until > (SELECT min(valid_from) FROM object_history WHERE load_id IS NOT NULL))
    """
    assert fetch(ready, as_of) == [("first",)]


def test_every_text_type_has_a_parser() -> None:
    assert set(PARSERS) == set(TEXT_TYPES)


def exclude_and_replay(database: Database, bucket: Path) -> None:
    """Exclude chat files by the settings, then replay everything once."""
    without_chats = source_of(bucket, asset_types=frozenset({"transcript"}))
    with database.begin() as tx:
        request_replay(tx, database, everything=True, now=times.utc_now())
    load(database, without_chats)


def test_one_replay_withdraws_an_excluded_object_whose_newest_version_has_the_same_bytes(
    ready: Database, tmp_path: Path
) -> None:
    bucket = tmp_path / "bucket"
    for minute in (0, 1):
        put(bucket, chat_key(), chat("one"), minute)
        run(ready, source_of(bucket))
    assert dispositions(ready) == ["loaded", "unchanged"]
    exclude_and_replay(ready, bucket)
    assert messages(ready) == []
    assert dispositions(ready) == ["ignored", "ignored"]
    with ready.begin() as tx:
        request_replay(tx, ready, everything=True, now=times.utc_now())
    load(ready, source_of(bucket))
    assert messages(ready) == ["one"]
    assert dispositions(ready) == ["ignored", "loaded"]


def test_one_replay_withdraws_an_excluded_object_with_a_newer_version_that_vanished_unread(
    ready: Database, tmp_path: Path
) -> None:
    bucket, source = tmp_path / "bucket", source_of(tmp_path / "bucket")
    put(bucket, chat_key(), chat("one"))
    run(ready, source)
    put(bucket, chat_key(), chat("one", "two"), minute=1)
    collect(ready, source)
    (bucket / chat_key()).unlink()
    put(bucket, chat_key(2), chat("other"))
    collect(ready, source)
    put(bucket, chat_key(), chat("one"))
    run(ready, source)
    assert messages(ready) == ["one", "other"]
    exclude_and_replay(ready, bucket)
    assert messages(ready) == []
