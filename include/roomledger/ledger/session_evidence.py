"""Which session an object belongs to, and by what evidence.

Strongest first: the vendor's record of exactly this address (`asset_record`), a webhook that names it (`webhook`), the
session in the key (`key`), the one session of the key's room in which the recorder started (`time_window`); else
`none`, with the reason. All of it is computed from what key, listing and vendor say, never from what was computed
before: so it comes out the same in whatever order they speak, and what is learnt later moves the rows that are in the
tables already.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from roomledger.ledger.database import Database
from roomledger.ledger.tables.ledger import refusals
from roomledger.model import ASSET_TYPES
from roomledger.warehouse.tables import (
    PLACE,
    chat_messages,
    object_assets,
    summaries,
    summary_points,
    summary_sections,
    transcript_segments,
    transcript_words,
    transcripts,
)

TOLERANCE_S = 10
"""By how much the vendor's clocks may differ: a recorder that starts this long outside a session is still in it, if it
is inside no other."""
LONGEST_H = 12
"""A session that has no end yet ends at the latest this long after its start (vendor documentation)."""

_TABLES_OF = {
    "chat": (chat_messages,),
    "transcript": (transcripts, transcript_segments, transcript_words),
    "summary": (summaries, summary_sections, summary_points),
}


def place(tx: Connection, database: Database, objects: str, given: Mapping[str, Any] | None = None) -> int:
    """Find the session of these objects anew and write it into the ledger; give the count of those that changed.

    `objects` is a SELECT of object ids, `given` its parameters. The transaction holds the evidence (`hold_evidence`).
    Rows that are in the tables stay where they are: see `move`, which needs what this leaves in `placed`.
    """
    names = ", ".join(f"'{name}'" for name in ASSET_TYPES)
    tx.execute(text("DROP TABLE IF EXISTS placed"))
    query = _PLACED.format(objects=objects, types=names, tolerance=f"INTERVAL '{TOLERANCE_S} seconds'")
    tx.execute(text(query), given or {})
    tx.execute(text(f"SELECT object_id FROM object_ledger WHERE {_CHANGED} ORDER BY object_id {database.lock}"))
    return len(tx.execute(text(_WRITE)).all())


_CHANGED = "object_id IN (SELECT object_id FROM placed)"

# `placed` holds only what differs from the ledger, and what the ledger said before.
_PLACED = f"""
CREATE TEMPORARY TABLE placed AS
WITH ours AS (
    SELECT * FROM object_ledger WHERE object_id IN ({{objects}}) AND disposition <> 'erased'
), named AS (
    SELECT DISTINCT ON (customer, uri) customer, uri, asset_id, job_id, room_id, session_id,
           CASE WHEN asset_type IN ({{types}}) THEN asset_type END AS asset_type
    FROM asset_records WHERE uri IN (SELECT uri FROM ours)
    ORDER BY customer, uri, CASE WHEN status = 'completed' THEN 0 ELSE 1 END, created_at DESC NULLS LAST, asset_id DESC
), heard AS (
    SELECT DISTINCT ON (named.customer, uri) named.customer, uri, asset_id, named.event_id, named.room_id,
           named.session_id, CASE WHEN asset_type IN ({{types}}) THEN asset_type END AS asset_type,
           COALESCE(named.started_at, told.started_at) AS started_at
    FROM event_assets AS named
    LEFT JOIN event_recordings AS told
        ON told.recording_id = named.recording_id AND told.customer = named.customer
    WHERE uri IN (SELECT uri FROM ours)
    ORDER BY named.customer, uri, CASE WHEN named.session_id IS NULL THEN 1 ELSE 0 END,
             CASE named.status WHEN 'completed' THEN 0 WHEN 'failed' THEN 1 ELSE 2 END,
             occurred_at DESC NULLS LAST, named.event_id DESC, named.ordinal DESC, told.started_at NULLS LAST
), inside AS (
    SELECT ours.object_id, count(*) AS near, min(sessions.session_id) AS near_session,
           sum(CASE WHEN {(exactly := "ours.recorder_started_at BETWEEN sessions.started_at AND until")}
                    THEN 1 ELSE 0 END) AS exact,
           min(CASE WHEN {exactly} THEN sessions.session_id END) AS exact_session
    FROM ours JOIN (
        SELECT *, COALESCE(ended_at, started_at + INTERVAL '{LONGEST_H} hours') AS until FROM sessions
    ) AS sessions ON sessions.customer = ours.customer AND sessions.room_id = ours.key_room_id
    WHERE ours.recorder_started_at BETWEEN sessions.started_at - {{tolerance}} AND until + {{tolerance}}
    GROUP BY ours.object_id
), known AS (
    SELECT ours.*, COALESCE(named.asset_id, heard.asset_id) AS said_asset_id, named.job_id AS said_job_id,
           COALESCE(named.asset_type, heard.asset_type) AS said_type,
           COALESCE(named.session_id, jobs.session_id) AS said_session_id,
           COALESCE(named.room_id, jobs.room_id) AS said_room_id,
           COALESCE(jobs.started_at, heard.started_at) AS said_started_at,
           heard.event_id AS heard_event_id, heard.session_id AS heard_session_id, heard.room_id AS heard_room_id,
           near, exact,
           CASE WHEN exact = 1 THEN exact_session WHEN exact = 0 AND near = 1 THEN near_session END AS seen_in
    FROM ours
    LEFT JOIN named ON named.customer = ours.customer AND named.uri = ours.uri
    LEFT JOIN job_records AS jobs ON jobs.job_id = named.job_id AND jobs.customer = ours.customer
    LEFT JOIN heard ON heard.customer = ours.customer AND heard.uri = ours.uri
    LEFT JOIN inside ON inside.object_id = ours.object_id
), told AS (
    SELECT *, CASE
        WHEN said_session_id IS NOT NULL THEN 'asset_record'
        WHEN heard_session_id IS NOT NULL THEN 'webhook'
        WHEN key_session_id IS NOT NULL THEN 'key'
        WHEN seen_in IS NOT NULL THEN 'time_window'
        ELSE 'none' END AS evidence
    FROM known
), better AS (
    SELECT object_id, evidence AS session_evidence,
        CASE evidence WHEN 'asset_record' THEN COALESCE(said_room_id, key_room_id)
                      WHEN 'webhook' THEN COALESCE(heard_room_id, key_room_id) ELSE key_room_id END AS room_id,
        CASE evidence WHEN 'asset_record' THEN said_session_id WHEN 'webhook' THEN heard_session_id
                      WHEN 'key' THEN key_session_id WHEN 'time_window' THEN seen_in END AS session_id,
        CASE WHEN evidence = 'asset_record' THEN 'asset_record: the vendor names it in asset ' || said_asset_id
             WHEN evidence = 'webhook' THEN 'webhook: the vendor names it in event ' || heard_event_id
             WHEN evidence = 'key' THEN 'key: the key names the session'
             WHEN evidence = 'time_window' THEN 'time_window: its recorder started inside this session alone'
             WHEN key_room_id IS NULL THEN 'no_room_in_key: neither the key nor the vendor says which room it is of'
             WHEN recorder_started_at IS NULL
                 THEN 'no_recorder_start: the room is known, but not when the recording started'
             WHEN near > 1 THEN 'several_sessions: its recorder started inside several sessions of the room'
             ELSE 'no_session_known: no known session of the room was going on when its recorder started'
        END AS session_reason,
        said_asset_id AS asset_id, said_job_id AS job_id, said_started_at AS recording_started_at,
        said_type AS named_type,
        room_id AS from_room_id, session_id AS from_session_id, session_evidence AS from_evidence,
        session_reason AS from_reason, asset_type, loaded_at, disposition
    FROM told
    WHERE asset_type IS NOT NULL OR said_type IS NOT NULL
    UNION ALL
    SELECT object_id, 'none', NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        room_id, session_id, session_evidence, session_reason, asset_type, loaded_at, disposition
    FROM told
    WHERE asset_type IS NULL AND said_type IS NULL
)
SELECT better.*, before.named_type AS from_named_type,
       (better.room_id IS DISTINCT FROM from_room_id OR better.session_id IS DISTINCT FROM from_session_id
        OR better.session_evidence <> from_evidence) AS is_moved
