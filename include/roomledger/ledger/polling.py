"""What is to be asked for by its id: jobs that more may come of, and what something names but nobody has told of.

The number of questions grows with what is new: a job is asked for again after half of its age has passed once more, and
an id that the vendor does not know likewise, until both are too old for anything to come.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, text

from roomledger.hundredms.records import final_asset, final_job
from roomledger.ledger.database import Database

ROOM_AGE = timedelta(days=1)
"""A room may be renamed: it is asked for again with a new session, but not more often than this."""
_SOONEST = timedelta(minutes=15)


def due_jobs(tx: Connection, source: str, now: datetime) -> list[tuple[str, str | None]]:
    """Name the jobs to ask for, with their kind, which nobody knows of a job that only its assets name."""
    query = f"""
        SELECT job_id, kind FROM job_records AS naming
        WHERE source = :source AND check_at <= :now AND {_NOT_IN_VAIN.format(column="job_id")}
        UNION
        SELECT DISTINCT job_id, CAST(NULL AS TEXT) FROM asset_records AS naming
        WHERE source = :source AND {_UNKNOWN.format(table="job_records", column="job_id")}
        ORDER BY job_id
    """
    return [(job_id, kind) for job_id, kind in tx.execute(text(query), {"source": source, "now": now})]


def due_sessions(tx: Connection, source: str, now: datetime) -> set[str]:
    """Name the sessions that something names and nobody has told of, and those that were going on."""
    unknown = _UNKNOWN.format(table="session_records", column="session_id")
    query = f"""
        SELECT session_id FROM asset_records AS naming WHERE source = :source AND {unknown}
        UNION SELECT session_id FROM job_records AS naming WHERE source = :source AND {unknown}
        UNION SELECT session_id FROM session_records AS naming
              WHERE source = :source AND active AND {_NOT_IN_VAIN.format(column="session_id")}
    """
    return set(tx.execute(text(query), {"source": source, "now": now}).scalars())


def due_rooms(tx: Connection, source: str, now: datetime) -> set[str]:
    """Name the rooms that a session names and nobody has told of, and those with a session newer than their record."""
    unknown = _UNKNOWN.format(table="rooms", column="room_id")
    query = f"""
        SELECT room_id FROM session_records AS naming WHERE source = :source AND {unknown}
        UNION SELECT room_id FROM asset_records AS naming WHERE source = :source AND {unknown}
        UNION SELECT naming.room_id FROM rooms AS naming JOIN session_records AS held ON held.room_id = naming.room_id
              WHERE naming.source = :source AND naming.read_at < :old AND held.first_seen_at > naming.read_at
                AND {_NOT_IN_VAIN.format(column="room_id")}
    """
    return set(tx.execute(text(query), {"source": source, "now": now, "old": now - ROOM_AGE}).scalars())


_NOT_IN_VAIN = """
    NOT EXISTS (SELECT 1 FROM vendor_unknown AS asked
                WHERE asked.source = :source AND asked.id = naming.{column}
                  AND (asked.ask_at IS NULL OR asked.ask_at > :now))
"""
_UNKNOWN = f"""
    naming.{{column}} IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM {{table}} AS told WHERE told.{{column}} = naming.{{column}})
    AND {_NOT_IN_VAIN}
"""


def not_known(tx: Connection, source: str, ids: Collection[str], *, now: datetime, until: timedelta) -> None:
    """Write down that the vendor does not know these ids; after `until` they are not asked for any more."""
    query = """
        INSERT INTO vendor_unknown (source, id, first_asked_at, ask_at) VALUES (:source, :id, :now, :soon)
        ON CONFLICT (source, id) DO UPDATE
        SET ask_at = CASE WHEN vendor_unknown.first_asked_at > :old
                          THEN excluded.ask_at + (excluded.first_asked_at - vendor_unknown.first_asked_at) / 2 END
    """
    given = {"source": source, "now": now, "soon": now + _SOONEST, "old": now - until}
    if ids:
        tx.execute(text(query), [given | {"id": one} for one in ids])


def schedule(tx: Connection, database: Database, jobs: Collection[str], *, now: datetime, until: timedelta) -> None:
    """Decide when these jobs are asked for again: never when all that was planned has come, or `until` has passed."""
    if not jobs:
        return
    database.stage(tx, "touched", pa.table({"job_id": pa.array(sorted(jobs), pa.string())}))
    mine = "job_id IN (SELECT job_id FROM touched)"
    query = f"SELECT job_id, status, planned_types, created_at, stopped_at FROM job_records WHERE {mine}"
    found = tx.execute(text(query)).all()
    final: defaultdict[str, set[str]] = defaultdict(set)
    query = f"SELECT DISTINCT job_id, asset_type, status FROM asset_records WHERE {mine}"
    for job_id, asset_type, status in tx.execute(text(query)):
        if final_asset(status):
            final[job_id].add(asset_type)
    times = [_check_at(row, final[row.job_id], now, until) for row in found]
    scheduled = {
        "job_id": pa.array([row.job_id for row in found], pa.string()),
        "check_at": pa.array(times, pa.timestamp("us", tz="UTC")),
    }
    database.stage(tx, "scheduled", pa.table(scheduled))
    tx.execute(
        text("""
            UPDATE job_records SET check_at = scheduled.check_at
            FROM scheduled WHERE scheduled.job_id = job_records.job_id
              AND scheduled.check_at IS DISTINCT FROM job_records.check_at
        """)
    )


def _check_at(job: Any, final: set[str], now: datetime, until: timedelta) -> datetime | None:
    planned: Sequence[str] = json.loads(job.planned_types) if isinstance(job.planned_types, str) else job.planned_types
    began: datetime | None = job.stopped_at or job.created_at
    if began is None or now - began > until:
        return None
    if not final_job(job.status):
        return now
    if job.status == "failed" or set(planned) <= final:
        return None
    return now + max(_SOONEST, (now - began) / 2)
