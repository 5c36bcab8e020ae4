WITH candidates AS (
    -- While the type of a loaded object is decided anew, it is shown as it was loaded.
    SELECT *, CASE WHEN loaded_at IS NULL THEN 0 ELSE 1 END AS has_rows,
           CASE WHEN asset_type = 'unknown' AND loaded_at IS NOT NULL THEN loaded_asset_type ELSE asset_type END
               AS shown_type
    FROM object_ledger
    WHERE (asset_type <> 'unknown' OR loaded_at IS NOT NULL)
      AND (disposition IN ('seen', 'claimed', 'loaded', 'refused')
           OR (disposition = 'missing' AND loaded_at IS NOT NULL))
), current AS (
    SELECT * FROM candidates
    WHERE NOT EXISTS (
        SELECT 1 FROM candidates AS better
        WHERE better.uri = candidates.uri
          AND (better.has_rows, better.modified_at, better.first_seen_at, better.object_id)
              > (candidates.has_rows, candidates.modified_at, candidates.first_seen_at, candidates.object_id)
    )
), files AS (
    -- What was read from the keys of objects with rows.
    SELECT object_id, modified_at AS created_at, key_peer_id AS peer_id, key_stream_id AS stream_id,
           key_track_id AS track_id, key_layer AS layer, output_mode
    FROM object_ledger
    WHERE loaded_at IS NOT NULL
), ranked AS (
    -- Of several events that name one asset: a final one first, then the last.
    SELECT *, CASE status WHEN 'completed' THEN 2 WHEN 'failed' THEN 1 ELSE 0 END AS weight,
           CASE WHEN uri IS NULL THEN 0 ELSE 1 END AS has_uri,
           COALESCE(occurred_at, CAST('-infinity' AS TIMESTAMP WITH TIME ZONE)) AS happened_at
    FROM event_assets
), event AS (
    SELECT * FROM ranked
    WHERE uri IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM ranked AS better
        WHERE better.uri = ranked.uri AND better.customer = ranked.customer
          AND (better.weight, better.happened_at, better.event_id, better.ordinal, better.source)
              > (ranked.weight, ranked.happened_at, ranked.event_id, ranked.ordinal, ranked.source)
    )
), event_by_id AS (
    SELECT * FROM ranked
    WHERE asset_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM ranked AS better
        WHERE better.asset_id = ranked.asset_id AND better.customer = ranked.customer
          AND (better.has_uri, better.weight, better.happened_at, better.event_id, better.ordinal, better.source)
              > (ranked.has_uri, ranked.weight, ranked.happened_at, ranked.event_id, ranked.ordinal, ranked.source)
    )
), api AS (
    -- An asset has an id before it has an address: the event with the address may arrive before the next poll.
    SELECT records.*, records.uri AS known_uri, event.status AS event_status, event.recording_id,
           event.error_type, event.error_message, event.ingested_at
    FROM asset_records AS records
    LEFT JOIN event ON event.uri = records.uri AND event.customer = records.customer
    WHERE records.uri IS NOT NULL
    UNION ALL
    SELECT records.*, event.uri, event.status, event.recording_id,
           event.error_type, event.error_message, event.ingested_at
    FROM asset_records AS records
    LEFT JOIN event_by_id AS event ON event.asset_id = records.asset_id AND event.customer = records.customer
    WHERE records.uri IS NULL
)
SELECT
    current.customer, current.source, current.room_id, current.session_id, current.session_evidence,
    current.object_id, CAST(0 AS BIGINT) AS ordinal, current.load_id,
    current.shown_type AS asset_type, api.raw_type, current.uri,
    COALESCE(CASE WHEN api.status IN ('completed', 'failed') THEN api.status END,
             event.status, api.status, 'completed') AS status,
    current.size_bytes, COALESCE(api.size_bytes, event.size_bytes) AS vendor_size_bytes,
    current.size_bytes - COALESCE(api.size_bytes, event.size_bytes) AS size_difference_bytes,
    COALESCE(api.duration_s, event.duration_s) AS duration_s,
    COALESCE(api.created_at, event.created_at, files.created_at, current.modified_at) AS created_at,
    current.asset_id, COALESCE(current.job_id, api.job_id) AS job_id, event.recording_id,
    COALESCE(api.peer_id, event.peer_id, files.peer_id) AS peer_id, COALESCE(api.user_id, event.user_id) AS user_id,
    COALESCE(api.stream_id, event.stream_id, files.stream_id) AS stream_id,
    COALESCE(api.stream_type, event.stream_type) AS stream_type,
    COALESCE(api.track_id, event.track_id, files.track_id) AS track_id,
    COALESCE(api.track_type, event.track_type) AS track_type,
    COALESCE(api.width, event.width) AS width, COALESCE(api.height, event.height) AS height,
    COALESCE(api.layer, event.layer, files.layer) AS layer, COALESCE(api.num_layers, event.num_layers) AS num_layers,
    COALESCE(api.output_mode, event.output_mode, files.output_mode) AS output_mode,
    api.metadata, COALESCE(api.thumbnails, event.thumbnails) AS thumbnails,
    CASE WHEN api.status IS DISTINCT FROM 'completed' THEN event.error_type END AS error_type,
    CASE WHEN api.status IS DISTINCT FROM 'completed' THEN event.error_message END AS error_message,
    -- A claim lasts for minutes and says nothing about the asset; neither does a replay that waits.
    CASE WHEN current.disposition NOT IN ('seen', 'claimed') THEN current.disposition
         WHEN current.loaded_at IS NULL THEN 'seen' ELSE 'loaded' END AS disposition,
    LEAST(current.first_seen_at, api.first_seen_at, event.ingested_at) AS first_seen_at,
    CASE LEAST(current.first_seen_at, api.first_seen_at, event.ingested_at)
         WHEN current.first_seen_at THEN current.first_seen_by
         WHEN api.first_seen_at THEN api.first_seen_by ELSE 'webhook' END AS first_seen_by
