-- The full record of one session: its events on one clock, then its recording assets with their origin.
-- Rows without a time are last in each part.
-- :session_id (text) The session.
-- :customer (text, optional) Only rows of this customer.
WITH record AS (
    SELECT customer, source, session_id, room_id, 'event' AS part, happened_at, offset_s, kind, peer_id, user_id, name,
           role, is_recorder, text, speaker_evidence, job_id, object_id, ordinal,
           CAST(NULL AS TEXT) AS asset_id, CAST(NULL AS TEXT) AS status, CAST(NULL AS TEXT) AS uri,
           CAST(NULL AS BIGINT) AS size_bytes, CAST(NULL AS BIGINT) AS size_difference_bytes
    FROM session_timeline WHERE session_id = CAST(:session_id AS TEXT)
    UNION ALL
    SELECT customer, source, session_id, room_id, 'asset', created_at, CAST(NULL AS DOUBLE PRECISION), asset_type,
           peer_id, user_id, CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS BOOLEAN), CAST(NULL AS TEXT),
           CAST(NULL AS TEXT), job_id, object_id, ordinal, asset_id, status, uri, size_bytes, size_difference_bytes
    FROM recording_assets WHERE session_id = CAST(:session_id AS TEXT)
)
SELECT
    record.customer, record.source, record.session_id, record.room_id, record.part, record.happened_at, record.offset_s,
    record.kind, record.peer_id, record.user_id, record.name, record.role, record.is_recorder, record.text,
    record.speaker_evidence, record.job_id, record.asset_id, record.status, record.size_bytes, record.size_difference_bytes,
    COALESCE(record.uri, origin.uri) AS uri, origin.disposition, origin.version,
    origin.content_sha256, origin.session_evidence, origin.session_reason,
    record.object_id, record.ordinal
FROM record LEFT JOIN objects AS origin ON origin.object_id = record.object_id
WHERE CAST(:customer AS TEXT) IS NULL OR record.customer = CAST(:customer AS TEXT)
ORDER BY record.customer, record.part DESC NULLS LAST, record.happened_at NULLS LAST,
         CASE record.kind WHEN 'session_start' THEN 0 WHEN 'session_end' THEN 2 ELSE 1 END,
         record.object_id, record.ordinal, record.kind, record.peer_id, record.job_id, record.asset_id
