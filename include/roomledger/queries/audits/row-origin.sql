-- The origin of one row: the object version it was read from, its load, and the evidence for its session.
-- Give object_id and ordinal of a row of any table of records, or the message_id of a chat message.
-- :object_id (text, or message_id) object_id of the row.
-- :ordinal (number, with object_id) ordinal of the row; 0 for the row of a whole file.
-- :message_id (text, or object_id) The vendor's id of a chat message; gives one row per recorder that wrote it.
WITH wanted AS (
    SELECT object_id, ordinal FROM chat_messages WHERE message_id = CAST(:message_id AS TEXT)
    UNION ALL
    SELECT object_id, CAST(:ordinal AS BIGINT) FROM objects WHERE object_id = CAST(:object_id AS TEXT)
), matches AS (
    SELECT wanted.object_id, wanted.ordinal, 'object_assets' AS table_name
    FROM wanted JOIN object_assets AS one ON one.object_id = wanted.object_id AND one.ordinal = wanted.ordinal
    UNION ALL
    SELECT wanted.object_id, wanted.ordinal, 'chat_messages'
    FROM wanted JOIN chat_messages AS one ON one.object_id = wanted.object_id AND one.ordinal = wanted.ordinal
    UNION ALL
    SELECT wanted.object_id, wanted.ordinal, 'transcripts'
    FROM wanted JOIN transcripts AS one ON one.object_id = wanted.object_id AND one.ordinal = wanted.ordinal
    UNION ALL
    SELECT wanted.object_id, wanted.ordinal, 'transcript_segments'
    FROM wanted JOIN transcript_segments AS one ON one.object_id = wanted.object_id AND one.ordinal = wanted.ordinal
    UNION ALL
    SELECT wanted.object_id, wanted.ordinal, 'transcript_words'
    FROM wanted JOIN transcript_words AS one ON one.object_id = wanted.object_id AND one.ordinal = wanted.ordinal
    UNION ALL
    SELECT wanted.object_id, wanted.ordinal, 'summaries'
    FROM wanted JOIN summaries AS one ON one.object_id = wanted.object_id AND one.ordinal = wanted.ordinal
    UNION ALL
    SELECT wanted.object_id, wanted.ordinal, 'summary_sections'
    FROM wanted JOIN summary_sections AS one ON one.object_id = wanted.object_id AND one.ordinal = wanted.ordinal
    UNION ALL
    SELECT wanted.object_id, wanted.ordinal, 'summary_points'
    FROM wanted JOIN summary_points AS one ON one.object_id = wanted.object_id AND one.ordinal = wanted.ordinal
), found AS (
    SELECT object_id, ordinal, string_agg(DISTINCT table_name, ', ' ORDER BY table_name) AS tables
    FROM matches GROUP BY object_id, ordinal
), changes AS (
    SELECT object_id, string_agg(change, '; ' ORDER BY change) AS session_changes
    FROM (
        -- The inner cast tells the translation that the text is of a time.
        SELECT object_id, CAST(CAST(changed_at AS TIMESTAMP WITH TIME ZONE) AS TEXT) || ' by ' || changed_by || ', from '
               || COALESCE(from_session_id, 'no session') || ' to ' || COALESCE(to_session_id, 'no session')
               || ', ' || reason AS change
        FROM session_changes WHERE object_id IN (SELECT object_id FROM wanted)
    ) AS each_change
    GROUP BY object_id
)
SELECT
    found.object_id, found.ordinal, found.tables, origin.customer, origin.source, origin.uri, origin.version,
    origin.version_id, origin.modified_at, origin.size_bytes, origin.content_sha256, origin.disposition,
    origin.parser_version, origin.load_id, loads.committed_at, loads.started_by,
    origin.room_id, origin.session_id, origin.session_evidence, origin.session_reason, changes.session_changes,
    origin.asset_id, origin.job_id
FROM found
JOIN objects AS origin ON origin.object_id = found.object_id
LEFT JOIN loads ON loads.load_id = origin.load_id
LEFT JOIN changes ON changes.object_id = found.object_id
ORDER BY found.object_id, found.ordinal
