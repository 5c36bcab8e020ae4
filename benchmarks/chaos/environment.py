"""The environment of a run: the installation, Airflow, the fault proxies and the killer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.chaos.faults.delivery import FaultRates, RandomDelays
from benchmarks.chaos.faults.kills import LOADING, RECEIVING, Killer
from benchmarks.chaos.faults.notifications import fault_proxies
from benchmarks.chaos.faults.webhooks import webhook_sender
from benchmarks.chaos.probes import is_loading
from benchmarks.chaos.scenario import DAGS, Scenario, ShowStatus
from roomledger.runtime import open_inbox
from sandbox.dataset import Dataset
from sandbox.live_traffic import empty_workspace
from sandbox.servers.airflow import airflow
from sandbox.servers.installation import run_installation
from sandbox.servers.postgres import PostgresServer, postgres_server
from sandbox.servers.upload import create_buckets
from sandbox.up import POOLS

_METADATA = ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC")
# Airflow detects a dead process within seconds instead of minutes: a short run may then have many kills.
_FAST_DETECTION = {
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
}


@contextmanager
def running_environment(
    world: Dataset, seed: int, folder: Path, *, duckdb: bool, show_status: ShowStatus
) -> Iterator[tuple[Scenario, str]]:
    """Start everything; yield the scenario, and the URL of an empty warehouse of the same engine."""
    with ExitStack() as stack:
        postgres = _postgres(stack)
        urls = [f"duckdb:///{folder}/{name}.duckdb" for name in ("warehouse", "baseline")]
        if not duckdb:
            urls = [postgres.new_database() for _ in urls]
        rates = FaultRates()
        installation = stack.enter_context(run_installation(world, folder, notifications=True, warehouse_url=urls[0]))
        installation.vendor.workspaces = [empty_workspace(workspace) for workspace in world.workspaces]
        put = stack.enter_context(create_buckets(world.buckets, installation.s3, installation.gcs))
        proxies = stack.enter_context(fault_proxies(installation, partial(RandomDelays, seed, rates)))
        # PostgreSQL, because SQLite does not support several API servers.
        metadata = dict.fromkeys(_METADATA, postgres.new_database())
        environment = installation.environment | metadata | _FAST_DETECTION
        running = stack.enter_context(airflow(folder / "airflow", POOLS, environment, triggers=True, api_servers=2))
        for dag_id in DAGS:
            running.await_dag(dag_id)
        running.await_answers()
        webhooks = stack.enter_context(webhook_sender(running.endpoints, rates, seed))
        activities = {
            RECEIVING: lambda: any(proxy.has_in_flight() for proxy in proxies),
            LOADING: lambda: is_loading(installation.database),
        }
        inbox = open_inbox(f"file://{folder}/inbox")
        killer = Killer(running, activities)
        yield Scenario(installation, running, put, inbox, proxies, webhooks, killer, rates, show_status), urls[1]


def _postgres(stack: ExitStack) -> PostgresServer:
    # PostgreSQL that root starts runs as another user, who cannot enter every folder.
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roomledger-chaos-")))
    folder.chmod(0o755)
    return stack.enter_context(postgres_server(folder))
