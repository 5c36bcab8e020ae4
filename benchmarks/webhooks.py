"""Latency of the webhook endpoint in Airflow's API server: signed events at a constant rate, into a local inbox.

Each request starts on schedule, whether or not the earlier ones are answered. Its time ends with the answer, which
means that the event is durable. Afterwards the inbox is drained: it must hold each event exactly once.

Soon after the start, Python collects garbage once among everything that Airflow has loaded. No request is answered
during these 0.3 to 0.5 s (on two slow cores): the columns "first" or "max" show them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple
from uuid import uuid4

import duckdb
import httpx
from rich.console import Console
from rich.table import Table

from roomledger.queues.inbox_folder import FolderInbox
from sandbox.servers import HOST, free_ports, running

PER_SECOND = 100.0
SECONDS = 10.0
LIMIT_S = 1.0
"""100ms retries one second after a failure, so a slower answer may be as bad as none."""
START_SECONDS = 120
_ROOT = Path(__file__).parents[1]

SETTINGS = """
[warehouse]
url = "duckdb:///{folder}/warehouse.duckdb"
[webhooks]
inbox = "file://{folder}/inbox"
[[source]]
name = "talk"
customer = "Acme"
url = "100ms://acme"
webhook_header = "X-Secret"
"""


class Result(NamedTuple):
    """What was measured for one number of servers; all times are in seconds."""

    first: float
    """Slowest first request of a server: it reads the settings and is rejected. `latencies` does not include it."""
    latencies: list[float]
    drain: float
    not_once: int
    """Events that were not in the inbox exactly once."""


def new_event() -> dict[str, object]:
    """Make an event of about 1.5 KB."""
    room, session = uuid4().hex[:24], uuid4().hex[:24]
    path = f"s3://acme-recordings/live/beam/{room}/20260302/Rec-{room}-1772445600000"
    data = {
        "room_id": room,
        "session_id": session,
        "beam_id": uuid4().hex[:24],
        "recording_id": uuid4().hex[:24],
        "meeting_url": f"https://acme.example/preview/{room}?token=beam_recording",
        "rtmp": [{"url": f"rtmp://live.example/app/{uuid4()}"}],
        "recording_path": f"{path}.mp4",
        "recording_presigned_url": f"https://acme.example/{room}.mp4?X-Amz-Expires=259200&X-Amz-Signature={uuid4().hex}",
        "chat_recording_path": f"{path}.csv",
        "chat_recording_presigned_url": f"https://acme.example/{room}.csv?X-Amz-Signature={uuid4().hex}",
        "max_width": 1280,
        "max_height": 720,
        "duration": 1804,
        "size": 26361961,
        "started_at": "2026-03-02T10:00:00.051Z",
        "stopped_at": "2026-03-02T10:30:04.778Z",
    }
    envelope = {"version": "2.0", "id": str(uuid4()), "timestamp": "2026-03-02T10:31:00Z"}
    return envelope | {"type": "beam.recording.success", "data": data}


async def send(urls: Sequence[str], bodies: Sequence[bytes], per_second: float) -> tuple[float, list[float]]:
    """Send to the servers in turn; return the seconds of the slowest first request, and of each event's request."""

    async def timed(client: httpx.AsyncClient, url: str, body: bytes, at: float) -> float:
        signature = hmac.new(b"signing", body, hashlib.sha256).hexdigest()
        await asyncio.sleep(at - time.perf_counter())
        answer = await client.post(url, content=body, headers={"X-Secret": "s", "x-100ms-signature": signature})
        answer.raise_for_status()
        return time.perf_counter() - at

    # No proxy leads to this machine, and the preparation for TLS would take longer than a request.
    async with httpx.AsyncClient(timeout=30, verify=False, trust_env=False) as client:
        firsts = []
        for url in urls:
            began = time.perf_counter()
            await client.post(url, content=b"{}", headers={"X-Secret": "none"})
            firsts.append(time.perf_counter() - began)
        began = time.perf_counter() + 0.5
        sent = enumerate(zip(cycle(urls), bodies, strict=False))
        latencies = await asyncio.gather(*(timed(client, url, body, began + n / per_second) for n, (url, body) in sent))
        return max(firsts), latencies


