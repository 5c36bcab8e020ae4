-- An object in a bucket with what the vendor reports of it, then the assets whose object no bucket holds.
SELECT
    current.customer, current.source, current.room_id, current.session_id, current.session_evidence,
    current.object_id, CAST(0 AS BIGINT) AS ordinal, current.settled_by AS load_id,
    current.asset_type, report.raw_type, current.uri, COALESCE(report.status, 'completed') AS status,
    current.size_bytes, report.size_bytes AS vendor_size_bytes,
    current.size_bytes - report.size_bytes AS size_difference_bytes,
    report.duration_s, COALESCE(report.created_at, current.modified_at) AS created_at,
    current.asset_id, COALESCE(current.job_id, report.job_id) AS job_id, report.recording_id,
    COALESCE(report.peer_id, current.peer_id) AS peer_id, report.user_id,
    COALESCE(report.stream_id, current.stream_id) AS stream_id, report.stream_type,
    COALESCE(report.track_id, current.track_id) AS track_id, report.track_type, report.width, report.height,
    COALESCE(report.layer, current.layer) AS layer, report.num_layers,
    COALESCE(report.output_mode, current.output_mode) AS output_mode,
    report.metadata, report.thumbnails, report.error_type, report.error_message, current.disposition,
    CASE WHEN report.first_seen_at < current.first_seen_at THEN report.first_seen_at
         ELSE current.first_seen_at END AS first_seen_at,
    CASE WHEN report.first_seen_at < current.first_seen_at THEN report.first_seen_by
         ELSE current.first_seen_by END AS first_seen_by
FROM objects AS current
LEFT JOIN (SELECT * FROM roomledger_raw.object_reports WHERE NOT is_withdrawn) AS report
    ON report.uri = current.uri AND report.customer = current.customer
WHERE current.asset_type <> 'unknown'
  AND (current.disposition IN ('seen', 'loaded', 'refused')
       OR (current.disposition = 'missing' AND current.load_id IS NOT NULL))
UNION ALL
SELECT
    report.customer, report.source, report.room_id, report.session_id, report.session_evidence,
    CAST(NULL AS TEXT), CAST(0 AS BIGINT), CAST(NULL AS TEXT),
    report.asset_type, report.raw_type, report.uri, report.status,
    report.size_bytes, report.size_bytes, CAST(NULL AS BIGINT),
    report.duration_s, report.created_at,
    report.asset_id, report.job_id, report.recording_id,
    report.peer_id, report.user_id, report.stream_id, report.stream_type, report.track_id, report.track_type,
    report.width, report.height, report.layer, report.num_layers, report.output_mode,
    report.metadata, report.thumbnails, report.error_type, report.error_message, CAST(NULL AS TEXT),
    report.first_seen_at, report.first_seen_by
FROM roomledger_raw.asset_reports AS report
LEFT JOIN (
    SELECT uri, customer FROM objects
    WHERE asset_type <> 'unknown'
      AND (disposition IN ('seen', 'loaded', 'refused') OR (disposition = 'missing' AND load_id IS NOT NULL))
) AS current ON current.uri = report.uri_of_object AND current.customer = report.customer
WHERE NOT report.is_withdrawn AND current.uri IS NULL
