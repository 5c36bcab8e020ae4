"""What webhooks said, on its way into the warehouse: new events, what they add up to, and what they mean for objects.

One transaction writes events, sums up the sessions, stays and recordings that they tell of, finds the session of every
object that they concern anew, and moves its rows. An event that is known changes nothing, save that what came by itself
is kept rather than its replay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, Table, text

from roomledger.hundredms.events import Event, NamedAsset
from roomledger.ledger import session_evidence
from roomledger.ledger.database import Database
from roomledger.ledger.recorder_jobs import match_recorders
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.tables.columns import Json, arrow_schema
from roomledger.ledger.tables.vendor_events import (
    event_assets,
    event_peers,
    event_recordings,
    event_sessions,
    vendor_events,
)
from roomledger.settings import Source


class Heard(NamedTuple):
    """One webhook event, understood."""

    source: Source
    """The workspace that it came to."""
    event: Event
    assets: list[NamedAsset]
    received_at: datetime


@dataclass(slots=True)
class Understood:
    """What came of them."""

    events: int = 0
    """Events not known before."""
    moved: int = 0
    """Objects whose rows changed their session."""
    woken: int = 0
    """Objects that an event named otherwise than they were taken, and that are read again."""


def hear(tx: Connection, database: Database, heard: Iterable[Heard], *, now: datetime) -> Understood:
    """Write down what these events say."""
    told: dict[tuple[str, str], Heard] = {}
    for one in sorted(heard, key=lambda one: one.event.is_replay):
        told.setdefault((one.source.name, one.event.event_id), one)
    database.hold_evidence(tx, change=True)
    whose = {key: {"customer": one.source.customer, "source": one.source.name} for key, one in told.items()}
    rows = [
        one.event._asdict() | whose[key] | {"received_at": one.received_at, "taken_in_at": now}
        for key, one in told.items()
    ]
    named = [
        asset._asdict() | whose[key] | _more(asset, one.event, now) for key, one in told.items() for asset in one.assets
    ]
    database.stage(tx, "heard_events", pa.Table.from_pylist(rows, schema=arrow_schema(vendor_events)))
    database.stage(tx, "heard_assets", pa.Table.from_pylist(named, schema=arrow_schema(event_assets)))
    tx.execute(text(_CAME_BY_ITSELF))
    tx.execute(text("DROP TABLE IF EXISTS news_events"))
    tx.execute(text(_NEWS))
    found = Understood(events=len(tx.execute(text(_insert(vendor_events, "news_events"))).all()))
    if not found.events:
        return found
    tx.execute(text(_insert(event_assets, _NEW_ASSETS)))
    for table, summed_up in _SUMS.items():
        tx.execute(text(_upsert(table, summed_up)))
    match_recorders(tx, "SELECT COALESCE(beam_id, recording_id, event_id) FROM news_events")
    session_evidence.place(tx, database, _CONCERNED)
    found.moved = session_evidence.move(tx, changed_by="webhook", now=now)
    found.woken = len(requeue_retyped(tx, database, _CONCERNED, now=now))
    return found


def _more(asset: NamedAsset, event: Event, now: datetime) -> dict[str, object]:
    recorder = asset.beam_id or asset.recording_id or asset.event_id
    return {"recorder_id": recorder, "occurred_at": event.occurred_at, "taken_in_at": now}


_CAME_BY_ITSELF = """
UPDATE vendor_events
SET is_replay = FALSE, record = CAST(heard_events.record AS JSON), record_sha256 = heard_events.record_sha256
FROM heard_events
WHERE heard_events.source = vendor_events.source AND heard_events.event_id = vendor_events.event_id
  AND vendor_events.is_replay AND NOT heard_events.is_replay
