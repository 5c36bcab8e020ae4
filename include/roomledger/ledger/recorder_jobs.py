"""Match the recorders that webhooks report with the jobs of the API.

The vendor's documentation does not state that both have the same ids. So a recorder is the job with the same id, else
the job that names the same object.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from roomledger.ledger.database import Staged, stage_query


def match_recorders(tx: Connection, recorders: Staged, jobs: Staged | None = None) -> Staged:
    """Find the jobs of these recorders (`recorder_id`); give the recordings that this or new `jobs` may change.

    The result has the columns `job_id` and `recorder_id`: the jobs and recorders concerned, the jobs that a recorder
    had before among them.
    """
    before = stage_query(tx, _MATCHES.format(recorders=recorders), "matches_before")
    tx.execute(text(_MATCH.format(recorders=recorders)))
    concerned = f"""
        SELECT job_id, recorder_id FROM {before}
        UNION SELECT api_job_id, recorder_id FROM event_recordings
              WHERE recorder_id IN (SELECT recorder_id FROM {recorders})
    """
    if jobs is not None:
        concerned += f"""
            UNION SELECT job_id, CAST(NULL AS TEXT) FROM {jobs}
            UNION SELECT api_job_id, recorder_id FROM event_recordings
                  WHERE api_job_id IN (SELECT job_id FROM {jobs})
        """
    return stage_query(tx, concerned, "recordings")


_MATCHES = """
SELECT api_job_id AS job_id, recorder_id FROM event_recordings
WHERE recorder_id IN (SELECT recorder_id FROM {recorders})
"""

_MATCH = """
UPDATE event_recordings SET api_job_id = found_job_id
FROM (
    WITH recorders AS (
        SELECT customer, recorder_id, job_id FROM event_recordings
        WHERE recorder_id IN (SELECT recorder_id FROM {recorders})
    )
    SELECT recorder_id AS found_recorder_id, COALESCE(min(same_id), min(same_object)) AS found_job_id
    FROM (
        SELECT recorders.recorder_id, jobs.job_id AS same_id, CAST(NULL AS TEXT) AS same_object
        FROM recorders
        LEFT JOIN job_records AS jobs ON jobs.job_id = recorders.job_id AND jobs.customer = recorders.customer
        UNION ALL
        SELECT recorders.recorder_id, CAST(NULL AS TEXT), records.job_id
        FROM recorders
        JOIN event_assets AS assets
            ON assets.recorder_id = recorders.recorder_id AND assets.customer = recorders.customer
        JOIN asset_records AS records ON records.uri = assets.uri AND records.customer = assets.customer
    ) AS candidates
    GROUP BY recorder_id
) AS found
WHERE found_recorder_id = recorder_id
"""
