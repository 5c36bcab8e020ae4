-- Filters by session_id reach the indexes of all parts: hence anti-joins by address, not window functions.
WITH candidates AS NOT MATERIALIZED (
    SELECT *, CASE WHEN loaded_at IS NULL THEN 0 ELSE 1 END AS has_rows
    FROM object_ledger
    WHERE asset_type <> 'unknown'
      AND (disposition IN ('seen', 'claimed', 'loaded', 'refused')
           OR (disposition = 'missing' AND loaded_at IS NOT NULL))
), current AS NOT MATERIALIZED (
    SELECT * FROM candidates
    WHERE NOT EXISTS (
        SELECT 1 FROM candidates AS better
        WHERE better.uri = candidates.uri
          AND (better.has_rows, better.modified_at, better.first_seen_at, better.object_id)
              > (candidates.has_rows, candidates.modified_at, candidates.first_seen_at, candidates.object_id)
    )
), told AS NOT MATERIALIZED (
    -- Of several events that name one asset: one that says it is done, of those the last.
    SELECT *, CASE status WHEN 'completed' THEN 2 WHEN 'failed' THEN 1 ELSE 0 END AS weight,
           CASE WHEN uri IS NULL THEN 0 ELSE 1 END AS has_place,
           COALESCE(occurred_at, CAST('-infinity' AS TIMESTAMP WITH TIME ZONE)) AS happened_at
    FROM event_assets
), heard AS NOT MATERIALIZED (
    SELECT * FROM told
    WHERE uri IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM told AS better
        WHERE better.uri = told.uri AND better.customer = told.customer
          AND (better.weight, better.happened_at, better.event_id, better.ordinal, better.source)
              > (told.weight, told.happened_at, told.event_id, told.ordinal, told.source)
    )
), heard_by_id AS NOT MATERIALIZED (
    SELECT * FROM told
    WHERE asset_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM told AS better
        WHERE better.asset_id = told.asset_id AND better.customer = told.customer
          AND (better.has_place, better.weight, better.happened_at, better.event_id, better.ordinal, better.source)
              > (told.has_place, told.weight, told.happened_at, told.event_id, told.ordinal, told.source)
    )
), said AS NOT MATERIALIZED (
    -- An asset has an id before it has a place: the event that it was made may come before the API is asked again.
    SELECT named.*, named.uri AS place, heard.status AS heard_status, heard.recording_id,
           heard.error_type, heard.error_message, heard.taken_in_at
    FROM asset_records AS named
    LEFT JOIN heard ON heard.uri = named.uri AND heard.customer = named.customer
    WHERE named.uri IS NOT NULL
    UNION ALL
    SELECT named.*, heard.uri, heard.status, heard.recording_id,
           heard.error_type, heard.error_message, heard.taken_in_at
    FROM asset_records AS named
    LEFT JOIN heard_by_id AS heard ON heard.asset_id = named.asset_id AND heard.customer = named.customer
    WHERE named.uri IS NULL
)
SELECT
    current.customer, current.source, current.room_id, current.session_id, current.session_evidence,
    current.object_id, CAST(0 AS BIGINT) AS ordinal, current.load_id,
    current.asset_type, said.raw_type, current.uri,
    COALESCE(CASE WHEN said.status IN ('completed', 'failed') THEN said.status END,
             heard.status, said.status, 'completed') AS status,
    current.size_bytes, COALESCE(said.size_bytes, heard.size_bytes) AS vendor_size_bytes,
    current.size_bytes - COALESCE(said.size_bytes, heard.size_bytes) AS size_difference_bytes,
    COALESCE(said.duration_s, heard.duration_s) AS duration_s,
    COALESCE(said.created_at, heard.created_at, held.created_at, current.modified_at) AS created_at,
    current.asset_id, COALESCE(current.job_id, said.job_id) AS job_id, heard.recording_id,
    COALESCE(said.peer_id, heard.peer_id, held.peer_id) AS peer_id, COALESCE(said.user_id, heard.user_id) AS user_id,
    COALESCE(said.stream_id, heard.stream_id, held.stream_id) AS stream_id,
    COALESCE(said.stream_type, heard.stream_type) AS stream_type,
    COALESCE(said.track_id, heard.track_id, held.track_id) AS track_id,
    COALESCE(said.track_type, heard.track_type) AS track_type,
    COALESCE(said.width, heard.width) AS width, COALESCE(said.height, heard.height) AS height,
    COALESCE(said.layer, heard.layer, held.layer) AS layer, COALESCE(said.num_layers, heard.num_layers) AS num_layers,
    COALESCE(said.output_mode, heard.output_mode, held.output_mode) AS output_mode,
    said.metadata, COALESCE(said.thumbnails, heard.thumbnails) AS thumbnails,
    CASE WHEN said.status IS DISTINCT FROM 'completed' THEN heard.error_type END AS error_type,
    CASE WHEN said.status IS DISTINCT FROM 'completed' THEN heard.error_message END AS error_message,
    current.disposition,
    LEAST(current.first_seen_at, said.first_seen_at, heard.taken_in_at) AS first_seen_at,
    CASE LEAST(current.first_seen_at, said.first_seen_at, heard.taken_in_at)
         WHEN current.first_seen_at THEN current.first_seen_by
         WHEN said.first_seen_at THEN said.first_seen_by ELSE 'webhook' END AS first_seen_by
