"""A customer's 100ms workspace as plain data: its credentials, and the records that the API returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
"""A JSON record of the API (vendor documentation)."""

TOKEN_CANARY = "canary-of-a-meeting-token"
STREAM_KEY_CANARY = "canary-of-a-stream-key"
PLAYBACK_CANARY = "canary-of-a-playback-url"
SIGNATURE_CANARY = "canary-of-a-signed-url"
CANARIES = (TOKEN_CANARY, STREAM_KEY_CANARY, PLAYBACK_CANARY, SIGNATURE_CANARY)
"""Markers inside the secrets of records and signed URLs: they must not appear in any table, log or message."""


@dataclass(slots=True)
class Workspace:
    """One 100ms workspace, which is one source. It may change while a server serves it.

    Lists are oldest first. Jobs have the fields of the API's lists; the server adds `recording_assets`, which only a
    single job has, from `assets`.
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
    """Bytes by asset id, of assets that only 100ms stores."""
    processing: set[str] = field(default_factory=set)
    """Ids of assets that are not complete yet: the server returns them without path and size."""

    @property
    def url(self) -> str:
        """`100ms://name`, as in the settings of a source."""
        return f"100ms://{self.name}"

    def jobs(self) -> Iterator[Record]:
        """All recordings, live streams and external streams."""
        yield from self.recordings
        yield from self.live_streams
        yield from self.external_streams
