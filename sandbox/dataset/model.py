"""What the invented world is made of: buckets, sessions, objects, and what a load makes of each object."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

TABLES = (
    "rooms",
    "sessions",
    "peers",
    "recordings",
    "asset_records",
    "object_assets",
    "recording_assets",
    "chat_messages",
    "transcripts",
    "transcript_segments",
    "transcript_words",
    "summaries",
    "summary_sections",
    "summary_points",
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A customer's bucket and prefix, which is one source."""

    customer: str
    source: str
    account_id: str
    """The vendor's id of the customer."""
    scheme: str
    """`s3` or `gs`."""
    name: str
    prefix: str
    is_vendors: bool = False
    """The vendor's own, which nobody can list: its source is the customer's workspace."""

    @property
    def url(self) -> str:
        """`scheme://bucket/prefix`, as a source's settings name it."""
        return f"{self.scheme}://{self.name}/{self.prefix}".rstrip("/")

    def place(self, key: str) -> str:
        """The key in the bucket of what lies at `key` below the prefix."""
        return f"{self.prefix}/{key}".removeprefix("/")

    def uri(self, key: str) -> str:
        """The address of what lies at `key` below the prefix."""
        return f"{self.scheme}://{self.name}/{self.place(key)}"


@dataclass(frozen=True, slots=True)
class Peer:
    """One stay of somebody in a session; who comes back has a new peer id."""

    id: str
    user_id: str
    """The customer's own id; empty for a guest without one."""
    name: str
    role: str
    joined_at: datetime
    left_at: datetime
    is_recorder: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A recording, live stream or external stream job."""

    id: str
    kind: str
    """`recording`, `live-stream` or `external-stream`."""
    status: str
    """`completed`, or `failed`: then hardly anything of it ever reaches the bucket."""
    started_at: datetime
    stopped_at: datetime
    planned: tuple[str, ...]
    """Asset types the job was asked for; not all of them need to have come."""


@dataclass(frozen=True, slots=True)
class Session:
    """One call in a room, as the vendor knows it."""

    id: str
    customer: str
    room_id: str
    room_name: str
    started_at: datetime
    ended_at: datetime
    peers: tuple[Peer, ...]
    """In the order of joining, recorder bots among them."""
    jobs: tuple[Job, ...]


class Message(NamedTuple):
    """A chat message as it was sent."""

    message_id: str
    sender: Peer
    roles: tuple[str, ...]
    """Roles it was sent to; none means everybody."""
    sent_at: datetime
    text: str


class Sentence(NamedTuple):
    """A spoken sentence; milliseconds count from the start of the recording."""

    speaker: Peer
    start_ms: int
    end_ms: int
    text: str


class Section(NamedTuple):
    """A section of a summary: bullets or a paragraph."""

    title: str
    bullets: tuple[str, ...]
    paragraph: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load makes of one object."""

    disposition: str
    """`loaded`, `refused` (the file as a whole) or `ignored`."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows by table."""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """Refused records by reason code; a file refused as a whole counts once."""
    duplicates: int = 0
    """Records left out because the file holds them already."""
    ignored_as: str | None = None
    message_ids: tuple[str, ...] = ()
    """Message ids of the chat rows that are loaded, where the file has ids."""


def loaded(**rows: int) -> Outcome:
    """Loaded without any fault: these rows, and the one of `object_assets`."""
    return Outcome("loaded", {"object_assets": 1, **rows})


def refused(reason_code: str) -> Outcome:
    """Refused as a whole."""
    return Outcome("refused", refusals={reason_code: 1})


def ignored(reason: str) -> Outcome:
    """No recording asset."""
    return Outcome("ignored", ignored_as=reason)


class File(NamedTuple):
    """A file as it is written, before it has a place in a bucket."""

    key: str
    """Below the customer's prefix."""
    asset_type: str | None
    """None for what is no asset."""
    case: str
    """Name of the awkward case that it shows, or of its plain kind."""
    content: bytes
    outcome: Outcome
    tells: str = "nothing"
    """What its key tells: the `session`; room and recorder's `start`; the `room`; `nothing` of these."""
    metadata: Mapping[str, Any] = {}
    """What the vendor's record says beyond what all records do."""
    thumbnails: tuple[str, ...] = ()
    """Their keys, below the customer's prefix."""
    is_named: bool = True
    """The vendor's API has a record of it, if it is an asset."""
    lost: str | None = None
    """Why no session is found by room and recorder's start."""
    alone: Outcome | None = None
    """What a load makes of it that has no vendor to ask, where that is different."""


@dataclass(frozen=True, slots=True)
class WorldObject:
    """An object of a bucket, or a text that the vendor holds, with the truth about it that its key may not tell."""

    customer: str
    source: str
    uri: str
    key: str
    content: bytes
    session_id: str | None
    room_id: str | None
    job_id: str | None
    asset_type: str | None
    case: str
    outcome: Outcome
    written_at: datetime
    """When it reached the bucket, in the world's own time."""
    evidence: str
    """What gives it its session once everything was read: `asset_record`, `key`, `time_window` or `none`."""
    reason: str | None
    """Why it has no session, where it is an asset and has none."""
    alone: Outcome | None
    """What a load makes of it that has no vendor to ask; None if it never hears of it."""
    tells: str
    """What its key tells: see `File`."""

    def evidence_alone(self) -> tuple[str, str | None]:
        """Evidence and reason after a load that has no vendor to ask."""
        return _EVIDENCE_ALONE[self.tells]


_EVIDENCE_ALONE: Mapping[str, tuple[str, str | None]] = {
    "session": ("key", None),
    "start": ("none", "no_session_known"),
    "room": ("none", "no_recorder_start"),
    "nothing": ("none", "no_room_in_key"),
}


def digest(objects: Iterable[WorldObject]) -> str:
    """SHA-256 over all addresses and bytes, in order."""
    total = hashlib.sha256()
    for thing in objects:
        total.update(thing.uri.encode() + b"\0" + len(thing.content).to_bytes(8, "big") + thing.content)
    return total.hexdigest()
