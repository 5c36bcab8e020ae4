-- An object in a bucket with what the vendor reports of it, then the assets whose object no bucket holds.
SELECT
    shown.customer, shown.source, shown.room_id, shown.session_id, shown.session_evidence,
    shown.object_id, CAST(0 AS BIGINT) AS ordinal, shown.settled_by AS load_id,
    shown.asset_type, report.raw_type, shown.uri, COALESCE(report.status, 'completed') AS status,
    shown.size_bytes, report.size_bytes AS vendor_size_bytes,
    shown.size_bytes - report.size_bytes AS size_difference_bytes,
    report.duration_s, COALESCE(report.created_at, shown.modified_at) AS created_at,
    shown.asset_id, COALESCE(shown.job_id, report.job_id) AS job_id, report.recording_id,
    COALESCE(report.peer_id, shown.peer_id) AS peer_id, report.user_id,
    COALESCE(report.stream_id, shown.stream_id) AS stream_id, report.stream_type,
    COALESCE(report.track_id, shown.track_id) AS track_id, report.track_type, report.width, report.height,
    COALESCE(report.layer, shown.layer) AS layer, report.num_layers,
    COALESCE(report.output_mode, shown.output_mode) AS output_mode,
    report.metadata, report.thumbnails, report.error_type, report.error_message, shown.disposition,
    CASE WHEN report.first_seen_at < shown.first_seen_at THEN report.first_seen_at
         ELSE shown.first_seen_at END AS first_seen_at,
    CASE WHEN report.first_seen_at < shown.first_seen_at THEN report.first_seen_by
         ELSE shown.first_seen_by END AS first_seen_by
FROM objects AS shown
LEFT JOIN (SELECT * FROM roomledger_raw.object_reports WHERE NOT is_withdrawn) AS report
    ON report.uri = shown.uri AND report.customer = shown.customer
WHERE shown.asset_type <> 'unknown'
  AND (shown.disposition IN ('seen', 'loaded', 'refused')
       OR (shown.disposition = 'missing' AND shown.load_id IS NOT NULL))
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
    SELECT uri, customer, asset_id FROM objects
    WHERE asset_type <> 'unknown'
      AND (disposition IN ('seen', 'loaded', 'refused') OR (disposition = 'missing' AND load_id IS NOT NULL))
) AS shown ON shown.uri = report.uri
WHERE NOT report.is_withdrawn
  -- The row of the object shows the asset: that of the API by its id, else that of the customer.
  AND (shown.uri IS NULL
       OR (report.is_from_api AND COALESCE(shown.asset_id, '') <> COALESCE(report.asset_id, ''))
       OR (NOT report.is_from_api AND shown.customer <> report.customer))
