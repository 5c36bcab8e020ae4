"""What webhook events of the invented world are put together from: sessions, jobs, ids of their own, signed URLs."""

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
"""Types of assets that the event of a recording names."""


class Told(NamedTuple):
    """An event before it has an envelope."""

    at: datetime
    type: str
    about: str
    """What tells it from other events of its type in the same session."""
    data: Record
    version: str = "2.0"


class Call(NamedTuple):
    """What the events of a session repeat."""

    place: Record
    """Room and session."""
    begun: Record
    """These, the template, and when the session started."""
    named: Record
    """These, and the name of the room."""
    stopped: Record
    """When the session ended."""
    app: Record
    """Account and app."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job, and what came of it."""

    kind: str
    """The first word of its events: `beam`, `hls`, or `recording` of the recorder of old."""
    record: Record
    peer_id: str
    """Its recorder; empty if it was not among the peers."""
    files: Sequence[Record]
    """Assets that are complete."""

    def of(self, asset_type: str) -> list[Record]:
        """Those of one type."""
        return [asset for asset in self.files if asset["type"] == asset_type]

    def one(self, asset_type: str) -> Record | None:
        """The only one of a type, if there is one; raises ValueError if there are more, which no event could name."""
        found = self.of(asset_type)
        if len(found) > 1:
            raise ValueError(f"job {self.record['id']} has several assets of type {asset_type}")
        return found[0] if found else None

    @property
    def recorded(self) -> list[Record]:
        """Those that the event of its recording names."""
        return [asset for asset in self.files if asset["type"] in _RECORDED]

    @property
    def seconds(self) -> int:
        """How long it ran."""
        return seconds(self.record["started_at"], self.record["stopped_at"])

    @property
    def recording_id(self) -> str:
        """What webhooks call its recording."""
        return invented_id("recording", self.record["id"])


def invented_id(what: str, of: str) -> str:
    """An id in the vendor's form, 24 hex digits; it is as old as the one that it is made from."""
    return f"{of[:8]}{hashlib.sha256(f'{what} of {of}'.encode()).hexdigest()[:16]}"


def invented_uuid(of: str) -> str:
    """A UUID that is always the same."""
    return str(uuid5(NAMESPACE_URL, of))


def moment(text: str) -> datetime:
    """Read a time of a record."""
    return datetime.fromisoformat(text)


def long_form(text: str) -> str:
    """The same time, with nine digits after the point."""
    return f"{moment(text):%Y-%m-%dT%H:%M:%S.%f}291Z"


def seconds(start: str, stop: str) -> int:
    """Whole seconds between two times of a record."""
    return int((moment(stop) - moment(start)).total_seconds())


def made_at(assets: Iterable[Record]) -> datetime:
    """When the last of these was made."""
    return max(moment(asset["created_at"]) for asset in assets)


def located(name: str, asset: Record | None) -> Record:
    """Where a file lies; empty texts if there is none."""
    path = asset["path"] if asset else ""
    return {f"{name}_path": path, f"{name}_presigned_url": signed_url(path) if path else ""}


def signed_url(uri: str) -> str:
    """A signed URL of what lies there, as its kind of bucket makes them; nobody answers it."""
    scheme, _, place = uri.partition("://")
    bucket, _, key = place.partition("/")
    if scheme == "gs":
        return f"https://storage.example.invalid/{bucket}/{quote(key)}?X-Goog-Signature={SIGNATURE_CANARY}"
    return f"https://{bucket}.s3.example.invalid/{quote(key)}?X-Amz-Signature={SIGNATURE_CANARY}"