@contextmanager
def serving(folder: Path, servers: int, *, airflow: bool) -> Iterator[list[str]]:
    """Start API servers of one Airflow, or the endpoint under uvicorn alone; yield the URL on each server."""
    folder.joinpath("roomledger.toml").write_text(SETTINGS.format(folder=folder))
    environment = {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(_ROOT / "plugins"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONPATH": str(_ROOT / "include"),
        "ROOMLEDGER_CONFIG": str(folder / "roomledger.toml"),
        "ROOMLEDGER_WEBHOOK_SECRETS_TALK": "s",
        "ROOMLEDGER_WEBHOOK_SIGNING_SECRETS_TALK": "signing",
    }
    command, path = ["uvicorn", "--factory", "roomledger.webhook.endpoint:create_app"], "/webhooks/talk"
    if airflow:
        command, path = ["airflow", "api-server"], f"/roomledger{path}"
        migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    with ExitStack() as stack:
        ports, processes = free_ports(servers), []
        for port in ports:
            arguments = [sys.executable, "-m", *command, f"--host={HOST}", f"--port={port}"]
            processes.append(stack.enter_context(running(arguments, folder / str(port), environment)))
        for port, process in zip(ports, processes, strict=True):
            _await_answer(port, process, folder / str(port) / "server.log")
        yield [f"http://{HOST}:{port}{path}" for port in ports]


def _await_answer(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return as soon as the server answers, whatever the answer is."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"http://{HOST}:{port}/", verify=False, trust_env=False, timeout=30)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"a server did not start; the end of its log: {log.read_text('utf-8', 'replace')[-2000:]}")


def measure(servers: int, *, airflow: bool, lock_warehouse: bool, per_second: float, seconds: float) -> Result:
    """Measure this many servers; with `lock_warehouse` no server can open the warehouse during the measurement."""
    events = [new_event() for _ in range(round(per_second * seconds))]
    with tempfile.TemporaryDirectory(prefix="roomledger-webhooks-") as name, ExitStack() as stack:
        if lock_warehouse:
            stack.enter_context(duckdb.connect(f"{name}/warehouse.duckdb"))
        with serving(Path(name), servers, airflow=airflow) as urls:
            first, latencies = asyncio.run(send(urls, [json.dumps(each).encode() for each in events], per_second))
        began = time.perf_counter()
        inbox, found = FolderInbox(Path(name, "inbox")), Counter[object]()
        while messages := inbox.receive(0):
            found.update(json.loads(message.body)["id"] for message in messages)
            inbox.ack(messages)
        drain = time.perf_counter() - began
    sent = {each["id"] for each in events}
    not_once = sum(found[event_id] != (event_id in sent) for event_id in found.keys() | sent)
    return Result(first, latencies, drain, not_once)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 1 if an event is not stored exactly once, or if the 99th percentile is too slow."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--servers", type=int, nargs="+", default=[1], help="numbers of API servers to measure")
    parser.add_argument("--per-second", type=float, default=PER_SECOND, help="events per second, default %(default)s")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="duration, default %(default)s")
    parser.add_argument("--lock-warehouse", action="store_true", help="while another process locks the warehouse")
    parser.add_argument("--without-airflow", action="store_true", help="the endpoint under uvicorn alone")
    options = parser.parse_args(arguments)
    if round(options.per_second * options.seconds) < 2:
        parser.error("percentiles need at least 2 events: use more --seconds")
    console = Console(width=None if sys.stdout.isatty() else 120)
    server = "uvicorn alone" if options.without_airflow else "Airflow's API server"
    locked = ", warehouse locked" if options.lock_warehouse else ""
    table = Table(title=f"Webhooks: {options.per_second:g}/s for {options.seconds:g} s, {server}{locked}; ms")
    for column in ("servers", "first", "median", "p95", "p99", "max", "drained/s", "not stored once"):
        table.add_column(column, justify="right")
    failed = False
    for servers in options.servers:
        with console.status(f"{servers} x {server}"):
            result = measure(
                servers,
                airflow=not options.without_airflow,
                lock_warehouse=options.lock_warehouse,
                per_second=options.per_second,
                seconds=options.seconds,
            )
        percentiles = quantiles(result.latencies, n=100, method="inclusive")
        figures = [result.first, *(percentiles[percent - 1] for percent in (50, 95, 99)), max(result.latencies)]
        drained = f"{len(result.latencies) / result.drain:,.0f}"
        table.add_row(str(servers), *(f"{1000 * each:.1f}" for each in figures), drained, str(result.not_once))
        failed |= result.not_once > 0 or percentiles[98] > LIMIT_S
    console.print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
