"""What 100ms answers and sends: records of its API, bodies of webhooks, and a workspace that holds them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from roomledger.hundredms import webhooks
from roomledger.hundredms.access import Keys
from roomledger.hundredms.client import Client
from roomledger.hundredms.redact import redact
from roomledger.hundredms.storage import VendorStorage
from roomledger.ledger.vendor_events import WebhookEvent
from roomledger.settings import Source, WorkspaceSource
from sandbox.dataset.workspace import Workspace

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
TRANSCRIPT = (
    b'{"words": [], "sentences": [{"sentence": "Good morning.", "name": "Nell", "peer_id": "p-nell",'
    b' "start_time": "1000", "end_time": "2500"}]}'
)


def at(minutes: float) -> str:
    """A moment, in minutes after `START`, as the vendor writes it."""
    return (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def epoch(minutes: float) -> int:
    """The same moment in unix milliseconds, as keys have it."""
    return round((START + timedelta(minutes=minutes)).timestamp() * 1000)


def chat_key_at(room_id: str, minutes: float) -> str:
    """The key of the chat of a recorder that started then."""
    return f"chat/{room_id}/20260302/Rec-{room_id}-{epoch(minutes)}.csv"


LISTS = ("rooms", "sessions", "recordings", "live_streams", "external_streams", "assets")
"""The lists of a workspace."""


def workspace(**parts: list[dict[str, Any]]) -> Workspace:
    """A workspace with these records."""
    made: dict[str, Any] = {name: [] for name in LISTS} | parts
    return Workspace(
        name="acme", source="acme-100ms", customer="Acme", access_key="key", secret="s" * 40, contents={}, **made
    )


def session(session_id: str, room_id: str, start: float, end: float | None, **more: Any) -> dict[str, Any]:
    """The record of a session with one peer."""
    peer = {"id": f"p-{session_id}", "session_id": session_id, "name": "Nell", "role": "host", "user_id": "u-1"}
    peer |= {"joined_at": at(start), "left_at": at(end) if end is not None else "0001-01-01T00:00:00Z"}
    return {
        "id": session_id,
        "room_id": room_id,
        "customer_id": "c",
        "active": end is None,
        "peers": {peer["id"]: peer},
        "created_at": at(start),
        "updated_at": at(end if end is not None else start),
    } | more


def job(job_id: str, room_id: str, session_id: str, start: float, end: float, *planned: str) -> dict[str, Any]:
    """The record of a completed recording."""
    return {
        "id": job_id,
        "room_id": room_id,
        "session_id": session_id,
        "status": "completed",
        "asset_types": list(planned),
        "created_at": at(start),
        "started_at": at(start),
        "stopped_at": at(end),
        "updated_at": at(end),
    }


def asset(asset_id: str, job: dict[str, Any], asset_type: str, path: str, size: int, **more: Any) -> dict[str, Any]:
    """The record of a completed asset of a job."""
    return {
        "id": asset_id,
        "job_id": job["id"],
        "room_id": job["room_id"],
        "session_id": job["session_id"],
        "type": asset_type,
        "path": path,
        "thumbnails": None,
        "metadata": {},
        "duration": 0,
        "size": size,
        "status": "completed",
        "created_at": at(40),
    } | more


def workspace_source(acme: Workspace, **settings: Any) -> WorkspaceSource:
    """The source that names this workspace."""
    return WorkspaceSource(name=acme.source, customer=acme.customer, url=f"100ms://{acme.name}", **settings)


@contextmanager
def open_workspace(acme: Workspace, endpoint: str) -> Iterator[VendorStorage]:
    """Open the workspace by its API; pauses take no time."""
    slept: list[float] = [0]
    now: dict[str, Any] = {"sleep": slept.append, "clock": lambda: time.time() + sum(slept)}
    with Client(endpoint, Keys(acme.access_key, acme.secret), **now) as api:
        yield VendorStorage(api)


def event(type_: str, minutes: float, **data: Any) -> dict[str, Any]:
    """The body of a webhook about something that happened then; equal arguments give the same event id."""
    body = {"version": "2.0", "account_id": "c", "timestamp": at(minutes), "type": type_, "data": data}
    return body | {"id": str(uuid5(NAMESPACE_URL, json.dumps(body, sort_keys=True)))}


def decode_events(source: Source, bodies: Iterable[dict[str, Any]]) -> list[WebhookEvent]:
    """Redact and decode the bodies of webhooks."""
    return [WebhookEvent(source, *webhooks.decode(redact(body)), START + timedelta(days=1)) for body in bodies]
