-- Expected assets and their state: one row per recording job and asset type that was planned or the vendor reports.
-- A row with a uri is one asset that the vendor reports as completed or failed, without an object in the bucket, or one
-- object of no known job of which something is refused.
-- States: arrived (rows_refused of its records may be refused); refused (arrived, but rejected, or all its records are);
-- failed (reported by the vendor); pending (not due yet); late (due, and the vendor still stores it, up to 15 days after
-- the stop); missing (after that); none_named (a chat was planned, but the completed job has none, usually because
-- nobody wrote).
-- :now (time) The time that the states refer to.
-- :since (time, optional) Only jobs that stopped from then on: a day such as 2024-08-01 (midnight, UTC) or RFC 3339.
-- :until (time, optional) Only jobs that stopped before this time.
-- :customer (text, optional) Only this customer.
-- :source (text, optional) Only this workspace.
WITH not_loaded AS (
    -- Objects excluded by the settings, or erased on request: they did arrive.
    SELECT DISTINCT uri FROM objects WHERE disposition IN ('ignored', 'erased')
), shown AS (
    SELECT object_id, rows_loaded, rows_refused FROM objects WHERE load_id IS NOT NULL
), assets AS (
    SELECT customer, source, room_id, session_id, job_id, asset_id, asset_type, status, disposition, size_difference_bytes,
           created_at, first_seen_at, recording_assets.uri AS uri,
           CASE WHEN disposition IS NOT NULL OR not_loaded.uri IS NOT NULL THEN 1 ELSE 0 END AS has_arrived,
           COALESCE(shown.rows_loaded, 0) AS good_rows, COALESCE(shown.rows_refused, 0) AS bad_rows
    FROM recording_assets
    LEFT JOIN not_loaded ON not_loaded.uri = recording_assets.uri
    LEFT JOIN shown ON shown.object_id = recording_assets.object_id
    WHERE job_id IS NOT NULL OR asset_id IS NOT NULL
), jobs AS (
    SELECT customer, source, room_id, session_id, job_id, kind, status, planned_types, started_at, stopped_at,
           COALESCE(stopped_at, CASE WHEN status IN ('completed', 'failed') THEN updated_at END,
                    started_at + INTERVAL '12 hours', created_at + INTERVAL '12 hours') AS over_at
    FROM recordings
), places AS (
    -- Places in the list of planned types, which is JSON: ["chat", "track"]. The vendor has eight types.
    SELECT place
    FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15), (16)) AS one (place)
), expected AS (
    SELECT customer, job_id, asset_type, max(both_kinds.is_planned) AS is_planned
    FROM (
        SELECT customer, job_id, 1 AS is_planned,
               split_part(CAST(planned_types AS TEXT), '"', 2 * places.place) AS asset_type
        FROM recordings CROSS JOIN places
        UNION ALL
        SELECT customer, job_id, 0, COALESCE(asset_type, 'unknown') FROM assets WHERE job_id IS NOT NULL
    ) AS both_kinds
    WHERE asset_type <> ''
    GROUP BY customer, job_id, asset_type
), counted AS (
    SELECT customer, job_id, COALESCE(assets.asset_type, 'unknown') AS asset_type,
           min(assets.source) AS source, min(assets.room_id) AS room_id, min(assets.session_id) AS session_id,
           count(asset_id) AS named, count(CASE WHEN status = 'failed' THEN 1 END) AS failed,
           CAST(sum(has_arrived) AS BIGINT) AS arrived,
           count(CASE WHEN disposition = 'refused' OR bad_rows > 0 AND good_rows = 0 THEN 1 END) AS refused,
           CAST(sum(bad_rows) AS BIGINT) AS rows_refused,
           CAST(sum(abs(assets.size_difference_bytes)) AS BIGINT) AS size_difference_bytes,
           max(COALESCE(assets.created_at, first_seen_at)) AS created_at
    FROM assets WHERE job_id IS NOT NULL
    GROUP BY customer, job_id, COALESCE(assets.asset_type, 'unknown')
), findings AS (
    SELECT expected.customer, COALESCE(jobs.source, counted.source) AS source,
           COALESCE(jobs.room_id, counted.room_id) AS room_id,
           COALESCE(jobs.session_id, counted.session_id) AS session_id,
           expected.job_id, expected.asset_type, CAST(expected.is_planned = 1 AS BOOLEAN) AS planned,
           COALESCE(counted.named, 0) AS named, COALESCE(counted.arrived, 0) AS arrived,
           COALESCE(counted.refused, 0) AS refused, COALESCE(counted.rows_refused, 0) AS rows_refused,
           COALESCE(counted.failed, 0) AS failed,
           counted.size_difference_bytes, CAST(NULL AS TEXT) AS asset_id, CAST(NULL AS TEXT) AS uri,
           counted.created_at
    FROM expected
    LEFT JOIN jobs ON jobs.job_id = expected.job_id AND jobs.customer = expected.customer
    LEFT JOIN counted ON counted.customer = expected.customer AND counted.job_id = expected.job_id
                     AND counted.asset_type = expected.asset_type
    UNION ALL
    SELECT customer, source, room_id, session_id, job_id, COALESCE(asset_type, 'unknown'), CAST(NULL AS BOOLEAN),
           1, 0, 0, 0, CASE WHEN status = 'failed' THEN 1 ELSE 0 END,
           CAST(NULL AS BIGINT), asset_id, uri, COALESCE(created_at, first_seen_at)
    FROM assets
    WHERE has_arrived = 0 AND status IN ('completed', 'failed')
    UNION ALL
    SELECT customer, source, room_id, session_id, CAST(NULL AS TEXT), COALESCE(asset_type, 'unknown'),
           CAST(NULL AS BOOLEAN), 0, 1, CASE WHEN rows_loaded = 0 THEN 1 ELSE 0 END, rows_refused, 0,
           CAST(NULL AS BIGINT), asset_id, uri, modified_at
    FROM objects
    WHERE job_id IS NULL AND (disposition = 'refused' OR rows_refused > 0)
), timed AS (
    SELECT findings.*, jobs.kind, jobs.status AS job_status, jobs.stopped_at,
           COALESCE(jobs.over_at, findings.created_at) AS over_at,
           extract(epoch FROM jobs.over_at - jobs.started_at) AS length_s
    FROM findings LEFT JOIN jobs ON jobs.job_id = findings.job_id AND jobs.customer = findings.customer
), bounded AS (
    -- No recording is longer than a day, whatever its times say, and no engine has intervals of any length.
    SELECT *, CASE WHEN length_s < 0 THEN 0 WHEN length_s > 86400 THEN 86400 ELSE COALESCE(length_s, 0) END AS recorded_s
    FROM timed
), due AS (
    SELECT *, over_at + INTERVAL '1 hour' + CAST(floor(0.5 + CASE
               WHEN asset_type IN ('room-composite', 'room-vod', 'chat') THEN 0
               WHEN asset_type IN ('transcript', 'summary') THEN 300 + 0.2 * recorded_s
               ELSE 1.5 * recorded_s END) AS BIGINT) * INTERVAL '1 second' AS due_at
    FROM bounded
)
SELECT
    customer, source, room_id, session_id, job_id, kind AS job_kind, job_status, stopped_at,
    asset_type, planned, named, arrived, refused, rows_refused, failed, due_at,
    CASE WHEN refused > 0 THEN 'refused'
         WHEN arrived > 0 THEN 'arrived'
         WHEN failed > 0 AND failed = named OR job_status = 'failed' THEN 'failed'
         WHEN due_at > CAST(:now AS TIMESTAMP WITH TIME ZONE) THEN 'pending'
         WHEN asset_type = 'chat' AND named = 0 AND job_status = 'completed' THEN 'none_named'
         WHEN over_at + INTERVAL '15 days' > CAST(:now AS TIMESTAMP WITH TIME ZONE) THEN 'late'
         ELSE 'missing' END AS state,
    size_difference_bytes, asset_id, uri
FROM due
WHERE (CAST(:since AS TIMESTAMP WITH TIME ZONE) IS NULL OR over_at >= CAST(:since AS TIMESTAMP WITH TIME ZONE))
  AND (CAST(:until AS TIMESTAMP WITH TIME ZONE) IS NULL OR over_at < CAST(:until AS TIMESTAMP WITH TIME ZONE))
  AND (CAST(:customer AS TEXT) IS NULL OR customer = CAST(:customer AS TEXT))
  AND (CAST(:source AS TEXT) IS NULL OR source = CAST(:source AS TEXT))
ORDER BY customer, over_at, job_id, asset_type, asset_id NULLS FIRST
