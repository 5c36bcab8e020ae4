"""The DAGs in a real Airflow: they import fast and without side effects, and load buckets on both engines."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from roomledger.hundredms.redact import redact_body
from roomledger.ledger.database import Database
from roomledger.ledger.tables.columns import metadata
from roomledger.runtime import open_inbox
from sandbox.dataset import CANARIES, Dataset, generate
from sandbox.dataset.webhook_events import webhook_events
from sandbox.hundredms_api import Vendor, vendor_server
from sandbox.servers.gcs import GcsServer
from sandbox.servers.s3 import S3Server
from sandbox.servers.upload import upload_all
from tests.warehouses import fetch

ROOT = Path(__file__).parents[2]
DAGS = sorted((ROOT / "dags").glob("*.py"))


COMMANDS = """
import sys
from airflow.__main__ import main
for command in sys.argv[1:]:
    sys.argv = ["airflow", *command.split()]
    main()
"""
"""Several Airflow commands in one process: each takes seconds to start."""


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow with a database of its own, and the pools of the DAGs."""
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT / "include"),
    }
    steps = ("db migrate", "pools set roomledger_collect 4 listing", "pools set roomledger_load 1 loading")
    run([sys.executable, "-c", COMMANDS, *steps], environment)
    return environment


@pytest.fixture(scope="module")
def filled(s3: S3Server, gcs: GcsServer) -> Dataset:
    """A small dataset in the buckets of both clouds."""
    dataset = generate(sessions=6)
    upload_all(dataset, s3, gcs)
    return dataset


@pytest.fixture(scope="module")
def vendor(filled: Dataset) -> Iterator[Vendor]:
    """The vendor's API with that dataset."""
    with vendor_server(filled.workspaces) as server:
        yield server


def everything(database: Database) -> bytes:
    """All cells of all tables."""
    with database.begin(read_only=True) as tx:
        tables = [tx.execute(select(table)).all() for table in metadata.sorted_tables]
    return repr(tables).encode()


