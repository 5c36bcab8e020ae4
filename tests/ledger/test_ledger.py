"""The ledger on both engines: what is noted, who may claim, what a load may settle."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from roomledger.ledger.claims import MAX_ATTEMPTS, Claim, claim_batch, release_claims, renew_lease, retry_delay
from roomledger.ledger.database import Database
from roomledger.ledger.observations import mark_missing, record_observations
from roomledger.ledger.outcome import Load, Outcome
from roomledger.ledger.replays import request_replay
from roomledger.ledger.settlement import settle as settle_claims
from roomledger.ledger.tables.ledger import refusals
from roomledger.model import Asset, ChatMessage, Ignored, Observation, Refusal
from roomledger.pipeline.staging import StagingFiles
from roomledger.settings import BucketSource
from roomledger.warehouse import facts

SOURCE = BucketSource(name="acme", customer="Acme", url="s3://bucket")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "s3://bucket/chat/room/20260301/Rec-room-1.csv"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def version(tag: str, minutes: float = 0, uri: str = KEY) -> Observation:
    return Observation(uri=uri, version=tag, modified_at=at(minutes), size_bytes=10, content_tag=tag)


def asset(seen: Observation) -> Asset:
    return Asset(uri=seen.uri, size_bytes=10, modified_at=seen.modified_at, asset_type="chat", room_id="room")


def note(database: Database, *seen: Observation, now: float = 0, ignore: str | None = None) -> dict[str, int]:
    what = [(one, Ignored(ignore) if ignore else asset(one)) for one in seen]
    with database.begin() as tx:
        return dict(record_observations(tx, database, SOURCE, what, observed_by="listing", now=at(now)))


def claim(database: Database, token: str = "one", now: float = 1, limit: int = 100) -> list[Claim]:
    with database.begin() as tx:
        return claim_batch(tx, database, ["acme"], token=token, limit=limit, now=at(now))


def message(ordinal: int, said: str, message_id: str | None = None) -> ChatMessage:
    return ChatMessage(ordinal, message_id, "p", "n", "u", "[]", "[]", START, "chat", said, None, None)


def settle(
    database: Database,
    outcomes: Sequence[Outcome],
    records: dict[str, Sequence[ChatMessage | Refusal]] | None = None,
    token: str = "one",
    now: float = 2,
) -> Load:
    with StagingFiles() as spool:
        for object_id, rows in (records or {}).items():
            spool.add(object_id, rows)
        with database.begin() as tx:
            staged = {table: database.stage(tx, rows, table.name) for table, rows in spool.close().items()}
            refused, duplicates = staged.pop(refusals), facts.find_duplicates(tx, staged)
            done = settle_claims(
                tx, database, token, outcomes, refused=refused, duplicates=duplicates, claimed_at=at(1), now=at(now),
                started_by="test", parser_version="1",
            )  # fmt: skip
            facts.delete_rows(tx, done.withdrawn)
            facts.append_rows(tx, staged, done.loaded, duplicates)
            return done.load


def loaded(one: Claim, rows: Sequence[ChatMessage | Refusal], sha256: str = "digest") -> Outcome:
    refused = sum(isinstance(row, Refusal) for row in rows)
    return Outcome(
        claim=one, disposition="loaded", reason="loaded: all", asset=asset(one.seen), rows_parsed=len(rows),
        rows_refused=refused, content_sha256=sha256,
    )  # fmt: skip


def load(database: Database, said: str, token: str, now: float) -> Load:
    """Claim the one version that waits and load one message from it."""
    [one] = claim(database, token, now)
    rows = [message(1, said)]
    return settle(database, [loaded(one, rows, sha256=said)], {one.object_id: rows}, token, now)


def ask(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.begin(read_only=True) as tx:
        return [tuple(row) for row in tx.execute(text(query))]


def dispositions(database: Database) -> dict[str, str]:
    rows = ask(database, "SELECT version, disposition FROM object_ledger")
    return {str(row[0]): str(row[1]) for row in rows}


def messages(database: Database) -> list[str]:
    return [said for (said,) in ask(database, "SELECT message FROM chat_messages ORDER BY message")]


def test_a_version_is_noted_once_however_often_it_is_seen(ready: Database) -> None:
    assert note(ready, version("a"), version("a")) == {"new_seen": 1}
    assert note(ready, version("a"), now=5) == {}
    assert ask(ready, "SELECT disposition, reason, first_seen_by FROM object_ledger") == [
        ("seen", "new: waits to be read", "listing")
    ]
    assert ask(ready, "SELECT observed_by, kind FROM observations") == [("listing", "exists")]


def test_what_is_no_asset_is_ignored_with_its_reason_and_never_claimed(ready: Database) -> None:
    assert note(ready, version("a"), ignore="thumbnail: none of ours") == {"new_ignored": 1}
    assert ask(ready, "SELECT disposition, reason FROM object_ledger") == [("ignored", "thumbnail: none of ours")]
    assert claim(ready) == []


def test_two_loads_never_hold_the_same_version(ready: Database) -> None:
    note(ready, *(version(f"v{n}", uri=f"{KEY}{n}") for n in range(10)))
    first, second, third = (claim(ready, token, limit=6) for token in ("one", "two", "three"))
    assert (len(first), len(second), len(third)) == (6, 4, 0)
    assert not {c.object_id for c in first} & {c.object_id for c in second}


def test_a_claim_comes_free_when_its_lease_ends_unless_it_is_renewed(ready: Database) -> None:
    note(ready, version("a"))
    [lost] = claim(ready, "one", now=1)
    assert claim(ready, "two", now=5) == []
    with ready.begin() as tx:
        assert renew_lease(tx, ready, "one", at(5)) == 1
    assert claim(ready, "two", now=8) == []
    [found] = claim(ready, "two", now=11)
    assert (found.object_id, found.attempts) == (lost.object_id, 2)
    rows = [message(1, "late")]
    late = settle(ready, [loaded(lost, rows)], {lost.object_id: rows}, "one", 12)
    assert (late.lost_claims, late.rows_loaded, messages(ready)) == (1, 0, [])
    rows = [message(1, "in time")]
    settle(ready, [loaded(found, rows)], {found.object_id: rows}, "two", 13)
    assert messages(ready) == ["in time"]


def test_a_version_that_ends_every_process_is_given_up_with_a_refusal(ready: Database) -> None:
    note(ready, version("a"))
    for attempt in range(MAX_ATTEMPTS):
        assert len(claim(ready, f"try {attempt}", now=10 * attempt)) == 1
    assert claim(ready, "last", now=1000) == []
    assert ask(ready, "SELECT disposition, attempts FROM object_ledger") == [("refused", 8)]
    assert ask(ready, "SELECT reason_code, ordinal FROM refusals") == [("gave_up", 0)]


def test_a_version_that_ends_its_process_does_not_take_its_batch_along(ready: Database) -> None:
    note(ready, *(version(f"v{n}", n, f"{KEY}{n}") for n in range(40)))
    deadly = version("v7", 7, f"{KEY}7").object_id
    minutes, loads = 0, 0
    while loads < 100 and (claims := claim(ready, f"load {loads}", now=minutes, limit=40)):
        loads += 1
        if deadly in {one.object_id for one in claims}:
            minutes += 6  # nobody settles them, and the lease runs out
        else:
            settle(ready, [loaded(one, []) for one in claims], token=f"load {loads - 1}", now=minutes)
    assert ask(ready, "SELECT disposition, count(*) FROM object_ledger GROUP BY 1 ORDER BY 1") == [
        ("loaded", 39),
        ("refused", 1),
    ]
    assert ask(ready, "SELECT version FROM object_ledger WHERE disposition = 'refused'") == [("v7",)]


def test_release_gives_back_without_counting_the_attempt(ready: Database) -> None:
    note(ready, version("a"))
    claim(ready)
    with ready.begin() as tx:
        assert release_claims(tx, ready, "one", "new: given back") == 1
    [again] = claim(ready, "two")
    assert again.attempts == 1


def test_a_new_version_replaces_the_rows_of_the_old_one(ready: Database) -> None:
    note(ready, version("a"))
    load(ready, "old", "one", 1)
    note(ready, version("b", 3), now=3)
    load(ready, "new", "two", 4)
    assert messages(ready) == ["new"]
    assert dispositions(ready) == {"a": "superseded", "b": "loaded"}
    assert ask(ready, "SELECT load_id, objects, objects_loaded, rows_loaded FROM loads ORDER BY 1") == [
        ("one", 1, 1, 1),
        ("two", 1, 1, 1),
    ]


def test_an_unread_version_gives_way_to_a_newer_one_and_a_late_one_never_wins(ready: Database) -> None:
    note(ready, version("b", 5), now=5)
    note(ready, version("c", 6), now=6)
    assert note(ready, version("a", 1), now=7) == {"new_superseded": 1}
    assert dispositions(ready) == {"a": "superseded", "b": "superseded", "c": "seen"}


def test_an_old_version_loaded_late_does_not_replace_a_newer_one(ready: Database) -> None:
    note(ready, version("a"))
    [slow] = claim(ready, "slow", 1)
    note(ready, version("b", 2), now=2)
    load(ready, "new", "quick", 3)
    rows = [message(1, "old")]
    done = settle(ready, [loaded(slow, rows)], {slow.object_id: rows}, "slow", 4)
    assert (done.lost_claims, messages(ready)) == (1, ["new"])
    assert dispositions(ready) == {"a": "superseded", "b": "loaded"}


def test_the_same_bytes_again_change_nothing(ready: Database) -> None:
    note(ready, version("a"))
    load(ready, "same", "one", 1)
    before = ask(ready, "SELECT * FROM chat_messages")
    note(ready, version("a", 9), now=9)
    [again] = claim(ready, "two", 9)
    assert (again.replaces_sha256, again.replaces_tag) == ("same", "a")
    settle(ready, [Outcome(claim=again, disposition="unchanged", reason="unchanged: same")], token="two", now=9)
    assert ask(ready, "SELECT * FROM chat_messages") == before
    assert ask(ready, "SELECT disposition FROM object_ledger ORDER BY modified_at") == [("loaded",), ("unchanged",)]


def test_unchanged_is_told_again_when_what_it_equalled_was_replaced_meanwhile(ready: Database) -> None:
    note(ready, version("a"))
    load(ready, "a", "one", 1)
    note(ready, version("b", 2), now=2)
    [between] = claim(ready, "between", 3)
    note(ready, version("a", 4), now=4)
    [back] = claim(ready, "back", 5)
    rows = [message(1, "b")]
    settle(ready, [loaded(between, rows, "b")], {between.object_id: rows}, "between", 6)
    settle(ready, [Outcome(claim=back, disposition="unchanged", reason="unchanged: same")], token="back", now=7)
    assert messages(ready) == ["b"]
    load(ready, "a", "again", 8)
    assert messages(ready) == ["a"]
    assert ask(ready, "SELECT disposition FROM object_ledger ORDER BY modified_at") == [
        ("superseded",),
        ("superseded",),
        ("loaded",),
    ]


def test_an_older_version_is_not_loaded_over_an_unchanged_newer_one(ready: Database) -> None:
    note(ready, version("a"))
    load(ready, "a", "one", 1)
    note(ready, version("b", 2), now=2)
    [between] = claim(ready, "between", 3)
    note(ready, version("a", 4), now=4)
    [back] = claim(ready, "back", 5)
    settle(ready, [Outcome(claim=back, disposition="unchanged", reason="unchanged: same")], token="back", now=6)
    rows = [message(1, "b")]
    settle(ready, [loaded(between, rows, "b")], {between.object_id: rows}, "between", 7)
    assert messages(ready) == ["a"]


@pytest.mark.parametrize("newer", ["loaded", "unchanged"])
def test_of_two_versions_in_one_batch_the_newer_one_counts(ready: Database, newer: str) -> None:
    """Loads that were killed held them; the bytes of media are not read, so nobody notices that they have changed."""
    note(ready, version("a"))
    load(ready, "a", "one", 1)
    note(ready, version("b", 2), now=2)
    assert len(claim(ready, "killed", 3)) == 1
    note(ready, version("a" if newer == "unchanged" else "c", 4), now=4)
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
    current = ask(ready, "SELECT disposition FROM object_ledger WHERE disposition <> 'superseded' ORDER BY modified_at")
    assert current == ([("loaded",)] if newer == "loaded" else [("loaded",), ("unchanged",)])


def changed(one: Claim) -> Outcome:
    """It was not there any more when it was to be read."""
    return Outcome(claim=one, disposition="seen", reason="retry: changed", is_changed=True, retry_at=at(60))


def test_of_versions_of_one_moment_the_one_that_is_there_is_read(ready: Database) -> None:
    """S3 tells times in whole seconds: which of them is the last shows when they are read."""
    note(ready, version("there"))
    note(ready, version("replaced"), now=1)
    note(ready, version("replaced before"), now=2)
    assert dispositions(ready) == {"there": "superseded", "replaced": "superseded", "replaced before": "seen"}
    for token, tag in (("one", "replaced before"), ("two", "replaced")):
        [one] = claim(ready, token, 3)
        assert one.seen.version == tag
        settle(ready, [changed(one)], token=token)
    note(ready, version("other", 1, f"{KEY}2"), version("replaced"), now=4)
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


def test_versions_of_one_moment_that_are_all_gone_wait_for_the_next_look(ready: Database) -> None:
    note(ready, version("a"))
    note(ready, version("b"), now=1)
    for token in ("one", "two"):
        [one] = claim(ready, token, 3)
        settle(ready, [changed(one)], token=token)
    assert dispositions(ready) == {"a": "superseded", "b": "seen"}
    assert claim(ready, "three", 4) == []
    note(ready, version("c", 1), now=5)
    load(ready, "hello", "four", 6)
    assert dispositions(ready) == {"a": "superseded", "b": "superseded", "c": "loaded"}


def test_a_version_of_the_same_moment_as_what_is_loaded_gives_way_when_it_is_not_there(ready: Database) -> None:
    note(ready, version("there"))
    load(ready, "hello", "one", 1)
    note(ready, version("replaced"), now=2)
    [one] = claim(ready, "two", 3)
    settle(ready, [changed(one)], token="two")
    assert dispositions(ready) == {"there": "loaded", "replaced": "superseded"}
    assert messages(ready) == ["hello"]


def test_what_has_changed_and_has_no_other_version_is_tried_again(ready: Database) -> None:
    note(ready, version("a"))
    [one] = claim(ready)
    settle(ready, [changed(one)])
    assert ask(ready, "SELECT disposition, reason FROM object_ledger") == [("seen", "retry: changed")]


def test_what_is_deleted_keeps_its_rows_and_may_come_back(ready: Database) -> None:
    note(ready, version("a"), version("n", 1, f"{KEY}2"))
    [first, second] = claim(ready)
    rows = [message(1, "kept")]
    settle(
        ready,
        [loaded(first, rows), Outcome(claim=second, disposition="refused", reason="bad_json: cut")],
        {first.object_id: rows, second.object_id: [Refusal(0, "bad_json", "cut", b"{")]},
    )
    for _ in range(2):
        with ready.begin() as tx:
            mark_missing(tx, ready, "acme", [KEY, f"{KEY}2"], before=at(3), observed_by="listing", now=at(3))
    assert dispositions(ready) == {"a": "missing", "n": "missing"}
    assert messages(ready) == ["kept"]
    assert note(ready, version("a"), version("n", 1, f"{KEY}2"), now=4) == {"restored": 2}
    assert dispositions(ready) == {"a": "loaded", "n": "seen"}
    assert ask(ready, "SELECT kind, count(*) FROM observations GROUP BY kind ORDER BY kind") == [
        ("exists", 2),
        ("missing", 2),
        ("restored", 2),
    ]


def test_what_was_put_anew_since_somebody_looked_is_not_gone(ready: Database) -> None:
    note(ready, version("a"))
    load(ready, "old", "one", 1)
    note(ready, version("b", 3), now=3)
    with ready.begin() as tx:
        assert mark_missing(tx, ready, "acme", [KEY], before=at(2), observed_by="listing", now=at(4)) == 0
    assert dispositions(ready) == {"a": "loaded", "b": "seen"}


def test_a_deleted_object_that_is_put_anew_replaces_the_rows_that_stayed(ready: Database) -> None:
    note(ready, version("a"))
    load(ready, "old", "one", 1)
    with ready.begin() as tx:
        mark_missing(tx, ready, "acme", [KEY], before=at(2), observed_by="listing", now=at(2))
    note(ready, version("b", 3), now=3)
    load(ready, "new", "two", 4)
    assert messages(ready) == ["new"]
    assert dispositions(ready) == {"a": "superseded", "b": "loaded"}


def test_a_message_told_twice_in_a_file_is_stored_once_and_counted(ready: Database) -> None:
    note(ready, version("a"), version("b", 1, f"{KEY}2"))
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
    assert ask(ready, counts) == [(1, 1, 0, 0), (5, 3, 1, 1)]


def test_a_failed_read_waits_longer_each_time(ready: Database) -> None:
    assert [retry_delay(n).total_seconds() for n in (1, 2, 3, 8, 80)] == [30, 60, 120, 3600, 3600]
    note(ready, version("a"))
    [one] = claim(ready)
    later = Outcome(claim=one, disposition="seen", reason="retry: cut off", retry_at=at(10))
    settle(ready, [later])
    assert claim(ready, "two", now=9.9) == []
    assert [c.attempts for c in claim(ready, "three", now=10)] == [2]


def refused(one: Claim, code: str = "bad_json") -> Outcome:
    return Outcome(claim=one, disposition="refused", reason=f"{code}: cut", content_sha256="x")


def test_replay_resolves_what_is_good_now_and_keeps_what_is_not(ready: Database) -> None:
    note(ready, version("a"), version("b", 1, uri=f"{KEY}2"))
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
    assert ask(ready, "SELECT first_load_id, load_id FROM object_ledger ORDER BY uri") == [
        ("one", "two"),
        (None, "two"),
    ]
    still = "SELECT ordinal, reason_code, resolved_at IS NULL FROM refusals ORDER BY ordinal"
    assert ask(ready, still) == [(0, "bad_json", True), (2, "bad_sent_at", False), (3, "nul_byte", True)]


def test_rows_stay_when_a_replay_fails(ready: Database) -> None:
    note(ready, version("a"))
    load(ready, "good", "one", 1)
    with ready.begin() as tx:
        assert request_replay(tx, ready, now=at(2)) == 0
        assert request_replay(tx, ready, uri=KEY, now=at(2)) == 1
    [again] = claim(ready, "two", 3)
    settle(ready, [refused(again)], {again.object_id: [Refusal(0, "bad_json", "cut", b"{")]}, "two", 4)
    assert messages(ready) == ["good"]
    [(disposition, reason, parsed)] = ask(ready, "SELECT disposition, reason, rows_parsed FROM object_ledger")
    assert (disposition, parsed) == ("loaded", 1)
    assert reason.startswith("replay_refused:")
    assert ask(ready, "SELECT reason_code FROM refusals WHERE resolved_at IS NULL") == [("bad_json",)]


def test_a_newer_version_resolves_the_refusals_of_the_older(ready: Database) -> None:
    note(ready, version("a"))
    [one] = claim(ready)
    settle(ready, [refused(one)], {one.object_id: [Refusal(0, "bad_json", "cut", b"{")]})
    note(ready, version("b", 3), now=3)
    load(ready, "good", "two", 4)
    assert ask(ready, "SELECT resolved_at IS NULL FROM refusals") == [(False,)]
    assert dispositions(ready) == {"a": "superseded", "b": "loaded"}


def test_a_refused_new_version_leaves_the_rows_of_the_old_one(ready: Database) -> None:
    note(ready, version("a"))
    load(ready, "good", "one", 1)
    note(ready, version("b", 3), now=3)
    [two] = claim(ready, "two", 4)
    settle(ready, [refused(two)], {two.object_id: [Refusal(0, "bad_json", "cut", b"{")]}, "two", 5)
    assert messages(ready) == ["good"]
    assert dispositions(ready) == {"a": "loaded", "b": "refused"}


def test_requeue_takes_what_it_is_told(ready: Database) -> None:
    note(ready, version("a"), version("b", 1, f"{KEY}2"), version("c", 2, f"{KEY}3"))
    note(ready, version("i", uri=f"{KEY}4"), ignore="excluded_by_source: the settings leave out chat")
    note(ready, version("t", uri=f"{KEY}5"), ignore="thumbnail")
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

    def taken(**which: Any) -> int:
        with ready.begin() as tx:
            count = request_replay(tx, ready, now=at(3), **which)
            tx.rollback()
        return count

    assert taken() == 2
    assert taken(reason="unexpected_shape") == 1
    assert taken(reason="excluded_by_source") == 1
    assert taken(reason="thumbnail") == 1
    assert taken(everything=True) == 5
    assert taken(uri=KEY) == 1
    assert taken(source="other") == 0


@pytest.mark.parametrize("outcome", ["loaded", "refused", "seen", "missing", "ignored"])
def test_nothing_of_a_version_is_written_that_is_not_loaded(ready: Database, outcome: str) -> None:
    note(ready, version("a"))
    [one] = claim(ready)
    rows = [message(1, "half"), Refusal(2, "nul_byte", "line 3", b"\0"), Refusal(0, "bad_json", "cut", b"{")]
    result = loaded(one, rows[:2]) if outcome == "loaded" else Outcome(claim=one, disposition=outcome, reason="why: so")
    settle(ready, [result], {one.object_id: rows})
    assert messages(ready) == (["half"] if outcome == "loaded" else [])
    kept = {"loaded": [(2,)], "refused": [(0,)]}
    assert ask(ready, "SELECT ordinal FROM refusals") == kept.get(outcome, [])
