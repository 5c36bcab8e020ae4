"""The data that flows from a store to the warehouse: observations, assets, records and refusals.

All of it is plain data without behaviour. The fields of a record are the columns of its table, in the same order
(`warehouse/tables.py` maps record types to tables and describes the columns); `object_id` and `load_id` are added when
a batch is staged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, Protocol

TEXT_TYPES = ("chat", "transcript", "summary")
MEDIA_TYPES = ("room-composite", "room-composite-legacy", "room-vod", "track", "stream")
ASSET_TYPES = MEDIA_TYPES + TEXT_TYPES

UNKNOWN = "unknown"
"""Asset type of a small text file whose key has no type: the content decides."""


@dataclass(frozen=True, slots=True)
class Observation:
    """An observation that this version of this object exists.

    `version` is the S3 ETag without quotes, the GCS generation, or `<mtime in ns>-<size>` of a file. The same bytes put
    again may bring the same ETag, so a version's identity includes its modification time (UTC; whole seconds on S3).
    """

    uri: str
    """`s3://bucket/key`, `gs://bucket/key` or `file:///path`, with the key as stored, not URL-encoded."""
    version: str
    modified_at: datetime
    size_bytes: int
    content_tag: str | None = None
    """Fingerprint from the store (S3 ETag, GCS MD5): equal tags at one URI mean equal bytes. Folders have none."""
    version_id: str | None = None
    """S3 VersionId, if the observer reports it."""

    @property
    def object_id(self) -> str:
        """32 hex digits that identify this object version in every table."""
        identity = "\n".join((self.uri, self.version, self.modified_at.isoformat()))
        return hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One recording asset, from the key and the listing of its object, before its content is read."""

    uri: str
    size_bytes: int
    modified_at: datetime
    asset_type: str
    """One of `ASSET_TYPES`, or `UNKNOWN` when the content decides."""
    room_id: str | None = None
    session_id: str | None = None
    peer_id: str | None = None
    stream_id: str | None = None
    track_id: str | None = None
    layer: str | None = None
    output_mode: str | None = None
    """`json`, `srt` or `txt` of a transcript or summary, if the key contains it."""
    recorder_started_at: datetime | None = None
    session_date: date | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """The object is not a recording asset; the reason is stored in the ledger."""

    reason: str


class Refusal(NamedTuple):
    """A rejected record or file, stored so that it can be loaded after a fix."""

    ordinal: int
    """Number of the record in its file, from 1; 0 for the file as a whole."""
    reason_code: str
    """`snake_case`, stable: for counting and filtering."""
    detail: str
    """Explanation in one sentence, with the line number if there is one."""
    raw: bytes
    """The bytes as they stand in the file."""
    record_loaded: bool = False
    """Only values of the record are refused: it is loaded without them."""


class Rejected(Exception):
    """Invalid input: a file, one entry of it, a record of the vendor's API, a webhook or a message of a queue.

    The code that catches it stores the input as a refusal.
    """

    def __init__(self, reason_code: str, detail: str) -> None:
        """`reason_code` is `snake_case` and stable, `detail` explains it in one sentence."""
        super().__init__(f"{reason_code}: {detail}")
        self.reason_code = reason_code
        self.detail = detail


class BatchRefused(Exception):
    """More than half of a batch was refused for one reason: probably a bug of ours, not of every file."""


class ChatMessage(NamedTuple):
    """A row of `chat_messages`; `roles` and `extra` are JSON text, as `extra` is in all rows."""

    ordinal: int
    message_id: str | None
    sender_peer_id: str | None
    sender_name: str | None
    sender_user_id: str | None
    roles: str | None
    roles_raw: str | None
    sent_at: datetime | None
    message_type: str | None
    message: str
    extra: str | None
    recorder_started_at: datetime | None
    is_doubtful: bool = False
    """Set for all messages of a file when they are staged: see `chat.DOUBTFUL`."""


class Transcript(NamedTuple):
    """A row of `transcripts`: one transcript file."""

    ordinal: int
    output_mode: str
    segments: int
    words: int
    language: str | None
    extra: str | None = None


class TranscriptSegment(NamedTuple):
    """A row of `transcript_segments`: one sentence; milliseconds count from the start of the recording."""

    ordinal: int
    speaker_name: str | None
    speaker_peer_id: str | None
    start_ms: int | None
    end_ms: int | None
    text: str
    extra: str | None = None


class TranscriptWord(NamedTuple):
    """A row of `transcript_words`: one word; milliseconds count from the start of the recording."""

    ordinal: int
    speaker_name: str | None
    speaker_peer_id: str | None
    start_ms: int | None
    end_ms: int | None
    text: str
    extra: str | None = None


class Summary(NamedTuple):
    """A row of `summaries`: one summary file."""

    ordinal: int
    sections: int
    points: int
    extra: str | None = None


class SummarySection(NamedTuple):
    """A row of `summary_sections`."""

    ordinal: int
    title: str | None
    format: str | None
    paragraph: str | None
    extra: str | None = None


class SummaryPoint(NamedTuple):
    """A row of `summary_points`: one bullet of the section with ordinal `section_ordinal`."""

    ordinal: int
    section_ordinal: int
    text: str


Record = ChatMessage | Transcript | TranscriptSegment | TranscriptWord | Summary | SummarySection | SummaryPoint


class Parser(Protocol):
    """The calling convention of `formats/`: bytes in pieces of any size in, records and refusals out, lazily.

    Raises `Rejected` when the file as a whole is invalid, possibly after some records: the caller drops those.
    """

    def __call__(self, content: Iterable[bytes], asset: Asset) -> Iterator[Record | Refusal]:
        """Parse; `content` may be left unread."""
