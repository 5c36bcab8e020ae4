-- Everything that one person wrote and said between two points in time, with where each row comes from.
-- What has no time of its own is in it, with an empty said_at, unless its session was wholly outside of that time.
-- :user_id (text, or name) The customer's own id of the person.
-- :name (text, or user_id) The name exactly as it was shown; others may have borne it too: see speaker_evidence.
-- :since (time) From when on: a day such as 2024-08-01 (its midnight, UTC) or an RFC 3339 time.
-- :until (time) Before when, exclusive: 2024-09-01 ends with the last moment of August 31, UTC.
-- :customer (text, optional) Only what belongs to this customer.
SELECT
    said.customer, said.source, said.session_id, said.room_id, said.session_evidence,
    said.said_at, said.kind, said.speaker_name, said.user_id, said.peer_id, said.role, said.speaker_evidence,
    said.text, said.copies, object_ledger.uri, object_ledger.version, object_ledger.content_sha256,
    said.object_id, said.ordinal
FROM statements AS said
JOIN object_ledger ON object_ledger.object_id = said.object_id
LEFT JOIN sessions ON sessions.session_id = said.session_id AND sessions.customer = said.customer
WHERE (CAST(:user_id AS TEXT) IS NULL OR said.user_id = CAST(:user_id AS TEXT))
  AND (CAST(:name AS TEXT) IS NULL OR said.speaker_name = CAST(:name AS TEXT))
  AND (CAST(:customer AS TEXT) IS NULL OR said.customer = CAST(:customer AS TEXT))
  AND COALESCE(said.said_at, sessions.started_at, said.recording_started_at, CAST(:since AS TIMESTAMP WITH TIME ZONE))
      < CAST(:until AS TIMESTAMP WITH TIME ZONE)
  AND COALESCE(said.said_at, sessions.ended_at, sessions.started_at + INTERVAL '12 hours',
               said.recording_started_at + INTERVAL '12 hours', CAST(:since AS TIMESTAMP WITH TIME ZONE))
      >= CAST(:since AS TIMESTAMP WITH TIME ZONE)
ORDER BY said.customer, said.said_at NULLS LAST, said.object_id, said.ordinal
