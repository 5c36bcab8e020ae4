"""What listings show: versions are recorded once, missing objects keep their rows, restored ones their state."""

from __future__ import annotations

from roomledger.ledger.database import Database
from roomledger.ledger.observations import mark_missing
from roomledger.ledger.outcome import Outcome
from roomledger.model import Refusal
from tests.ledger.steps import (
    KEY,
    at,
    claim,
    dispositions,
    load,
    loaded,
    message,
    messages,
    record,
    settle,
    version,
)
from tests.warehouses import fetch


def test_a_version_is_recorded_once_however_often_it_is_listed(ready: Database) -> None:
    assert record(ready, version("a"), version("a")) == {"new_seen": 1}
    assert record(ready, version("a"), now=5) == {}
    assert fetch(ready, "SELECT disposition, reason, first_seen_by FROM object_ledger") == [
        ("seen", "new: waits to be read", "listing")
    ]
    assert fetch(ready, "SELECT observed_by, kind FROM observations") == [("listing", "exists")]


def test_an_object_that_is_not_an_asset_is_ignored_with_its_reason_and_never_claimed(ready: Database) -> None:
    assert record(ready, version("a"), ignored="thumbnail: none of ours") == {"new_ignored": 1}
    assert fetch(ready, "SELECT disposition, reason FROM object_ledger") == [("ignored", "thumbnail: none of ours")]
    assert claim(ready) == []


def test_a_missing_object_keeps_its_rows_and_is_restored_when_it_is_listed_again(ready: Database) -> None:
    record(ready, version("a"), version("n", 1, f"{KEY}2"))
    [first, second] = claim(ready)
    rows = [message(1, "loaded before")]
    settle(
        ready,
        [loaded(first, rows), Outcome(claim=second, disposition="refused", reason="bad_json: cut")],
        {first.object_id: rows, second.object_id: [Refusal(0, "bad_json", "cut", b"{")]},
    )
    for _ in range(2):
        with ready.begin() as tx:
            mark_missing(tx, ready, "acme", [KEY, f"{KEY}2"], before=at(3), observed_by="listing", now=at(3))
    assert dispositions(ready) == {"a": "missing", "n": "missing"}
    assert messages(ready) == ["loaded before"]
    assert record(ready, version("a"), version("n", 1, f"{KEY}2"), now=4) == {"restored": 2}
    assert dispositions(ready) == {"a": "loaded", "n": "seen"}
    assert fetch(ready, "SELECT kind, count(*) FROM observations GROUP BY kind ORDER BY kind") == [
        ("exists", 2),
        ("missing", 2),
        ("restored", 2),
    ]


def test_an_object_that_was_written_again_since_the_listing_began_is_not_missing(ready: Database) -> None:
    record(ready, version("a"))
    load(ready, "old", "one", 1)
    record(ready, version("b", 3), now=3)
    with ready.begin() as tx:
        assert mark_missing(tx, ready, "acme", [KEY], before=at(2), observed_by="listing", now=at(4)) == 0
    assert dispositions(ready) == {"a": "loaded", "b": "seen"}


def test_a_new_version_of_a_missing_object_replaces_the_rows_that_stayed(ready: Database) -> None:
    record(ready, version("a"))
    load(ready, "old", "one", 1)
    with ready.begin() as tx:
        mark_missing(tx, ready, "acme", [KEY], before=at(2), observed_by="listing", now=at(2))
    record(ready, version("b", 3), now=3)
    load(ready, "new", "two", 4)
    assert messages(ready) == ["new"]
    assert dispositions(ready) == {"a": "superseded", "b": "loaded"}
