WITH named AS (
    SELECT customer, session_id, source, room_id FROM objects WHERE asset_type IS NOT NULL
    UNION ALL
    SELECT customer, session_id, source, room_id FROM roomledger_raw.asset_reports WHERE NOT is_withdrawn
    UNION ALL
    SELECT customer, session_id, source, room_id FROM recordings
    UNION ALL
    SELECT customer, session_id, source, CAST(NULL AS TEXT) FROM peers
), known AS (
    SELECT customer, source, session_id, room_id, active, started_at, ended_at, room_name FROM sessions
    UNION ALL
    SELECT named.customer, min(named.source), named.session_id, min(named.room_id), CAST(NULL AS BOOLEAN),
           CAST(NULL AS TIMESTAMP WITH TIME ZONE), CAST(NULL AS TIMESTAMP WITH TIME ZONE), CAST(NULL AS TEXT)
    FROM named
    LEFT JOIN sessions ON sessions.session_id = named.session_id AND sessions.customer = named.customer
    WHERE named.session_id IS NOT NULL AND sessions.session_id IS NULL
    GROUP BY named.customer, named.session_id
), attendance AS (
    SELECT customer, session_id, count(*) AS peers,
           count(DISTINCT CASE WHEN user_id <> '' THEN 'user ' || user_id
                               WHEN name <> '' THEN 'name ' || name
                               ELSE 'peer ' || peer_id END) AS attendees
    FROM peers WHERE NOT is_recorder
    GROUP BY customer, session_id
), counts AS (
    SELECT customer, session_id,
           count(CASE WHEN kind = 'message' AND speaker_evidence <> 'doubtful' THEN 1 END) AS messages,
           count(CASE WHEN kind = 'message' AND speaker_evidence = 'doubtful' THEN 1 END) AS doubtful_messages,
           count(CASE WHEN kind = 'sentence' THEN 1 END) AS sentences
    FROM statements GROUP BY customer, session_id
), jobs AS (
    SELECT customer, session_id, count(*) AS recordings FROM recordings GROUP BY customer, session_id
), recorded AS (
    -- Each type or status is listed once, at its first row, with its total.
    SELECT customer, session_id, CAST(sum(in_all) AS BIGINT) AS assets,
           CAST(sum(CASE WHEN status = 'failed' THEN in_all ELSE 0 END) AS BIGINT) AS assets_failed,
           CAST(sum(in_bucket) AS BIGINT) AS assets_in_bucket,
           string_agg(total_of_type, ', ' ORDER BY total_of_type) AS assets_by_type,
           string_agg(total_of_status, ', ' ORDER BY total_of_status) AS assets_by_status
    FROM (
        SELECT customer, session_id, status, in_all, in_bucket,
               CASE WHEN row_number() OVER (PARTITION BY customer, session_id, asset_type ORDER BY status) = 1
                    THEN asset_type || ' ' || CAST(CAST(
                        sum(in_all) OVER (PARTITION BY customer, session_id, asset_type) AS BIGINT) AS TEXT)
                    END AS total_of_type,
               CASE WHEN row_number() OVER (PARTITION BY customer, session_id, status ORDER BY asset_type) = 1
                    THEN status || ' ' || CAST(CAST(
                        sum(in_all) OVER (PARTITION BY customer, session_id, status) AS BIGINT) AS TEXT)
                    END AS total_of_status
        FROM (
            SELECT customer, session_id, COALESCE(recording_assets.asset_type, 'unknown') AS asset_type,
                   COALESCE(recording_assets.status, 'unknown') AS status, count(*) AS in_all,
                   count(CASE WHEN disposition <> 'missing' THEN 1 END) AS in_bucket
            FROM recording_assets
            GROUP BY customer, session_id, COALESCE(recording_assets.asset_type, 'unknown'),
                     COALESCE(recording_assets.status, 'unknown')
        ) AS kinds
    ) AS counted
    GROUP BY customer, session_id
)
SELECT
    known.customer, known.source, known.session_id, known.room_id, COALESCE(rooms.name, known.room_name) AS room_name,
    known.active, known.started_at, known.ended_at,
    CAST(extract(epoch FROM known.ended_at - known.started_at) AS DOUBLE PRECISION) AS duration_s,
    COALESCE(attendance.attendees, 0) AS attendees, COALESCE(attendance.peers, 0) AS peers,
    COALESCE(counts.messages, 0) AS messages, COALESCE(counts.doubtful_messages, 0) AS doubtful_messages,
    COALESCE(counts.sentences, 0) AS sentences,
    COALESCE(jobs.recordings, 0) AS recordings,
    COALESCE(recorded.assets, 0) AS assets, COALESCE(recorded.assets_failed, 0) AS assets_failed,
    COALESCE(recorded.assets_in_bucket, 0) AS assets_in_bucket,
    recorded.assets_by_type, recorded.assets_by_status
FROM known
LEFT JOIN rooms ON rooms.room_id = known.room_id AND rooms.customer = known.customer
LEFT JOIN attendance ON attendance.session_id = known.session_id AND attendance.customer = known.customer
LEFT JOIN counts ON counts.session_id = known.session_id AND counts.customer = known.customer
LEFT JOIN jobs ON jobs.session_id = known.session_id AND jobs.customer = known.customer
LEFT JOIN recorded ON recorded.session_id = known.session_id AND recorded.customer = known.customer
