"""Latency of the webhook endpoint in Airflow's API server: signed events, sent at their times, into an inbox here.

Each request begins at its time, whether those before it are answered or not, and is timed from that moment until its
answer is there, which means that the event is durable. Then the inbox is drained, and each event has to be there once.

Soon after its start Python looks once through all that Airflow has loaded, for 0.3 to 0.5 s on two slow
processors, and nothing is answered meanwhile: it shows as the longest, or in the first, whichever it meets.
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
"""The vendor tries again a second after a failure: a slower answer could be as good as none."""
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


class Measured(NamedTuple):
    """What came out for some servers; all times are seconds."""

    first: float
    """The slowest first request of a server, which reads the settings and is refused; it is not in `took`."""
    took: list[float]
    drain: float
    amiss: int
    """Events that were not in the inbox exactly once."""


def event() -> dict[str, object]:
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
    """Send these, to each of the servers in turn; give the seconds of their slowest first request and of each event."""

    async def one(client: httpx.AsyncClient, url: str, body: bytes, at: float) -> float:
        signature = hmac.new(b"signing", body, hashlib.sha256).hexdigest()
        await asyncio.sleep(at - time.perf_counter())
        answer = await client.post(url, content=body, headers={"X-Secret": "s", "x-100ms-signature": signature})
        answer.raise_for_status()
        return time.perf_counter() - at

    # No proxy leads to this machine, and to get ready for TLS takes longer than a request.
    async with httpx.AsyncClient(timeout=30, verify=False, trust_env=False) as client:
        firsts = []
        for url in urls:
            began = time.perf_counter()
            await client.post(url, content=b"{}", headers={"X-Secret": "none"})
            firsts.append(time.perf_counter() - began)
        began = time.perf_counter() + 0.5
        sent = enumerate(zip(cycle(urls), bodies, strict=False))
        took = await asyncio.gather(*(one(client, url, body, began + n / per_second) for n, (url, body) in sent))
        return max(firsts), took


@contextmanager
def serving(folder: Path, servers: int, *, alone: bool) -> Iterator[list[str]]:
    """Start API servers of one Airflow, or the endpoint under nothing but uvicorn; give its URL at each of them."""
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
    if not alone:
        command, path = ["airflow", "api-server"], f"/roomledger{path}"
        migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    with ExitStack() as stack:
        ports, started = free_ports(servers), []
        for port in ports:
            whole = [sys.executable, "-m", *command, f"--host={HOST}", f"--port={port}"]
            started.append(stack.enter_context(running(whole, folder / str(port), environment)))
        for port, process in zip(ports, started, strict=True):
            _await(port, process, folder / str(port) / "server.log")
        yield [f"http://{HOST}:{port}{path}" for port in ports]


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return as soon as the server gives any answer."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"http://{HOST}:{port}/", verify=False, trust_env=False, timeout=30)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"a server did not start; its last words: {log.read_text('utf-8', 'replace')[-2000:]}")


def measure(servers: int, *, alone: bool, busy: bool, per_second: float, seconds: float) -> Measured:
    """Measure with this many servers; `busy` means that no other process can open the warehouse meanwhile."""
    events = [event() for _ in range(round(per_second * seconds))]
    with tempfile.TemporaryDirectory(prefix="roomledger-webhooks-") as name, ExitStack() as stack:
        if busy:
            stack.enter_context(duckdb.connect(f"{name}/warehouse.duckdb"))
        with serving(Path(name), servers, alone=alone) as urls:
            first, took = asyncio.run(send(urls, [json.dumps(each).encode() for each in events], per_second))
        began = time.perf_counter()
        inbox, found = FolderInbox(Path(name, "inbox")), Counter[object]()
        while messages := inbox.receive(0):
            found.update(json.loads(message.body)["id"] for message in messages)
            inbox.ack(messages)
        drain = time.perf_counter() - began
    once = {each["id"]: 1 for each in events}
    amiss = sum(found[key] != once.get(key) for key in found.keys() | once.keys())
    return Measured(first, took, drain, amiss)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 1 when an event is amiss or one in a hundred answers is too late."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, nargs="+", default=[1], help="how many beside each other; one row each")
    parser.add_argument("--per-second", type=float, default=PER_SECOND, help="events that are sent")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for how long")
    parser.add_argument("--busy", action="store_true", help="while the warehouse is locked by another process")
    parser.add_argument("--alone", action="store_true", help="the endpoint without Airflow around it")
    given = parser.parse_args(arguments)
    if round(given.per_second * given.seconds) < 2:
        parser.error("percentiles need at least 2 events: use more --seconds")
    console = Console(width=None if sys.stdout.isatty() else 120)
    where = "uvicorn alone" if given.alone else "Airflow's API server"
    locked = ", the warehouse locked" if given.busy else ""
    table = Table(title=f"Webhooks: {given.per_second:g}/s for {given.seconds:g} s, {where}{locked}; ms")
    for column in ("servers", "first", "median", "p95", "p99", "longest", "drained/s", "not there once"):
        table.add_column(column, justify="right")
    failed = False
    for servers in given.servers:
        with console.status(f"{servers} of {where}"):
            done = measure(
                servers, alone=given.alone, busy=given.busy, per_second=given.per_second, seconds=given.seconds
            )
        percentiles = quantiles(done.took, n=100, method="inclusive")
        figures = [done.first, *(percentiles[percent - 1] for percent in (50, 95, 99)), max(done.took)]
        drained = f"{len(done.took) / done.drain:,.0f}"
        table.add_row(str(servers), *(f"{1000 * each:.1f}" for each in figures), drained, str(done.amiss))
        failed |= done.amiss > 0 or percentiles[98] > LIMIT_S
    console.print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
