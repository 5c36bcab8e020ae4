"""A customer's account at the vendor as plain data: its secrets, and the records that the vendor's API tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
"""A record as the vendor's API gives it in JSON (vendor documentation)."""

TOKEN_CANARY = "canary-of-a-meeting-token"
STREAM_KEY_CANARY = "canary-of-a-stream-key"
PLAYBACK_CANARY = "canary-of-a-playback-url"
SIGNATURE_CANARY = "canary-of-a-signed-url"
CANARIES = (TOKEN_CANARY, STREAM_KEY_CANARY, PLAYBACK_CANARY, SIGNATURE_CANARY)
"""Parts of what is secret in records and in signed URLs: they must not turn up in any table, log or message."""


@dataclass(slots=True)
class Workspace:
    """One account at the vendor, which is one source; it may change while a server tells it.

    Lists are oldest first. Of jobs they hold what lists of jobs give: `recording_assets`, which only single jobs have,
    is put together from `assets`.
    """

    name: str
    source: str
    customer: str
    access_key: str
    secret: str = field(repr=False)
    """The app secret, which signs tokens; 32 bytes or more."""
    rooms: list[Record] = field(default_factory=list)
    sessions: list[Record] = field(default_factory=list)
    recordings: list[Record] = field(default_factory=list)
    live_streams: list[Record] = field(default_factory=list)
    external_streams: list[Record] = field(default_factory=list)
    assets: list[Record] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    """Bytes by asset id, of assets that lie in the vendor's own bucket."""
    processing: set[str] = field(default_factory=set)
    """Ids of assets that are still being made: told without path and size until they are complete."""

    @property
    def url(self) -> str:
        """`100ms://name`, as a source's settings name it."""
        return f"100ms://{self.name}"

    def jobs(self) -> Iterator[Record]:
        """Jobs of all three kinds."""
        yield from self.recordings
        yield from self.live_streams
        yield from self.external_streams
