-- An event that must have happened is a row even without a known time, such as the end of an inactive session.
WITH events AS (
    SELECT customer, source, session_id, room_id, started_at AS happened_at, 'session_start' AS kind,
           CAST(NULL AS TEXT) AS peer_id, CAST(NULL AS TEXT) AS user_id, CAST(NULL AS TEXT) AS name,
           CAST(NULL AS TEXT) AS role, CAST(NULL AS BOOLEAN) AS is_recorder, CAST(NULL AS TEXT) AS text,
           CAST(NULL AS TEXT) AS speaker_evidence, CAST(NULL AS TEXT) AS job_id, CAST(NULL AS TEXT) AS object_id,
           CAST(NULL AS BIGINT) AS ordinal
    FROM sessions
    UNION ALL
    SELECT customer, source, session_id, room_id, ended_at, 'session_end',
           CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS BOOLEAN),
           CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS BIGINT)
    FROM sessions WHERE ended_at IS NOT NULL OR NOT active
    UNION ALL
    SELECT peers.customer, peers.source, peers.session_id, sessions.room_id, peers.joined_at, 'join',
           peers.peer_id, NULLIF(peers.user_id, ''), NULLIF(peers.name, ''), peers.role, peers.is_recorder,
           CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS BIGINT)
    FROM peers LEFT JOIN sessions ON sessions.session_id = peers.session_id
    UNION ALL
    SELECT peers.customer, peers.source, peers.session_id, sessions.room_id, peers.left_at, 'leave',
           peers.peer_id, NULLIF(peers.user_id, ''), NULLIF(peers.name, ''), peers.role, peers.is_recorder,
           CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS TEXT), CAST(NULL AS BIGINT)
    FROM peers LEFT JOIN sessions ON sessions.session_id = peers.session_id
    WHERE peers.left_at IS NOT NULL OR sessions.ended_at IS NOT NULL OR NOT sessions.active
    UNION ALL
    SELECT customer, source, session_id, room_id, said_at, kind,
           peer_id, user_id, speaker_name, role, CAST(NULL AS BOOLEAN),
           text, speaker_evidence, CAST(NULL AS TEXT), object_id, ordinal
    FROM statements
    UNION ALL
    SELECT jobs.customer, jobs.source, jobs.session_id, jobs.room_id, jobs.started_at, 'recording_start',
           NULLIF(jobs.started_by, ''), NULLIF(peers.user_id, ''), NULLIF(peers.name, ''), peers.role,
           peers.is_recorder, CAST(NULL AS TEXT), CAST(NULL AS TEXT), jobs.job_id, CAST(NULL AS TEXT),
           CAST(NULL AS BIGINT)
    FROM recordings AS jobs
    LEFT JOIN peers ON peers.session_id = jobs.session_id AND peers.peer_id = jobs.started_by
    WHERE jobs.started_at IS NOT NULL OR jobs.stopped_at IS NOT NULL
       OR jobs.status IN ('running', 'stopping', 'post_processing', 'completed')
    UNION ALL
    SELECT jobs.customer, jobs.source, jobs.session_id, jobs.room_id, jobs.stopped_at, 'recording_stop',
           NULLIF(jobs.stopped_by, ''), NULLIF(peers.user_id, ''), NULLIF(peers.name, ''), peers.role,
           peers.is_recorder, CAST(NULL AS TEXT), CAST(NULL AS TEXT), jobs.job_id, CAST(NULL AS TEXT),
           CAST(NULL AS BIGINT)
    FROM recordings AS jobs
    LEFT JOIN peers ON peers.session_id = jobs.session_id AND peers.peer_id = jobs.stopped_by
    WHERE jobs.stopped_at IS NOT NULL OR jobs.status IN ('post_processing', 'completed')
)
SELECT
    events.customer, events.source, events.session_id, events.room_id, events.happened_at,
    CAST(extract(epoch FROM events.happened_at - sessions.started_at) AS DOUBLE PRECISION) AS offset_s,
    events.kind, events.peer_id, events.user_id, events.name, events.role, events.is_recorder, events.text,
    events.speaker_evidence, events.job_id, events.object_id, events.ordinal
FROM events LEFT JOIN sessions ON sessions.session_id = events.session_id