FROM better JOIN object_ledger AS before ON before.object_id = better.object_id
WHERE better.room_id IS DISTINCT FROM from_room_id OR better.session_id IS DISTINCT FROM from_session_id
   OR better.session_evidence <> from_evidence OR better.session_reason IS DISTINCT FROM from_reason
   OR better.asset_id IS DISTINCT FROM before.asset_id OR better.job_id IS DISTINCT FROM before.job_id
   OR better.recording_started_at IS DISTINCT FROM before.recording_started_at
   OR better.named_type IS DISTINCT FROM before.named_type
"""

_WRITE = """
UPDATE object_ledger
SET room_id = placed.room_id, session_id = placed.session_id, session_evidence = placed.session_evidence,
    session_reason = placed.session_reason, asset_id = placed.asset_id, job_id = placed.job_id,
    recording_started_at = placed.recording_started_at, named_type = placed.named_type
FROM placed WHERE placed.object_id = object_ledger.object_id
RETURNING object_ledger.object_id
"""


def move(tx: Connection, *, changed_by: str, now: datetime) -> int:
    """Give the rows of what was `placed` in this transaction to their session; a change leaves a trace.

    Gives the count of objects whose rows changed their session.
    """
    moved = len(tx.execute(text(_TRACE), {"changed_by": changed_by, "now": now}).all())
    kinds = tx.execute(text("SELECT DISTINCT asset_type FROM placed WHERE loaded_at IS NOT NULL")).scalars().all()
    tables = [table for kind in kinds for table in _TABLES_OF.get(kind, ())]
    for table in (object_assets, *tables, refusals):
        if kinds or table is refusals:
            cells = ", ".join(f"{name} = placed.{name}" for name in PLACE if name in table.columns)
            mine = f"{table.name}.object_id = placed.object_id"
            tx.execute(text(f"UPDATE {table.name} SET {cells} FROM placed WHERE {mine}"))
    return moved


# Where an object is placed for the first time nothing changes.
_TRACE = """
INSERT INTO session_changes (object_id, changed_at, changed_by, from_room_id, from_session_id, from_evidence,
                             to_room_id, to_session_id, to_evidence, reason)
SELECT object_id, CAST(:now AS TIMESTAMP WITH TIME ZONE), :changed_by, from_room_id, from_session_id, from_evidence,
       room_id, session_id, session_evidence, session_reason
FROM placed WHERE is_moved AND from_reason IS NOT NULL
RETURNING object_id
"""
