"""The three doorbells of a whole installation on this machine: S3 events, GCS events, and the vendor's webhooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx

from benchmarks.rounds import Doorbell
from roomledger.ledger.database import Database
from sandbox.dataset import Bucket, Dataset, DatasetObject
from sandbox.dataset.expected import expect
from sandbox.dataset.model import loaded
from sandbox.dataset.workspace import Workspace
from sandbox.hundredms_api.webhooks import new_client, post
from sandbox.servers.airflow import airflow
from sandbox.servers.installation import SECRET, SECRET_HEADER, run_installation
from sandbox.servers.upload import Put, create_buckets
from sandbox.up import POOLS, configure_notifications

ROOM = "66be3a4e91c2d3e4f5060718"
CHAT = (
    "SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID\n"
    "58cde3b7-3db3-4b98-83de-0b75e62dc537,Nell Brook,u-1,[],2026-03-02T10:00:00Z,chat,Number {},{}\n"
)
_ACCOUNT = "65fd0c2a91c2d3e4f5060718"
S3 = Bucket("acme", "acme-s3", _ACCOUNT, "s3", "acme-recordings", "live")
GCS = Bucket("acme", "acme-gcs", _ACCOUNT, "gs", "acme-calls", "live")
SILENT = Bucket("acme", "acme-silent", _ACCOUNT, "s3", "acme-silent-recordings", "live")
"""Tells nobody of its objects: the vendor's webhooks do."""
_WORKSPACE = Workspace("acme", "acme-100ms", "acme", "65fd0c2a91c2d3e4f5060719", uuid4().hex)
_OBJECT = DatasetObject(
    customer="acme", source="", uri="", key="", content=b"", session_id=None, room_id=ROOM, job_id=None,
    asset_type="chat", case="plain", outcome=loaded(chat_messages=1), written_at=datetime(2026, 3, 2, tzinfo=UTC),
    evidence="none", unresolved_reason="no_session_known", outcome_without_api=None, key_identifies="start",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BucketDoorbell:
    """Puts chat files into a bucket; whoever tells of them does so by itself, or by `tell`."""

    name: str
    observed_by: str
    bucket: Bucket
    put: Put
    tell: Callable[[str], None] = lambda uri: None

    def write(self, number: int) -> str:
        """See `Doorbell`."""
        uri = self.bucket.uri(f"chat/{ROOM}/20260302/Rec-{ROOM}-{1772445600000 + number}.csv")
        self.put(replace(_OBJECT, uri=uri, content=CHAT.format(number, uuid4()).encode()))
        return uri

    def ring(self, uri: str) -> None:
        """See `Doorbell`."""
        self.tell(uri)


def _post(client: httpx.Client, url: str, uri: str) -> None:
    """Post the event by which the vendor tells of a recording with this chat file."""
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
        raise RuntimeError(f"the endpoint did not take a webhook: {url}")


@contextmanager
def running(folder: Path, warehouse_url: str | None = None) -> Iterator[tuple[Database, list[Doorbell]]]:
    """Start an installation that reacts; give its warehouse, by default a DuckDB file, and its doorbells."""
    world = Dataset((S3, GCS, SILENT), (), (), (_WORKSPACE,), expect(()))
    options = {"warehouse_url": warehouse_url} if warehouse_url else {}
    with ExitStack() as stack:
        place = stack.enter_context(run_installation(world, folder, notifications=True, **options))
        put = stack.enter_context(create_buckets(world.buckets, place.s3, place.gcs))
        configure_notifications(place)
        started = stack.enter_context(airflow(folder / "airflow", POOLS, place.environment, triggers=True))
        client = stack.enter_context(new_client())
        tell = partial(_post, client, f"{started.endpoint}/roomledger/webhooks/{_WORKSPACE.source}")
        yield (
            place.database,
            [
                BucketDoorbell("S3 events, by SQS", "s3_event", S3, put),
                BucketDoorbell("GCS events, by Pub/Sub", "gcs_event", GCS, put),
                BucketDoorbell("the vendor's webhooks", "webhook", SILENT, put, tell),
            ],
        )
