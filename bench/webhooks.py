"""Latency of the webhook endpoint: 100 signed events a second for 10 seconds, to one server with an inbox on this disk.

Each request begins at its time, whether those before it are answered or not, and is timed from that moment until its
answer is there, which means that the event is durable. Then the inbox is drained.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import httpx
from rich.console import Console
from rich.table import Table

from demo.servers import HOST, free_ports, running
from roomledger.queues.inbox import FolderInbox

PER_SECOND = 100
SECONDS = 10
LIMIT_MS = 1000
"""The vendor tries again a second after a failure: a slower answer could be as good as none."""

SETTINGS = """
[warehouse]
url = "duckdb:///warehouse.duckdb"
[webhooks]
inbox = "file://{inbox}"
[[source]]
name = "talk"
customer = "Acme"
url = "100ms://acme"
webhook_header = "X-Secret"
"""


def event() -> bytes:
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
    return json.dumps(envelope | {"type": "beam.recording.success", "data": data}).encode()


async def send_all(url: str) -> list[float]:
    """Send the events at their times, and give the seconds that each took."""

    async def send(client: httpx.AsyncClient, at: float) -> float:
        body = event()
        signature = hmac.new(b"signing", body, hashlib.sha256).hexdigest()
        await asyncio.sleep(at - time.perf_counter())
        answer = await client.post(url, content=body, headers={"X-Secret": "s", "x-100ms-signature": signature})
        answer.raise_for_status()
        return time.perf_counter() - at

    async with httpx.AsyncClient(timeout=30, verify=False, limits=httpx.Limits(max_connections=50)) as client:
        await client.post(url, content=event(), headers={"X-Secret": "none"})  # the first reads the settings
        began = time.perf_counter() + 0.5
        times = [began + number / PER_SECOND for number in range(PER_SECOND * SECONDS)]
        return list(await asyncio.gather(*(send(client, at) for at in times)))


def measure(folder: Path) -> tuple[list[float], float, int]:
    """Give the seconds of each request, those that it takes to drain the inbox, and how many events were in there."""
    (port,) = free_ports(1)
    (folder / "roomledger.toml").write_text(SETTINGS.format(inbox=folder / "inbox"))
    environment = {
        "ROOMLEDGER_CONFIG": str(folder / "roomledger.toml"),
        "ROOMLEDGER_WEBHOOK_SECRETS_TALK": "s",
        "ROOMLEDGER_WEBHOOK_SIGNING_SECRETS_TALK": "signing",
        "PYTHONPATH": str(Path(__file__).parents[1] / "include"),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "roomledger.webhook.app:create_app"]
    with running([*command, f"--host={HOST}", f"--port={port}"], folder, environment):
        url = f"http://{HOST}:{port}/webhooks/talk"
        for _ in range(600):
            try:
                httpx.get(url)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        took = asyncio.run(send_all(url))
    began = time.perf_counter()
    inbox, events = FolderInbox(folder / "inbox"), 0
    while messages := inbox.receive(0):
        events += len(messages)
        inbox.settle(messages)
    return took, time.perf_counter() - began, events


def main() -> int:
    """Measure and print; exit code 1 when an event is missing or one in a hundred answers is too late."""
    with tempfile.TemporaryDirectory(prefix="roomledger-webhooks-") as name:
        took, drain, events = measure(Path(name))
    cuts = statistics.quantiles((1000 * each for each in took), n=100)
    figures = {"median": cuts[49], "p95": cuts[94], "p99": cuts[98], "longest": 1000 * max(took)}
    table = Table("", "", title=f"Webhooks: {len(took)} at {PER_SECOND}/s")
    for label, figure in figures.items():
        table.add_row(label, f"{figure:.1f} ms")
    table.add_row("drained", f"{events / drain:,.0f} events/s")
    Console().print(table)
    return int(events != len(took) or figures["p99"] > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
