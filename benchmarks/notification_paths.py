"""The three notification paths of a local installation: S3 events, GCS events and the webhooks of 100ms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import httpx

from roomledger.ledger.database import Database
from sandbox.dataset import Bucket, World, WorldObject
from sandbox.dataset.expected import expect
from sandbox.dataset.model import loaded
from sandbox.dataset.workspace import Workspace
from sandbox.hundredms_api.webhooks import new_client, post
from sandbox.servers.airflow import airflow
from sandbox.servers.installation import SECRET, SECRET_HEADER, installed
from sandbox.servers.upload import Put, uploads
from sandbox.up import POOLS, ring

ROOM = "66be3a4e91c2d3e4f5060718"
CHAT = (
    "SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID\n"
    "58cde3b7-3db3-4b98-83de-0b75e62dc537,Nell Brook,u-1,[],2026-03-02T10:00:00Z,chat,Number {},{}\n"
)
_ACCOUNT = "65fd0c2a91c2d3e4f5060718"
S3 = Bucket("acme", "acme-s3", _ACCOUNT, "s3", "acme-recordings", "live")
GCS = Bucket("acme", "acme-gcs", _ACCOUNT, "gs", "acme-calls", "live")
WITHOUT_EVENTS = Bucket("acme", "acme-no-events", _ACCOUNT, "s3", "acme-no-events-recordings", "live")
"""A bucket that sends no events: only webhooks announce its objects."""
_WORKSPACE = Workspace("acme", "acme-100ms", "acme", "65fd0c2a91c2d3e4f5060719", uuid4().hex)
_OBJECT = WorldObject(
    customer="acme", source="", uri="", key="", content=b"", session_id=None, room_id=ROOM, job_id=None,
    asset_type="chat", case="plain", outcome=loaded(chat_messages=1), written_at=datetime(2026, 3, 2, tzinfo=UTC),
    evidence="none", reason="no_session_known", alone=None, tells="start",
)  # fmt: skip


class NotificationPath(Protocol):
    """A way in which Roomledger is notified of new objects."""

    @property
    def name(self) -> str:
        """Label in the tables and the plot."""

    @property
    def observed_by(self) -> str:
        """Observer channel in the ledger: `s3_event`, `gcs_event` or `webhook`."""

    def write(self, number: int) -> str:
        """Write a new small recording asset; return its URL when it is stored."""

    def notify(self, uri: str) -> None:
        """Send the notification of the object that was just written, unless its bucket does so itself."""


@dataclass(frozen=True, slots=True)
class BucketPath:
    """Writes chat files into a bucket; `send` notifies of each, for a bucket without events of its own."""

    name: str
    observed_by: str
    bucket: Bucket
    put: Put
    send: Callable[[str], None] = lambda uri: None

    def write(self, number: int) -> str:
        """See `NotificationPath`."""
        uri = self.bucket.uri(f"chat/{ROOM}/20260302/Rec-{ROOM}-{1772445600000 + number}.csv")
        self.put(replace(_OBJECT, uri=uri, content=CHAT.format(number, uuid4()).encode()))
        return uri

    def notify(self, uri: str) -> None:
        """See `NotificationPath`."""
        self.send(uri)


def _post_webhook(client: httpx.Client, url: str, uri: str) -> None:
    """Post the event with which 100ms announces a recording that has this chat file."""
    data = {
        "room_id": ROOM,
        "session_id": "66be3a4e91c2d3e4f5060719",
        "beam_id": uuid4().hex[:24],
        "recording_id": uuid4().hex[:24],
        "chat_recording_path": uri,
        "started_at": "2026-03-02T10:00:00.051Z",
        "stopped_at": "2026-03-02T10:30:04.778Z",
    }
    event = {"version": "2.0", "id": str(uuid4()), "timestamp": "2026-03-02T10:31:00Z", "account_id": _ACCOUNT}
    if not post(event | {"type": "beam.recording.success", "data": data}, url, SECRET_HEADER, SECRET, client=client):
        raise RuntimeError(f"the endpoint did not accept a webhook: {url}")


@contextmanager
def running_installation(
    folder: Path, warehouse_url: str | None = None
) -> Iterator[tuple[Database, list[NotificationPath]]]:
    """Start an installation with all notification paths; yield its database and the paths.

    The default warehouse is a DuckDB file in the folder.
    """
    world = World((S3, GCS, WITHOUT_EVENTS), (), (), (_WORKSPACE,), expect(()))
    options = {"warehouse_url": warehouse_url} if warehouse_url else {}
    with ExitStack() as stack:
        installation = stack.enter_context(installed(world, folder, rings=True, **options))
        put = stack.enter_context(uploads(world.buckets, installation.s3, installation.gcs))
        ring(installation)
        started = stack.enter_context(airflow(folder / "airflow", POOLS, installation.environment, triggers=True))
        client = stack.enter_context(new_client())
        send = partial(_post_webhook, client, f"{started.endpoint}/roomledger/webhooks/{_WORKSPACE.source}")
        yield (
            installation.database,
            [
                BucketPath("S3 events (SQS)", "s3_event", S3, put),
                BucketPath("GCS events (Pub/Sub)", "gcs_event", GCS, put),
                BucketPath("100ms webhooks", "webhook", WITHOUT_EVENTS, put, send),
            ],
        )
