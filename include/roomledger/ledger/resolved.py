"""Rooms, sessions, peers, recordings and assets, resolved once from the vendor's records and webhook events.

Each function resolves the rows of the keys that a change concerns, always from records and events alone, never from an
earlier result: so the order of arrival does not matter. The transaction holds the evidence exclusively.
"""

from __future__ import annotations

from roomledger.ledger.database import Staged
from roomledger.ledger.publications import Publication
from roomledger.ledger.tables.resolved import (
    OWN,
    peers,
    recordings,
    rooms,
    sessions,
)


def add_rooms(publication: Publication, ids: Staged) -> None:
    """Publish the rooms with these ids (`room_id`)."""
    mine = f"room_id IN (SELECT room_id FROM {ids})"
    names = ", ".join(one.name for one in rooms.columns if one.name not in OWN)
    publication.replace(rooms, f"SELECT {names} FROM room_records WHERE {mine}", mine)


def add_sessions(publication: Publication, ids: Staged) -> None:
    """Publish the sessions with these ids (`session_id`)."""
    mine = f"session_id IN (SELECT session_id FROM {ids})"
    publication.replace(sessions, _SESSIONS.format(mine=mine), mine)


def add_peers(publication: Publication, keys: Staged) -> None:
    """Publish these stays (`session_id`, `peer_id`)."""
    mine = f"(session_id, peer_id) IN (SELECT session_id, peer_id FROM {keys})"
    publication.replace(peers, _PEERS.format(mine=mine), mine)


def add_recordings(publication: Publication, keys: Staged) -> None:
    """Publish the recordings of these jobs and recorders (`job_id`, `recorder_id`)."""
    keyed = _RECORDING_KEYS.format(keys=keys)
    publication.replace(recordings, _RECORDINGS.format(keys=keys), f"recording_key IN ({keyed})")


_SEEN_FIRST = """
       CASE WHEN event.first_ingested_at < api.first_seen_at THEN event.first_ingested_at ELSE api.first_seen_at END
           AS first_seen_at,
       CASE WHEN event.first_ingested_at < api.first_seen_at THEN 'webhook' ELSE api.first_seen_by END AS first_seen_by
"""

_SESSIONS = f"""
SELECT api.customer, api.source, api.session_id, api.room_id,
       CASE WHEN event.ended_at IS NULL THEN api.active ELSE FALSE END AS active,
       COALESCE(api.started_at, event.started_at) AS started_at,
       COALESCE(api.ended_at, event.ended_at) AS ended_at, event.room_name, api.record,
       {_SEEN_FIRST}
FROM (SELECT * FROM session_records WHERE {{mine}}) AS api
LEFT JOIN event_sessions AS event ON event.session_id = api.session_id
UNION ALL
SELECT event.customer, event.source, event.session_id, event.room_id, event.ended_at IS NULL,
       event.started_at, event.ended_at, event.room_name, NULL, event.first_ingested_at, 'webhook'
FROM (SELECT * FROM event_sessions WHERE {{mine}}) AS event
WHERE NOT EXISTS (SELECT 1 FROM session_records AS api WHERE api.session_id = event.session_id)
"""

_PEERS = f"""
SELECT api.customer, api.source, api.session_id, api.peer_id, COALESCE(api.user_id, event.user_id) AS user_id,
       COALESCE(api.name, event.name) AS name, COALESCE(api.role, event.role) AS role,
       COALESCE(api.joined_at, event.joined_at) AS joined_at, COALESCE(api.left_at, event.left_at) AS left_at,
       api.is_recorder, api.record,
       {_SEEN_FIRST}
FROM (SELECT * FROM peer_records WHERE {{mine}}) AS api
LEFT JOIN event_peers AS event ON event.session_id = api.session_id AND event.peer_id = api.peer_id
UNION ALL
SELECT event.customer, event.source, event.session_id, event.peer_id, event.user_id, event.name, event.role,
       event.joined_at, event.left_at, event.is_recorder, NULL, event.first_ingested_at, 'webhook'
FROM (SELECT * FROM event_peers WHERE {{mine}}) AS event
WHERE NOT EXISTS (
    SELECT 1 FROM peer_records AS api WHERE api.session_id = event.session_id AND api.peer_id = event.peer_id
)
"""

_RECORDING_KEYS = """
SELECT 'job ' || job_id FROM {keys} WHERE job_id IS NOT NULL
UNION SELECT 'recorder ' || recorder_id FROM {keys} WHERE recorder_id IS NOT NULL
"""

# Of several recorders of one job the one with the least id counts.
_RECORDINGS = f"""
SELECT api.customer, api.source, api.job_id, api.kind, api.room_id, api.session_id, api.status,
       api.planned_types, api.created_at, COALESCE(api.started_at, event.started_at) AS started_at,
       COALESCE(api.stopped_at, event.stopped_at) AS stopped_at, api.updated_at, api.started_by, api.stopped_by,
       event.beam_id, event.recording_id, event.error_type, event.error_message, api.record,
       {_SEEN_FIRST}, 'job ' || api.job_id AS recording_key
FROM (SELECT * FROM job_records WHERE job_id IN (SELECT job_id FROM {{keys}})) AS api
LEFT JOIN (
    SELECT DISTINCT ON (customer, api_job_id) * FROM event_recordings
    WHERE api_job_id IN (SELECT job_id FROM {{keys}}) ORDER BY customer, api_job_id, recorder_id
) AS event ON event.api_job_id = api.job_id AND event.customer = api.customer
UNION ALL
SELECT event.customer, event.source, event.job_id, event.kind, event.room_id, event.session_id, event.status,
       event.planned_types, CAST(NULL AS TIMESTAMP WITH TIME ZONE), event.started_at, event.stopped_at,
       CAST(NULL AS TIMESTAMP WITH TIME ZONE), CAST(NULL AS TEXT), CAST(NULL AS TEXT),
       event.beam_id, event.recording_id, event.error_type, event.error_message, NULL,
       event.first_ingested_at, 'webhook', 'recorder ' || event.recorder_id
FROM (SELECT * FROM event_recordings WHERE recorder_id IN (SELECT recorder_id FROM {{keys}})) AS event
WHERE NOT EXISTS (
    SELECT 1 FROM job_records AS api WHERE api.job_id = event.api_job_id AND api.customer = event.customer
)
"""
