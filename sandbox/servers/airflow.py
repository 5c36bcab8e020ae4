"""A real Airflow on loopback: API servers, scheduler, DAG processor and triggerer, with their own database.

Each part is a process with its own session, so it can be killed and restarted while the others run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.servers.process_group import HOST, free_ports, running

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 120
ACTIVE = ("queued", "running")
"""States of a run that has not ended."""


class AirflowFailed(Exception):
    """A DAG run failed, or Airflow did not start; the message has the path of the log."""


@dataclass(slots=True)
class Part:
    """One process of Airflow with its child processes; only one thread at a time may use it."""

    command: Sequence[str]
    folder: Path
    """Its working directory and log; the same after every restart."""
    environment: Mapping[str, str] = field(repr=False)
    _process: subprocess.Popen[bytes] | None = None
    _exit_stack: ExitStack = field(default_factory=ExitStack)

    @property
    def pid(self) -> int | None:
        """Process id; None while it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def session(self) -> int | None:
        """Session id of its processes, which may outlive it; None before its start and after its stop."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, or restart it; remaining processes of an earlier start are stopped."""
        self.stop()
        self._process = self._exit_stack.enter_context(running(self.command, self.folder, dict(self.environment)))

    def kill(self, *, alone: bool = False) -> None:
        """Kill it without warning, with its child processes unless `alone`."""
        if self._process:
            self._process.kill()
            self._process.wait()
        if not alone:
            self.stop()

    def stop(self) -> None:
        """Terminate it, then kill the remaining processes of its session."""
        self._process = None
        self._exit_stack.close()


@dataclass(frozen=True, slots=True)
class Airflow:
    """A running Airflow; the methods use its public API."""

    endpoint: str
    logs: Path
    endpoints: Sequence[str] = ()
    """Endpoints of all API servers; tasks and these methods use the first one."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """By name: `scheduler`, `dag-processor`, `triggerer`, `api-server`, `api-server-2`, and so on."""

    def make_pool(self, name: str, slots: int) -> None:
        """Create a pool as soon as Airflow responds."""
        self._request_until_ready("/api/v2/pools", {"name": name, "slots": slots}, "did not start")

    def trigger(self, dag_id: str) -> str:
        """Start a run of the DAG as soon as Airflow has parsed its file, and return the id of the run."""
        run = self._request_until_ready(
            f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None}, f"did not parse {dag_id}.py"
        )
        return str(run["dag_run_id"])

    def await_dag(self, dag_id: str) -> None:
        """Wait until Airflow has parsed the DAG's file."""
        self._request_until_ready(f"/api/v2/dags/{dag_id}", None, f"did not parse {dag_id}.py")

    def await_answers(self) -> None:
        """Wait until every API server responds."""
        for endpoint in self.endpoints:
            self._request_until_ready("/api/v2/version", None, f"does not respond at {endpoint}", endpoint)

    def runs(self, dag_id: str) -> list[str]:
        """States of the DAG's runs. Raises AirflowFailed if one failed."""
        states = [run["state"] for run in self._request(f"/api/v2/dags/{dag_id}/dagRuns")["dag_runs"]]
        if "failed" in states:
            raise AirflowFailed(f"a run of the DAG {dag_id} failed: see {self.logs}")
        return states

    def state(self, dag_id: str, run_id: str) -> str:
        """State of this run: `queued`, `running`, `success` or `failed`."""
        return str(self._request(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def count(self, dag_id: str, *states: str) -> int:
        """Number of the DAG's runs in these states; of all runs if there are no states."""
        found = self._request(f"/api/v2/dags/{dag_id}/dagRuns?" + "&".join(f"state={state}" for state in states))
        return int(found["total_entries"])

    def _request_until_ready(
        self, path: str, body: Mapping[str, Any] | None, failure: str, endpoint: str | None = None
    ) -> Any:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                return self._request(path, body, endpoint)
            except OSError as error:  # no response, or an error status
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                time.sleep(0.3)
        raise AirflowFailed(f"Airflow {failure} within {_START_SECONDS} s: see {self.logs}")

    def _request(self, path: str, body: Mapping[str, Any] | None = None, endpoint: str | None = None) -> Any:
        endpoint = endpoint or self.endpoint
        request = urllib.request.Request(
            endpoint + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {_token(endpoint)}"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


def _token(endpoint: str) -> str:
    with urllib.request.urlopen(f"{endpoint}/auth/token", timeout=30) as response:
        token: str = json.load(response)["access_token"]
        return token


@contextmanager
def airflow(
    folder: Path,
    pools: Mapping[str, int],
    environment: Mapping[str, str],
    *,
    triggers: bool = False,
    api_servers: int = 1,
) -> Iterator[Airflow]:
    """Start Airflow with the project's DAGs, plugin and these pools; `environment` has connections and settings.

    Without `triggers` there is no triggerer, and Airflow does not listen to queues.
    """
    folder.mkdir(parents=True, exist_ok=True)
    endpoints = [f"http://{HOST}:{port}" for port in free_ports(api_servers)]
    settings = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__API__BASE_URL": endpoints[0],
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(_ROOT / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{endpoints[0]}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(_ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",  # only on loopback, and only while the program runs
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONPATH": str(_ROOT / "include"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    variables = settings | dict(environment)
    migrated = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    if migrated.returncode:
        raise AirflowFailed(f"airflow db migrate failed:\n{migrated.stderr[-2000:]}")
    parts = {
        name: Part([sys.executable, "-m", "airflow", *arguments], folder / "processes" / name, variables)
        for name, arguments in _commands(endpoints, triggers=triggers)
    }
    try:
        _each(Part.start, parts)
        started = Airflow(endpoints[0], folder / "processes", endpoints, parts)
        for name, slots in pools.items():
            started.make_pool(name, slots)
        yield started
    finally:
        _each(Part.stop, parts)


def _commands(endpoints: Sequence[str], *, triggers: bool) -> Iterator[tuple[str, list[str]]]:
    for number, endpoint in enumerate(endpoints, 1):
        port = endpoint.rpartition(":")[2]
        yield "api-server" + f"-{number}" * (number > 1), ["api-server", "--host", HOST, "--port", port]
    for name in ["dag-processor", "scheduler", *["triggerer"] * triggers]:
        yield name, [name]


def _each(do: Callable[[Part], None], parts: Mapping[str, Part]) -> None:
    """Apply `do` to all parts in parallel: one stop takes seconds."""
    with ThreadPoolExecutor(len(parts)) as threads:
        for _ in threads.map(do, parts.values()):
            pass
