"""Status of the warehouse: objects by disposition, refusals, retries, vendor-stored assets, and freshness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from roomledger.hundredms import RETENTION
from roomledger.ledger.database import Row, fetch_rows
from roomledger.ledger.tables.ledger import DISPOSITIONS

RECENTLY = timedelta(hours=24)
"""Period of the freshness statistics."""


@dataclass(frozen=True, slots=True)
class Status:
    """The status of the warehouse."""

    objects: Sequence[Row]
    """One row per source and disposition: versions, records loaded and refused, oldest `modified_at`."""
    refusals: Sequence[Row]
    """One row per source and reason code of the open refusals, of files, of records and of values of records: count,
    number of objects, an example."""
    retries: Sequence[Row]
    """Versions to be retried after a failed read, soonest first, at most 20 of `retries_total`."""
    retries_total: int
    unsafe: Sequence[Row]
    """Assets that only the vendor stores, with the days until it deletes them, soonest first, at most 20 of
    `unsafe_total`."""
    unsafe_total: int
    freshness: Sequence[Row]
    """One row per source, observer and step, over the versions that became queryable within RECENTLY: their count, and
    the median, 95th percentile and maximum of the seconds of the step.

    The first step starts at the store's time of writing. Its seconds are negative when the clocks disagree. A replayed
    version counts with the load that first loaded it.
    """
    last_load: Row | None


def read_status(tx: Connection, now: datetime) -> Status:
    """Read the status from the ledger."""
    last_load = fetch_rows(tx, "SELECT * FROM loads ORDER BY committed_at DESC LIMIT 1")
    retries, retries_total = _first(tx, _RETRIES)
    stored_by_vendor = _UNSAFE.format(stored_since=_moment(now - RETENTION), retention=RETENTION.days, now=_moment(now))
    unsafe, unsafe_total = _first(tx, stored_by_vendor)
    return Status(
        objects=sorted(
            fetch_rows(tx, _OBJECTS), key=lambda row: (row["source"], list(DISPOSITIONS).index(row["disposition"]))
        ),
        refusals=fetch_rows(tx, _REFUSALS),
        retries=retries,
        retries_total=retries_total,
        unsafe=unsafe,
        unsafe_total=unsafe_total,
        freshness=fetch_rows(tx, _FRESHNESS.format(since=_moment(now - RECENTLY))),
        last_load=last_load[0] if last_load else None,
    )


_OBJECTS = """
SELECT source, disposition, count(*) AS versions, CAST(sum(rows_loaded) AS BIGINT) AS rows_loaded,
       CAST(sum(rows_refused) AS BIGINT) AS rows_refused, min(modified_at) AS oldest
FROM object_ledger GROUP BY source, disposition
"""

_REFUSALS = """
SELECT source, reason_code, count(*) AS refusals, count(DISTINCT object_id) AS objects, min(uri) AS example
FROM refusals WHERE resolved_at IS NULL GROUP BY source, reason_code ORDER BY refusals DESC, source, reason_code
"""

_RETRIES = """
SELECT count(*) OVER () AS total, source, uri, attempts, retry_at, reason FROM object_ledger
WHERE disposition = 'seen' AND retry_at IS NOT NULL ORDER BY retry_at, uri LIMIT 20
"""

# An asset is safe when its object was observed in a bucket, or when its rows are in the tables.
_UNSAFE = """
SELECT count(*) OVER () AS total, source, asset_type, asset_id, status, uri, created_at,
       CAST({retention} AS DOUBLE PRECISION)
       - round(CAST(extract(epoch FROM {now} - since) AS NUMERIC) / 86400, 1)
       AS days_left
FROM (SELECT *, COALESCE(created_at, first_seen_at) AS since FROM asset_records) AS assets
WHERE COALESCE(status, '') <> 'failed' AND since > {stored_since} AND NOT EXISTS (
    SELECT 1 FROM object_ledger
    WHERE object_ledger.uri = assets.uri AND (first_seen_by <> 'api' OR loaded_at IS NOT NULL)
)
ORDER BY since, asset_id LIMIT 20
"""

_FRESHNESS = """
SELECT source, seen_by, step, count(seconds) AS objects,
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) * 1000) / 1000 AS p50_s,
       round(percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) * 1000) / 1000 AS p95_s,
       round(max(seconds) * 1000) / 1000 AS max_s
FROM (
    SELECT source, seen_by, number, step,
           CASE number WHEN 1 THEN seen_after_s WHEN 2 THEN claimed_after_s - seen_after_s
                       WHEN 3 THEN queryable_after_s - claimed_after_s ELSE queryable_after_s END AS seconds
    FROM freshness, (VALUES (1, 'written to seen'), (2, 'seen to claimed'), (3, 'claimed to queryable'),
                            (4, 'written to queryable')) AS steps (number, step)
    WHERE queryable_at > {since}
) AS durations
GROUP BY source, seen_by, number, step ORDER BY source, seen_by, number
"""


def _moment(at: datetime) -> str:
    """Write a time as SQL: for the first parameter of a statement DuckDB imports pandas, where it is installed."""
    return f"TIMESTAMP WITH TIME ZONE '{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f+00}'"


def _first(tx: Connection, query: str) -> tuple[list[Row], int]:
    """Give the rows of a query without their column `total`, and that total."""
    rows = fetch_rows(tx, query)
    total = rows[0]["total"] if rows else 0
    return [{name: cell for name, cell in row.items() if name != "total"} for row in rows], total
