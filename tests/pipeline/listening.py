"""Buckets that notify a queue, the messages in queues, and rounds of listening for tests to run."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from roomledger.ledger.database import Database
from roomledger.ledger.outcome import Load
from roomledger.pipeline.listen import Round, ingest, listen_and_load
from roomledger.pipeline.receiver import Receiver
from roomledger.pipeline.subscriptions import Decoded, Subscription, bucket_subscription
from roomledger.queues import Message, Notification, Queue
from roomledger.runtime import open_store
from roomledger.settings import BucketSource, QueueSettings, Source, WorkspaceSource
from roomledger.stores import Access, Store
from sandbox.servers.gcs import GcsServer
from sandbox.servers.pubsub.server import PubSubServer
from sandbox.servers.s3 import S3Server
from tests.folders import source_of, store_of
from tests.queues.conftest import aws, numbers, session, sqs_queue
from tests.warehouses import fetch

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TALK = WorkspaceSource(name="talk", customer="Acme", url="100ms://acme", webhook_header="X-Secret")
Where = tuple[Source, Store]


@dataclass(frozen=True)
class Place:
    """A bucket that tells a queue of everything."""

    source: Source
    store: Store
    subscription: Subscription
    put: Callable[[str, bytes], str]
    """Gives the address."""
    remove: Callable[[str], object]
    send: Callable[[bytes], object]
    """Puts any message into the queue."""
    left: Callable[[], int]
    """Counts the messages that nobody has settled."""

    @property
    def where(self) -> Where:
        return self.source, self.store


def s3_place(server: S3Server, name: str = "acme") -> Place:
    queue, s3, sqs = sqs_queue(server), aws(server, "s3"), aws(server, "sqs")
    bucket = f"reacting-{next(numbers)}"
    s3.create_bucket(Bucket=bucket)
    url = sqs.get_queue_url(QueueName=queue.settings.url.removeprefix("sqs://"))["QueueUrl"]

    def told(*names: str) -> dict[str, str]:
        found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
        return found

    configuration = {"QueueArn": told("QueueArn")["QueueArn"], "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )

    def put(key: str, content: bytes) -> str:
        s3.put_object(Bucket=bucket, Key=key, Body=content)
        return f"s3://{bucket}/{key}"

    def left() -> int:
        counts = told("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(map(int, counts.values()))

    source = BucketSource(name=name, customer="Acme", url=f"s3://{bucket}", endpoint=server.endpoint)
    return Place(
        source,
        open_store(source.url, Access(session=session(server), endpoint=server.endpoint)),
        bucket_subscription(queue.settings, queue.open()),
        put,
        lambda key: s3.delete_object(Bucket=bucket, Key=key),
        lambda body: queue.send([body], {}),
        left,
    )


def gcs_place(telling: tuple[GcsServer, PubSubServer, Any]) -> Place:
    gcs, pubsub, queue = telling
    bucket = f"reacting-{next(numbers)}"

    def left() -> int:
        [held] = pubsub.broker._subscriptions.values()
        return len(held.waiting) + len(held.leased)

    def ask(method: str, path: str, **request: Any) -> None:
        requests.request(method, f"{gcs.endpoint}{path}", timeout=30, **request).raise_for_status()

    def change(method: str, path: str, **request: Any) -> None:
        before, deadline = left(), time.monotonic() + 20
        ask(method, path, **request)
        while left() == before and time.monotonic() < deadline:
            time.sleep(0.01)  # the server tells of it a moment later

    def put(key: str, content: bytes) -> str:
        change("POST", f"/upload/storage/v1/b/{bucket}/o", params={"uploadType": "media", "name": key}, data=content)
        return f"gs://{bucket}/{key}"

    ask("POST", "/storage/v1/b", params={"project": "demo"}, json={"name": bucket})
    source = BucketSource(name="acme", customer="Acme", url=f"gs://{bucket}", endpoint=gcs.endpoint)
    return Place(
        source,
        open_store(source.url, Access(endpoint=gcs.endpoint)),
        bucket_subscription(queue.settings, queue.open()),
        put,
        lambda key: change("DELETE", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"),
        lambda body: queue.send([body], {}),
        left,
    )


def event(event_id: str, **data: Any) -> bytes:
    """A webhook that tells of a recording."""
    said = {"room_id": "room1", "session_id": "s1", "beam_id": "b1", "started_at": "2026-03-02T10:00:00Z"}
    body = {"version": "2.0", "id": event_id, "timestamp": "2026-03-02T10:30:00Z", "type": "beam.recording.success"}
    return json.dumps(body | {"data": said | data}).encode()


def s3_event(uri: str) -> bytes:
    """What S3 says of an upload, as far as it is read."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return json.dumps({"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": quote(key)}}}]}).encode()


def plain_bell(queue: Queue) -> Subscription:
    """A bell whose messages are addresses, as S3's are at bottom."""
    events = bucket_subscription(QueueSettings(name="plain", url="sqs://plain"), queue)
    return replace(events, decode=lambda message: Decoded([Notification(message.body.decode(), None)]))


class Silent:
    """A queue that has its one message only when it is allowed to speak, however long that takes."""

    name, visibility_timeout_s = "silent", 60.0

    def __init__(self, body: bytes) -> None:
        self.may_speak = threading.Event()
        self.asked = 0
        self._left = [Message("m", body, {}, "r")]

    def peek(self, patience_s: float) -> bool:
        raise AssertionError("nobody asks")

    def receive(self, patience_s: float, most: int = 1) -> list[Message]:
        self.asked += 1
        assert self.may_speak.wait(60)
        return list(self._left)

    def extend(self, messages: Sequence[Message]) -> None:
        pass

    def ack(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._left.remove(message)


def work(
    database: Database,
    subscriptions: Sequence[Subscription],
    *where: Where,
    quiet_s: float = 0,
    most_s: float = 60,
    **more: Any,
) -> Iterator[Round | Load]:
    """Take in what waits in the queues, and load it; without patience for more, unless it is given some."""
    sources, stores = [source for source, _ in where], {source.name: store for source, store in where}
    return listen_and_load(
        database, [*sources, TALK], stores, stores, subscriptions, quiet_s=quiet_s, most_s=most_s, **more
    )


def once(database: Database, subscriptions: Sequence[Subscription], *where: Where) -> Round:
    """The same; give what the queues brought, in however many rounds."""
    found = Round()
    for one in work(database, subscriptions, *where):
        if isinstance(one, Round):
            found.counts += one.counts
            found.problems |= one.problems
    return found


def one_round(
    database: Database, sources: Sequence[Source], stores: dict[str, Store], subscriptions: Sequence[Subscription]
) -> Round:
    """Take in what waits, and load nothing."""
    with Receiver(subscriptions) as receiver:
        receiver.request(1)
        return ingest(database, sources, stores, receiver.take(1))


def in_folder(folder: Path) -> Where:
    source = source_of(folder)
    return source, store_of(source)


def new(found: Round | Counter[str]) -> dict[str, int]:
    """Versions not known before, by disposition, and restored ones."""
    counts = found.counts if isinstance(found, Round) else found
    return {
        name.removeprefix("new_"): number
        for name, number in counts.items()
        if number and (name.startswith("new_") or name == "restored")
    }


def messages(database: Database) -> list[str]:
    return [said for (said,) in fetch(database, "SELECT message FROM chat_messages ORDER BY message")]


def dispositions(database: Database) -> list[str]:
    rows = fetch(database, "SELECT disposition FROM object_ledger ORDER BY uri, modified_at, first_seen_at")
    return [said for (said,) in rows]


WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
