-- How often each case occurs that decides what a view shows: the branches of the oracle's queries, and all that is odd.
WITH object AS (
    SELECT ledger.*, shown.first_seen_at AS shown_at, shown.first_seen_by AS shown_by, shown.peer_id
    FROM recording_assets AS shown JOIN object_ledger AS ledger ON ledger.object_id = shown.object_id
), api AS (
    SELECT *, EXISTS (SELECT 1 FROM object WHERE object.uri = asset_records.uri) AS is_there FROM asset_records
), event AS (
    SELECT *, EXISTS (SELECT 1 FROM object WHERE object.uri = event_assets.uri
                      AND object.customer = event_assets.customer) AS is_there,
           EXISTS (SELECT 1 FROM asset_records AS api WHERE api.customer = event_assets.customer
                   AND (api.uri = event_assets.uri OR api.asset_id = event_assets.asset_id)) AS is_recorded
    FROM event_assets
), of_object AS (
    SELECT object.*, api.uri AS api_uri, api.customer AS api_customer, api.status, api.peer_id AS api_peer_id,
           api.first_seen_at AS api_seen_at
    FROM object JOIN asset_records AS api ON api.asset_id = object.asset_id
), with_event AS (
    SELECT of_object.*, event.status AS event_status, event.error_message, event.peer_id AS event_peer_id
    FROM of_object JOIN event ON event.uri = of_object.uri AND event.customer = of_object.customer
), by_id AS (
    SELECT api.*, event.uri AS event_uri, event.is_there AS has_object
    FROM api JOIN event ON event.asset_id = api.asset_id AND event.customer = api.customer
    WHERE api.uri IS NULL
), events AS (
    SELECT one.*, other.source AS other_source, other.event_id AS other_event_id, other.status AS other_status,
           other.occurred_at AS other_at, other.uri AS other_uri, other.asset_id AS other_asset_id
    FROM event AS one JOIN event AS other ON one.customer = other.customer
     AND (one.source, one.event_id, one.ordinal) <> (other.source, other.event_id, other.ordinal)
), session AS (
    SELECT api.*, event.customer AS event_customer, event.started_at AS event_started_at,
           event.ended_at AS event_ended_at, event.first_ingested_at
    FROM session_records AS api JOIN event_sessions AS event ON event.session_id = api.session_id
), peer AS (
    SELECT api.*, event.customer AS event_customer, event.left_at AS event_left_at, event.first_ingested_at
    FROM peer_records AS api
    JOIN event_peers AS event ON event.session_id = api.session_id AND event.peer_id = api.peer_id
), job AS (
    SELECT api.*, event.customer AS event_customer, event.job_id AS event_job_id, event.recorder_id,
           event.stopped_at AS event_stopped_at, event.first_ingested_at
    FROM job_records AS api JOIN event_recordings AS event ON event.api_job_id = api.job_id
)
SELECT 'session: the API alone', count(*) FROM session_records
WHERE session_id NOT IN (SELECT session_id FROM event_sessions)
UNION ALL SELECT 'session: webhooks alone', count(*) FROM event_sessions
WHERE session_id NOT IN (SELECT session_id FROM session_records)
UNION ALL SELECT 'session: ended by webhooks', count(*) FROM session WHERE active AND event_ended_at IS NOT NULL
UNION ALL SELECT 'session: a gap', count(*) FROM session WHERE started_at IS NULL AND event_started_at IS NOT NULL
UNION ALL SELECT 'session: webhooks first', count(*) FROM session WHERE first_ingested_at < first_seen_at
UNION ALL SELECT 'session: two customers', count(*) FROM session WHERE event_customer <> customer

UNION ALL SELECT 'peer: the API alone', count(*) FROM peer_records
WHERE (session_id, peer_id) NOT IN (SELECT session_id, peer_id FROM event_peers)
UNION ALL SELECT 'peer: webhooks alone', count(*) FROM event_peers
WHERE (session_id, peer_id) NOT IN (SELECT session_id, peer_id FROM peer_records)
UNION ALL SELECT 'peer: a gap', count(*) FROM peer WHERE left_at IS NULL AND event_left_at IS NOT NULL
UNION ALL SELECT 'peer: webhooks first', count(*) FROM peer WHERE first_ingested_at < first_seen_at
UNION ALL SELECT 'peer: two customers', count(*) FROM peer WHERE event_customer <> customer

