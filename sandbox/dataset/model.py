"""Types of the dataset: buckets, sessions, objects, and the expected outcome of loading each object."""

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
    """A customer's bucket and prefix: one source."""

    customer: str
    source: str
    account_id: str
    """The customer's id at 100ms."""
    scheme: str
    """`s3` or `gs`."""
    name: str
    prefix: str
    is_vendor_storage: bool = False
    """A bucket of 100ms, which no customer can list: its source is the customer's workspace."""

    @property
    def url(self) -> str:
        """`scheme://bucket/prefix`, as a source's settings name it."""
        return f"{self.scheme}://{self.name}/{self.prefix}".rstrip("/")

    def full_key(self, key: str) -> str:
        """`prefix/key`: the object's key in the bucket."""
        return f"{self.prefix}/{key}".removeprefix("/")

    def uri(self, key: str) -> str:
        """`scheme://bucket/prefix/key`."""
        return f"{self.scheme}://{self.name}/{self.full_key(key)}"


@dataclass(frozen=True, slots=True)
class Peer:
    """One stay of a person in a session. A person who joins again has a new peer id."""

    id: str
    user_id: str
    """The customer's id of the person; empty for a guest without one."""
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
    """`completed` or `failed`; a failed job writes at most a chat file."""
    started_at: datetime
    stopped_at: datetime
    planned: tuple[str, ...]
    """Requested asset types; not all of them need to exist."""


@dataclass(frozen=True, slots=True)
class Session:
    """One call in a room."""

    id: str
    customer: str
    room_id: str
    room_name: str
    started_at: datetime
    ended_at: datetime
    peers: tuple[Peer, ...]
    """In the order of joining, recorder bots included."""
    jobs: tuple[Job, ...]


class Message(NamedTuple):
    """A chat message."""

    message_id: str
    sender: Peer
    roles: tuple[str, ...]
    """Roles of the recipients; empty for everybody."""
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
    """The expected outcome of loading one object."""

    disposition: str
    """`loaded`, `refused` (the file as a whole) or `ignored`."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows by table."""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """Refused records by reason code; a file refused as a whole counts once."""
    duplicates: int = 0
    """Records that the same file already holds; they are not loaded."""
    ignored_reason: str | None = None
    message_ids: tuple[str, ...] = ()
    """Message ids of the loaded chat rows, if the file has ids."""


def loaded(**rows: int) -> Outcome:
    """The object is loaded without errors: these rows, and one row of `object_assets`."""
    return Outcome("loaded", {"object_assets": 1, **rows})


def refused(reason_code: str) -> Outcome:
    """The whole file is refused."""
    return Outcome("refused", refusals={reason_code: 1})


def ignored(reason: str) -> Outcome:
    """The object is not a recording asset."""
    return Outcome("ignored", ignored_reason=reason)


class File(NamedTuple):
    """A file before it is written into a bucket."""

    key: str
    """Below the customer's prefix."""
    asset_type: str | None
    """None if the file is not an asset."""
    case: str
    """Name of its edge case, or of its kind if it has none."""
    content: bytes
    outcome: Outcome
    key_identifies: str = "nothing"
    """What its key identifies: the `session`; the room and the recorder's `start`; the `room`; or `nothing`."""
    metadata: Mapping[str, Any] = {}
    """The `metadata` of its record in the API."""
    thumbnails: tuple[str, ...] = ()
    """Keys of its thumbnails, below the customer's prefix."""
    has_record: bool = True
    """The API has a record of it, if it is an asset."""
    unresolved_reason: str | None = None
    """Why the room and the recorder's start do not resolve to a session."""
    outcome_without_api: Outcome | None = None
    """Outcome of a load without the vendor's API, if it differs."""


@dataclass(frozen=True, slots=True)
class DatasetObject:
    """An object in a bucket, or a text file that only 100ms stores, with facts that its key may not show."""

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
    """When it was written, in the dataset's own time."""
    evidence: str
    """Final session evidence: `asset_record`, `key`, `time_window` or `none`."""
    unresolved_reason: str | None
    """Why its session cannot be resolved, if it is an asset without a session."""
    outcome_without_api: Outcome | None
    """Outcome of a load without the vendor's API; None if that load cannot find the object."""
    key_identifies: str
    """What its key identifies: see `File`."""

    def resolution(self, *, with_api: bool) -> tuple[str, str | None]:
        """Session evidence and unresolved reason after a load with or without the vendor's API."""
        return (self.evidence, self.unresolved_reason) if with_api else _RESOLUTION_WITHOUT_API[self.key_identifies]


_RESOLUTION_WITHOUT_API: Mapping[str, tuple[str, str | None]] = {
    "session": ("key", None),
    "start": ("none", "no_session_known"),
    "room": ("none", "no_recorder_start"),
    "nothing": ("none", "no_room_in_key"),
}


def digest(objects: Iterable[DatasetObject]) -> str:
    """SHA-256 over the URIs and bytes of the objects, in order."""
    total = hashlib.sha256()
    for obj in objects:
        total.update(obj.uri.encode() + b"\0" + len(obj.content).to_bytes(8, "big") + obj.content)
    return total.hexdigest()
