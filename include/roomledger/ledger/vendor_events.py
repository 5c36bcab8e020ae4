"""Webhook events in the ledger: new ones, their summaries, and their effect on objects.

One transaction writes events, summarises the sessions, stays and recordings that they report, and resolves the session
of every object that they concern. A known event changes nothing, except that an original replaces its replay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, text

from roomledger.hundredms.events import Event, NamedAsset
from roomledger.ledger import session_evidence
from roomledger.ledger.asset_reports import add_reports
from roomledger.ledger.database import Database, Staged, count_rows, stage_query
from roomledger.ledger.objects import add_objects, uris_of
from roomledger.ledger.publications import Publication, publication
from roomledger.ledger.recorder_jobs import match_recorders
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.resolved import add_peers, add_recordings, add_sessions
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.vendor_events import (
    event_assets,
    event_peers,
    event_recordings,
    event_sessions,
    vendor_events,
)
from roomledger.ledger.vendor_records import select_staged, write_rows
from roomledger.settings import Source


class WebhookEvent(NamedTuple):
    """One webhook event, decoded."""

    source: Source
    """The workspace that sent it."""
    event: Event
    assets: list[NamedAsset]
    received_at: datetime


def insert_events(tx: Connection, database: Database, events: Iterable[WebhookEvent], *, now: datetime) -> Counter[str]:
    """Write the new events.

    Gives the counts `events` (new ones), `rekeyed` (objects) and `new_seen` (objects that are read again as another
    type).
    """
    database.hold_evidence(tx, change=True)
    staged, assets = _stage(tx, database, events, now)
    tx.execute(text(_PREFER_ORIGINALS.format(events=staged)))
    news = stage_query(tx, _NEWS.format(events=staged), "new_events")
    write_rows(tx, vendor_events, select_staged(vendor_events, news))
    counts = Counter(events=count_rows(tx, news))
    if not counts["events"]:
        return counts
    write_rows(tx, event_assets, select_staged(event_assets, assets) + _OF_NEWS.format(news=news))
    for table, summary in _SUMMARIES.items():
        write_rows(tx, table, summary.format(news=news))
    with publication(tx, database, changed_by="webhook", now=now) as changes:
        _publish(changes, news)
        concerned = stage_query(tx, _CONCERNED.format(news=news), "concerned")
        counts["rekeyed"] = session_evidence.rekey(tx, resolved := session_evidence.resolve(tx, database, concerned))
        unnamed = session_evidence.unnamed(tx, resolved)
        counts["new_seen"] = len(requeue_retyped(tx, database, concerned, unnamed=unnamed, now=now))
        add_objects(changes, uris_of(tx, concerned))
    return counts


def _publish(changes: Publication, news: Staged) -> None:
    """Publish what these new events say."""
    tx = changes.tx
    add_sessions(changes, news)
    add_peers(changes, news)
    recorders = stage_query(tx, _RECORDERS.format(news=news), "recorders")
    add_recordings(changes, match_recorders(tx, recorders))
    add_reports(changes, stage_query(tx, _NAMED.format(news=news), "named"))


def _stage(tx: Connection, database: Database, events: Iterable[WebhookEvent], now: datetime) -> tuple[Staged, Staged]:
    """Stage events and the assets that they name; an original takes precedence over its replay."""
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
_OF_NEWS = " WHERE (source, event_id) IN (SELECT source, event_id FROM {news})"
_NAMED = (
    "SELECT DISTINCT uri, asset_id FROM event_assets WHERE (source, event_id) IN (SELECT source, event_id FROM {news})"
)
_RECORDERS = "SELECT COALESCE(beam_id, recording_id, event_id) AS recorder_id FROM {news}"


def _last(column: str, where: str = "") -> str:
    """Build the SQL of the last known value, in the order in which the events happened."""
    known = f"{column} IS NOT NULL{where}"
    return f"(array_agg({column} ORDER BY occurred_at DESC NULLS LAST, event_id) FILTER (WHERE {known}))[1]"


# Columns in the order of the table, rows for every id that a new event names. Events without an outcome are ignored.
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
               min(ingested_at), CAST(NULL AS TEXT)  -- api_job_id: see match_recorders
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

# Objects whose session or recording may change: those that a new event names, those of a recording that it reports (by
# the id of the recording or of its recorder), and those in a room whose session it reports.
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
