-- Filters by session_id reach the indexes of both halves: hence anti-joins by address, not window functions.
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
)
SELECT
    current.customer, current.source, current.room_id, current.session_id, current.session_evidence,
    current.object_id, CAST(0 AS BIGINT) AS ordinal, current.load_id,
    current.asset_type, said.raw_type, current.uri,
    COALESCE(said.status, 'completed') AS status,
    current.size_bytes, said.size_bytes AS vendor_size_bytes,
    current.size_bytes - said.size_bytes AS size_difference_bytes,
    said.duration_s,
    COALESCE(said.created_at, held.created_at, current.modified_at) AS created_at,
    current.asset_id, COALESCE(current.job_id, said.job_id) AS job_id,
    COALESCE(said.peer_id, held.peer_id) AS peer_id, said.user_id,
    COALESCE(said.stream_id, held.stream_id) AS stream_id, said.stream_type,
    COALESCE(said.track_id, held.track_id) AS track_id, said.track_type,
    said.width, said.height, COALESCE(said.layer, held.layer) AS layer, said.num_layers,
    COALESCE(said.output_mode, held.output_mode) AS output_mode,
    said.metadata, said.thumbnails, current.disposition,
    CASE WHEN said.first_seen_at < current.first_seen_at THEN said.first_seen_at
         ELSE current.first_seen_at END AS first_seen_at,
    CASE WHEN said.first_seen_at < current.first_seen_at THEN said.first_seen_by
         ELSE current.first_seen_by END AS first_seen_by
FROM current
LEFT JOIN object_assets AS held ON held.object_id = current.object_id AND held.ordinal = 0
LEFT JOIN asset_records AS said ON said.asset_id = current.asset_id
UNION ALL
SELECT
    said.customer, said.source, said.room_id, said.session_id,
    CASE WHEN said.session_id IS NULL THEN 'none' ELSE 'asset_record' END,
    CAST(NULL AS TEXT), CAST(0 AS BIGINT), CAST(NULL AS TEXT),
    said.asset_type, said.raw_type, said.uri, said.status,
    said.size_bytes, said.size_bytes, CAST(NULL AS BIGINT),
    said.duration_s, said.created_at,
    said.asset_id, said.job_id,
    said.peer_id, said.user_id, said.stream_id, said.stream_type, said.track_id, said.track_type,
    said.width, said.height, said.layer, said.num_layers, said.output_mode,
    said.metadata, said.thumbnails, CAST(NULL AS TEXT),
    said.first_seen_at, said.first_seen_by
FROM asset_records AS said
WHERE NOT EXISTS (SELECT 1 FROM current WHERE current.uri = said.uri AND current.asset_id = said.asset_id)