UNION ALL SELECT 'job: the API alone', count(*) FROM job_records WHERE job_id NOT IN (SELECT job_id FROM job)
UNION ALL SELECT 'job: the id of a recorder', count(*) FROM job WHERE event_job_id = job_id
UNION ALL SELECT 'job: the object of a recorder', count(*) FROM job WHERE event_job_id IS DISTINCT FROM job_id
UNION ALL SELECT 'job: after its recorder', count(*) FROM job WHERE first_ingested_at < first_seen_at
UNION ALL SELECT 'job: after its recorder, by an object', count(*) FROM job
WHERE first_ingested_at < first_seen_at AND event_job_id IS DISTINCT FROM job_id
UNION ALL SELECT 'job: a gap', count(*) FROM job WHERE stopped_at IS NULL AND event_stopped_at IS NOT NULL
UNION ALL SELECT 'job: two recorders', count(*) FROM job
WHERE EXISTS (SELECT 1 FROM job AS other WHERE other.job_id = job.job_id AND other.recorder_id <> job.recorder_id)
UNION ALL SELECT 'job: two customers', count(*) FROM job WHERE event_customer <> customer
UNION ALL SELECT 'recorder: no job', count(*) FROM event_recordings WHERE api_job_id IS NULL
UNION ALL SELECT 'recorder: an unknown job', count(*) FROM event_recordings
WHERE api_job_id IS NOT NULL AND api_job_id NOT IN (SELECT job_id FROM job_records)

UNION ALL SELECT 'object: alone', count(*) FROM object
WHERE asset_id IS NULL AND NOT EXISTS (SELECT 1 FROM event WHERE event.uri = object.uri)
UNION ALL SELECT 'object: an event alone', count(*) FROM object
WHERE asset_id IS NULL AND EXISTS (SELECT 1 FROM event WHERE event.uri = object.uri AND event.customer = object.customer)
UNION ALL SELECT 'object: an event of another customer', count(*) FROM object JOIN event ON event.uri = object.uri
WHERE event.customer <> object.customer
UNION ALL SELECT 'object: record and event', count(*) FROM with_event
UNION ALL SELECT 'object: waits', count(*) FROM object WHERE disposition = 'seen' AND loaded_at IS NULL
UNION ALL SELECT 'object: claimed', count(*) FROM object WHERE disposition = 'claimed' AND loaded_at IS NULL
UNION ALL SELECT 'object: waits for a replay', count(*) FROM object
WHERE disposition = 'seen' AND loaded_at IS NOT NULL
UNION ALL SELECT 'object: claimed for a replay', count(*) FROM object
WHERE disposition = 'claimed' AND loaded_at IS NOT NULL
UNION ALL SELECT 'object: loaded', count(*) FROM object WHERE disposition = 'loaded'
UNION ALL SELECT 'object: restored', count(*) FROM object WHERE reason LIKE 'restored%'
UNION ALL SELECT 'object: missing', count(*) FROM object WHERE disposition = 'missing'
UNION ALL SELECT 'object: missing without rows', count(*) FROM object_ledger
WHERE disposition = 'missing' AND loaded_at IS NULL AND asset_type <> 'unknown'
UNION ALL SELECT 'object: unknown', count(*) FROM object_ledger WHERE disposition = 'seen' AND asset_type = 'unknown'
UNION ALL SELECT 'object: refused', count(*) FROM object WHERE disposition = 'refused' AND loaded_at IS NULL
UNION ALL SELECT 'object: refused with rows', count(*) FROM object
WHERE disposition = 'refused' AND loaded_at IS NOT NULL
UNION ALL SELECT 'object: ids in its key', count(*) FROM object WHERE loaded_at IS NOT NULL AND peer_id = key_peer_id
UNION ALL SELECT 'object: ids in its key, waits', count(*) FROM object
WHERE loaded_at IS NULL AND key_peer_id IS NOT NULL AND peer_id IS NULL
UNION ALL SELECT 'object: an older version with rows', count(*)
FROM object JOIN object_ledger AS newer ON newer.uri = object.uri
WHERE newer.modified_at > object.modified_at AND newer.disposition IN ('seen', 'claimed', 'refused')
UNION ALL SELECT 'object: two versions of a moment', count(*)
FROM object JOIN object_ledger AS other ON other.uri = object.uri AND other.modified_at = object.modified_at
WHERE other.object_id <> object.object_id AND other.disposition IN ('seen', 'claimed', 'loaded', 'refused')
UNION ALL SELECT 'object: its asset has another address', count(*) FROM of_object WHERE api_uri <> uri
UNION ALL SELECT 'object: its asset has no address', count(*) FROM of_object WHERE api_uri IS NULL
UNION ALL SELECT 'object: its asset is of another customer', count(*) FROM of_object WHERE api_customer <> customer
UNION ALL SELECT 'object: its asset is completed, not failed', count(*) FROM with_event
WHERE status = 'completed' AND event_status = 'failed' AND error_message IS NOT NULL
UNION ALL SELECT 'object: its asset is failed, not processing', count(*) FROM with_event
WHERE status = 'processing' AND event_status = 'failed' AND error_message IS NOT NULL
UNION ALL SELECT 'object: its asset is processing', count(*) FROM of_object
WHERE status = 'processing' AND NOT EXISTS (SELECT 1 FROM event WHERE event.uri = of_object.uri)
UNION ALL SELECT 'object: key, record and event name a peer', count(*) FROM with_event
WHERE loaded_at IS NOT NULL AND key_peer_id <> api_peer_id AND api_peer_id <> event_peer_id
UNION ALL SELECT 'object: after its record', count(*) FROM object WHERE shown_at < first_seen_at AND shown_by = 'api'
UNION ALL SELECT 'object: after its event', count(*) FROM object
WHERE shown_at < first_seen_at AND shown_by = 'webhook'
UNION ALL SELECT 'object: at the moment of its record', count(*) FROM of_object WHERE first_seen_at = api_seen_at

