"""A real Airflow on loopback for the demo: API server, scheduler and DAG processor, on a database of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.servers import HOST, free_ports, running

_ROOT = Path(__file__).parent.parent
_START_SECONDS = 120


class AirflowFailed(Exception):
    """A DAG run failed, or Airflow did not come up; the message says where the log is."""


@dataclass(frozen=True, slots=True)
class Airflow:
    """A running Airflow, asked through its public API."""

    endpoint: str
    logs: Path

    def make_pool(self, name: str, slots: int) -> None:
        """Make a pool, as soon as Airflow answers."""
        self._ask_until_it_can("/api/v2/pools", {"name": name, "slots": slots}, "did not start")

    def trigger(self, dag_id: str) -> None:
        """Start a run of the DAG, as soon as Airflow has read its file."""
        self._ask_until_it_can(f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None}, f"did not read {dag_id}.py")

    def runs(self, dag_id: str) -> list[str]:
        """States of the DAG's runs. Raises AirflowFailed when one failed."""
        states = [run["state"] for run in self._ask(f"/api/v2/dags/{dag_id}/dagRuns")["dag_runs"]]
        if "failed" in states:
            raise AirflowFailed(f"a run of the DAG {dag_id} failed: see {self.logs}")
        return states

    def _ask_until_it_can(self, path: str, body: Mapping[str, Any], failure: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                self._ask(path, body)
                return
            except (urllib.error.URLError, ConnectionError) as error:
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                time.sleep(0.3)
        raise AirflowFailed(f"Airflow {failure} within {_START_SECONDS} s: see {self.logs}")

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            self.endpoint + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._token()}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _token(self) -> str:
        with urllib.request.urlopen(f"{self.endpoint}/auth/token", timeout=30) as answer:
            token: str = json.load(answer)["access_token"]
            return token


@contextmanager
def airflow(
    folder: Path, pools: Mapping[str, int], environment: Mapping[str, str], *, triggers: bool = False
) -> Iterator[Airflow]:
    """Start Airflow with the project's DAGs, plugin and these pools; `environment` holds connections and settings.

    Without `triggers` it has no triggerer, and no queue rings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    endpoint = f"http://{HOST}:{port}"
    settings = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__API__BASE_URL": endpoint,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(_ROOT / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{endpoint}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(_ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",  # it listens on loopback only, for a minute
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONPATH": str(_ROOT / "include"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    whole = settings | dict(environment)
    migrated = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=os.environ | whole,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    if migrated.returncode:
        raise AirflowFailed(f"airflow db migrate failed:\n{migrated.stderr[-2000:]}")
    # One group for all of it: they end together, at one signal.
    names = " ".join(["api-server", "dag-processor", "scheduler", *(["triggerer"] if triggers else [])])
    parts = f'for part in {names}; do "$0" -m airflow $part & done; wait'
    with running(["sh", "-c", parts, sys.executable], folder / "processes", whole):
        started = Airflow(endpoint, folder / "processes")
        for name, slots in pools.items():
            started.make_pool(name, slots)
        yield started
