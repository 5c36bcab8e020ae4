"""Load: read the pending objects of the ledger and load them into the warehouse, batch by batch."""

from __future__ import annotations

from airflow.sdk import Param, dag, get_current_context, task

from roomledger.airflow.schedule import PENDING_LOADS, RETRIES, on_update_and_every_quarter


@dag(
    dag_display_name="Roomledger: load",
    schedule=on_update_and_every_quarter(PENDING_LOADS),
    catchup=False,
    max_active_runs=1,
    tags=["roomledger"],
    default_args=RETRIES,
    params={
        "accept_refusals": Param(False, type="boolean", description="Continue even if most of a batch is refused.")
    },
    doc_md="""
Plans the pending object versions of the ledger into batches. Each load task claims its batches, reads and parses the
files, and commits rows and ledger together. Runs after every `collect`, and every 15 minutes for retries. A task that
dies loses nothing: its claims expire after five minutes. The pool `roomledger_load` limits how many load tasks run at
once. Fails when most of a batch is refused for one reason: if the files really are bad, trigger it with
`accept_refusals`; otherwise see `docs/operations.md`.
""",
)
def load() -> None:
    """Plan, then load; the tasks' logs and return values have the counts."""

    @task(task_display_name="plan the batches")
    def plan() -> list[int]:
        from roomledger.airflow import tasks

        return tasks.plan_loads()

    @task(task_display_name="load batches", pool="roomledger_load")
    def load_batches(batches: int) -> dict[str, int]:
        from roomledger.airflow import tasks

        context = get_current_context()
        return tasks.load(batches, context["run_id"], accept_refusals=context["params"]["accept_refusals"])

    load_batches.expand(batches=plan())


load()
