"""Listen: ingest the messages of the queues and the inbox, and load what is new, within seconds."""

from __future__ import annotations

from airflow.sdk import dag, get_current_context, task

from roomledger.airflow.schedule import notifications, on_update_and_every_quarter


@dag(
    dag_display_name="Roomledger: listen",
    schedule=on_update_and_every_quarter(notifications()),
    catchup=False,
    max_active_runs=1,
    tags=["roomledger"],
    default_args={"retries": 0},  # a run that waits for a retry would delay the next runs
    doc_md="""
Runs when messages wait in a `[[queue]]` of `roomledger.toml` or in the inbox of webhooks. It records the objects and
events that the messages name, acknowledges the messages, and loads what is new. It listens until nothing has arrived
for some seconds, or for five minutes, so that under steady load an object is queryable seconds after it was written.
It also runs every 15 minutes. Lost notifications do no harm: `collect` finds their objects.
""",
)
def listen() -> None:
    """Drain the queues; the task's log and return value have the counts."""

    @task(task_display_name="drain the queues")
    def drain_queues() -> dict[str, int]:
        from roomledger.airflow import tasks

        return tasks.listen(get_current_context()["run_id"])

    drain_queues()


listen()
