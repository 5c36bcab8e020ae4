"""The installation of a run, with all that is to go wrong with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.chaos.faults.kills import ANSWERING, LOADING, Killer
from benchmarks.chaos.faults.notifications import carriers
from benchmarks.chaos.faults.schedule import Fates, Shares
from benchmarks.chaos.faults.webhooks import vendor
from benchmarks.chaos.probes import is_loading
from benchmarks.chaos.scenario import DAGS, Course, Say
from roomledger.queues.inbox_folder import open_inbox
from sandbox.dataset import World
from sandbox.live_traffic import emptied
from sandbox.servers import PostgresServer, postgres_server
from sandbox.servers.airflow import airflow
from sandbox.servers.installation import installed
from sandbox.servers.upload import uploads
from sandbox.up import POOLS

_METADATA = ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC")
# Airflow learns within seconds, not minutes, that somebody has died: a run may then have many deaths.
_SOON = {
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
}


@contextmanager
def staged(world: World, seed: int, folder: Path, *, duckdb: bool, say: Say) -> Iterator[tuple[Course, str]]:
    """Start all of it; give the course, and the address of an empty warehouse of the same engine."""
    with ExitStack() as stack:
        postgres = _postgres(stack)
        urls = [f"duckdb:///{folder}/{name}.duckdb" for name in ("warehouse", "undisturbed")]
        if not duckdb:
            urls = [postgres.new_database() for _ in urls]
        shares = Shares()
        place = stack.enter_context(installed(world, folder, rings=True, warehouse_url=urls[0]))
        place.vendor.workspaces = [emptied(workspace) for workspace in world.workspaces]
        put = stack.enter_context(uploads(world.buckets, place.s3, place.gcs))
        between = stack.enter_context(carriers(place, partial(Fates, seed, shares)))
        # Not SQLite: it is not for an installation with several API servers.
        metadata = dict.fromkeys(_METADATA, postgres.new_database())
        environment = place.environment | metadata | _SOON
        running = stack.enter_context(airflow(folder / "airflow", POOLS, environment, triggers=True, api_servers=2))
        for dag_id in DAGS:
            running.await_dag(dag_id)
        running.await_answers()
        posting = stack.enter_context(vendor(running.endpoints, shares, seed))
        at_work = {
            ANSWERING: lambda: any(carrier.held() for carrier in between),
            LOADING: lambda: is_loading(place.database),
        }
        inbox = open_inbox(f"file://{folder}/inbox")
        yield Course(place, running, put, inbox, between, posting, Killer(running, at_work), shares, say), urls[1]


def _postgres(stack: ExitStack) -> PostgresServer:
    # Started by root, PostgreSQL runs as a user of its own, who may not enter every folder.
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roomledger-chaos-")))
    folder.chmod(0o755)
    return stack.enter_context(postgres_server(folder))
