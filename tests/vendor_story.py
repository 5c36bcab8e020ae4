"""One bucket and its workspace, with every kind of session evidence: complete at once, or in parts in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roomledger.model import ASSET_TYPES
from roomledger.settings import Source
from sandbox.dataset.workspace import Workspace
from tests.folders import chat, put, replace, source_of
from tests.payloads import LISTS, START, TRANSCRIPT, asset, at, chat_key_at, epoch, job, session, workspace


def complete(folder: Path) -> tuple[Source, Workspace]:
    """Write a folder with every kind of session evidence; give its source and its workspace."""
    source = source_of(folder)
    named = put(folder, f"chat/room1/20260302/Rec-room1-{epoch(1)}.csv", chat("named"))
    put(folder, f"chat/room1/20260302/Rec-room1-{epoch(91)}.csv", chat("in the window"))
    put(folder, f"chat/room2/20260302/Rec-room2-{epoch(5)}.csv", chat("in two sessions"))
    put(folder, f"chat/room9/20260302/Rec-room9-{epoch(5)}.csv", chat("of an unknown room"))
    put(folder, "x/unnamed.json", TRANSCRIPT)
    put(folder, f"room1/20260302/s1/Rec-s1-{epoch(1)}.mp4", b"film")
    hidden = put(folder, "films/one.mp4", b"film")
    unnamed = put(folder, "x/0001.json", TRANSCRIPT)
    uri = "s3://100ms-storage/acme/chat/room1/20260302/Rec-room1-1772445700000.csv"
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
            asset("a4", second, "chat", uri, len(chat("vendor-stored"))),
        ],
    )
    acme.contents["a4"] = chat("vendor-stored")
    return source, acme


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the story, which appears as a whole; it may replace files and records of earlier parts."""

    files: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)
    """Content and minute of writing, by key."""
    records: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Records of the vendor, by the names of the workspace's lists."""
    stored: Mapping[str, bytes] = field(default_factory=dict)
    """Content that only the vendor stores, by asset id."""


def apply(folder: Path, acme: Workspace, parts: Iterable[Part]) -> None:
    """Change the bucket and the workspace to the state after these parts, in this order.

    Files and lists are replaced as a whole, so that others may read meanwhile.
    """
    files: dict[str, tuple[bytes, int]] = {}
    records: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in LISTS}
    stored: dict[str, bytes] = {}
    for part in parts:
        files |= part.files
        stored |= part.stored
        for name, those in part.records.items():
            records[name] |= {record["id"]: record for record in those}
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if str(path.relative_to(folder)) not in files:
            path.unlink()
    for key, (content, minute) in files.items():
        if not (folder / key).exists() or (folder / key).read_bytes() != content:
            replace(folder, key, content, minute)
    acme.contents = stored
    for name in LISTS:
        setattr(acme, name, list(records[name].values()))


FILTERS: dict[str, Any] = {"asset_types": frozenset(ASSET_TYPES) - {"track", "summary"}, "not_before": START.date()}
"""Settings of the story's sources: asset types and dates that they include."""


