SELECT customer, source, room_id, session_id, session_evidence, object_id, CAST(0 AS BIGINT) AS ordinal, load_id,
       loaded_asset_type AS asset_type, uri, size_bytes, modified_at AS created_at,
       peer_id, stream_id, track_id, layer, output_mode, job_id, recording_started_at
FROM objects WHERE load_id IS NOT NULL
