SELECT api.customer, api.source, api.session_id, api.room_id,
       CASE WHEN event.ended_at IS NULL THEN api.active ELSE FALSE END AS active,
       COALESCE(api.started_at, event.started_at) AS started_at,
       COALESCE(api.ended_at, event.ended_at) AS ended_at, event.room_name,
       api.record, LEAST(api.first_seen_at, event.first_ingested_at) AS first_seen_at,
       CASE WHEN event.first_ingested_at < api.first_seen_at THEN 'webhook' ELSE api.first_seen_by END AS first_seen_by
FROM session_records AS api
LEFT JOIN event_sessions AS event ON event.session_id = api.session_id
UNION ALL
SELECT event.customer, event.source, event.session_id, event.room_id, event.ended_at IS NULL,
       event.started_at, event.ended_at, event.room_name, NULL, event.first_ingested_at, 'webhook'
FROM event_sessions AS event
WHERE NOT EXISTS (SELECT 1 FROM session_records AS api WHERE api.session_id = event.session_id)
