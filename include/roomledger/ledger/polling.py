"""What to poll by its id: unfinished jobs, and ids that a record names but no record describes.

The interval between polls of a job, or of an id that the vendor does not know, is half of its age, until it is too old.
So the number of requests depends on what is new.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, text

from roomledger.hundredms.records import is_final
from roomledger.ledger.database import Database, stage_ids
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.vendor_records import job_records

ROOM_AGE = timedelta(days=1)
"""A room may be renamed: a new session polls it again, but not more often than this."""
_SOONEST = timedelta(minutes=15)


def due_jobs(tx: Connection, source: str, now: datetime) -> list[tuple[str, str | None]]:
    """Give the jobs to poll, with their kind, which is None for a job that only its assets name."""
    query = f"""
        SELECT job_id, kind FROM job_records AS naming
        WHERE source = :source AND poll_at <= :now AND {_NOT_BACKING_OFF.format(column="job_id")}
        UNION
        SELECT DISTINCT job_id, CAST(NULL AS TEXT) FROM asset_records AS naming
        WHERE source = :source AND {_UNKNOWN.format(table="job_records", column="job_id")}
        ORDER BY job_id
    """
    return [(job_id, kind) for job_id, kind in tx.execute(text(query), {"source": source, "now": now})]


def due_sessions(tx: Connection, source: str, now: datetime) -> set[str]:
    """Give the sessions that a record names and none describes, and the active ones."""
    unknown = _UNKNOWN.format(table="session_records", column="session_id")
    query = f"""
        SELECT session_id FROM asset_records AS naming WHERE source = :source AND {unknown}
        UNION SELECT session_id FROM job_records AS naming WHERE source = :source AND {unknown}
        UNION SELECT session_id FROM session_records AS naming
              WHERE source = :source AND active AND {_NOT_BACKING_OFF.format(column="session_id")}
    """
    return set(tx.execute(text(query), {"source": source, "now": now}).scalars())


def due_rooms(tx: Connection, source: str, now: datetime) -> set[str]:
    """Give the rooms that a record names and none describes, and those with a session newer than their record."""
    unknown = _UNKNOWN.format(table="room_records", column="room_id")
    query = f"""
        SELECT room_id FROM session_records AS naming WHERE source = :source AND {unknown}
        UNION SELECT room_id FROM asset_records AS naming WHERE source = :source AND {unknown}
        UNION SELECT naming.room_id FROM room_records AS naming
              JOIN session_records AS sessions ON sessions.room_id = naming.room_id
              WHERE naming.source = :source AND naming.read_at < :old AND sessions.first_seen_at > naming.read_at
                AND {_NOT_BACKING_OFF.format(column="room_id")}
    """
    return set(tx.execute(text(query), {"source": source, "now": now, "old": now - ROOM_AGE}).scalars())


_NOT_BACKING_OFF = """
    NOT EXISTS (SELECT 1 FROM vendor_unknown_ids AS unknown
                WHERE unknown.source = :source AND unknown.id = naming.{column}
                  AND (unknown.poll_at IS NULL OR unknown.poll_at > :now))
"""
_UNKNOWN = f"""
    naming.{{column}} IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM {{table}} AS known WHERE known.{{column}} = naming.{{column}})
    AND {_NOT_BACKING_OFF}
"""


def record_unknown(tx: Connection, source: str, ids: Collection[str], *, now: datetime, until: timedelta) -> None:
    """Record that the vendor does not know these ids; after `until` they are no longer polled."""
    query = """
        INSERT INTO vendor_unknown_ids AS known (source, id, first_polled_at, poll_at)
        VALUES (:source, :id, :now, :soon)
        ON CONFLICT (source, id) DO UPDATE
        SET poll_at = CASE WHEN known.first_polled_at > :old
                          THEN excluded.poll_at + (excluded.first_polled_at - known.first_polled_at) / 2 END
    """
    parameters = {"source": source, "now": now, "soon": now + _SOONEST, "old": now - until}
    if ids:
        tx.execute(text(query), [parameters | {"id": one} for one in ids])


def schedule_jobs(
    tx: Connection, database: Database, jobs: Collection[str], *, now: datetime, until: timedelta
) -> None:
    """Schedule the next poll of these jobs: none when all planned assets are final, or after `until`."""
    if not jobs:
        return
    mine = f"job_id IN (SELECT job_id FROM {stage_ids(tx, database, sorted(jobs), 'job_id')})"
    query = f"SELECT job_id, status, planned_types, created_at, stopped_at FROM job_records WHERE {mine}"
    found = tx.execute(text(query)).all()
    final: defaultdict[str, set[str]] = defaultdict(set)
    query = f"SELECT DISTINCT job_id, asset_type, status FROM asset_records WHERE {mine}"
    for job_id, asset_type, status in tx.execute(text(query)):
        if is_final(status):
            final[job_id].add(asset_type)
    schedule = [{"job_id": row.job_id, "poll_at": _poll_at(row, final[row.job_id], now, until)} for row in found]
    schema = pa.schema([field for field in arrow_schema(job_records) if field.name in ("job_id", "poll_at")])
    staged = database.stage(tx, pa.Table.from_pylist(schedule, schema=schema), "schedule")
    tx.execute(
        text(f"""
            UPDATE job_records SET poll_at = scheduled.poll_at
            FROM {staged} AS scheduled WHERE scheduled.job_id = job_records.job_id
              AND scheduled.poll_at IS DISTINCT FROM job_records.poll_at
        """)
    )


def _poll_at(job: Any, final: set[str], now: datetime, until: timedelta) -> datetime | None:
    planned: Sequence[str] = json.loads(job.planned_types) if isinstance(job.planned_types, str) else job.planned_types
    began: datetime | None = job.stopped_at or job.created_at
    if began is None or now - began > until:
        return None
    if not is_final(job.status):
        return now
    if job.status == "failed" or set(planned) <= final:
        return None
    return now + max(_SOONEST, (now - began) / 2)
