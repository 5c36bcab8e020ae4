-- All messages and sentences of one person in a period, with the origin of each row.
-- Statements without a time are included, with an empty said_at, unless their whole session was outside the period.
-- :user_id (text, or name) The customer's own id of the person.
-- :name (text, or user_id) The exact display name; other persons may have used it too, see speaker_evidence.
-- :since (time) Start of the period: a day such as 2024-08-01 (midnight, UTC) or an RFC 3339 time.
-- :until (time) End of the period, exclusive: 2024-09-01 (midnight, UTC) includes all of August 31.
-- :customer (text, optional) Only rows of this customer.
SELECT
    statement.customer, statement.source, statement.session_id, statement.room_id, statement.session_evidence,
    statement.said_at, statement.kind, statement.speaker_name, statement.user_id, statement.peer_id, statement.role,
    statement.speaker_evidence, statement.text, statement.copies, origin.uri, origin.version,
    origin.content_sha256, statement.object_id, statement.ordinal
FROM statements AS statement
JOIN objects AS origin ON origin.object_id = statement.object_id
LEFT JOIN sessions ON sessions.session_id = statement.session_id AND sessions.customer = statement.customer
WHERE (CAST(:user_id AS TEXT) IS NULL OR statement.user_id = CAST(:user_id AS TEXT))
  AND (CAST(:name AS TEXT) IS NULL OR statement.speaker_name = CAST(:name AS TEXT))
  AND (CAST(:customer AS TEXT) IS NULL OR statement.customer = CAST(:customer AS TEXT))
  AND COALESCE(statement.said_at, sessions.started_at, statement.recording_started_at,
               CAST(:since AS TIMESTAMP WITH TIME ZONE))
      < CAST(:until AS TIMESTAMP WITH TIME ZONE)
  AND COALESCE(statement.said_at, sessions.ended_at, sessions.started_at + INTERVAL '12 hours',
               statement.recording_started_at + INTERVAL '12 hours', CAST(:since AS TIMESTAMP WITH TIME ZONE))
      >= CAST(:since AS TIMESTAMP WITH TIME ZONE)
ORDER BY statement.customer, statement.said_at NULLS LAST, statement.object_id, statement.ordinal
