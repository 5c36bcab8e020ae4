"""Building blocks of webhook events: fields of sessions and jobs, invented ids, signed URLs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from sandbox.dataset.workspace import SIGNATURE_CANARY, Record

_RECORDED = ("room-composite", "room-composite-legacy", "room-vod", "chat")
"""Types of assets that a `recording` event names."""


class Event(NamedTuple):
    """An event without its envelope."""

    at: datetime
    type: str
    subject: str
    """Distinguishes events of one type in the same session."""
    data: Record
    version: str = "2.0"


class SessionFields(NamedTuple):
    """Fields that all events of a session repeat."""

    ids: Record
    """Ids of room and session."""
    started: Record
    """`ids`, the template, and the start time of the session."""
    named: Record
    """`started` and the name of the room."""
    stopped: Record
    """The end time of the session."""
    app: Record
    """Account and app."""


@dataclass(frozen=True, slots=True)
class RecordedJob:
    """A job with its recorder and its complete assets."""

    kind: str
    """First word of its event types: `beam`, `hls`, or `recording` for the legacy recorder."""
    record: Record
    peer_id: str
    """Peer id of its recorder; empty if the recorder is not a peer of the session."""
    complete: Sequence[Record]
    """Its complete assets."""

    def assets(self, asset_type: str) -> list[Record]:
        """Complete assets of one type."""
        return [asset for asset in self.complete if asset["type"] == asset_type]

    def asset(self, asset_type: str) -> Record | None:
        """The complete asset of a type, or None. Raises ValueError if there are several: events name only one."""
        found = self.assets(asset_type)
        if len(found) > 1:
            raise ValueError(f"job {self.record['id']} has several assets of type {asset_type}")
        return found[0] if found else None

    @property
    def recorded(self) -> list[Record]:
        """Complete assets that its `recording` event names."""
        return [asset for asset in self.complete if asset["type"] in _RECORDED]

    @property
    def seconds(self) -> int:
        """Its duration."""
        return seconds(self.record["started_at"], self.record["stopped_at"])

    @property
    def recording_id(self) -> str:
        """Id of its recording in webhooks."""
        return invented_id("recording", self.record["id"])


def invented_id(what: str, of: str) -> str:
    """An id in the format of 100ms, 24 hex digits, with the creation time of the id `of`."""
    return f"{of[:8]}{hashlib.sha256(f'{what} of {of}'.encode()).hexdigest()[:16]}"


def invented_uuid(of: str) -> str:
    """The same UUID for the same text."""
    return str(uuid5(NAMESPACE_URL, of))


def moment(text: str) -> datetime:
    """Parse a time of a record."""
    return datetime.fromisoformat(text)


def nanosecond_form(text: str) -> str:
    """The same time with nine digits in the fraction."""
    return f"{moment(text):%Y-%m-%dT%H:%M:%S.%f}291Z"


def seconds(start: str, stop: str) -> int:
    """Whole seconds between two times of a record."""
    return int((moment(stop) - moment(start)).total_seconds())


def completed_at(assets: Iterable[Record]) -> datetime:
    """When the last of these assets was created."""
    return max(moment(asset["created_at"]) for asset in assets)


def file_location(name: str, asset: Record | None) -> Record:
    """Path and signed URL of an asset; empty strings without an asset."""
    path = asset["path"] if asset else ""
    return {f"{name}_path": path, f"{name}_presigned_url": signed_url(path) if path else ""}


def signed_url(uri: str) -> str:
    """A signed URL of an object in the form of its bucket's cloud; its host does not exist."""
    scheme, _, path = uri.partition("://")
    bucket, _, key = path.partition("/")
    if scheme == "gs":
        return f"https://storage.example.invalid/{bucket}/{quote(key)}?X-Goog-Signature={SIGNATURE_CANARY}"
    return f"https://{bucket}.s3.example.invalid/{quote(key)}?X-Amz-Signature={SIGNATURE_CANARY}"
