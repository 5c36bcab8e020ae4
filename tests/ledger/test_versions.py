"""Versions of one object: the newest one that exists is current, whatever the order in which they are read."""

from __future__ import annotations

import pytest

from roomledger.ledger.claims import release_claims
from roomledger.ledger.database import Database
from roomledger.ledger.outcome import Outcome
from tests.ledger.steps import (
    KEY,
    changed,
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


def test_a_new_version_replaces_the_rows_of_the_old_one(ready: Database) -> None:
    record(ready, version("a"))
    load(ready, "old", "one", 1)
    record(ready, version("b", 3), now=3)
    load(ready, "new", "two", 4)
    assert messages(ready) == ["new"]
    assert dispositions(ready) == {"a": "superseded", "b": "loaded"}
    assert fetch(ready, "SELECT load_id, objects, objects_loaded, rows_loaded FROM loads ORDER BY 1") == [
        ("one", 1, 1, 1),
        ("two", 1, 1, 1),
    ]


def test_a_newer_version_supersedes_an_unread_one_and_a_late_older_one_is_superseded_at_once(ready: Database) -> None:
    record(ready, version("b", 5), now=5)
    record(ready, version("c", 6), now=6)
    assert record(ready, version("a", 1), now=7) == {"new_superseded": 1}
    assert dispositions(ready) == {"a": "superseded", "b": "superseded", "c": "seen"}


def test_an_old_version_loaded_late_does_not_replace_a_newer_one(ready: Database) -> None:
    record(ready, version("a"))
    [slow] = claim(ready, "slow", 1)
    record(ready, version("b", 2), now=2)
    load(ready, "new", "quick", 3)
    rows = [message(1, "old")]
    done = settle(ready, [loaded(slow, rows)], {slow.object_id: rows}, "slow", 4)
    assert (done.lost_claims, messages(ready)) == (1, ["new"])
    assert dispositions(ready) == {"a": "superseded", "b": "loaded"}


def test_a_version_with_the_same_bytes_changes_nothing(ready: Database) -> None:
    record(ready, version("a"))
    load(ready, "same", "one", 1)
    before = fetch(ready, "SELECT * FROM chat_messages")
    record(ready, version("a", 9), now=9)
    [again] = claim(ready, "two", 9)
    assert (again.replaces_sha256, again.replaces_tag) == ("same", "a")
    settle(ready, [Outcome(claim=again, disposition="unchanged", reason="unchanged: same")], token="two", now=9)
    assert fetch(ready, "SELECT * FROM chat_messages") == before
    assert fetch(ready, "SELECT disposition FROM object_ledger ORDER BY modified_at") == [("loaded",), ("unchanged",)]


def test_an_unchanged_version_is_read_again_when_the_version_it_equalled_was_replaced_meanwhile(
    ready: Database,
) -> None:
    record(ready, version("a"))
    load(ready, "a", "one", 1)
    record(ready, version("b", 2), now=2)
    [between] = claim(ready, "between", 3)
    record(ready, version("a", 4), now=4)
    [restored] = claim(ready, "restored", 5)
    rows = [message(1, "b")]
    settle(ready, [loaded(between, rows, "b")], {between.object_id: rows}, "between", 6)
    settle(ready, [Outcome(claim=restored, disposition="unchanged", reason="unchanged: same")], token="restored", now=7)
    assert messages(ready) == ["b"]
    load(ready, "a", "again", 8)
    assert messages(ready) == ["a"]
    assert fetch(ready, "SELECT disposition FROM object_ledger ORDER BY modified_at") == [
        ("superseded",),
        ("superseded",),
        ("loaded",),
    ]


def test_an_older_version_is_not_loaded_over_an_unchanged_newer_one(ready: Database) -> None:
    record(ready, version("a"))
    load(ready, "a", "one", 1)
    record(ready, version("b", 2), now=2)
    [between] = claim(ready, "between", 3)
    record(ready, version("a", 4), now=4)
    [restored] = claim(ready, "restored", 5)
    settle(ready, [Outcome(claim=restored, disposition="unchanged", reason="unchanged: same")], token="restored", now=6)
    rows = [message(1, "b")]
    settle(ready, [loaded(between, rows, "b")], {between.object_id: rows}, "between", 7)
    assert messages(ready) == ["a"]


@pytest.mark.parametrize("newer", ["loaded", "unchanged"])
def test_of_two_versions_in_one_batch_the_newer_one_is_loaded(ready: Database, newer: str) -> None:
    """Killed loads had claimed both; the bytes of media are not read, so their changes go unseen."""
    record(ready, version("a"))
    load(ready, "a", "one", 1)
    record(ready, version("b", 2), now=2)
    assert len(claim(ready, "killed", 3)) == 1
    record(ready, version("a" if newer == "unchanged" else "c", 4), now=4)
    assert len(claim(ready, "killed as well", 4)) == 1
    older, newest = claim(ready, "both", 20)
    settled = {
        "loaded": loaded(newest, [message(1, "c")], "c"),
        "unchanged": Outcome(claim=newest, disposition="unchanged", reason="unchanged: same"),
    }
    rows = {older.object_id: [message(1, "b")], newest.object_id: [message(1, "c")]}
    done = settle(ready, [loaded(older, rows[older.object_id], "b"), settled[newer]], rows, "both", 21)
    assert (done.objects, done.rows_loaded) == ({newer: 1, "superseded": 1}, int(newer == "loaded"))
    assert messages(ready) == ["c" if newer == "loaded" else "a"]
    current = fetch(
        ready, "SELECT disposition FROM object_ledger WHERE disposition <> 'superseded' ORDER BY modified_at"
    )
    assert current == ([("loaded",)] if newer == "loaded" else [("loaded",), ("unchanged",)])


def test_of_versions_with_the_same_time_the_one_that_still_exists_is_loaded(ready: Database) -> None:
    """S3 tells times in whole seconds: which of them is the last shows when they are read."""
    record(ready, version("there"))
    record(ready, version("replaced"), now=1)
    record(ready, version("replaced before"), now=2)
    assert dispositions(ready) == {"there": "superseded", "replaced": "superseded", "replaced before": "seen"}
    for token, tag in (("one", "replaced before"), ("two", "replaced")):
        [one] = claim(ready, token, 3)
        assert one.seen.version == tag
        settle(ready, [changed(one)], token=token)
    record(ready, version("other", 1, f"{KEY}2"), version("replaced"), now=4)
    waiting = {one.seen.version: one for one in claim(ready, "four", 5)}
    assert waiting.keys() == {"there", "other"}
    rows = [message(1, "hello")]
    settle(ready, [loaded(waiting["there"], rows)], {waiting["there"].object_id: rows}, "four", 6)
    assert messages(ready) == ["hello"]
    with ready.begin() as tx:
        release_claims(tx, ready, "four", "new: waits")
    assert dispositions(ready) == {
        "there": "loaded", "replaced": "superseded", "replaced before": "superseded", "other": "seen"
    }  # fmt: skip


def test_versions_with_the_same_time_that_are_all_missing_wait_for_the_next_listing(ready: Database) -> None:
    record(ready, version("a"))
    record(ready, version("b"), now=1)
    for token in ("one", "two"):
        [one] = claim(ready, token, 3)
        settle(ready, [changed(one)], token=token)
    assert dispositions(ready) == {"a": "superseded", "b": "seen"}
    assert claim(ready, "three", 4) == []
    record(ready, version("c", 1), now=5)
    load(ready, "hello", "four", 6)
    assert dispositions(ready) == {"a": "superseded", "b": "superseded", "c": "loaded"}


def test_a_missing_version_with_the_same_time_as_the_loaded_one_is_superseded(ready: Database) -> None:
    record(ready, version("there"))
    load(ready, "hello", "one", 1)
    record(ready, version("replaced"), now=2)
    [one] = claim(ready, "two", 3)
    settle(ready, [changed(one)], token="two")
    assert dispositions(ready) == {"there": "loaded", "replaced": "superseded"}
    assert messages(ready) == ["hello"]


def test_a_changed_object_without_another_version_is_retried(ready: Database) -> None:
    record(ready, version("a"))
    [one] = claim(ready)
    settle(ready, [changed(one)])
    assert fetch(ready, "SELECT disposition, reason FROM object_ledger") == [("seen", "retry: changed")]
