-- Two halves, not one full join: a filter by room or session then reaches the indexes of both tables.
SELECT said.customer, said.source, said.session_id, said.room_id,
       CASE WHEN heard.ended_at IS NULL THEN said.active ELSE FALSE END AS active,
       COALESCE(said.started_at, heard.started_at) AS started_at,
       COALESCE(said.ended_at, heard.ended_at) AS ended_at, heard.room_name,
       said.record, LEAST(said.first_seen_at, heard.heard_at) AS first_seen_at,
       CASE WHEN heard.heard_at < said.first_seen_at THEN 'webhook' ELSE said.first_seen_by END AS first_seen_by
FROM session_records AS said
LEFT JOIN event_sessions AS heard ON heard.session_id = said.session_id
UNION ALL
SELECT heard.customer, heard.source, heard.session_id, heard.room_id, heard.ended_at IS NULL,
       heard.started_at, heard.ended_at, heard.room_name, NULL, heard.heard_at, 'webhook'
FROM event_sessions AS heard
WHERE NOT EXISTS (SELECT 1 FROM session_records AS said WHERE said.session_id = heard.session_id)
