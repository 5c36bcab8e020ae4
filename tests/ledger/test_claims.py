"""Claims: one load claims a version at a time, leases expire, attempts are counted and limited."""

from __future__ import annotations

from roomledger.ledger.claims import MAX_ATTEMPTS, release_claims, renew_lease, retry_delay
from roomledger.ledger.database import Database
from roomledger.ledger.outcome import Outcome
from tests.ledger.steps import (
    KEY,
    at,
    claim,
    loaded,
    message,
    messages,
    record,
    settle,
    version,
)
from tests.warehouses import fetch


def test_two_loads_never_claim_the_same_version(ready: Database) -> None:
    record(ready, *(version(f"v{n}", uri=f"{KEY}{n}") for n in range(10)))
    first, second, third = (claim(ready, token, limit=6) for token in ("one", "two", "three"))
    assert (len(first), len(second), len(third)) == (6, 4, 0)
    assert not {c.object_id for c in first} & {c.object_id for c in second}


def test_a_claim_expires_with_its_lease_unless_it_is_renewed(ready: Database) -> None:
    record(ready, version("a"))
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


def test_a_version_that_crashes_every_load_is_refused_in_the_end(ready: Database) -> None:
    record(ready, version("a"))
    for attempt in range(MAX_ATTEMPTS):
        assert len(claim(ready, f"try {attempt}", now=10 * attempt)) == 1
    assert claim(ready, "last", now=1000) == []
    assert fetch(ready, "SELECT disposition, attempts FROM object_ledger") == [("refused", 8)]
    assert fetch(ready, "SELECT reason_code, ordinal FROM refusals") == [("gave_up", 0)]


def test_a_version_that_crashes_its_load_does_not_fail_the_rest_of_its_batch(ready: Database) -> None:
    record(ready, *(version(f"v{n}", n, f"{KEY}{n}") for n in range(40)))
    crashing = version("v7", 7, f"{KEY}7").object_id
    minutes, loads = 0, 0
    while loads < 100 and (claims := claim(ready, f"load {loads}", now=minutes, limit=40)):
        loads += 1
        if crashing in {one.object_id for one in claims}:
            minutes += 6  # no load settles them, and the lease expires
        else:
            settle(ready, [loaded(one, []) for one in claims], token=f"load {loads - 1}", now=minutes)
    assert fetch(ready, "SELECT disposition, count(*) FROM object_ledger GROUP BY 1 ORDER BY 1") == [
        ("loaded", 39),
        ("refused", 1),
    ]
    assert fetch(ready, "SELECT version FROM object_ledger WHERE disposition = 'refused'") == [("v7",)]


def test_a_released_claim_does_not_count_as_an_attempt(ready: Database) -> None:
    record(ready, version("a"))
    claim(ready)
    with ready.begin() as tx:
        assert release_claims(tx, ready, "one", "new: released") == 1
    [again] = claim(ready, "two")
    assert again.attempts == 1


def test_a_failed_read_is_retried_after_a_longer_delay_each_time(ready: Database) -> None:
    assert [retry_delay(n).total_seconds() for n in (1, 2, 3, 8, 80)] == [30, 60, 120, 3600, 3600]
    record(ready, version("a"))
    [one] = claim(ready)
    later = Outcome(claim=one, disposition="seen", reason="retry: cut off", retry_at=at(10))
    settle(ready, [later])
    assert claim(ready, "two", now=9.9) == []
    assert [c.attempts for c in claim(ready, "three", now=10)] == [2]
