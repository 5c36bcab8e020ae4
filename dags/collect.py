"""Collect: list every source's bucket and record new and missing objects in the ledger."""

from __future__ import annotations

from airflow.sdk import dag, task

from roomledger.airflow.schedule import NEW_OBJECTS, PENDING_LOADS, RETRIES, on_update_and_every_quarter


@dag(
    dag_display_name="Roomledger: collect",
    schedule=on_update_and_every_quarter(NEW_OBJECTS),
    catchup=False,
    max_active_runs=1,
    tags=["roomledger"],
    default_args=RETRIES,
    doc_md="""
Lists the bucket of every `[[source]]` in `roomledger.toml`, reads the vendor's API for every workspace, and records
each new object version. Runs every 15 minutes, and at once when the asset `roomledger_new_objects` is updated. It may
run any number of times: known versions change nothing. One task per source; the pool `roomledger_collect` limits how
many run at once.
""",
)
def collect() -> None:
    """List every source; the tasks' logs and return values have the counts."""

    @task(task_display_name="list the sources")
    def sources() -> list[str]:
        from roomledger.airflow import tasks

        return tasks.source_names()

    @task(
        task_display_name="collect one source",
        pool="roomledger_collect",
        outlets=[PENDING_LOADS],
        map_index_template="{{ task.op_kwargs['name'] }}",
    )
    def collect_source(name: str) -> dict[str, int]:
        from roomledger.airflow import tasks

        return tasks.collect(name)

    collect_source.expand(name=sources())


collect()
