"""The checks after a chaos run find every difference that matters, and only those."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.faults.delivery import DeliveryCounts
from benchmarks.chaos.probes import (
    TableDiff,
    Unsettled,
    check_faults,
    check_kills,
    check_queue,
    check_tables,
    check_webhooks,
    count_unsettled,
    diff_tables,
    is_loading,
    observed_versions,
    stored_webhooks,
)
from roomledger import times
from roomledger.ledger.claims import LEASE
from roomledger.ledger.database import Database
from sandbox.warehouse_contents import Rows, contents
from tests.rows import NOON, at, put, put_object
from tests.warehouses import execute


def fill(database: Database, **cells: Any) -> None:
    """Insert some rows, with times, loads and observer channels that differ from call to call."""
    with database.begin() as tx:
        varying = {"load_id": repr(cells), "first_load_id": repr(cells)}
        put_object(tx, "o1", first_seen_by=cells.get("first_seen_by", "listing"), **varying)
        put_object(tx, "o2", disposition="superseded", uri="s3://acme/o1", loaded_at=None, modified_at=at(-60))
        put_object(tx, "o3", disposition="refused", attempts=cells.get("attempts", 1))
        for ordinal in (1, 2):
            put(tx, "chat_messages", object_id="o1", ordinal=ordinal, load_id=repr(cells))
        put(tx, "refusals", object_id="o3", ordinal=0, uri="s3://acme/o3")
        put(tx, "refusals", object_id="o1", ordinal=0, uri="s3://acme/o1", resolved_at=NOON)


@pytest.fixture
def two(ready_duckdb: Callable[[Path], Database], tmp_path: Path) -> Sequence[Database]:
    """Two warehouses that are equal as far as a run and its baseline must be."""
    found = []
    for name, cells in (("one", {}), ("other", {"first_seen_by": "s3_event", "attempts": 3})):
        (tmp_path / name).mkdir()
        found.append(ready_duckdb(tmp_path / name))
        fill(found[-1], **cells)
    execute(found[1], "DELETE FROM object_ledger WHERE object_id = 'o2'")
    execute(found[1], "DELETE FROM refusals WHERE object_id = 'o1'")
    return found


def compared(two: Sequence[Database]) -> dict[str, TableDiff]:
    diffs = diff_tables(*(contents(database, past=False, but={"first_seen_by"}) for database in two))
    return {diff.table: diff for diff in diffs}


def test_times_of_observation_and_superseded_rows_are_no_difference(two: Sequence[Database]) -> None:
    diffs = compared(two)
    assert not any(diff.missing or diff.extra for diff in diffs.values())
    assert (diffs["chat_messages"].equal, diffs["object_ledger"].equal, diffs["refusals"].equal) == (2, 2, 1)
    assert [*check_tables("now", diffs.values())] == []


@pytest.mark.parametrize(
    ("statement", "table", "missing", "extra"),
    [
        ("DELETE FROM roomledger_raw.chat_messages WHERE ordinal = 2", "chat_messages", 1, 0),
        ("UPDATE roomledger_raw.chat_messages SET message = 'bye' WHERE ordinal = 1", "chat_messages", 1, 1),
        (
            "INSERT INTO roomledger_raw.chat_messages"
            " (SELECT * REPLACE (3 AS ordinal) FROM roomledger_raw.chat_messages LIMIT 1)",
            "chat_messages",
            0,
            1,
        ),
        ("UPDATE object_ledger SET disposition = 'seen' WHERE object_id = 'o1'", "object_ledger", 1, 1),
        ("UPDATE object_ledger SET loaded_at = NULL WHERE object_id = 'o1'", "object_ledger", 1, 1),
        ("UPDATE object_ledger SET claimed_by = 'somebody' WHERE object_id = 'o3'", "object_ledger", 1, 1),
        ("UPDATE refusals SET resolved_at = refused_at", "refusals", 1, 0),
    ],
)
def test_any_other_change_is_a_difference(
    two: Sequence[Database], statement: str, table: str, missing: int, extra: int
) -> None:
    execute(two[1], statement)
    diffs = compared(two)
    assert (len(diffs[table].missing), len(diffs[table].extra)) == (missing, extra)
    failures = [*check_tables("now", diffs.values())]
    assert f"now, {table}: {missing} rows are missing, {extra} are extra" in failures


def test_repeated_rows_count_each_time() -> None:
    once = {"t": Rows(("a", "b"), [(1, {"x": 1}), (1, {"x": 1}), (2, None)])}
    twice = {"t": Rows(("a", "b"), [(2, None), (1, {"x": 1}), (2, None)])}
    assert [*diff_tables(once, twice)] == [TableDiff("t", 2, [{"a": 1, "b": {"x": 1}}], [{"a": 2, "b": None}])]


@pytest.mark.parametrize(
    ("found", "sentences"),
    [
        (check_webhooks({"a", "b"}, {"a", "b", "c"}, {"a", "b", "c"}), []),
        (
            check_webhooks({"a", "b"}, {"a", "b", "c"}, {"a", "c"}),
            ["1 of 2 webhooks were answered by 200 but are not stored: b"],
        ),
        (check_webhooks({"a"}, {"a", "b"}, {"a"}), []),
        (check_webhooks({"a"}, {"a"}, {"a", "b"}), ["1 webhooks are stored but were never posted: b"]),
        (check_queue("S3", {("a", "v1")}, {"a": [("v1", True)], "b": []}, 0), []),
        (check_queue("S3", {("a", "v1")}, {"a": [("v1", False), ("v2", True)]}, 0), []),
        (check_queue("S3", {("a", "v0")}, {"a": [("v1", False), ("v2", True)]}, 0), []),
        (check_queue("S3", {}, {}, 2), ["S3: 2 messages are left in the queue"]),
        (
            check_queue("S3", {("a", "v1")}, {"a": [("v1", False)]}, 0),
            ["S3: the ledger misses observations of 1 objects whose messages were acknowledged: a"],
        ),
        (
            check_queue("S3", {("a", "v2")}, {"a": [("v1", True), ("v2", False)]}, 0),
            ["S3: the ledger misses observations of 1 objects whose messages were acknowledged: a"],
        ),
        (
            check_queue("S3", {(uri, "v1") for uri in "abcde"}, {"a": [("v1", True)]}, 0),
            ["S3: the ledger misses observations of 4 objects whose messages were acknowledged: b, c, d, …"],
        ),
        (check_kills(["a", "b"], {"a": 1, "b": 2}), []),
        (check_kills(["a", "b"], {"a": 1, "b": 0}), ["b was never killed: use more --minutes or --kills"]),
        (check_faults("webhooks", DeliveryCounts(9, dropped=1, duplicated=1, late=1, received=8)), []),
        (
            check_faults("webhooks", DeliveryCounts(9, dropped=1, duplicated=0, late=0, received=8)),
            [
                "none of the webhooks was duplicated: use more --sessions",
                "none of the webhooks was late: use more --sessions",
            ],
        ),
    ],
)
def test_a_check_yields_a_sentence_for_each_failure(found: Iterator[str], sentences: list[str]) -> None:
    assert [*found] == sentences


def test_stored_webhooks_include_dead_letters_and_versions_are_observed_by_channel(ready: Database) -> None:
    newer = {"uri": "s3://acme/o2", "version": "newer", "modified_at": at(60)}
    with ready.begin() as tx:
        put(tx, "vendor_events", source="talk", event_id="e1", type="session.open.success", is_replay=False,
            received_at=NOON, ingested_at=NOON)  # fmt: skip
        put(tx, "refusals", object_id="r1", ordinal=0, uri="100ms://acme/webhooks/77", raw=b'{"id": "e2"}')
        put(tx, "refusals", object_id="r2", ordinal=0, uri="s3://acme/e3", raw=b'{"id": "e3"}')
        for object_id, observed_by, kind in (
            ("o1", "s3_event", "exists"), ("o2", "listing", "exists"), ("o3", "s3_event", "missing"),
            ("o4", "s3_event", "exists"),
        ):  # fmt: skip
            put_object(tx, object_id, **(newer if object_id == "o4" else {}))
            put(tx, "observations", object_id=object_id, observed_by=observed_by, kind=kind, observed_at=NOON)
    assert stored_webhooks(ready) == {"e1", "e2"}
    assert observed_versions(ready, "s3_event") == {
        "s3://acme/o1": [("v", True)],
        "s3://acme/o2": [("v", False), ("newer", True)],
        "s3://acme/o3": [("v", False)],
    }


def test_a_claim_is_unsettled_until_its_lease_expires_and_a_sign_of_loading_only_at_first(ready: Database) -> None:
    now = times.utc_now()
    with ready.begin() as tx:
        put_object(tx, "o1")
        put_object(tx, "o2", disposition="seen")
        put_object(tx, "o3", disposition="seen", retry_at=now - LEASE)
        put_object(tx, "o4", disposition="seen", retry_at=now + LEASE)
        put_object(tx, "o5", disposition="claimed", lease_until=now - LEASE)
        put_object(tx, "o6", disposition="claimed", lease_until=now + LEASE / 2)
    assert count_unsettled(ready) == Unsettled(claimed=1, due=3, later=1)
    assert not is_loading(ready)
    with ready.begin() as tx:
        put_object(tx, "o7", disposition="claimed", lease_until=times.utc_now() + LEASE)
    assert is_loading(ready)
