"""Sweeps of a bucket: what is known changes nothing, and only a complete listing finds what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy
from sqlalchemy import event

from benchmarks.growth.bucket import SOURCE, Bucket, observation
from roomledger import times
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.model import Asset, Observation
from roomledger.pipeline.collect import collect_bucket
from roomledger.stores import StoreError
from tests.warehouses import contents, execute, fetch


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record a few objects together, so that a short listing has several pages."""
    monkeypatch.setattr("roomledger.pipeline.collect._RECORDED_TOGETHER", 3)
    monkeypatch.setattr("benchmarks.growth.bucket.PAGE_OBJECTS", 2)


class Listing(Bucket):
    """A bucket that shows these versions, and then fails, if it is to."""

    def __init__(self, *seen: Observation, fails: bool = False) -> None:
        super().__init__()
        self._seen = seen
        self._fails = fails

    def list(self) -> Iterator[list[Observation]]:
        yield from ([one] for one in self._seen)
        if self._fails:
            raise StoreError("the connection was cut off")


def sweep(database: Database, *seen: Observation, fails: bool = False) -> dict[str, int]:
    return dict(collect_bucket(database, SOURCE, Listing(*seen, fails=fails)))


def newer(seen: Observation, version: str = "newer") -> Observation:
    """A later version of the same object."""
    return replace(seen, version=version, modified_at=seen.modified_at + timedelta(hours=1))


def dispositions(database: Database) -> list[str]:
    return [one for (one,) in fetch(database, "SELECT disposition FROM object_ledger ORDER BY uri, modified_at")]


def kinds(database: Database) -> list[tuple[str, str, int]]:
    query = "SELECT observed_by, kind, count(*) FROM observations GROUP BY observed_by, kind ORDER BY 1, 2"
    return [(by, kind, number) for by, kind, number in fetch(database, query)]


def observe(database: Database, observed_by: str, *seen: Observation) -> None:
    found = [(one, Asset(uri=one.uri, size_bytes=1, modified_at=one.modified_at, asset_type="track")) for one in seen]
    with database.begin() as tx:
        record_observations(tx, database, SOURCE, found, observed_by=observed_by, now=times.utc_now())


OBJECTS = [observation(number) for number in range(10)]


def test_a_sweep_of_known_objects_changes_nothing(ready: Database) -> None:
    assert collect_bucket(ready, SOURCE, Bucket(range(10))) == {"listed": 10, "new_seen": 10}
    before = contents(ready)
    assert collect_bucket(ready, SOURCE, Bucket(range(10))) == {"listed": 10}
    assert contents(ready) == before


def test_a_sweep_of_known_objects_runs_no_statement_that_writes(ready: Database) -> None:
    """Otherwise each sweep of a large bucket would search all of the ledger several times for each page."""
    collect_bucket(ready, SOURCE, Bucket(range(10)))
    statements: list[str] = []

    def remember(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement.split()[0])

    event.listen(sqlalchemy.Engine, "before_cursor_execute", remember)
    try:
        collect_bucket(ready, SOURCE, Bucket(range(10)))
    finally:
        event.remove(sqlalchemy.Engine, "before_cursor_execute", remember)
    assert not {"INSERT", "UPDATE", "DELETE"} & set(statements)


def test_of_a_page_with_one_new_object_only_that_one_is_recorded(ready: Database) -> None:
    sweep(ready, *OBJECTS[:4], *OBJECTS[5:])
    before = fetch(ready, "SELECT object_id, first_seen_at FROM object_ledger")
    assert sweep(ready, *OBJECTS) == {"listed": 10, "new_seen": 1}
    assert set(before) < set(fetch(ready, "SELECT object_id, first_seen_at FROM object_ledger"))
    assert kinds(ready) == [("listing", "exists", 10)]


def test_a_listing_also_confirms_what_an_event_reported_first_and_once(ready: Database) -> None:
    observe(ready, "s3_event", *OBJECTS[:2])
    for _ in range(2):
        assert "missing" not in sweep(ready, *OBJECTS[:3])
    assert kinds(ready) == [("listing", "exists", 3), ("s3_event", "exists", 2)]


