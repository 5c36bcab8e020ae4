SELECT uri, object_id, valid_from AS changed_at, changed_by, from_room_id, from_session_id, from_evidence,
       room_id AS to_room_id, session_id AS to_session_id, session_evidence AS to_evidence, session_reason AS reason
FROM (
    SELECT uri, object_id, valid_from, changed_by, room_id, session_id, session_evidence, session_reason,
           lag(room_id) OVER (PARTITION BY object_id ORDER BY publication) AS from_room_id,
           lag(session_id) OVER (PARTITION BY object_id ORDER BY publication) AS from_session_id,
           lag(session_evidence) OVER (PARTITION BY object_id ORDER BY publication) AS from_evidence,
           lag(session_reason) OVER (PARTITION BY object_id ORDER BY publication) AS from_reason
    FROM object_history
) AS changes
WHERE from_reason IS NOT NULL
  AND (COALESCE(room_id, '') <> COALESCE(from_room_id, '') OR COALESCE(session_id, '') <> COALESCE(from_session_id, '')
       OR session_evidence <> from_evidence)
