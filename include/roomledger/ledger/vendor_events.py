"""Webhook events in the ledger: new ones, what they add up to, and what they mean for objects.

One transaction writes events, summarises the sessions, stays and recordings that they report, and resolves the session
of every object that they concern. An event that is known changes nothing, except that the original is kept rather than
its replay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, Table, text

from roomledger.hundredms.events import Event, NamedAsset
from roomledger.ledger import session_evidence
from roomledger.ledger.database import Database, Staged, stage_query
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
from roomledger.ledger.vendor_records import Ingested
from roomledger.settings import Source


class WebhookEvent(NamedTuple):
    """One webhook event, decoded."""

    source: Source
    """The workspace whose webhook it is."""
    event: Event
    assets: list[NamedAsset]
    received_at: datetime


def insert_events(tx: Connection, database: Database, events: Iterable[WebhookEvent], *, now: datetime) -> Ingested:
    """Write the events that are new."""
    database.hold_evidence(tx, change=True)
    staged, assets = _stage(tx, database, events, now)
    tx.execute(text(_PREFER_ORIGINALS.format(events=staged)))
    news = stage_query(tx, _NEWS.format(events=staged), "new_events")
    counts = Counter(events=len(tx.execute(text(_insert(vendor_events, str(news)))).all()))
    if not counts["events"]:
        return Ingested(counts, None)
    tx.execute(text(_insert(event_assets, _NEW_ASSETS.format(assets=assets, news=news))))
    for table, summary in _SUMMARIES.items():
        tx.execute(text(_upsert(table, summary.format(news=news))))
    match_recorders(tx, stage_query(tx, _RECORDERS.format(news=news), "recorders"))
    concerned = stage_query(tx, _CONCERNED.format(news=news), "concerned")
    changes = session_evidence.resolve(tx, database, concerned)
    counts["rekeyed"] = session_evidence.record_changes(tx, changes, changed_by="webhook", now=now)
    unnamed = session_evidence.unnamed(tx, changes)
    counts["new_seen"] = len(requeue_retyped(tx, database, concerned, unnamed=unnamed, now=now))
    return Ingested(counts, changes)


def _stage(tx: Connection, database: Database, events: Iterable[WebhookEvent], now: datetime) -> tuple[Staged, Staged]:
    """Stage events and the assets that they name; of an event and its replay the original counts."""
    unique: dict[tuple[str, str], WebhookEvent] = {}
    for one in sorted(events, key=lambda one: one.event.is_replay):
        unique.setdefault((one.source.name, one.event.event_id), one)
    rows, assets = [], []
    for one in unique.values():
        common = {"customer": one.source.customer, "source": one.source.name, "ingested_at": now}
        rows.append(one.event._asdict() | common | {"received_at": one.received_at})
        common["occurred_at"] = one.event.occurred_at
        assets += [
            asset._asdict() | common | {"recorder_id": asset.beam_id or asset.recording_id or asset.event_id}
            for asset in one.assets
        ]
    return (
        database.stage(tx, pa.Table.from_pylist(rows, schema=arrow_schema(vendor_events)), "events"),
        database.stage(tx, pa.Table.from_pylist(assets, schema=arrow_schema(event_assets)), "event_assets"),
    )


_PREFER_ORIGINALS = """
UPDATE vendor_events
SET is_replay = FALSE, record = CAST(events.record AS JSON), record_sha256 = events.record_sha256
FROM {events} AS events
WHERE events.source = vendor_events.source AND events.event_id = vendor_events.event_id
  AND vendor_events.is_replay AND NOT events.is_replay
"""
_NEWS = """
SELECT * FROM {events} AS events WHERE NOT EXISTS (
    SELECT 1 FROM vendor_events AS known
    WHERE known.source = events.source AND known.event_id = events.event_id
)
"""
_NEW_ASSETS = """(
    SELECT * FROM {assets} WHERE (source, event_id) IN (SELECT source, event_id FROM {news})
) AS assets"""
_RECORDERS = "SELECT COALESCE(beam_id, recording_id, event_id) AS recorder_id FROM {news}"


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
    """Build the last value that is known, in the order in which things happened."""
    known = f"{column} IS NOT NULL{where}"
    return f"(array_agg({column} ORDER BY occurred_at DESC NULLS LAST, event_id) FILTER (WHERE {known}))[1]"


# Columns in the order of the table, rows for all ids that a new event names. Events without an outcome do not count.
_SUMMARIES = {
    event_sessions: f"""
        SELECT min(customer), min(source), session_id, {_last("room_id")}, {_last("room_name")},
               min(session_started_at), max(session_stopped_at), min(ingested_at)
        FROM vendor_events
        WHERE outcome IS NOT NULL AND session_id IN (SELECT session_id FROM {{news}}) GROUP BY session_id
    """,
    event_peers: f"""
        SELECT min(customer), min(source), session_id, peer_id, {_last("user_id")}, {_last("user_name")},
               {_last("role")}, min(joined_at), max(left_at), bool_or(is_recorder), min(ingested_at)
        FROM vendor_events
        WHERE is_recorder IS NOT NULL AND outcome <> 'failed'
          AND (session_id, peer_id) IN (SELECT session_id, peer_id FROM {{news}})
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
               min(ingested_at)
        FROM (
            SELECT * FROM vendor_events WHERE beam_id IN (SELECT beam_id FROM {{news}})
            UNION ALL
            SELECT * FROM vendor_events WHERE beam_id IS NULL AND recording_id IN (SELECT recording_id FROM {{news}})
            UNION ALL
            SELECT * FROM vendor_events
            WHERE beam_id IS NULL AND recording_id IS NULL
              AND (source, event_id) IN (SELECT source, event_id FROM {{news}})
        ) AS events
        WHERE outcome IS NOT NULL AND (type LIKE 'beam.%' OR type LIKE 'hls.%' OR type LIKE 'recording.%')
        GROUP BY recorder
    """,
}

# Objects whose session or recording may be another now: those that a new event names, those of a recording of which
# one reports more, by its id or by its recorder's, and those of a room of which one reports a session.
_CONCERNED = """
SELECT object_id FROM object_ledger WHERE uri IN (
    SELECT uri FROM event_assets WHERE (source, event_id) IN (SELECT source, event_id FROM {news})
    UNION SELECT uri FROM event_assets WHERE recording_id IN (
        SELECT recording_id FROM {news}
        UNION SELECT recording_id FROM vendor_events WHERE beam_id IN (SELECT beam_id FROM {news})
    )
)
UNION
SELECT object_id FROM object_ledger
WHERE session_evidence IN ('time_window', 'none') AND key_room_id IN (
    SELECT room_id FROM vendor_events WHERE session_id IN (SELECT session_id FROM {news})
    UNION SELECT room_id FROM session_records WHERE session_id IN (SELECT session_id FROM {news})
)
"""