FROM current
LEFT JOIN object_assets AS held ON held.object_id = current.object_id AND held.ordinal = 0
LEFT JOIN asset_records AS said ON said.asset_id = current.asset_id
LEFT JOIN heard ON heard.uri = current.uri AND heard.customer = current.customer
UNION ALL
SELECT
    said.customer, said.source, said.room_id, said.session_id,
    CASE WHEN said.session_id IS NULL THEN 'none' ELSE 'asset_record' END,
    CAST(NULL AS TEXT), CAST(0 AS BIGINT), CAST(NULL AS TEXT),
    said.asset_type, said.raw_type, said.place,
    COALESCE(CASE WHEN said.status IN ('completed', 'failed') THEN said.status END, said.heard_status, said.status),
    said.size_bytes, said.size_bytes, CAST(NULL AS BIGINT),
    said.duration_s, said.created_at,
    said.asset_id, said.job_id, said.recording_id,
    said.peer_id, said.user_id, said.stream_id, said.stream_type, said.track_id, said.track_type,
    said.width, said.height, said.layer, said.num_layers, said.output_mode,
    said.metadata, said.thumbnails,
    CASE WHEN said.status IS DISTINCT FROM 'completed' THEN said.error_type END,
    CASE WHEN said.status IS DISTINCT FROM 'completed' THEN said.error_message END,
    CAST(NULL AS TEXT),
    LEAST(said.first_seen_at, said.taken_in_at),
    CASE WHEN said.taken_in_at < said.first_seen_at THEN 'webhook' ELSE said.first_seen_by END
FROM said
WHERE NOT EXISTS (SELECT 1 FROM current WHERE current.uri = said.place AND current.asset_id = said.asset_id)
UNION ALL
SELECT
    heard.customer, heard.source, heard.room_id, heard.session_id,
    CASE WHEN heard.session_id IS NULL THEN 'none' ELSE 'webhook' END,
    CAST(NULL AS TEXT), CAST(0 AS BIGINT), CAST(NULL AS TEXT),
    heard.asset_type, CAST(NULL AS TEXT), heard.uri, heard.status,
    heard.size_bytes, heard.size_bytes, CAST(NULL AS BIGINT),
    heard.duration_s, heard.created_at,
    heard.asset_id, CAST(NULL AS TEXT), heard.recording_id,
    heard.peer_id, heard.user_id, heard.stream_id, heard.stream_type, heard.track_id, heard.track_type,
    heard.width, heard.height, heard.layer, heard.num_layers, heard.output_mode,
    NULL, heard.thumbnails, heard.error_type, heard.error_message, CAST(NULL AS TEXT),
    heard.taken_in_at, 'webhook'
FROM (SELECT * FROM heard UNION ALL SELECT * FROM heard_by_id WHERE uri IS NULL) AS heard
WHERE NOT EXISTS (SELECT 1 FROM current WHERE current.uri = heard.uri AND current.customer = heard.customer)
  AND NOT EXISTS (SELECT 1 FROM asset_records AS said WHERE said.uri = heard.uri AND said.customer = heard.customer)
  AND NOT EXISTS (
      SELECT 1 FROM asset_records AS said WHERE said.asset_id = heard.asset_id AND said.customer = heard.customer
  )
