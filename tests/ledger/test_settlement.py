"""Settlement: only loaded versions have rows, duplicates are counted, refusals are stored beside good rows."""

from __future__ import annotations

import pytest

from roomledger.ledger.database import Database
from roomledger.ledger.outcome import Outcome
from roomledger.model import Refusal
from tests.ledger.steps import (
    KEY,
    claim,
    dispositions,
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


@pytest.mark.parametrize("outcome", ["loaded", "refused", "seen", "missing", "ignored"])
def test_rows_are_written_for_loaded_versions_only_and_refusals_for_refused_ones(ready: Database, outcome: str) -> None:
    record(ready, version("a"))
    [one] = claim(ready)
    rows = [message(1, "half"), Refusal(2, "nul_byte", "line 3", b"\0"), Refusal(0, "bad_json", "cut", b"{")]
    result = loaded(one, rows[:2]) if outcome == "loaded" else Outcome(claim=one, disposition=outcome, reason="why: so")
    settle(ready, [result], {one.object_id: rows})
    assert messages(ready) == (["half"] if outcome == "loaded" else [])
    expected = {"loaded": [(2,)], "refused": [(0,)]}
    assert fetch(ready, "SELECT ordinal FROM refusals") == expected.get(outcome, [])


def test_a_message_that_a_file_holds_twice_is_stored_once_and_counted(ready: Database) -> None:
    record(ready, version("a"), version("b", 1, f"{KEY}2"))
    [first, second] = claim(ready)
    rows = [message(1, "one", "m1"), message(2, "one", "m1"), message(3, "old"), message(4, "old")]
    done = settle(
        ready,
        [loaded(first, [*rows, Refusal(5, "bad_sent_at", "line 6", b"x")]), loaded(second, rows[:1])],
        {first.object_id: [*rows, Refusal(5, "bad_sent_at", "line 6", b"x")], second.object_id: rows[:1]},
    )
    assert (done.rows_loaded, done.rows_refused, done.rows_duplicate) == (4, 1, 1)
    assert messages(ready) == ["old", "old", "one", "one"]
    counts = "SELECT rows_parsed, rows_loaded, rows_refused, rows_duplicate FROM object_ledger ORDER BY rows_parsed"
    assert fetch(ready, counts) == [(1, 1, 0, 0), (5, 3, 1, 1)]


def test_a_refused_new_version_leaves_the_rows_of_the_old_one(ready: Database) -> None:
    record(ready, version("a"))
    load(ready, "good", "one", 1)
    record(ready, version("b", 3), now=3)
    [two] = claim(ready, "two", 4)
    settle(ready, [refused(two)], {two.object_id: [Refusal(0, "bad_json", "cut", b"{")]}, "two", 5)
    assert messages(ready) == ["good"]
    assert dispositions(ready) == {"a": "loaded", "b": "refused"}


def test_a_newer_version_resolves_the_refusals_of_the_older(ready: Database) -> None:
    record(ready, version("a"))
    [one] = claim(ready)
    settle(ready, [refused(one)], {one.object_id: [Refusal(0, "bad_json", "cut", b"{")]})
    record(ready, version("b", 3), now=3)
    load(ready, "good", "two", 4)
    assert fetch(ready, "SELECT resolved_at IS NULL FROM refusals") == [(False,)]
    assert dispositions(ready) == {"a": "superseded", "b": "loaded"}