def run(command: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, env=os.environ | dict(environment), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


IMPORT_AND_RUN = """
import json, sys, time
import airflow.sdk, airflow.models  # what Airflow itself costs
from airflow.dag_processing.dagbag import DagBag
import builtins, socket

opened = []
def record(event, args):
    if event == "open" and isinstance(args[0], str) and args[0].endswith((".toml", ".duckdb")):
        opened.append(args[0])
    if event in ("socket.connect", "subprocess.Popen"):
        opened.append(event)
sys.addaudithook(record)
before = set(sys.modules)
bag = DagBag(sys.argv[1])
heavy = {"boto3", "pandas", "pyarrow", "duckdb", "obstore", "google.cloud.storage", "roomledger.pipeline"}
print("FOUND" + json.dumps({
    "errors": bag.import_errors,
    "dags": {dag_id: [task.task_id for task in dag.tasks] for dag_id, dag in bag.dags.items()},
    "undocumented": [dag_id for dag_id, dag in bag.dags.items() if not dag.doc_md],
    "pools": sorted({task.pool for dag in bag.dags.values() for task in dag.tasks}),
    "opened": opened,
    "heavy": sorted(heavy & (set(sys.modules) - before)),
    "seconds": max(stat.duration.total_seconds() for stat in bag.dagbag_stats),
}) + "FOUND")

run = bag.dags["collect"].test()
[task] = [task for task in run.get_task_instances() if task.task_id == "sources"]
print("STATE", run.state, task.state, task.try_number, task.max_tries)
"""


@pytest.fixture(scope="module")
def without_settings(airflow_home: dict[str, str]) -> str:
    """The output of an Airflow that imports the DAGs and runs one without a settings file."""
    nowhere = airflow_home | {"ROOMLEDGER_CONFIG": "/nowhere/roomledger.toml"}
    return run([sys.executable, "-c", IMPORT_AND_RUN, str(ROOT / "dags")], nowhere)


def test_dags_import_fast_and_without_side_effects(without_settings: str) -> None:
    found = json.loads(without_settings.split("FOUND")[1])
    assert found["errors"] == {}
    assert found["dags"] == {
        "collect": ["sources", "collect_source"],
        "load": ["plan", "load_batches"],
        "listen": ["drain_queues"],
        "vacuum": ["delete_rows"],
    }
    assert found["undocumented"] == []
    assert found["pools"] == ["default_pool", "roomledger_collect", "roomledger_load"]
    assert found["opened"] == ["/nowhere/roomledger.toml"]  # for the names of the queues to watch
    assert found["heavy"] == []
    assert found["seconds"] < 1


@pytest.mark.parametrize("dag", DAGS, ids=lambda path: path.stem)
def test_a_dag_file_is_a_schedule(dag: Path) -> None:
    assert len(dag.read_text().splitlines()) < 60
    top = {type(node) for node in ast.parse(dag.read_text()).body}
    assert top <= {ast.Expr, ast.Import, ast.ImportFrom, ast.FunctionDef}


def test_only_the_airflow_folder_imports_airflow() -> None:
    for module in (ROOT / "include" / "roomledger").rglob("*.py"):
        imported = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(module.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert "airflow" not in imported or module.parent.name == "airflow", module


def test_an_error_in_the_settings_is_reported_at_once_and_not_retried(without_settings: str) -> None:
    assert "there is no settings file at /nowhere/roomledger.toml" in without_settings
    assert without_settings.split("STATE")[1].split() == ["failed", "failed", "1", "3"]


TEST_RUN = """
import os, sys
from airflow.dag_processing.dagbag import DagBag
from roomledger.airflow import tasks
tasks.QUIET_S = 0.5
bag = DagBag(sys.argv[1])
for config in sys.argv[2:]:
    os.environ["ROOMLEDGER_CONFIG"] = config
    for dag_id in ("listen", "collect", "load"):
        run = bag.dags[dag_id].test()
        tasks = {(task.task_id, task.map_index): str(task.state) for task in run.get_task_instances()}
        print("STATE", dag_id, run.state, sorted(set(tasks.values())), flush=True)
        assert str(run.state) == "success", tasks
"""


def test_the_dags_load_both_clouds_and_webhooks_into_both_engines(
    airflow_home: dict[str, str],
    ready_duckdb: Callable[[Path], Database],
    ready_postgres: Callable[[], Database],
    filled: Dataset,
    s3: S3Server,
    gcs: GcsServer,
    vendor: Vendor,
    tmp_path: Path,
) -> None:
    endpoints = {"s3": s3.endpoint, "gs": gcs.endpoint}
    sources = "".join(
        f'[[source]]\nname = "{bucket.source}"\ncustomer = "{bucket.customer}"\nurl = "{bucket.url}"\n'
        f'connection = "{bucket.scheme}_demo"\n' + (f'endpoint = "{gcs.endpoint}"\n' if bucket.scheme == "gs" else "")
        for bucket in filled.buckets
    ) + "".join(
        f'[[source]]\nname = "{workspace.source}"\ncustomer = "{workspace.customer}"\nurl = "{workspace.url}"\n'
        f'connection = "{workspace.name}_demo"\nendpoint = "{vendor.endpoint}"\nwebhook_header = "X-Secret"\n'
        for workspace in filled.workspaces
    )
    warehouses = {"duckdb": ready_duckdb(tmp_path), "postgres": ready_postgres()}
    configs = [tmp_path / f"{engine}.toml" for engine in warehouses]
    for config, database in zip(configs, warehouses.values(), strict=True):
        inbox = f"file://{config.with_suffix('')}"
        config.write_text(f'[warehouse]\nurl = "{database.url}"\n{sources}[webhooks]\ninbox = "{inbox}"\n')
        for workspace in filled.workspaces:
            for session in workspace.sessions:
                for event in webhook_events(workspace, session["id"]):
                    body = redact_body(json.dumps(event).encode())
                    open_inbox(inbox).put(workspace.source, body, datetime.now(UTC))
    aws = {"region_name": s3.region, "service_config": {"s3": {"endpoint_url": endpoints["s3"]}}}
    connections = {
        "S3_DEMO": {"conn_type": "aws", "login": s3.access_key, "password": s3.secret_key, "extra": aws},
        "GS_DEMO": {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": "demo"}},
    }
    for workspace in filled.workspaces:
        keys = {"conn_type": "generic", "login": workspace.access_key, "password": workspace.secret}
        connections[f"{workspace.name.upper()}_DEMO"] = keys
    environment = airflow_home | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
    environment |= {f"AIRFLOW_CONN_{name}": json.dumps(c) for name, c in connections.items()}
    output = run([sys.executable, "-c", TEST_RUN, str(ROOT / "dags"), *map(str, configs)], environment)
    secrets = [*CANARIES, *(workspace.secret for workspace in filled.workspaces)]
    # At this level, Airflow logs each secret that it masks from then on.
    output = "\n".join(line for line in output.splitlines() if "MaskSecret(" not in line)
    home = Path(airflow_home["AIRFLOW_HOME"])
    written = {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    written |= {"output": output.encode()} | {engine: everything(database) for engine, database in warehouses.items()}
    assert [
        (where, secret) for where, content in written.items() for secret in secrets if secret.encode() in content
    ] == []
    for engine, database in warehouses.items():
        assert b"meeting_url" in written[engine]
        found: dict[str, dict[str, int]] = {}
        for source, disposition, count in fetch(
            database, "SELECT source, disposition, count(*) FROM object_ledger GROUP BY 1, 2"
        ):
            found.setdefault(source, {})[disposition] = count
        assert found == filled.expected.objects, engine
        # A recorder whose job has no file is known to webhooks by other ids, and is a recording of its own.
        tables = {"recordings": "recordings WHERE record IS NOT NULL"}
        for table, rows in filled.expected.rows.items():
            assert fetch(database, f"SELECT count(*) FROM {tables.get(table, table)}") == [(rows,)], (engine, table)
        assert fetch(database, "SELECT count(*) > 500 FROM vendor_events") == [(True,)], engine
        assert fetch(database, "SELECT DISTINCT split_part(started_by, ' ', 1) FROM loads") == [("airflow",)], engine
