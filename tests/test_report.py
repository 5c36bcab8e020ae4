"""What `status` shows of long lists: the first of them, and how many there are."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from roomledger import report
from tests.rows import NOON, at, put, put_object


def test_of_what_only_the_vendor_holds_the_soonest_are_shown_and_all_counted(tx: Connection) -> None:
    for number in range(25):
        put(
            tx, "asset_records", asset_id=f"a{number:02}", uri=f"s3://held/{number}", created_at=at(-number * 86400 / 2)
        )
    found = report.status(tx, NOON)
    assert [row["asset_id"] for row in found.unsafe] == [f"a{number:02}" for number in range(24, 4, -1)]
    assert {*found.unsafe[0]} == {"source", "asset_type", "asset_id", "status", "uri", "created_at", "days_left"}
    assert (found.unsafe_total, float(found.unsafe[0]["days_left"])) == (25, 3.0)
    later = report.status(tx, NOON + timedelta(days=10))
    assert (len(later.unsafe), later.unsafe_total) == (10, 10)
    assert report.status(tx, NOON + timedelta(days=16)).unsafe_total == 0


def test_of_what_is_tried_again_the_soonest_are_shown_and_all_counted(tx: Connection) -> None:
    for number in range(22):
        put_object(tx, f"o{number:02}", disposition="seen", reason="odd", retry_at=at(-number))
    found = report.status(tx, NOON)
    assert [row["uri"] for row in found.retries] == [f"s3://acme/o{number:02}" for number in range(21, 1, -1)]
    assert found.retries_total == 22
