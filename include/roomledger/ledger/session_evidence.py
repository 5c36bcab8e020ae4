"""The session of an object, and the evidence for it.

Strongest first: a vendor record of exactly this address (`asset_record`), a webhook that names it (`webhook`), the
session in the key (`key`), the only session of the key's room in which the recorder started (`time_window`); else
`none`, with the reason. It is computed from key, listing and vendor records only, never from an earlier result. So the
order of arrival does not matter, and stronger evidence that arrives later re-keys the object.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from roomledger.ledger import refusals
from roomledger.ledger.asset_reports import event_of_address, record_of_address
from roomledger.ledger.database import Database, Staged, stage_query
from roomledger.ledger.tables.resolved import sessions
from roomledger.model import ASSET_TYPES

TOLERANCE_S = 10
"""How far the vendor's clocks may differ: a recorder that starts this long outside a session still belongs to it, if it
does not start inside another one."""
LONGEST_H = 12
"""A session without an end ends at the latest this long after its start (vendor documentation)."""


def resolve(tx: Connection, database: Database, objects: Staged) -> Staged:
    """Find the session of these objects and write it into the ledger; return the changes, with the previous values.

    `objects` has a column `object_id`; the result is for `rekey` and `unnamed`. The transaction holds the evidence
    (`hold_evidence`), and publishes the objects afterwards (`publish_objects`).
    """
    changes = stage_query(tx, _changes(objects), "session_changes")
    mine = f"object_id IN (SELECT object_id FROM {changes})"
    tx.execute(text(f"SELECT object_id FROM object_ledger WHERE {mine} ORDER BY object_id {database.lock}"))
    columns = (
        *("room_id", "session_id", "session_evidence", "session_reason"),
        *("asset_id", "job_id", "recording_started_at", "named_type"),
    )
    tx.execute(
        text(f"""
            UPDATE object_ledger SET {", ".join(f"{name} = changes.{name}" for name in columns)}
            FROM {changes} AS changes WHERE changes.object_id = object_ledger.object_id
        """)
    )
    return changes


def rekey(tx: Connection, changes: Staged) -> int:
    """Move the refusals of objects with another session; give the count of these objects.

    The first resolution of an object is not a change.
    """
    refusals.rekey(tx, changes)
    query = f"SELECT count(*) FROM {changes} WHERE is_rekeyed AND from_reason IS NOT NULL"
    return int(tx.execute(text(query)).scalar_one())


def unnamed(tx: Connection, changes: Staged) -> Staged:
    """Give the objects whose type the vendor no longer reports."""
    query = f"SELECT object_id FROM {changes} WHERE named_type IS NULL AND from_named_type IS NOT NULL"
    return stage_query(tx, query, "unnamed")


_CURRENT = """
    room_id AS from_room_id, session_id AS from_session_id, session_evidence AS from_evidence,
    session_reason AS from_reason, asset_id AS from_asset_id, job_id AS from_job_id,
    recording_started_at AS from_started_at, named_type AS from_named_type
