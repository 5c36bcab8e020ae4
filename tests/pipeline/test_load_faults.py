"""Faults while loading: reads that fail, interrupted loads, faults of a parser, and batches of refused files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from roomledger import times
from roomledger.formats import PARSERS
from roomledger.ledger.claims import MAX_ATTEMPTS
from roomledger.ledger.database import Database
from roomledger.ledger.replays import request_replay
from roomledger.model import Asset, BatchRefused, ChatMessage, Observation, Record, Refusal
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.stores import StoreError
from tests.folders import chat, chat_key, put, source_of, store_of
from tests.pipeline.loading import Flaky, collect, dispositions, load, messages, run
from tests.warehouses import execute, fetch


def test_a_listing_that_fails_half_way_makes_nothing_missing(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    put(bucket, chat_key(1), chat("kept"))
    run(ready, source)
    with pytest.raises(StoreError, match="cut off"):
        collect_bucket(ready, source, Flaky(store_of(source), list_fails=True))
    assert dispositions(ready) == ["loaded"]


def test_a_read_that_fails_is_retried_later_and_leaves_no_rows(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat(*(f"message {n}" for n in range(9))))
    collect(ready, source)
    store = Flaky(store_of(source), failures=2)
    for attempt in range(1, 4):
        assert len(list(load_batches(ready, [source], {"acme": store}))) == 1
        assert len(list(load_batches(ready, [source], {"acme": store}))) == 0
        assert fetch(ready, "SELECT attempts FROM object_ledger") == [(attempt,)]
        assert len(messages(ready)) == (9 if attempt == 3 else 0)
        execute(ready, "UPDATE object_ledger SET retry_at = NULL")


def test_an_interrupted_load_releases_its_claims(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("hello"))
    collect(ready, source)

    class Interrupted(Flaky):
        def read(self, seen: Observation) -> Iterator[bytes]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(load_batches(ready, [source], {"acme": Interrupted(store_of(source))}))
    assert fetch(ready, "SELECT disposition, attempts FROM object_ledger") == [("seen", 0)]
    load(ready, source)
    assert messages(ready) == ["hello"]


def test_a_read_that_never_succeeds_is_refused_with_its_last_error_and_can_be_replayed(
    ready: Database, tmp_path: Path
) -> None:
    source = source_of(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("at last"))
    collect(ready, source)
    store = Flaky(store_of(source), failures=100)
    for _ in range(MAX_ATTEMPTS):
        assert dispositions(ready) == ["seen"]
        list(load_batches(ready, [source], {"acme": store}))
        execute(ready, "UPDATE object_ledger SET retry_at = NULL")
    [(disposition, reason)] = fetch(ready, "SELECT disposition, reason FROM object_ledger")
    assert (disposition, "the connection was cut off" in reason) == ("refused", True)
    assert fetch(ready, "SELECT reason_code, ordinal FROM refusals WHERE resolved_at IS NULL") == [("gave_up", 0)]
    with ready.begin() as tx:
        assert request_replay(tx, ready, now=times.utc_now()) == 1
    load(ready, source)
    assert messages(ready) == ["at last"]
    assert fetch(ready, "SELECT count(*) FROM refusals WHERE resolved_at IS NULL") == [(0,)]


def test_a_fault_of_a_parser_refuses_one_file_and_a_replay_loads_it(
    ready: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    put(bucket, chat_key(1), chat("fine"))
    put(bucket, chat_key(2), chat("sesame"), minute=1)
    collect(ready, source)

    def with_a_fault(content: Iterable[bytes], asset: Asset) -> Iterator[Record | Refusal]:
        for record in parse(content, asset):
            if isinstance(record, ChatMessage) and record.message == "sesame":
                raise KeyError("sesame")
            yield record

    parse = PARSERS["chat"]
    with monkeypatch.context() as patched:
        patched.setattr("roomledger.pipeline.extract.PARSERS", {**PARSERS, "chat": with_a_fault})
        load(ready, source)
    assert messages(ready) == ["fine"]
    [(code, raw)] = fetch(ready, "SELECT reason_code, raw FROM refusals")
    assert (code, bytes(raw)) == ("parser_failed", chat("sesame"))
    (bucket / chat_key(2)).unlink()  # the refused bytes are stored
    collect(ready, source)
    with ready.begin() as tx:
        assert request_replay(tx, ready, reason="parser_failed", now=times.utc_now()) == 1
    load(ready, source)
    assert messages(ready) == ["fine", "sesame"]
    assert fetch(ready, "SELECT count(*) FROM refusals WHERE resolved_at IS NULL") == [(0,)]


def test_a_replay_parses_unchanged_bytes_again(
    ready: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    content = chat("one", "two").replace(b"10:00:01Z", b"ten past one")
    put(bucket, chat_key(), content)
    run(ready, source)
    put(bucket, chat_key(), content, minute=5)
    run(ready, source)
    assert (messages(ready), dispositions(ready)) == (["one"], ["loaded", "unchanged"])

    def corrected(content: Iterable[bytes], asset: Asset) -> Iterator[Record | Refusal]:
        return parse([b"".join(content).replace(b"ten past one", b"10:00:01Z")], asset)

    parse = PARSERS["chat"]
    monkeypatch.setattr("roomledger.pipeline.extract.PARSERS", {**PARSERS, "chat": corrected})
    with ready.begin() as tx:
        assert request_replay(tx, ready, now=times.utc_now()) == 1
    load(ready, source)
    assert (messages(ready), dispositions(ready)) == (["one", "two"], ["superseded", "loaded"])
    assert fetch(ready, "SELECT count(*) FROM refusals WHERE resolved_at IS NULL") == [(0,)]


def test_a_batch_of_mostly_refused_files_stops_the_run(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    for number in range(22):
        put(bucket, chat_key(number), b"Some,Other,Header\n1,2,3\n", minute=number)
    for number in range(22, 30):
        put(bucket, chat_key(number), chat(f"good {number}"), minute=number)
    collect(ready, source)
    with pytest.raises(BatchRefused, match=r"22 of 30 .*--accept-refusals"):
        load(ready, source)
    assert len(messages(ready)) == 8
    assert dispositions(ready) == ["seen"] * 22 + ["loaded"] * 8
    assert fetch(ready, "SELECT max(attempts) FROM object_ledger WHERE disposition = 'seen'") == [(0,)]
    assert fetch(ready, "SELECT count(*) FROM refusals") == [(0,)]
    load(ready, source, accept_refusals=True)
    assert dispositions(ready) == ["refused"] * 22 + ["loaded"] * 8


def test_half_of_a_batch_or_a_small_batch_may_be_refused(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    for number in range(20):
        put(bucket, chat_key(number), chat("good") if number % 2 else b"Some,Header\n1,2\n", minute=number)
    collect(ready, source)
    load(ready, source)
    assert dispositions(ready).count("refused") == 10
    for number in range(30, 49):
        put(bucket, chat_key(number), b"Some,Header\n1,2\n", minute=number)
    run(ready, source)
    assert dispositions(ready).count("refused") == 29
