"""Stories: what happens to buckets and workspaces, and what is done about it, step by step, as plain data.

A story names a bucket or a workspace by its source, and an object by `s3://<source>/<key>`. So it can be played on any
warehouse: the settings say which folders are the buckets and the inbox.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from roomledger import times
from roomledger.hundredms import records
from roomledger.hundredms.redact import redact
from roomledger.ledger.claims import LEASE, claim_batch
from roomledger.ledger.database import Database
from roomledger.ledger.replays import request_replay
from roomledger.ledger.vendor_assets import record_vendor_assets
from roomledger.ledger.vendor_records import Record
from roomledger.model import Rejected
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.listen import ingest
from roomledger.pipeline.load import load_batches
from roomledger.pipeline.receiver import Received
from roomledger.pipeline.subscriptions import Decoded, Subscription, webhook_subscription
from roomledger.queues import Message, Notification
from roomledger.queues.inbox import Inbox
from roomledger.runtime import open_inbox
from roomledger.settings import Settings, WorkspaceSource
from roomledger.stores import Reader
from tests.folders import put, store_of
from tests.ledger.inputs import Ledger
from tests.payloads import START

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step, so many minutes after the one before it."""

    minutes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Step):
    """Objects are written and deleted; nobody has noticed yet."""

    written: Mapping[str, tuple[bytes, int]]
    """Content and minute of writing, by address."""
    deleted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Step):
    """A bucket is listed."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications(Step):
    """The buckets notify that these objects are new or gone."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks(Step):
    """Webhooks of a workspace are ingested, with the objects that they name."""

    source: str
    bodies: tuple[Json, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Records(Step):
    """Records of a workspace's API are ingested, each with its kind: session, asset or a kind of job."""

    source: str
    records: tuple[tuple[str, Json], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load(Step):
    """Load what waits in the buckets."""

    batch: int = 1000
    most: int | None = None
    """Batches, at most."""
    meanwhile: tuple[Step, ...] = ()
    """What happens while the first batch is claimed and not yet read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashedLoad(Step):
    """Loads claim what waits and crash: each when the claims of the one before it have expired."""

    limit: int = 1000
    loads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(Step):
    """An object is to be read again, or all."""

    address: str | None = None


@dataclass(slots=True)
class Clock:
    """The time in a story."""

    now: datetime = START + timedelta(days=2)


def play(
    database: Database,
    settings: Settings,
    steps: Iterable[Step],
    *,
    clock: Clock | None = None,
    after: Callable[[Step], None] = lambda step: None,
) -> None:
    """Apply the steps one after the other; `after` is called with each that is done, also with those within a load."""
    player = _Player(database, settings, clock or Clock(), after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(times, "utc_now", lambda: player.clock.now)
        patch.setattr(os, "fsync", lambda descriptor: None)  # the inbox syncs every event; here no power fails
        player.play(steps)


@dataclass(frozen=True, slots=True)
class _Player:
    database: Database
    settings: Settings
    clock: Clock
    after: Callable[[Step], None]

    def play(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self.clock.now += timedelta(minutes=step.minutes)
            self.apply(step)
            self.after(step)

    def apply(self, step: Step) -> None:
        inbox = open_inbox(f"{self.settings.inbox_url}")
        match step:
            case Change(written=written, deleted=deleted):
                self._change(written, deleted)
            case Listing(source=name):
                [bucket] = [bucket for bucket in self.settings.buckets if bucket.name == name]
                collect_bucket(self.database, bucket, store_of(bucket))
            case Notifications(addresses=addresses):
                queue = open_inbox(f"{self.settings.inbox_url}-of-buckets")
                self._ingest(queue, _notifications(queue), "bucket", self._place(addresses))
            case Webhooks(source=name, bodies=bodies):
                subscription = webhook_subscription(inbox, self.settings.sources)
                self._ingest(inbox, subscription, name, [redact(body) for body in self._place(bodies)])
            case Records(source=name, records=those):
                [workspace] = self.settings.select([name])
                assert isinstance(workspace, WorkspaceSource)
                self._upsert(workspace, [row for kind, record in those for row in _rows(kind, self._place(record))])
            case Load():
                self._load(step)
            case CrashedLoad(limit=limit, loads=loads):
                for number in range(loads):
                    self.clock.now += (LEASE + timedelta(seconds=1)) * (number > 0)
                    self._claim(limit)
            case Replay(address=address):
                uri = self._place(address)
                with self.database.begin() as tx:
                    request_replay(tx, self.database, uri=uri, everything=uri is None, now=self.clock.now)

    def _place(self, value: Any) -> Any:
        """Put the URLs of the buckets into all addresses in a JSON value."""
        text = json.dumps(value)
        for bucket in self.settings.buckets:
            text = text.replace(f'"s3://{bucket.name}/', f'"{bucket.url}/')
        return json.loads(text)

    def _change(self, written: Mapping[str, tuple[bytes, int]], deleted: Sequence[str]) -> None:
        for address, (content, minute) in written.items():
            put(Path("/"), self._place(address).removeprefix("file:///"), content, minute)
        for address in deleted:
            Path(self._place(address).removeprefix("file://")).unlink(missing_ok=True)

    def _ingest(self, queue: Inbox, subscription: Subscription, name: str, messages: Iterable[Any]) -> None:
        for message in messages:
            queue.put(name, json.dumps(message).encode(), self.clock.now)
        received = Received(subscription, queue.receive(0), self.clock.now)
        stores = {bucket.name: store_of(bucket) for bucket in self.settings.buckets}
        ingest(self.database, self.settings.sources, stores, [received])

    def _upsert(self, workspace: WorkspaceSource, rows: Sequence[Record]) -> None:
        database, now = self.database, self.clock.now
        with database.begin() as tx:
            Ledger(tx, database).upsert(*rows, source=workspace, now=now)
        with database.begin() as tx:
            buckets = [f"{bucket.url}/" for bucket in self.settings.buckets]
            record_vendor_assets(tx, database, workspace, buckets, now=now)

    def _load(self, step: Load) -> None:
        readers = _Readers({bucket.name: store_of(bucket) for bucket in self.settings.buckets})
        readers.before_first = lambda: self.play(step.meanwhile)
        buckets, size = self.settings.buckets, {"batch": step.batch, "most": step.most}
        list(load_batches(self.database, buckets, readers, reads=1, accept_refusals=True, **size))

    def _claim(self, limit: int) -> None:
        sources, token = [source.name for source in self.settings.sources], f"crashed at {self.clock.now}"
        with self.database.begin() as tx:
            claim_batch(tx, self.database, sources, token=token, limit=limit, now=self.clock.now)


class _Readers(dict[str, Reader]):
    """Readers by source; something happens before the first is used, when the load has its claims."""

    before_first: Callable[[], None] | None = None

    def __getitem__(self, name: str) -> Reader:
        before_first, self.before_first = self.before_first, None
        if before_first:
            before_first()
        return super().__getitem__(name)


def _notifications(queue: Inbox) -> Subscription:
    """The subscription to a queue whose messages are addresses of objects."""

    def decode(message: Message) -> Decoded:
        return Decoded([Notification(json.loads(message.body), None)])

    def refuse(message: Message, error: Rejected) -> Any:
        raise AssertionError(f"{message.body!r} was refused") from error

    return Subscription("buckets", queue, "s3_event", decode, refuse)


def _rows(kind: str, record: Json) -> Iterator[Record]:
    """The rows of a record of the API."""
    match kind:
        case "session":
            session, peers = records.session(record)
            yield from (session, *peers)
        case "asset":
            yield records.asset(record)
        case _:
            job, assets = records.recording(record, kind)
            yield from (job, *assets)
