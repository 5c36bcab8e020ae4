SELECT api.customer, api.source, api.session_id, api.peer_id, COALESCE(api.user_id, event.user_id) AS user_id,
       COALESCE(api.name, event.name) AS name, COALESCE(api.role, event.role) AS role,
       COALESCE(api.joined_at, event.joined_at) AS joined_at, COALESCE(api.left_at, event.left_at) AS left_at,
       api.is_recorder, api.record,
       LEAST(api.first_seen_at, event.first_ingested_at) AS first_seen_at,
       CASE WHEN event.first_ingested_at < api.first_seen_at THEN 'webhook' ELSE api.first_seen_by END AS first_seen_by
FROM peer_records AS api
LEFT JOIN event_peers AS event ON event.session_id = api.session_id AND event.peer_id = api.peer_id
UNION ALL
SELECT event.customer, event.source, event.session_id, event.peer_id, event.user_id, event.name, event.role,
       event.joined_at, event.left_at, event.is_recorder, NULL, event.first_ingested_at, 'webhook'
FROM event_peers AS event
WHERE NOT EXISTS (
    SELECT 1 FROM peer_records AS api WHERE api.session_id = event.session_id AND api.peer_id = event.peer_id
)
