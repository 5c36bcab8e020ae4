"""Listen: take what waits in the queues and the inbox into the ledger, and load what is new, within seconds."""

from __future__ import annotations

from airflow.sdk import dag, get_current_context, task

from roomledger.airflow.schedule import notifications, on_update_and_every_quarter


@dag(
    dag_display_name="Roomledger: listen",
    schedule=on_update_and_every_quarter(notifications()),
    catchup=False,
    max_active_runs=1,
    tags=["roomledger"],
    default_args={"retries": 0},  # a run that waits to be tried again would hold up those that come after it
    doc_md="""
Runs when something waits in a `[[queue]]` of `roomledger.toml` or in the inbox of webhooks: notes what the notices
name, removes them, and loads what is new. It listens on until nothing has come for some seconds, five minutes at most,
so that under steady load an object is queryable seconds after it was written. Runs every 15 minutes in any case, and
needs no schedule to be right: what a lost notice would have said, `collect` finds.
""",
)
def listen() -> None:
    """Answer the queues; the task's log and return value hold the counts."""

    @task(task_display_name="drain the queues")
    def drain_queues() -> dict[str, int]:
        from roomledger.airflow import tasks

        return tasks.listen(get_current_context()["run_id"])

    drain_queues()


listen()
