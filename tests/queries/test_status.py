"""`status`: the first rows and the total of long lists, and the freshness of the tables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from roomledger.queries.status import read_status
from tests.rows import NOON, at, put, put_object


def test_the_soonest_vendor_stored_assets_are_listed_and_all_are_counted(tx: Connection) -> None:
    for number in range(25):
        put(
            tx,
            "asset_records",
            asset_id=f"a{number:02}",
            uri=f"s3://stored/{number}",
            created_at=at(-number * 86400 / 2),
        )
    found = read_status(tx, NOON)
    assert [row["asset_id"] for row in found.unsafe] == [f"a{number:02}" for number in range(24, 4, -1)]
    assert {*found.unsafe[0]} == {"source", "asset_type", "asset_id", "status", "uri", "created_at", "days_left"}
    assert (found.unsafe_total, float(found.unsafe[0]["days_left"])) == (25, 3.0)
    later = read_status(tx, NOON + timedelta(days=10))
    assert (len(later.unsafe), later.unsafe_total) == (10, 10)
    assert read_status(tx, NOON + timedelta(days=16)).unsafe_total == 0


def test_the_soonest_retries_are_listed_and_all_are_counted(tx: Connection) -> None:
    for number in range(22):
        put_object(tx, f"o{number:02}", disposition="seen", reason="odd", retry_at=at(-number))
    found = read_status(tx, NOON)
    assert [row["uri"] for row in found.retries] == [f"s3://acme/o{number:02}" for number in range(21, 1, -1)]
    assert found.retries_total == 22


def _loaded(tx: Connection, object_id: str, *, seen: float, claimed: float, queryable: float, **cells: Any) -> None:
    """An object written at noon, with its own load."""
    put(tx, "loads", load_id=object_id, claimed_at=at(claimed), committed_at=at(queryable))
    times = {"first_seen_at": at(seen), "loaded_at": at(queryable)}
    put_object(tx, object_id, **times, **{"first_load_id": object_id, "first_seen_by": "s3_event"} | cells)


STEPS = ["written to seen", "seen to claimed", "claimed to queryable", "written to queryable"]


def test_freshness_has_each_step_by_source_and_observer(tx: Connection) -> None:
    for number in range(1, 22):  # of 21 numbers the 11th is the median, the 20th the 95th percentile
        _loaded(tx, f"o{number:02}", seen=number / 8, claimed=number / 8 + 0.5, queryable=2.0 * number)
    _loaded(tx, "listed", seen=700, claimed=705.125, queryable=706, first_seen_by="listing")
    _loaded(tx, "other", seen=-0.5, claimed=1, queryable=1.1239, source="another")
    put_object(tx, "waits", disposition="seen")
    found = read_status(tx, NOON + timedelta(hours=1)).freshness
    assert [row["step"] for row in found] == STEPS * 3
    assert [tuple(row.values()) for row in found] == [
        ("another", "s3_event", STEPS[0], 1, -0.5, -0.5, -0.5),
        ("another", "s3_event", STEPS[1], 1, 1.5, 1.5, 1.5),
        ("another", "s3_event", STEPS[2], 1, 0.124, 0.124, 0.124),
        ("another", "s3_event", STEPS[3], 1, 1.124, 1.124, 1.124),
        ("bucket", "listing", STEPS[0], 1, 700, 700, 700),
        ("bucket", "listing", STEPS[1], 1, 5.125, 5.125, 5.125),
        ("bucket", "listing", STEPS[2], 1, 0.875, 0.875, 0.875),
        ("bucket", "listing", STEPS[3], 1, 706, 706, 706),
        ("bucket", "s3_event", STEPS[0], 21, 1.375, 2.5, 2.625),
        ("bucket", "s3_event", STEPS[1], 21, 0.5, 0.5, 0.5),
        ("bucket", "s3_event", STEPS[2], 21, 20.125, 37, 38.875),
        ("bucket", "s3_event", STEPS[3], 21, 22, 40, 42),
    ]
    assert {type(row["p50_s"]) for row in found} == {float}


def test_percentiles_between_two_objects_are_interpolated(tx: Connection) -> None:
    for number, seconds in enumerate((1, 2, 4, 8)):
        _loaded(tx, f"o{number}", seen=0, claimed=0, queryable=seconds)
    last = read_status(tx, NOON).freshness[-1]
    assert (last["p50_s"], last["p95_s"], last["max_s"]) == (3, 7.4, 8)


def test_freshness_covers_the_last_24_hours(tx: Connection) -> None:
    _loaded(tx, "o", seen=1, claimed=2, queryable=3)
    assert len(read_status(tx, at(3) + timedelta(hours=23, minutes=59)).freshness) == 4
    assert read_status(tx, at(3) + timedelta(hours=24)).freshness == []
