SELECT said.customer, said.source, said.session_id, said.peer_id, COALESCE(said.user_id, heard.user_id) AS user_id,
       COALESCE(said.name, heard.name) AS name, COALESCE(said.role, heard.role) AS role,
       COALESCE(said.joined_at, heard.joined_at) AS joined_at, COALESCE(said.left_at, heard.left_at) AS left_at,
       said.is_recorder, said.record,
       LEAST(said.first_seen_at, heard.heard_at) AS first_seen_at,
       CASE WHEN heard.heard_at < said.first_seen_at THEN 'webhook' ELSE said.first_seen_by END AS first_seen_by
FROM peer_records AS said
LEFT JOIN event_peers AS heard ON heard.session_id = said.session_id AND heard.peer_id = said.peer_id
UNION ALL
SELECT heard.customer, heard.source, heard.session_id, heard.peer_id, heard.user_id, heard.name, heard.role,
       heard.joined_at, heard.left_at, heard.is_recorder, NULL, heard.heard_at, 'webhook'
FROM event_peers AS heard
WHERE NOT EXISTS (
    SELECT 1 FROM peer_records AS said WHERE said.session_id = heard.session_id AND said.peer_id = heard.peer_id
)
