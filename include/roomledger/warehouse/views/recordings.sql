SELECT said.customer, said.source, said.job_id, said.kind, said.room_id, said.session_id, said.status,
       said.planned_types, said.created_at, COALESCE(said.started_at, heard.started_at) AS started_at,
       COALESCE(said.stopped_at, heard.stopped_at) AS stopped_at, said.updated_at, said.started_by, said.stopped_by,
       heard.beam_id, heard.recording_id, heard.error_type, heard.error_message, said.record,
       LEAST(said.first_seen_at, heard.heard_at) AS first_seen_at,
       CASE WHEN heard.heard_at < said.first_seen_at THEN 'webhook' ELSE said.first_seen_by END AS first_seen_by
FROM job_records AS said
LEFT JOIN event_recordings AS heard
    ON heard.api_job_id = said.job_id AND heard.customer = said.customer
   AND NOT EXISTS (
       SELECT 1 FROM event_recordings AS other
       WHERE other.api_job_id = heard.api_job_id AND other.customer = heard.customer
         AND other.recorder_id < heard.recorder_id
   )
UNION ALL
SELECT heard.customer, heard.source, heard.job_id, heard.kind, heard.room_id, heard.session_id, heard.status,
       heard.planned_types, CAST(NULL AS TIMESTAMP WITH TIME ZONE), heard.started_at, heard.stopped_at,
       CAST(NULL AS TIMESTAMP WITH TIME ZONE), CAST(NULL AS TEXT), CAST(NULL AS TEXT),
       heard.beam_id, heard.recording_id, heard.error_type, heard.error_message, NULL,
       heard.heard_at, 'webhook'
FROM event_recordings AS heard
WHERE NOT EXISTS (
    SELECT 1 FROM job_records AS said WHERE said.job_id = heard.api_job_id AND said.customer = heard.customer
)
