"""Replays: which versions are read again, and what becomes of their rows and refusals."""

from __future__ import annotations

from typing import Any

from roomledger.ledger.database import Database
from roomledger.ledger.replays import request_replay
from roomledger.model import Refusal
from tests.ledger.steps import (
    KEY,
    at,
    claim,
    load,
    loaded,
    message,
    messages,
    record,
    refused,
    settle,
    version,
)
from tests.warehouses import fetch


def test_a_replay_resolves_the_refusals_that_are_good_now_and_leaves_the_others_open(ready: Database) -> None:
    record(ready, version("a"), version("b", 1, uri=f"{KEY}2"))
    [first, second] = claim(ready)
    bad = [Refusal(2, "bad_sent_at", "line 3", b"two"), Refusal(3, "nul_byte", "line 4", b"three")]
    settle(
        ready,
        [loaded(first, [message(1, "one"), *bad]), refused(second)],
        {first.object_id: [message(1, "one"), *bad], second.object_id: [Refusal(0, "bad_json", "cut", b"{")]},
    )
    with ready.begin() as tx:
        assert request_replay(tx, ready, now=at(3)) == 2
    [first, second] = claim(ready, "two", 4)
    assert first.replay
    assert second.replay
    better = [message(1, "one"), message(2, "two"), bad[1]]
    settle(
        ready,
        [loaded(first, better), refused(second)],
        {first.object_id: better, second.object_id: [Refusal(0, "bad_json", "cut", b"{")]},
        "two",
        5,
    )
    assert messages(ready) == ["one", "two"]
    assert fetch(ready, "SELECT first_load_id, load_id FROM object_ledger ORDER BY uri") == [
        ("one", "two"),
        (None, "two"),
    ]
    still = "SELECT ordinal, reason_code, resolved_at IS NULL FROM refusals ORDER BY ordinal"
    assert fetch(ready, still) == [(0, "bad_json", True), (2, "bad_sent_at", False), (3, "nul_byte", True)]


def test_rows_stay_when_a_replay_fails(ready: Database) -> None:
    record(ready, version("a"))
    load(ready, "good", "one", 1)
    with ready.begin() as tx:
        assert request_replay(tx, ready, now=at(2)) == 0
        assert request_replay(tx, ready, uri=KEY, now=at(2)) == 1
    [again] = claim(ready, "two", 3)
    settle(ready, [refused(again)], {again.object_id: [Refusal(0, "bad_json", "cut", b"{")]}, "two", 4)
    assert messages(ready) == ["good"]
    [(disposition, reason, parsed)] = fetch(ready, "SELECT disposition, reason, rows_parsed FROM object_ledger")
    assert (disposition, parsed) == ("loaded", 1)
    assert reason.startswith("replay_refused:")
    assert fetch(ready, "SELECT reason_code FROM refusals WHERE resolved_at IS NULL") == [("bad_json",)]


def test_a_replay_requests_the_versions_that_its_filters_select(ready: Database) -> None:
    record(ready, version("a"), version("b", 1, f"{KEY}2"), version("c", 2, f"{KEY}3"))
    record(ready, version("i", uri=f"{KEY}4"), ignored="excluded_by_source: the settings leave out chat")
    record(ready, version("t", uri=f"{KEY}5"), ignored="thumbnail")
    first, second, third = claim(ready)
    settle(
        ready,
        [loaded(first, [message(1, "x")]), refused(second), refused(third, "unexpected_shape")],
        {
            first.object_id: [message(1, "x")],
            second.object_id: [Refusal(0, "bad_json", "cut", b"{")],
            third.object_id: [Refusal(0, "unexpected_shape", "list", b"[]")],
        },
    )

    def requested(**which: Any) -> int:
        with ready.begin() as tx:
            count = request_replay(tx, ready, now=at(3), **which)
            tx.rollback()
        return count

    assert requested() == 2
    assert requested(reason="unexpected_shape") == 1
    assert requested(reason="excluded_by_source") == 1
    assert requested(reason="thumbnail") == 1
    assert requested(everything=True) == 5
    assert requested(uri=KEY) == 1
    assert requested(source="other") == 0
