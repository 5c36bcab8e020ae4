"""A small story for the tests of sessions: files in a folder, and the workspace that they were recorded in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from demo.world.workspace import Workspace
from roomledger.settings import Source
from roomledger.vendor.api import Api
from roomledger.vendor.store import HeldAssets
from roomledger.vendor.tokens import Keys
from tests.worlds import chat, put, source_of

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
TRANSCRIPT = (
    b'{"words": [], "sentences": [{"sentence": "Good morning.", "name": "Nell", "peer_id": "p-nell",'
    b' "start_time": "1000", "end_time": "2500"}]}'
)


def at(minutes: float) -> str:
    """A moment of the story as the vendor writes it."""
    return (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def epoch(minutes: float) -> int:
    """The same in unix milliseconds, as keys have it."""
    return round((START + timedelta(minutes=minutes)).timestamp() * 1000)


def workspace(**parts: list[dict[str, Any]]) -> Workspace:
    """The workspace with these records."""
    empty = {name: [] for name in ("rooms", "sessions", "recordings", "live_streams", "external_streams", "assets")}
    made: dict[str, Any] = {**empty, **parts}
    return Workspace(
        name="acme", source="acme-100ms", customer="Acme", access_key="key", secret="s" * 40, contents={}, **made
    )


def session(session_id: str, room_id: str, start: float, end: float | None, **more: Any) -> dict[str, Any]:
    """A session of the vendor's, with one person in it."""
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
    """A recording that is done."""
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
    """A completed asset of a job."""
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


def told(folder: Path) -> tuple[Source, Workspace]:
    """The whole story: a folder with every kind of evidence in it, and the workspace."""
    source = source_of(folder)
    named = put(folder, f"chat/room1/20260302/Rec-room1-{epoch(1)}.csv", chat("named"))
    put(folder, f"chat/room1/20260302/Rec-room1-{epoch(91)}.csv", chat("in the window"))
    put(folder, f"chat/room2/20260302/Rec-room2-{epoch(5)}.csv", chat("in two sessions"))
    put(folder, f"chat/room9/20260302/Rec-room9-{epoch(5)}.csv", chat("of nobody's room"))
    put(folder, "x/said.json", TRANSCRIPT)
    put(folder, f"room1/20260302/s1/Rec-s1-{epoch(1)}.mp4", b"film")
    hidden = put(folder, "films/one.mp4", b"film")
    unnamed = put(folder, "x/0001.json", TRANSCRIPT)
    held = "s3://vendor-held/acme/chat/room1/20260302/Rec-room1-1772445700000.csv"
    first, second = (
        job("j1", "room1", "s1", 1, 30, "room-composite", "chat", "transcript"),
        job("j2", "room1", "s2", 91, 99),
    )
    acme = workspace(
        rooms=[{"id": "room1", "name": "harbour", "enabled": True, "created_at": at(-60)}],
        sessions=[
            session("s1", "room1", 0, 31),
            session("s2", "room1", 90, 100),
            session("s3", "room2", 0, 10),
            session("s4", "room2", 4, 12),
        ],
        recordings=[first, second],
        assets=[
            asset("a1", first, "chat", named, 1),
            asset("a2", first, "room-composite", hidden, 4, metadata={"resolution": {"width": 1280, "height": 720}}),
            asset("a3", first, "transcript", unnamed, len(TRANSCRIPT), metadata={"output_mode": "json"}),
            asset("a4", second, "chat", held, len(chat("held"))),
        ],
    )
    acme.contents["a4"] = chat("held")
    return source, acme


def source_of_workspace(acme: Workspace, **settings: Any) -> Source:
    """The source that names it."""
    return Source(name=acme.source, customer=acme.customer, url=f"100ms://{acme.name}", **settings)


@contextmanager
def opened(acme: Workspace, endpoint: str) -> Iterator[HeldAssets]:
    """The workspace ready to be asked; pauses take no time."""
    slept: list[float] = [0]
    now: dict[str, Any] = {"sleep": slept.append, "clock": lambda: time.time() + sum(slept)}
    with Api(endpoint, Keys(acme.access_key, acme.secret), **now) as api:
        yield HeldAssets(acme.url, api)
