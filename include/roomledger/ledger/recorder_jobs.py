"""Which job of the API a recorder is that webhooks tell of.

Nothing says that the ids of webhooks are those of the API (vendor documentation): a recorder is the job of the same id,
else the job that names the same object.
"""

from __future__ import annotations

from sqlalchemy import Connection, text


def match_recorders(tx: Connection, recorders: str) -> None:
    """Find the jobs of these recorders anew; `recorders` is a SELECT of their ids."""
    tx.execute(text(_MATCH.format(recorders=recorders)))


_MATCH = """
UPDATE event_recordings SET api_job_id = found_job_id
FROM (
    WITH ours AS (
        SELECT customer, recorder_id, job_id FROM event_recordings WHERE recorder_id IN ({recorders})
    )
    SELECT recorder_id AS found_recorder_id, COALESCE(min(same_id), min(same_object)) AS found_job_id
    FROM (
        SELECT ours.recorder_id, said.job_id AS same_id, CAST(NULL AS TEXT) AS same_object
        FROM ours LEFT JOIN job_records AS said ON said.job_id = ours.job_id AND said.customer = ours.customer
        UNION ALL
        SELECT ours.recorder_id, CAST(NULL AS TEXT), said.job_id
        FROM ours
        JOIN event_assets AS named ON named.recorder_id = ours.recorder_id AND named.customer = ours.customer
        JOIN asset_records AS said ON said.uri = named.uri AND said.customer = named.customer
    ) AS same
    GROUP BY recorder_id
) AS found
WHERE found_recorder_id = recorder_id
"""