def test_objects_that_a_complete_listing_lacks_are_missing_and_come_back(ready: Database) -> None:
    sweep(ready, *OBJECTS)
    assert sweep(ready, *OBJECTS[:7]) == {"listed": 7, "missing": 3}
    assert sweep(ready, *OBJECTS[:7]) == {"listed": 7}
    assert sweep(ready, *OBJECTS[:9]) == {"listed": 9, "restored": 2}
    assert sorted(dispositions(ready)) == ["missing", *["seen"] * 9]


def test_an_empty_listing_makes_everything_missing(ready: Database) -> None:
    sweep(ready, *OBJECTS)
    assert sweep(ready) == {"missing": 10}


def test_a_listing_that_fails_records_what_it_showed_and_makes_nothing_missing(ready: Database) -> None:
    sweep(ready, *OBJECTS[:3])
    with pytest.raises(StoreError, match="cut off"):
        sweep(ready, *OBJECTS[3:9], fails=True)
    assert dispositions(ready) == ["seen"] * 9


@pytest.mark.parametrize("older", ["loaded", "unchanged", "refused", "seen"])
def test_an_object_is_not_missing_when_any_version_of_it_is_listed(ready: Database, older: str) -> None:
    """A loaded version is present until the newer one is loaded, or has the same bytes for good."""
    first, second = OBJECTS[0], newer(OBJECTS[0])
    sweep(ready, first)
    sweep(ready, second)
    execute(ready, f"UPDATE object_ledger SET disposition = '{older}' WHERE version <> 'newer'")
    assert sweep(ready, second) == {"listed": 1}
    assert dispositions(ready) == [older, "seen"]
    assert sweep(ready, OBJECTS[1]) == {"listed": 1, "new_seen": 1, "missing": 2}


def test_rows_of_a_missing_version_are_restored_by_another_known_version_of_the_object(ready: Database) -> None:
    first, second = OBJECTS[0], newer(OBJECTS[0])
    sweep(ready, first, second)
    execute(ready, "UPDATE object_ledger SET disposition = 'superseded' WHERE version = 'newer'")
    execute(
        ready,
        "UPDATE object_ledger SET disposition = 'missing', loaded_at = first_seen_at WHERE version <> 'newer'",
    )
    assert sweep(ready, second) == {"listed": 1, "restored": 1}
    assert dispositions(ready) == ["loaded", "superseded"]


def test_an_object_that_was_observed_since_the_listing_began_is_not_missing(ready: Database) -> None:
    sweep(ready, *OBJECTS[:2])

    class Slow(Listing):
        def list(self) -> Iterator[list[Observation]]:
            yield [OBJECTS[0]]
            observe(ready, "s3_event", newer(OBJECTS[1]), OBJECTS[2])

    assert collect_bucket(ready, SOURCE, Slow()) == {"listed": 1}
    assert "missing" not in dispositions(ready)


def test_objects_of_other_sources_are_not_missing(ready: Database) -> None:
    other = replace(SOURCE, name="other")
    collect_bucket(ready, other, Bucket(range(5)))
    assert sweep(ready, *OBJECTS[5:]) == {"listed": 5, "new_seen": 5}
    assert collect_bucket(ready, other, Bucket(range(4))) == {"listed": 4, "missing": 1}


def test_a_sweep_within_another_one_changes_nothing(ready: Database) -> None:
    """Two sweeps at once end as one."""

    class Nested(Listing):
        def list(self) -> Iterator[list[Observation]]:
            for at in range(0, 10, 2):
                yield OBJECTS[at : at + 2]
                sweep(ready, *OBJECTS)

    assert collect_bucket(ready, SOURCE, Nested())["listed"] == 10
    assert dispositions(ready) == ["seen"] * 10
    assert kinds(ready) == [("listing", "exists", 10)]