def parts(folder: Path) -> dict[str, Part]:
    """The story in parts, by name, about a bucket in this folder.

    Each may appear at any time, but a later one wins over an earlier one. They have all that changes what is known of
    an object: versions, sessions that appear late or end, records that appear late, are completed, name another type
    than the key does, or no longer name an address.
    """
    first, second = job("j1", "room1", "s1", 1, 30, "chat", "room-composite"), job("j2", "room1", "s2", 91, 99, "chat")
    third = job("j3", "room1", "s1", 2, 30, "transcript")
    track = f"room1/20260302/s1/p-s1/stream/{{}}-{epoch(1)}.webm"

    def file(key: str, content: bytes, minute: int = 0) -> Part:
        return Part(files={key: (content, minute)})

    def named(asset_id: str, asset_type: str, key: str, job: dict[str, Any] = first, **more: Any) -> Part:
        record = asset(asset_id, job, asset_type, f"file://{folder}/{key}", 4) | more
        return Part(records={"assets": [record]})

    def stored(asset_id: str, content: bytes, asset_type: str = "chat") -> Part:
        record = asset(asset_id, second, asset_type, f"s3://100ms-storage/acme/{asset_id}", len(content))
        return Part(records={"assets": [record]}, stored={asset_id: content})

    def met(*cells: Any) -> Part:
        return Part(records={"sessions": [session(*cells)]})

    return {
        # A chat that the vendor names, in two versions; before that it lies in the time window of a session.
        "chat": file(chat_key_at("room1", 1), chat("first words")),
        "chat, corrected": file(chat_key_at("room1", 1), chat("corrected", "words"), 3),
        "a-chat": named("a-chat", "chat", chat_key_at("room1", 1)),
        # Chats that no record names: in no session, in one, in several, in one that ends before they start.
        "chats": Part(
            files={
                chat_key_at("room1", 95): (chat("in the window"), 0),
                chat_key_at("room1", 125): (chat("in two windows until one of them ends"), 0),
                chat_key_at("room1", 155): (chat("in a window until that ends"), 0),
                chat_key_at("room2", 5): (chat("in two sessions"), 0),
                chat_key_at("room9", 5): (chat("of an unknown room"), 0),
            }
        ),
        "s1": met("s1", "room1", 0, 31),
        "s2 goes on": met("s2", "room1", 90, None),
        "s2 has ended": met("s2", "room1", 90, 100),
        "s3": met("s3", "room2", 0, 10),
        "s4": met("s4", "room2", 4, 12),
        "s5": met("s5", "room1", 120, 140),
        "rooms": Part(records={"rooms": [{"id": "room1", "name": "harbour", "created_at": at(-60)}]}),
        "j1": Part(records={"recordings": [first]}),
        "j2 runs": Part(records={"recordings": [second | {"status": "running", "stopped_at": None}]}),
        "j2 is done": Part(records={"recordings": [second]}),
        "j3": Part(records={"recordings": [third]}),
        # The key names one session, the vendor another.
        "legacy": Part(files={f"room1/20260302/s1/Rec-s1-{epoch(minutes)}.mp4": (b"film", 0) for minutes in (1, 2)}),
        "a-legacy": named("a-legacy", "room-composite-legacy", f"room1/20260302/s1/Rec-s1-{epoch(1)}.mp4", second),
        # Only the vendor names the type of these; each in two versions.
        "film": file("films/1.mp4", b"film"),
        "film, cut": file("films/1.mp4", b"film, cut", 4),
        "a-film": named("a-film", "room-composite", "films/1.mp4"),
        "text": file("x/1.json", TRANSCRIPT),
        "text, corrected": file("x/1.json", TRANSCRIPT.replace(b"Good morning", b"Good day"), 4),
        "a-text": named("a-text", "transcript", "x/1.json", session_id=None, room_id=None, job=third),
        "unnamed": Part(files={"x/2.json": (TRANSCRIPT, 0), "films/2.mp4": (b"film", 0)}),
        # The vendor names another type than their key or content does.
        "otherwise": Part(
            files={
                "x/transcript/1.txt": (chat("a chat by what it holds"), 0),
                f"room1/20260302/s1/p-s1/stream/whole-{epoch(1)}.mp4": (b"film", 0),
                "x/5.json": (TRANSCRIPT, 0),
            }
        ),
        "a-chat that is none": named("a-chat that is none", "chat", "x/5.json"),
        "otherwise, corrected": file("x/transcript/1.txt", chat("a chat", "by what it holds"), 5),
        "a-chat otherwise": named("a-chat otherwise", "chat", "x/transcript/1.txt"),
        "a-stream otherwise": named(
            "a-stream otherwise", "room-composite", f"room1/20260302/s1/p-s1/stream/whole-{epoch(1)}.mp4"
        ),
        "a-strange": named("a-strange", "hologram", "films/2.mp4"),
        # What the settings exclude: by its key, by its content or by the type that the vendor names.
        "left out": Part(
            files={
                track.format(1): (b"track", 0),
                track.format(2): (b"track", 0),
                track.format(3): (b"track", 0),
                "x/3.json": (b'{"sections": [{"title": "T", "bullets": []}]}', 0),
                "x/4.json": (TRANSCRIPT, 0),
                "x/6.json": (
                    b'{"sections": [{"title": "T", "bullets": []}], "words": [], "sentences": [{"sentence": "a"}]}',
                    0,
                ),
                "films/3.mp4": (b"film", 0),
                "films/6.mp4": (b"film", -24 * 60),
                chat_key_at("room1", 23).replace("20260302", "20260301"): (chat("too old"), 0),
                chat_key_at("room1", 24).replace("20260302", "20260301"): (chat("too old and unnamed"), 0),
            }
        ),
        "left out, again": Part(files={track.format(1): (b"track, cut", 5), "films/3.mp4": (b"film, cut", 5)}),
        "a-track": named("a-track", "track", track.format(1)),
        "a-composite left out": named("a-composite left out", "room-composite", track.format(2)),
        "a-summary left out": named("a-summary left out", "summary", "x/4.json"),
        "a-transcript not left out": named("a-transcript not left out", "transcript", "x/6.json"),
        "a-track left out": named("a-track left out", "track", "films/3.mp4"),
        "a-film too old": named("a-film too old", "room-composite", "films/6.mp4"),
        "a-chat too old": named("a-chat too old", "chat", chat_key_at("room1", 23).replace("20260302", "20260301")),
        "a-summary stored": stored("a-summary stored", b'{"sections": []}', "summary"),
        # Two records name one address; a record moves from one address to another.
        "moved": Part(
            files={
                chat_key_at("room1", 20): (chat("named twice"), 0),
                chat_key_at("room1", 21): (chat("named at first"), 0),
                chat_key_at("room1", 22): (chat("named at last"), 0),
                "films/4.mp4": (b"film", 0),
                "films/5.mp4": (b"film", 0),
            }
        ),
        "a-failed": named("a-failed", "chat", chat_key_at("room1", 20), second, status="failed", created_at=at(41)),
        "a-repeated": named("a-repeated", "chat", chat_key_at("room1", 20), first),
        "a-moving": named("a-moving", "chat", chat_key_at("room1", 21)),
        "a-moved": named("a-moving", "chat", chat_key_at("room1", 22)),
        "a-moving film": named("a-moving film", "room-composite", "films/4.mp4"),
        "a-moved film": named("a-moving film", "room-composite", "films/5.mp4"),
        # Only the vendor stores two texts, until one of them is copied to the bucket.
        "a-stored is made": named("a-stored", "chat", "", second, status="processing", path="", size=0),
        "a-stored": stored("a-stored", chat("vendor-stored")),
        "a-copied": stored("a-copied", chat("vendor-stored and copied")),
        "copy": file(chat_key_at("room1", 96), chat("vendor-stored and copied")),
        # What cannot be read, for a while or for good.
        "bad": Part(files={chat_key_at("room1", 3): (b"\0", 0), chat_key_at("room1", 4): (b"\0", 0)}),
        "bad, mended": file(chat_key_at("room1", 3), chat("mended"), 6),
        "a-bad": named("a-bad", "chat", chat_key_at("room1", 4)),
    }