"""


def _changes(objects: Staged) -> str:
    """Build the SELECT of all values that differ from the ledger, with the ledger's own as `from_…`."""
    types = ", ".join(f"'{name}'" for name in ASSET_TYPES)
    tolerance = f"INTERVAL '{TOLERANCE_S} seconds'"
    inside = "objects.recorder_started_at BETWEEN sessions.started_at AND until"
    return f"""
WITH objects AS (
    SELECT object_id, customer, uri, asset_type, key_room_id, key_session_id, recorder_started_at, loaded_at,
           {_CURRENT}
    FROM object_ledger WHERE object_id IN (SELECT object_id FROM {objects}) AND disposition <> 'erased'
), records AS ({record_of_address("SELECT uri FROM objects")}
), events AS ({event_of_address("SELECT uri FROM objects")}
), windows AS (
    -- Sessions of the room around the recorder's start: `exact` without tolerance, `near` with it.
    SELECT objects.object_id, count(*) AS near, min(sessions.session_id) AS near_session,
           sum(CASE WHEN {inside} THEN 1 ELSE 0 END) AS exact,
           min(CASE WHEN {inside} THEN sessions.session_id END) AS exact_session
    FROM objects JOIN (
        SELECT *, COALESCE(ended_at, started_at + INTERVAL '{LONGEST_H} hours') AS until
        FROM {sessions.fullname} WHERE NOT is_withdrawn
    ) AS sessions ON sessions.customer = objects.customer AND sessions.room_id = objects.key_room_id
    WHERE objects.recorder_started_at BETWEEN sessions.started_at - {tolerance} AND until + {tolerance}
    GROUP BY objects.object_id
), evidence AS MATERIALIZED (
    SELECT objects.*, COALESCE(records.asset_id, events.asset_id) AS new_asset_id, records.job_id AS new_job_id,
           COALESCE(CASE WHEN records.asset_type IN ({types}) THEN records.asset_type END,
                    CASE WHEN events.asset_type IN ({types}) THEN events.asset_type END) AS new_named_type,
           COALESCE(records.session_id, jobs.session_id) AS record_session_id,
           COALESCE(records.room_id, jobs.room_id) AS record_room_id,
           COALESCE(jobs.started_at, events.started_at) AS new_started_at,
           events.event_id, events.session_id AS event_session_id, events.room_id AS event_room_id, near,
           CASE WHEN exact = 1 THEN exact_session WHEN exact = 0 AND near = 1 THEN near_session END AS window_session_id
    FROM objects
    LEFT JOIN records ON records.customer = objects.customer AND records.uri = objects.uri
    LEFT JOIN job_records AS jobs ON jobs.job_id = records.job_id AND jobs.customer = objects.customer
    LEFT JOIN events ON events.customer = objects.customer AND events.uri = objects.uri
    LEFT JOIN windows ON windows.object_id = objects.object_id
), ranked AS MATERIALIZED (
    SELECT *, asset_type IS NOT NULL OR new_named_type IS NOT NULL AS is_asset, CASE
        WHEN asset_type IS NULL AND new_named_type IS NULL THEN 'none'
        WHEN record_session_id IS NOT NULL THEN 'asset_record'
        WHEN event_session_id IS NOT NULL THEN 'webhook'
        WHEN key_session_id IS NOT NULL THEN 'key'
        WHEN window_session_id IS NOT NULL THEN 'time_window'
        ELSE 'none' END AS new_evidence
    FROM evidence
), resolved AS MATERIALIZED (
    SELECT object_id, new_evidence AS session_evidence,
        CASE WHEN NOT is_asset THEN NULL
             WHEN new_evidence = 'asset_record' THEN COALESCE(record_room_id, key_room_id)
             WHEN new_evidence = 'webhook' THEN COALESCE(event_room_id, key_room_id) ELSE key_room_id END AS room_id,
        CASE new_evidence WHEN 'asset_record' THEN record_session_id WHEN 'webhook' THEN event_session_id
                          WHEN 'key' THEN key_session_id WHEN 'time_window' THEN window_session_id END AS session_id,
        CASE WHEN NOT is_asset THEN NULL
             WHEN new_evidence = 'asset_record' THEN 'asset_record: the vendor names it in asset ' || new_asset_id
             WHEN new_evidence = 'webhook' THEN 'webhook: the vendor names it in event ' || event_id
             WHEN new_evidence = 'key' THEN 'key: the key names the session'
             WHEN new_evidence = 'time_window' THEN 'time_window: its recorder started in this session and no other'
             WHEN key_room_id IS NULL THEN 'no_room_in_key: neither the key nor the vendor names its room'
             WHEN recorder_started_at IS NULL
                 THEN 'no_recorder_start: the room is known, but not the start of the recording'
             WHEN near > 1 THEN 'several_sessions: its recorder started in several sessions of the room'
             ELSE 'no_session_known: no known session of the room was in progress when its recorder started'
        END AS session_reason,
        CASE WHEN is_asset THEN new_asset_id END AS asset_id, CASE WHEN is_asset THEN new_job_id END AS job_id,
        CASE WHEN is_asset THEN new_started_at END AS recording_started_at, new_named_type AS named_type,
        from_room_id, from_session_id, from_evidence, from_reason, from_asset_id, from_job_id, from_started_at,
        from_named_type, asset_type, loaded_at
    FROM ranked
)
SELECT *, (room_id IS DISTINCT FROM from_room_id OR session_id IS DISTINCT FROM from_session_id
           OR session_evidence <> from_evidence) AS is_rekeyed
FROM resolved
WHERE room_id IS DISTINCT FROM from_room_id OR session_id IS DISTINCT FROM from_session_id
   OR session_evidence <> from_evidence OR session_reason IS DISTINCT FROM from_reason
   OR asset_id IS DISTINCT FROM from_asset_id OR job_id IS DISTINCT FROM from_job_id
   OR recording_started_at IS DISTINCT FROM from_started_at OR named_type IS DISTINCT FROM from_named_type
"""
