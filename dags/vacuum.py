"""Vacuum: delete rows of loads that died, and history that is older than the settings keep it."""

from __future__ import annotations

from airflow.sdk import CronTriggerTimetable, dag, task

from roomledger.airflow.schedule import RETRIES


@dag(
    dag_display_name="Roomledger: vacuum",
    schedule=CronTriggerTimetable("30 2 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["roomledger"],
    default_args=RETRIES,
    doc_md="""
Runs every night. Rows are written once: a corrected file, a replay or a load that died leaves rows behind that no
longer count. They stay as history, for `history_days` days of `[warehouse]` in `roomledger.toml`, or for ever. Rows
of loads that never settled are deleted in any case; nobody has ever seen them.
""",
)
def vacuum() -> None:
    """Vacuum; the task's log and return value have the counts."""

    @task(task_display_name="delete rows that do not count")
    def delete_rows() -> dict[str, int]:
        from roomledger.airflow import tasks

        return tasks.vacuum()

    delete_rows()


vacuum()
