SELECT api.customer, api.source, api.job_id, api.kind, api.room_id, api.session_id, api.status,
       api.planned_types, api.created_at, COALESCE(api.started_at, event.started_at) AS started_at,
       COALESCE(api.stopped_at, event.stopped_at) AS stopped_at, api.updated_at, api.started_by, api.stopped_by,
       event.beam_id, event.recording_id, event.error_type, event.error_message, api.record,
       LEAST(api.first_seen_at, event.first_ingested_at) AS first_seen_at,
       CASE WHEN event.first_ingested_at < api.first_seen_at THEN 'webhook' ELSE api.first_seen_by END AS first_seen_by
FROM job_records AS api
LEFT JOIN event_recordings AS event
    ON event.api_job_id = api.job_id AND event.customer = api.customer
   AND NOT EXISTS (
       SELECT 1 FROM event_recordings AS other
       WHERE other.api_job_id = event.api_job_id AND other.customer = event.customer
         AND other.recorder_id < event.recorder_id
   )
UNION ALL
SELECT event.customer, event.source, event.job_id, event.kind, event.room_id, event.session_id, event.status,
       event.planned_types, CAST(NULL AS TIMESTAMP WITH TIME ZONE), event.started_at, event.stopped_at,
       CAST(NULL AS TIMESTAMP WITH TIME ZONE), CAST(NULL AS TEXT), CAST(NULL AS TEXT),
       event.beam_id, event.recording_id, event.error_type, event.error_message, NULL,
       event.first_ingested_at, 'webhook'
FROM event_recordings AS event
WHERE NOT EXISTS (
    SELECT 1 FROM job_records AS api WHERE api.job_id = event.api_job_id AND api.customer = event.customer
)
