"""Probes of the warehouse: what a run has to wait for, and what must hold after it.

Each check yields one sentence per failure, and nothing when all is well.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from benchmarks.chaos.faults.delivery import DeliveryCounts
from roomledger.ledger.claims import LEASE
from roomledger.ledger.database import Database
from sandbox.tables import Rows

_RECENT = timedelta(seconds=2)
_EXAMPLES = 3
"""Number of ids that a failure lists; it counts the others."""


class Unsettled(NamedTuple):
    """Numbers of object versions that the ledger has not settled."""

    claimed: int
    """Claimed by a load that runs or was killed."""
    due: int
    """For the next load."""
    later: int
    """To be retried, but not yet."""


def count_unsettled(database: Database) -> Unsettled:
    """Count the unsettled object versions now."""
    with database.begin(read_only=True) as tx:
        return Unsettled(*tx.execute(text(_UNSETTLED), {"now": datetime.now(UTC)}).one())


_UNSETTLED = """
SELECT count(CASE WHEN disposition = 'claimed' AND lease_until >= :now THEN 1 END),
       count(CASE WHEN disposition = 'seen' AND (retry_at IS NULL OR retry_at <= :now)
                    OR disposition = 'claimed' AND lease_until < :now THEN 1 END),
       count(CASE WHEN disposition = 'seen' AND retry_at > :now THEN 1 END)
FROM object_ledger
"""


def is_loading(database: Database) -> bool:
    """Whether there is a claim of the last two seconds; the load of an older one may be dead."""
    until = datetime.now(UTC) + LEASE - _RECENT
    query = text("SELECT count(*) FROM object_ledger WHERE disposition = 'claimed' AND lease_until > :until")
    with database.begin(read_only=True) as tx:
        return bool(tx.execute(query, {"until": until}).scalar_one())


def count_reclaimed(database: Database) -> int:
    """Count the object versions that were claimed more than once, most of them because their load was killed."""
    with database.begin(read_only=True) as tx:
        return int(tx.execute(text("SELECT count(*) FROM object_ledger WHERE attempts > 1")).scalar_one())


def stored_webhooks(database: Database) -> set[str]:
    """Return the ids of the stored events, including those that are dead letters."""
    with database.begin(read_only=True) as tx:
        stored = {*tx.execute(text("SELECT event_id FROM vendor_events")).scalars()}
        for raw in tx.execute(text("SELECT raw FROM refusals WHERE uri LIKE '100ms://%/webhooks/%'")).scalars():
            stored.add(json.loads(raw)["id"])
    return stored


def observed_versions(database: Database, observed_by: str) -> dict[str, list[tuple[str, bool]]]:
    """Return the versions of each object, oldest first, and whether this channel has observed each."""
    found: dict[str, list[tuple[str, bool]]] = {}
    with database.begin(read_only=True) as tx:
        for uri, version, is_observed in tx.execute(text(_OBSERVED), {"observed_by": observed_by}):
            found.setdefault(uri, []).append((version, is_observed))
    return found


_OBSERVED = """
SELECT uri, version, EXISTS (
    SELECT 1 FROM observations
    WHERE observations.object_id = object_ledger.object_id AND observed_by = :observed_by AND kind = 'exists'
)
FROM object_ledger ORDER BY modified_at, first_seen_at
"""


class TableDiff(NamedTuple):
    """Differences between one table of the baseline and of the run."""

    table: str
    equal: int
    """Number of rows that are in both."""
    missing: Sequence[Mapping[str, Any]]
    """Rows that only the baseline has."""
    extra: Sequence[Mapping[str, Any]]
    """Rows that only the run has."""


def diff_tables(baseline: Mapping[str, Rows], run: Mapping[str, Rows]) -> Iterator[TableDiff]:
    """Compare table by table, with the number of times that each row occurs."""
    for table, (columns, rows) in baseline.items():
        # Some cells are JSON and not hashable: the key of a row is its repr.
        expected, actual = ({repr(row): row for row in each} for each in (rows, run[table].rows))
        expected_counts, actual_counts = Counter(map(repr, rows)), Counter(map(repr, run[table].rows))
        missing, extra = expected_counts - actual_counts, actual_counts - expected_counts
        yield TableDiff(
            table,
            (expected_counts & actual_counts).total(),
            [dict(zip(columns, expected[key], strict=True)) for key in sorted(missing.elements())],
            [dict(zip(columns, actual[key], strict=True)) for key in sorted(extra.elements())],
        )


def check_tables(when: str, diffs: Iterable[TableDiff]) -> Iterator[str]:
    """Every table has exactly the rows of the baseline."""
    for diff in diffs:
        if diff.missing or diff.extra:
            yield f"{when}, {diff.table}: {len(diff.missing)} rows are missing, {len(diff.extra)} are extra"


def check_webhooks(acknowledged: Collection[str], posted: Collection[str], stored: Collection[str]) -> Iterator[str]:
    """Every webhook that was answered by 200 is stored, and every stored webhook was posted."""
    if lost := {*acknowledged} - {*stored}:
        yield f"{len(lost)} of {len(acknowledged)} webhooks were answered by 200 but are not stored: {_examples(lost)}"
    if unknown := {*stored} - {*posted}:
        yield f"{len(unknown)} webhooks are stored but were never posted: {_examples(unknown)}"


def check_queue(
    queue: str, forwarded: Collection[tuple[str, str]], observed: Mapping[str, Sequence[tuple[str, bool]]], backlog: int
) -> Iterator[str]:
    """The queue is empty, and its channel has observed every object version that was forwarded to it, or a newer one.

    A late reader of the queue finds only the newest version. For `observed` see `observed_versions`; it must have every
    version that is in the bucket now.
    """
    if backlog:
        yield f"{queue}: {backlog} messages are left in the queue"
    lost = {uri for uri, version in forwarded if not _is_observed(version, observed.get(uri, ()))}
    if lost:
        yield (
            f"{queue}: the ledger misses observations of {len(lost)} objects whose messages were acknowledged: "
            f"{_examples(lost)}"
        )


def _is_observed(version: str, versions: Sequence[tuple[str, bool]]) -> bool:
    # An unknown version was replaced before Roomledger inspected the object.
    first = next((index for index, (known, _) in enumerate(versions) if known == version), 0)
    return any(is_observed for _, is_observed in versions[first:])


def check_kills(components: Iterable[str], killed: Mapping[str, int]) -> Iterator[str]:
    """Every component was killed: otherwise the run proves nothing about it."""
    for component in components:
        if not killed.get(component):
            yield f"{component} was never killed: use more --minutes or --kills"


def check_faults(name: str, counts: DeliveryCounts) -> Iterator[str]:
    """Some deliveries were dropped, duplicated and late: otherwise the run proves nothing about that fault."""
    for fault in ("dropped", "duplicated", "late"):
        if not getattr(counts, fault):
            yield f"none of the {name} was {fault}: use more --sessions"


def _examples(ids: Collection[str]) -> str:
    return ", ".join(sorted(ids)[:_EXAMPLES]) + (", …" if len(ids) > _EXAMPLES else "")
