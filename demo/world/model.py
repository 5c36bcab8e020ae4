"""What the invented world consists of: buckets, sessions, objects, and what a load makes of each object."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

TABLES = (
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

    @property
    def url(self) -> str:
        """`scheme://bucket/prefix`, as a source's settings name it."""
        return f"{self.scheme}://{self.name}/{self.prefix}".rstrip("/")


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
    """A recording or live stream job."""

    id: str
    kind: str
    """`recording` or `live-stream`."""
    status: str
    """`completed`, or `failed`: then nothing of it ever reaches the bucket."""
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
    """Loaded without any fault: these rows, and the one of `recording_assets`."""
    return Outcome("loaded", {"recording_assets": 1, **rows})


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


@dataclass(frozen=True, slots=True)
class WorldObject:
    """An object of a bucket, with the truth about it that its key may not tell."""

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


@dataclass(frozen=True, slots=True)
class Showcase:
    """All that was said in one session without any fault in its files."""

    session_id: str
    chat: tuple[Message, ...]
    transcript: tuple[Sentence, ...]
    summary: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a load of some objects must show."""

    objects: Mapping[str, Mapping[str, int]]
    """Objects by source and disposition."""
    rows: Mapping[str, int]
    """Rows by table."""
    refusals: Mapping[str, int]
    """Refused records and files by reason code."""
    ignored: Mapping[str, int]
    """Objects by the reason for ignoring them."""
    duplicates: int
    """Records left out because their own file holds them already."""
    recorded_twice: int
    """Loaded chat rows whose message another recorder of the session wrote too, not counting the first."""
    showcase: Showcase | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Everything, in the order in which it reached the buckets."""

    buckets: tuple[Bucket, ...]
    sessions: tuple[Session, ...]
    objects: tuple[WorldObject, ...]
    expected: Expected


def expect(objects: Iterable[WorldObject], showcase: Showcase | None = None) -> Expected:
    """Add up the outcomes of these objects: the whole world, or one customer, or one day of it."""
    dispositions: defaultdict[str, Counter[str]] = defaultdict(Counter)
    rows = Counter(dict.fromkeys(TABLES, 0))
    refusals: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    messages: Counter[tuple[str | None, str]] = Counter()
    duplicates = 0
    for thing in objects:
        outcome = thing.outcome
        dispositions[thing.source][outcome.disposition] += 1
        rows.update(outcome.rows)
        refusals.update(outcome.refusals)
        reasons.update([outcome.ignored_as] if outcome.ignored_as else [])
        messages.update((thing.session_id, message_id) for message_id in outcome.message_ids)
        duplicates += outcome.duplicates
    return Expected(
        objects={source: dict(counts) for source, counts in dispositions.items()},
        rows=dict(rows),
        refusals=dict(refusals),
        ignored=dict(reasons),
        duplicates=duplicates,
        recorded_twice=messages.total() - len(messages),
        showcase=showcase,
    )


def digest(objects: Iterable[WorldObject]) -> str:
    """SHA-256 over all addresses and bytes, in order."""
    total = hashlib.sha256()
    for thing in objects:
        total.update(thing.uri.encode() + b"\0" + len(thing.content).to_bytes(8, "big") + thing.content)
    return total.hexdigest()