"""
_NEWS = """
CREATE TEMPORARY TABLE news_events AS
SELECT * FROM heard_events WHERE NOT EXISTS (
    SELECT 1 FROM vendor_events AS known
    WHERE known.source = heard_events.source AND known.event_id = heard_events.event_id
)
"""
_NEW_ASSETS = """(
    SELECT * FROM heard_assets WHERE (source, event_id) IN (SELECT source, event_id FROM news_events)
) AS named"""


def _insert(table: Table, rows: str) -> str:
    names = table.columns.keys()
    cells = ", ".join(f"CAST({name} AS JSON)" if table.columns[name].type is Json else name for name in names)
    return f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {cells} FROM {rows} RETURNING event_id"


def _upsert(table: Table, rows: str) -> str:
    keys = [column.name for column in table.primary_key.columns]
    names = [column.name for column in table.columns if column.name != "api_job_id"]  # see match_recorders
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    return f"""
        INSERT INTO {table.name} ({", ".join(names)}) {rows}
        ON CONFLICT ({", ".join(keys)}) DO UPDATE SET {changed}
    """


def _last(column: str, where: str = "") -> str:
    """The last word on it, in the order in which things happened."""
    known = f"{column} IS NOT NULL{where}"
    return f"(array_agg({column} ORDER BY occurred_at DESC NULLS LAST, event_id) FILTER (WHERE {known}))[1]"


# Columns in the order of the table, rows for all ids that a new event names. What has no outcome is not understood.
_SUMS = {
    event_sessions: f"""
        SELECT min(customer), min(source), session_id, {_last("room_id")}, {_last("room_name")},
               min(session_started_at), max(session_stopped_at), min(taken_in_at)
        FROM vendor_events
        WHERE outcome IS NOT NULL AND session_id IN (SELECT session_id FROM news_events) GROUP BY session_id
    """,
    event_peers: f"""
        SELECT min(customer), min(source), session_id, peer_id, {_last("user_id")}, {_last("user_name")},
               {_last("role")}, min(joined_at), max(left_at), bool_or(is_recorder), min(taken_in_at)
        FROM vendor_events
        WHERE is_recorder IS NOT NULL AND outcome <> 'failed'
          AND (session_id, peer_id) IN (SELECT session_id, peer_id FROM news_events)
        GROUP BY session_id, peer_id
    """,
    event_recordings: f"""
        SELECT min(customer), min(source), COALESCE(beam_id, recording_id, event_id) AS recorder,
               CASE WHEN bool_or(type LIKE 'hls.%') THEN 'live-stream'
                    WHEN bool_or(type LIKE 'recording.%') THEN 'legacy' ELSE 'recording' END,
               max(beam_id), {_last("job_id")}, {_last("recording_id")}, {_last("room_id")}, {_last("session_id")},
               CASE WHEN bool_or(outcome = 'succeeded' AND type LIKE '%recording.success') THEN 'completed'
                    WHEN bool_or(outcome = 'failed') THEN 'failed'
                    WHEN bool_or(outcome = 'ended') THEN 'post_processing' ELSE 'running' END,
               {_last("planned_types")},
               COALESCE(min(started_at), min(CASE WHEN outcome = 'started' THEN occurred_at END)),
               COALESCE(max(stopped_at), max(CASE WHEN outcome = 'ended' THEN occurred_at END)),
               {_last("error_type", " AND outcome = 'failed'")}, {_last("error_message", " AND outcome = 'failed'")},
               min(taken_in_at)
        FROM (
            SELECT * FROM vendor_events WHERE beam_id IN (SELECT beam_id FROM news_events)
            UNION ALL
            SELECT * FROM vendor_events WHERE beam_id IS NULL AND recording_id IN (SELECT recording_id FROM news_events)
            UNION ALL
            SELECT * FROM vendor_events
            WHERE beam_id IS NULL AND recording_id IS NULL
              AND (source, event_id) IN (SELECT source, event_id FROM news_events)
        ) AS told
        WHERE outcome IS NOT NULL AND (type LIKE 'beam.%' OR type LIKE 'hls.%' OR type LIKE 'recording.%')
        GROUP BY recorder
    """,
}

# Objects whose session or recording may be another now: those that a new event names, those of a recording that one
# tells more of, by its id or by its recorder's, and those of a room of which one tells a session.
_CONCERNED = """
SELECT object_id FROM object_ledger WHERE uri IN (
    SELECT uri FROM event_assets WHERE (source, event_id) IN (SELECT source, event_id FROM news_events)
    UNION SELECT uri FROM event_assets WHERE recording_id IN (
        SELECT recording_id FROM news_events
        UNION SELECT recording_id FROM vendor_events WHERE beam_id IN (SELECT beam_id FROM news_events)
    )
)
UNION
SELECT object_id FROM object_ledger
WHERE session_evidence IN ('time_window', 'none') AND key_room_id IN (
    SELECT room_id FROM vendor_events WHERE session_id IN (SELECT session_id FROM news_events)
    UNION SELECT room_id FROM session_records WHERE session_id IN (SELECT session_id FROM news_events)
)
"""