UNION ALL SELECT 'record: address', count(*) FROM api WHERE uri IS NOT NULL AND NOT is_there
AND NOT EXISTS (SELECT 1 FROM event WHERE event.uri = api.uri)
UNION ALL SELECT 'record: address and event', count(*)
FROM api JOIN event ON event.uri = api.uri AND event.customer = api.customer WHERE NOT api.is_there
UNION ALL SELECT 'record: no address', count(*) FROM api WHERE uri IS NULL
AND NOT EXISTS (SELECT 1 FROM event WHERE event.asset_id = api.asset_id)
UNION ALL SELECT 'record: address of its event', count(*) FROM by_id WHERE event_uri IS NOT NULL AND NOT has_object
UNION ALL SELECT 'record: no address, event neither', count(*) FROM by_id WHERE event_uri IS NULL
UNION ALL SELECT 'record: object of its event', count(*)
FROM by_id JOIN object ON object.uri = event_uri AND object.asset_id = by_id.asset_id
UNION ALL SELECT 'record: object of its event and of another', count(*)
FROM by_id JOIN object ON object.uri = event_uri AND object.asset_id <> by_id.asset_id
UNION ALL SELECT 'record: the second of an object', count(*)
FROM api JOIN object ON object.uri = api.uri AND object.customer = api.customer AND object.asset_id <> api.asset_id
UNION ALL SELECT 'record: the second of an address', count(*)
FROM api JOIN api AS other ON other.uri = api.uri AND other.customer = api.customer
WHERE NOT api.is_there AND other.asset_id <> api.asset_id
UNION ALL SELECT 'record: two customers', count(*)
FROM api JOIN api AS other ON other.uri = api.uri AND other.customer <> api.customer

UNION ALL SELECT 'event: address', count(*) FROM event
WHERE uri IS NOT NULL AND asset_id IS NULL AND NOT is_there AND NOT is_recorded
UNION ALL SELECT 'event: address and id', count(*) FROM event
WHERE uri IS NOT NULL AND asset_id IS NOT NULL AND NOT is_there AND NOT is_recorded
UNION ALL SELECT 'event: id', count(*) FROM event WHERE uri IS NULL AND asset_id IS NOT NULL AND NOT is_recorded
UNION ALL SELECT 'event: neither', count(*) FROM event WHERE uri IS NULL AND asset_id IS NULL
UNION ALL SELECT 'event: record of another customer', count(*)
FROM event JOIN api ON api.uri = event.uri OR api.asset_id = event.asset_id
WHERE NOT event.is_there AND NOT is_recorded
UNION ALL SELECT 'event: record of another address', count(*)
FROM event JOIN api ON api.asset_id = event.asset_id AND api.customer = event.customer
WHERE api.uri <> event.uri AND NOT event.is_there

UNION ALL SELECT 'events: completed after failed', count(*) FROM events
WHERE uri = other_uri AND status = 'completed' AND other_status = 'failed' AND occurred_at > other_at
UNION ALL SELECT 'events: completed before failed', count(*) FROM events
WHERE uri = other_uri AND status = 'completed' AND other_status = 'failed' AND occurred_at < other_at
UNION ALL SELECT 'events: processing after failed', count(*) FROM events
WHERE uri = other_uri AND status = 'processing' AND other_status = 'failed' AND occurred_at > other_at
UNION ALL SELECT 'events: a later one', count(*) FROM events
WHERE uri = other_uri AND status = other_status AND occurred_at > other_at
UNION ALL SELECT 'events: one without time', count(*) FROM events
WHERE uri = other_uri AND status = other_status AND occurred_at IS NULL AND other_at IS NOT NULL
UNION ALL SELECT 'events: one moment', count(*) FROM events
WHERE uri = other_uri AND status = other_status AND occurred_at = other_at AND event_id <> other_event_id
UNION ALL SELECT 'events: one event', count(*) FROM events
WHERE uri = other_uri AND event_id = other_event_id AND source = other_source
UNION ALL SELECT 'events: one event from two workspaces', count(*) FROM events
WHERE uri = other_uri AND event_id = other_event_id AND source <> other_source
UNION ALL SELECT 'events: one id, two addresses', count(*) FROM events
WHERE asset_id = other_asset_id AND uri <> other_uri
UNION ALL SELECT 'events: one id, address before status', count(*) FROM events
WHERE asset_id = other_asset_id AND uri IS NULL AND status = 'completed'
AND other_uri IS NOT NULL AND other_status <> 'completed'
UNION ALL SELECT 'events: one id, no address', count(*) FROM events
WHERE asset_id = other_asset_id AND uri IS NULL AND other_uri IS NULL AND event_id <> other_event_id
