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


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a story, which becomes true as a whole; it may change what earlier parts said."""

    files: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)
    """Content and minute of writing, by key."""
    records: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Records of the vendor's, by the names of the workspace's lists."""
    held: Mapping[str, bytes] = field(default_factory=dict)
    """Content that the vendor holds, by asset id."""


def apply(folder: Path, acme: Workspace, parts: Iterable[Part]) -> None:
    """Make the bucket and the workspace what these parts, told in this order, leave them as.

    Files are put in place whole and lists are replaced whole, so that others may read meanwhile.
    """
    files: dict[str, tuple[bytes, int]] = {}
    records: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in LISTS}
    acme_holds: dict[str, bytes] = {}
    for part in parts:
        files |= part.files
        acme_holds |= part.held
        for name, told in part.records.items():
            records[name] |= {record["id"]: record for record in told}
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if str(path.relative_to(folder)) not in files:
            path.unlink()
    for key, (content, minute) in files.items():
        if not (folder / key).exists() or (folder / key).read_bytes() != content:
            replace(folder, key, content, minute)
    acme.contents = acme_holds
    for name in LISTS:
        setattr(acme, name, list(records[name].values()))


FILTERS: dict[str, Any] = {"asset_types": frozenset(ASSET_TYPES) - {"track", "summary"}, "not_before": START.date()}
"""What the settings of the unfolding story take; they leave out the rest."""


def parts(folder: Path) -> dict[str, Part]:
    """A story in parts, by name, about a bucket in this folder.

    Each may come at any time, but a later one is to win over an earlier one. There is all that changes what is known of
    an object: versions, sessions that come late or end, records that come late, are completed, name another type than
    the key says, or no longer name an address.
    """
    first, second = job("j1", "room1", "s1", 1, 30, "chat", "room-composite"), job("j2", "room1", "s2", 91, 99, "chat")
    third = job("j3", "room1", "s1", 2, 30, "transcript")
    track = f"room1/20260302/s1/p-s1/stream/{{}}-{epoch(1)}.webm"

    def file(key: str, content: bytes, minute: int = 0) -> Part:
        return Part(files={key: (content, minute)})

    def named(asset_id: str, asset_type: str, key: str, job: dict[str, Any] = first, **more: Any) -> Part:
        record = asset(asset_id, job, asset_type, f"file://{folder}/{key}", 4) | more
        return Part(records={"assets": [record]})

    def held(asset_id: str, content: bytes, asset_type: str = "chat") -> Part:
        record = asset(asset_id, second, asset_type, f"s3://vendor-held/acme/{asset_id}", len(content))
        return Part(records={"assets": [record]}, held={asset_id: content})

    def met(*told: Any) -> Part:
        return Part(records={"sessions": [session(*told)]})

    return {
        # A chat that the vendor names, in two versions; before that it is in the time window of a session.
        "chat": file(chat_key_at("room1", 1), chat("first words")),
        "chat, corrected": file(chat_key_at("room1", 1), chat("corrected", "words"), 3),
        "a-chat": named("a-chat", "chat", chat_key_at("room1", 1)),
        # Chats that nobody names: in no session, in one, in several, in one that ends before they start.
        "chats": Part(
            files={
                chat_key_at("room1", 95): (chat("in the window"), 0),
                chat_key_at("room1", 125): (chat("in two windows until one of them ends"), 0),
                chat_key_at("room1", 155): (chat("in a window until that ends"), 0),
                chat_key_at("room2", 5): (chat("in two sessions"), 0),
                chat_key_at("room9", 5): (chat("of nobody's room"), 0),
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
        # Only the vendor says what these are; each in two versions.
        "film": file("films/1.mp4", b"film"),
        "film, cut": file("films/1.mp4", b"film, cut", 4),
        "a-film": named("a-film", "room-composite", "films/1.mp4"),
        "text": file("x/1.json", TRANSCRIPT),
        "text, corrected": file("x/1.json", TRANSCRIPT.replace(b"Good morning", b"Good day"), 4),
        "a-text": named("a-text", "transcript", "x/1.json", session_id=None, room_id=None, job=third),
        "unnamed": Part(files={"x/2.json": (TRANSCRIPT, 0), "films/2.mp4": (b"film", 0)}),
        # The vendor calls them something else than their key or content does.
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
        # What the settings leave out, by its key, by its content or by the vendor's word.
        "left out": Part(
            files={
                track.format(1): (b"track", 0),
                track.format(2): (b"track", 0),
                track.format(3): (b"track", 0),
                "x/3.json": (b'{"sections": []}', 0),
                "x/4.json": (TRANSCRIPT, 0),
                "x/6.json": (b'{"sections": [], "words": [], "sentences": []}', 0),
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
        "a-summary held": held("a-summary held", b'{"sections": []}', "summary"),
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
        # The vendor holds two texts; one of them is in the bucket, too.
        "a-held is made": named("a-held", "chat", "", second, status="processing", path="", size=0),
        "a-held": held("a-held", chat("held")),
        "a-copied": held("a-copied", chat("held and copied")),
        "copy": file(chat_key_at("room1", 96), chat("held and copied")),
        # What cannot be read, for a while or for good.
        "bad": Part(files={chat_key_at("room1", 3): (b"\0", 0), chat_key_at("room1", 4): (b"\0", 0)}),
        "bad, mended": file(chat_key_at("room1", 3), chat("mended"), 6),
        "a-bad": named("a-bad", "chat", chat_key_at("room1", 4)),
    }
