-- Every window is partitioned by session_id, so that a filter by session_id is applied before the window.
WITH messages AS (
    SELECT *,
           row_number() OVER (PARTITION BY customer, session_id, message_key ORDER BY object_id, ordinal) AS copy,
           count(*) OVER (PARTITION BY customer, session_id, message_key) AS copies
    FROM (
        -- A doubtful message may be forged: it replaces no other.
        SELECT *, CASE WHEN session_id IS NULL OR message_id IS NULL OR message_id = '' OR is_doubtful
                       THEN object_id || ' ' || CAST(ordinal AS TEXT) ELSE message_id END AS message_key
        FROM chat_messages
    ) AS chat
), formats AS (
    SELECT *,
           rank() OVER (
               PARTITION BY customer, session_id, recording
               ORDER BY is_blank, CASE output_mode WHEN 'json' THEN 0 WHEN 'srt' THEN 1 ELSE 2 END
           ) AS preference
    FROM (
        SELECT transcripts.*,
               COALESCE(transcripts.job_id, regexp_replace(objects.uri, '/[^/]*$', '')) AS recording,
               CASE WHEN segments = 0 THEN 1 ELSE 0 END AS is_blank
        FROM transcripts JOIN objects ON objects.object_id = transcripts.object_id AND objects.load_id = transcripts.load_id
    ) AS files
), statement AS (
    SELECT customer, source, session_id, room_id, session_evidence, 'message' AS kind,
           sent_at AS said_at, recorder_started_at AS recording_started_at,
           CAST(NULL AS BIGINT) AS start_ms, CAST(NULL AS BIGINT) AS end_ms,
           NULLIF(sender_name, '') AS name, NULLIF(sender_peer_id, '') AS peer_id,
           NULLIF(sender_user_id, '') AS user_id,
           message AS text, object_id, ordinal, load_id, copies,
           CASE WHEN is_doubtful THEN 1 ELSE 0 END AS doubtful
    FROM messages WHERE copy = 1
    UNION ALL
    SELECT formats.customer, formats.source, formats.session_id, formats.room_id, formats.session_evidence, 'sentence',
           -- Bounded: older versions loaded times that no interval holds.
           formats.recording_started_at
           + CASE WHEN sentence.start_ms >= 0 AND sentence.start_ms <= 86400000 THEN sentence.start_ms END
             * INTERVAL '1 millisecond',
           formats.recording_started_at,
           sentence.start_ms, sentence.end_ms,
           NULLIF(sentence.speaker_name, ''), NULLIF(sentence.speaker_peer_id, ''), CAST(NULL AS TEXT),
           sentence.text, sentence.object_id, sentence.ordinal, sentence.load_id, CAST(1 AS BIGINT),
           0
    FROM formats JOIN transcript_segments AS sentence ON sentence.object_id = formats.object_id
    WHERE formats.preference = 1
), unique_names AS (
    -- Names that belong to one person in a session: the same user in all stays, or a single stay.
    SELECT customer, session_id, name,
           CASE WHEN count(*) = 1 THEN min(peers.peer_id) END AS peer_id,
           min(NULLIF(peers.user_id, '')) AS user_id,
           CASE WHEN count(DISTINCT peers.role) = 1 THEN min(peers.role) END AS role
    FROM peers
    WHERE NOT is_recorder AND name <> ''
    GROUP BY customer, session_id, name
    HAVING count(*) = 1
        OR (count(DISTINCT NULLIF(peers.user_id, '')) = 1 AND count(NULLIF(peers.user_id, '')) = count(*))
)
SELECT
    statement.customer, statement.source, statement.session_id, statement.room_id, statement.session_evidence,
    statement.kind, statement.said_at, statement.recording_started_at, statement.start_ms, statement.end_ms,
    COALESCE(statement.name, NULLIF(stay.name, '')) AS speaker_name,
    COALESCE(statement.peer_id, named.peer_id) AS peer_id,
    COALESCE(statement.user_id, NULLIF(stay.user_id, ''), named.user_id) AS user_id,
    COALESCE(stay.role, named.role) AS role,
    CASE WHEN statement.doubtful = 1 THEN 'doubtful'
         WHEN statement.peer_id IS NOT NULL THEN 'peer_id'
         WHEN statement.user_id IS NOT NULL THEN 'user_id'
         WHEN named.name IS NOT NULL THEN 'name'
         ELSE 'none' END AS speaker_evidence,
    statement.text, statement.object_id, statement.ordinal, statement.load_id, statement.copies
FROM statement
LEFT JOIN peers AS stay
    ON stay.customer = statement.customer AND stay.session_id = statement.session_id
   AND stay.peer_id = statement.peer_id
LEFT JOIN unique_names AS named
    ON named.session_id = statement.session_id AND named.name = statement.name AND named.customer = statement.customer
   AND statement.peer_id IS NULL AND statement.user_id IS NULL
