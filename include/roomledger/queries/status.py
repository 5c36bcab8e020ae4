"""How things are: objects by disposition, refusals, retries, what only 100ms holds, and how fresh the tables are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from roomledger.hundredms import RETENTION
from roomledger.ledger.database import Row, fetch_rows
from roomledger.ledger.tables.ledger import DISPOSITIONS

RECENTLY = timedelta(hours=24)
"""How far back the freshness of what was loaded is looked at."""


@dataclass(frozen=True, slots=True)
class Status:
    """How far things are."""

    objects: Sequence[Row]
    """One row per source and disposition: versions, records loaded, oldest `modified_at`."""
    refusals: Sequence[Row]
    """One row per reason code of the refusals that are open: how many, in how many objects, an example."""
    retries: Sequence[Row]
    """Versions that could not be read and are tried again, soonest first, at most 20 of `retries_total`."""
    retries_total: int
    unsafe: Sequence[Row]
    """Assets that only the vendor holds, with the days until it deletes them, soonest first, at most 20 of
    `unsafe_total`."""
    unsafe_total: int
    freshness: Sequence[Row]
    """One row per source, witness and step of what became queryable within RECENTLY: how many object versions, and the
    median, the 95th percentile and the maximum of the seconds that the step took.

    The first step begins when the store says that the version was written, by its own clock. So its seconds may be
    below 0, which is shown: the clocks disagree then. A version that was read again counts like a new one.
    """
    last_load: Row | None


def read_status(tx: Connection, now: datetime) -> Status:
    """Count what the ledger holds."""
    last = fetch_rows(tx, "SELECT * FROM loads ORDER BY committed_at DESC LIMIT 1")
    retries, retries_total = _first(tx, _RETRIES)
    kept = {"kept_since": now - RETENTION, "keeps": RETENTION.days, "now": now}
    unsafe, unsafe_total = _first(tx, _UNSAFE, kept)
    return Status(
        objects=sorted(
            fetch_rows(tx, _OBJECTS), key=lambda row: (row["source"], list(DISPOSITIONS).index(row["disposition"]))
        ),
        refusals=fetch_rows(tx, _REFUSALS),
        retries=retries,
        retries_total=retries_total,
        unsafe=unsafe,
        unsafe_total=unsafe_total,
        freshness=fetch_rows(tx, _FRESHNESS, {"since": now - RECENTLY}),
        last_load=last[0] if last else None,
    )


_OBJECTS = """
SELECT source, disposition, count(*) AS versions, CAST(sum(rows_loaded) AS BIGINT) AS rows_loaded,
       min(modified_at) AS oldest
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


# An asset is safe when its object was seen in a bucket, or when its rows are in the tables.
_UNSAFE = """
SELECT count(*) OVER () AS total, source, asset_type, asset_id, status, uri, created_at,
       CAST(:keeps AS DOUBLE PRECISION)
       - round(CAST(extract(epoch FROM CAST(:now AS TIMESTAMP WITH TIME ZONE) - since) AS NUMERIC) / 86400, 1)
       AS days_left
FROM (SELECT *, COALESCE(created_at, first_seen_at) AS since FROM asset_records) AS held
WHERE COALESCE(status, '') <> 'failed' AND since > :kept_since AND NOT EXISTS (
    SELECT 1 FROM object_ledger
    WHERE object_ledger.uri = held.uri AND (first_seen_by <> 'api' OR loaded_at IS NOT NULL)
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
    WHERE queryable_at > :since
) AS took
GROUP BY source, seen_by, number, step ORDER BY source, seen_by, number
"""


def _first(tx: Connection, query: str, given: Mapping[str, Any] | None = None) -> tuple[list[Row], int]:
    """Give the first rows of a query that counts all of them as `total`, and that count."""
    rows = fetch_rows(tx, query, given)
    total = rows[0]["total"] if rows else 0
    return [{name: cell for name, cell in row.items() if name != "total"} for row in rows], total