FROM current
LEFT JOIN files ON files.object_id = current.object_id
LEFT JOIN asset_records AS api ON api.asset_id = current.asset_id
LEFT JOIN event ON event.uri = current.uri AND event.customer = current.customer
UNION ALL
SELECT
    api.customer, api.source, api.room_id, api.session_id,
    CASE WHEN api.session_id IS NULL THEN 'none' ELSE 'asset_record' END,
    CAST(NULL AS TEXT), CAST(0 AS BIGINT), CAST(NULL AS TEXT),
    api.asset_type, api.raw_type, api.known_uri,
    COALESCE(CASE WHEN api.status IN ('completed', 'failed') THEN api.status END, api.event_status, api.status),
    api.size_bytes, api.size_bytes, CAST(NULL AS BIGINT),
    api.duration_s, api.created_at,
    api.asset_id, api.job_id, api.recording_id,
    api.peer_id, api.user_id, api.stream_id, api.stream_type, api.track_id, api.track_type,
    api.width, api.height, api.layer, api.num_layers, api.output_mode,
    api.metadata, api.thumbnails,
    CASE WHEN api.status IS DISTINCT FROM 'completed' THEN api.error_type END,
    CASE WHEN api.status IS DISTINCT FROM 'completed' THEN api.error_message END,
    CAST(NULL AS TEXT),
    LEAST(api.first_seen_at, api.ingested_at),
    CASE WHEN api.ingested_at < api.first_seen_at THEN 'webhook' ELSE api.first_seen_by END
FROM api
WHERE NOT EXISTS (SELECT 1 FROM current WHERE current.uri = api.known_uri AND current.asset_id = api.asset_id)
UNION ALL
SELECT
    event.customer, event.source, event.room_id, event.session_id,
    CASE WHEN event.session_id IS NULL THEN 'none' ELSE 'webhook' END,
    CAST(NULL AS TEXT), CAST(0 AS BIGINT), CAST(NULL AS TEXT),
    event.asset_type, CAST(NULL AS TEXT), event.uri, event.status,
    event.size_bytes, event.size_bytes, CAST(NULL AS BIGINT),
    event.duration_s, event.created_at,
    event.asset_id, CAST(NULL AS TEXT), event.recording_id,
    event.peer_id, event.user_id, event.stream_id, event.stream_type, event.track_id, event.track_type,
    event.width, event.height, event.layer, event.num_layers, event.output_mode,
    NULL, event.thumbnails, event.error_type, event.error_message, CAST(NULL AS TEXT),
    event.ingested_at, 'webhook'
FROM (SELECT * FROM event UNION ALL SELECT * FROM event_by_id WHERE uri IS NULL) AS event
WHERE NOT EXISTS (SELECT 1 FROM current WHERE current.uri = event.uri AND current.customer = event.customer)
  AND NOT EXISTS (SELECT 1 FROM asset_records AS api WHERE api.uri = event.uri AND api.customer = event.customer)
  AND NOT EXISTS (
      SELECT 1 FROM asset_records AS api WHERE api.asset_id = event.asset_id AND api.customer = event.customer
  )
