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
Opened = tuple[Source, Store]


@dataclass(frozen=True)
class NotifyingBucket:
    """A bucket that notifies a queue of every change."""

    source: Source
    store: Store
    subscription: Subscription
    put: Callable[[str, bytes], str]
    """Writes an object; gives its address."""
    remove: Callable[[str], object]
    send: Callable[[bytes], object]
    """Sends any message to the queue."""
    unacknowledged: Callable[[], int]
    """Counts the messages that are not acknowledged."""

    @property
    def opened(self) -> Opened:
        return self.source, self.store


def notifying_s3_bucket(server: S3Server, name: str = "acme") -> NotifyingBucket:
    queue, s3, sqs = sqs_queue(server), aws(server, "s3"), aws(server, "sqs")
    bucket = f"listening-{next(numbers)}"
    s3.create_bucket(Bucket=bucket)
    url = sqs.get_queue_url(QueueName=queue.settings.url.removeprefix("sqs://"))["QueueUrl"]

    def attributes(*names: str) -> dict[str, str]:
        found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
        return found

    configuration = {
        "QueueArn": attributes("QueueArn")["QueueArn"],
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
    }
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )

    def put(key: str, content: bytes) -> str:
        s3.put_object(Bucket=bucket, Key=key, Body=content)
        return f"s3://{bucket}/{key}"

    def unacknowledged() -> int:
        counts = attributes("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(map(int, counts.values()))

    source = BucketSource(name=name, customer="Acme", url=f"s3://{bucket}", endpoint=server.endpoint)
    return NotifyingBucket(
        source,
        open_store(source.url, Access(session=session(server), endpoint=server.endpoint)),
        bucket_subscription(queue.settings, queue.open()),
        put,
        lambda key: s3.delete_object(Bucket=bucket, Key=key),
        lambda body: queue.send([body], {}),
        unacknowledged,
    )


def notifying_gcs_bucket(notifying_gcs: tuple[GcsServer, PubSubServer, Any]) -> NotifyingBucket:
    gcs, pubsub, queue = notifying_gcs
    bucket = f"listening-{next(numbers)}"

    def unacknowledged() -> int:
        [subscription] = pubsub.broker._subscriptions.values()
        return len(subscription.waiting) + len(subscription.leased)

    def send_request(method: str, path: str, **request: Any) -> None:
        requests.request(method, f"{gcs.endpoint}{path}", timeout=30, **request).raise_for_status()

    def send_and_wait(method: str, path: str, **request: Any) -> None:
        before, deadline = unacknowledged(), time.monotonic() + 20
        send_request(method, path, **request)
        while unacknowledged() == before and time.monotonic() < deadline:
            time.sleep(0.01)  # the server notifies a moment later

    def put(key: str, content: bytes) -> str:
        send_and_wait(
            "POST", f"/upload/storage/v1/b/{bucket}/o", params={"uploadType": "media", "name": key}, data=content
        )
        return f"gs://{bucket}/{key}"

    send_request("POST", "/storage/v1/b", params={"project": "demo"}, json={"name": bucket})
    source = BucketSource(name="acme", customer="Acme", url=f"gs://{bucket}", endpoint=gcs.endpoint)
    return NotifyingBucket(
        source,
        open_store(source.url, Access(endpoint=gcs.endpoint)),
        bucket_subscription(queue.settings, queue.open()),
        put,
        lambda key: send_and_wait("DELETE", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"),
        lambda body: queue.send([body], {}),
        unacknowledged,
    )


def webhook(event_id: str, **data: Any) -> bytes:
    """The body of a webhook about a recording."""
    recording = {"room_id": "room1", "session_id": "s1", "beam_id": "b1", "started_at": "2026-03-02T10:00:00Z"}
    body = {"version": "2.0", "id": event_id, "timestamp": "2026-03-02T10:30:00Z", "type": "beam.recording.success"}
    return json.dumps(body | {"data": recording | data}).encode()


def s3_event(uri: str) -> bytes:
    """The message of S3 about an upload, as far as it is read."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return json.dumps({"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": quote(key)}}}]}).encode()


def address_subscription(queue: Queue) -> Subscription:
    """A subscription whose messages are addresses of objects."""
    events = bucket_subscription(QueueSettings(name="plain", url="sqs://plain"), queue)
    return replace(events, decode=lambda message: Decoded([Notification(message.body.decode(), None)]))


class SlowQueue:
    """A queue whose only message is delivered when `may_deliver` is set, however long that takes."""

    name, visibility_timeout_s = "slow", 60.0

    def __init__(self, body: bytes) -> None:
        self.may_deliver = threading.Event()
        self.receives = 0
        self._left = [Message("m", body, {}, "r")]

    def peek(self, timeout_s: float) -> bool:
        raise AssertionError("no receiver peeks")

    def receive(self, timeout_s: float, most: int = 1) -> list[Message]:
        self.receives += 1
        assert self.may_deliver.wait(60)
        return list(self._left)

    def extend(self, messages: Sequence[Message]) -> None:
        pass

    def ack(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._left.remove(message)


def listen(
    database: Database,
    subscriptions: Sequence[Subscription],
    *opened: Opened,
    quiet_s: float = 0,
    most_s: float = 60,
    **more: Any,
) -> Iterator[Round | Load]:
    """Ingest the messages in the queues, and load; end at once when the queues are empty, unless `quiet_s` is more."""
    sources, stores = [source for source, _ in opened], {source.name: store for source, store in opened}
    return listen_and_load(
        database, [*sources, TALK], stores, stores, subscriptions, quiet_s=quiet_s, most_s=most_s, **more
    )


def listen_once(database: Database, subscriptions: Sequence[Subscription], *opened: Opened) -> Round:
    """Listen until the queues are empty; give the counts and problems of all rounds together."""
    found = Round()
    for one in listen(database, subscriptions, *opened):
        if isinstance(one, Round):
            found.counts += one.counts
            found.problems |= one.problems
    return found


def ingest_once(
    database: Database, sources: Sequence[Source], stores: dict[str, Store], subscriptions: Sequence[Subscription]
) -> Round:
    """Ingest the messages in the queues, and load nothing."""
    with Receiver(subscriptions) as receiver:
        receiver.request(1)
        return ingest(database, sources, stores, receiver.take(1))


def open_folder(folder: Path) -> Opened:
    source = source_of(folder)
    return source, store_of(source)


def new_versions(found: Round | Counter[str]) -> dict[str, int]:
    """The counts of new versions by disposition, and of restored ones."""
    counts = found.counts if isinstance(found, Round) else found
    return {
        name.removeprefix("new_"): number
        for name, number in counts.items()
        if number and (name.startswith("new_") or name == "restored")
    }


def messages(database: Database) -> list[str]:
    return [content for (content,) in fetch(database, "SELECT message FROM chat_messages ORDER BY message")]


def dispositions(database: Database) -> list[str]:
    rows = fetch(database, "SELECT disposition FROM object_ledger ORDER BY uri, modified_at, first_seen_at")
    return [disposition for (disposition,) in rows]


WAITS_FOR_A_LOCK = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
