"""How messages of each queue are decoded, under which observer channel, and how rejected ones become refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from roomledger.model import Rejected
from roomledger.pipeline.subscriptions import Subscription, bucket_subscription, subscribe, webhook_subscription
from roomledger.queues import Message, Notification, QueueError
from roomledger.queues.inbox_folder import FolderInbox
from roomledger.runtime import StandardConnections, open_queue
from roomledger.settings import BucketSource, QueueSettings, Settings, WorkspaceSource
from roomledger.stores import Access
from sandbox.servers.s3 import S3Server
from tests.queues.conftest import session

TALK = WorkspaceSource(name="talk", customer="Acme", url="100ms://acme", webhook_header="X-Secret")
INBOX = FolderInbox(Path("/never/created"))
RECORDED = {
    "id": "e1",
    "type": "beam.recording.success",
    "timestamp": "2026-03-02T10:30:00Z",
    "data": {"session_id": "s1", "recording_path": "s3://acme/film.mp4", "chat_recording_path": "gs://acme/chat.csv"},
}


def webhook(body: Any, source: str = "talk") -> Message:
    attributes = {"source": source, "received_at": "2026-03-02T10:31:00.000001+00:00"}
    return Message("name", body if isinstance(body, bytes) else json.dumps(body).encode(), attributes, "name.json")


def rejection(subscription: Subscription, message: Message) -> Rejected:
    with pytest.raises(Rejected) as caught:
        subscription.decode(message)
    return caught.value


def test_a_webhook_is_decoded_as_an_event_of_its_source_and_notifications_of_its_objects() -> None:
    subscription = webhook_subscription(INBOX, [BucketSource(name="acme", customer="Acme", url="s3://acme"), TALK])
    decoded = subscription.decode(webhook(RECORDED))
    assert (subscription.name, subscription.observed_by) == ("webhooks", "webhook")
    assert decoded.notifications == [Notification("s3://acme/film.mp4", None), Notification("gs://acme/chat.csv", None)]
    assert decoded.event
    assert (decoded.event.source, decoded.event.event.event_id, len(decoded.event.assets)) == (TALK, "e1", 2)
    assert decoded.event.received_at == datetime(2026, 3, 2, 10, 31, 0, 1, tzinfo=UTC)


def test_an_event_without_an_object_notifies_of_none() -> None:
    joined = {"id": "e2", "type": "peer.join.success", "data": {"peer_id": "p"}}
    failed = RECORDED | {"type": "beam.failure", "data": {"error_message": "no input"}}
    for body in (joined, failed):
        decoded = webhook_subscription(INBOX, [TALK]).decode(webhook(body))
        assert (decoded.notifications, decoded.event is not None) == ([], True)


@pytest.mark.parametrize(
    ("body", "source", "code"),
    [
        (RECORDED, "removed", "source_unknown"),
        (b"\xff", "talk", "not_json"),
        (b"[" * 100_000, "talk", "not_json"),
        ([], "talk", "not_an_object"),
        ({"id": "e"}, "talk", "type_missing"),
    ],
)
def test_a_rejected_webhook_is_refused_under_the_address_of_its_content(body: Any, source: str, code: str) -> None:
    subscription, message = webhook_subscription(INBOX, [TALK]), webhook(body, source)
    error = rejection(subscription, message)
    refusal = subscription.refuse(message, error)
    assert (error.reason_code, refusal.reason_code, refusal.detail, refusal.raw) == (
        code,
        code,
        error.detail,
        message.body,
    )
    assert (refusal.customer, refusal.source) == (("Acme", "talk") if source == "talk" else ("", "removed"))
    assert refusal.uri.startswith("100ms://acme/webhooks/" if source == "talk" else "100ms://removed/webhooks/")
    again = subscription.refuse(message._replace(message_id="another", receipt="another.json"), error)
    assert again.object_id == refusal.object_id
    other = subscription.refuse(message._replace(body=b"other"), error)
    assert other.object_id != refusal.object_id


@pytest.mark.parametrize(
    ("url", "observed_by"), [("sqs://events", "s3_event"), ("pubsub://project/events", "gcs_event")]
)
def test_a_message_of_a_bucket_is_decoded_in_the_form_of_its_cloud(url: str, observed_by: str) -> None:
    subscription = bucket_subscription(QueueSettings(name="events", url=url), INBOX)
    of_s3 = {"Records": [{"s3": {"bucket": {"name": "acme"}, "object": {"key": "a+b.csv"}}}]}
    of_gcs = {"eventType": "OBJECT_DELETE", "bucketId": "acme", "objectId": "a b.csv"}
    message = Message("7", json.dumps(of_s3).encode(), of_gcs, "receipt")
    scheme = "s3" if observed_by == "s3_event" else "gs"
    assert (subscription.name, subscription.observed_by, subscription.decode(message)) == (
        "events", observed_by, ([Notification(f"{scheme}://acme/a b.csv", None)], None)
    )  # fmt: skip

    strange = Message("8", b"hello", {}, "receipt")
    refusal = subscription.refuse(strange, rejection(subscription, strange))
    assert (refusal.customer, refusal.source, refusal.uri, refusal.raw) == ("", "events", f"{url}/8", b"hello")


def test_subscriptions_are_opened_by_their_name(tmp_path: Path, s3: S3Server) -> None:
    queue = QueueSettings(name="uploads", url="sqs://uploads", endpoint=s3.endpoint)
    configured = Settings(
        warehouse_url="duckdb:///w.duckdb",
        warehouse_memory_mb=128,
        sources=(TALK,),
        queues=(queue,),
        inbox_url=f"file://{tmp_path}/inbox",
    )
    opened = []

    class OneAccess(StandardConnections):
        def queue(self, queue: QueueSettings) -> Access:
            opened.append(queue)
            return Access(session=session(s3))

    webhooks, uploads = (
        subscribe(configured, name, open_queue(configured, name, OneAccess())) for name in ("webhooks", "uploads")
    )
    assert (webhooks.observed_by, uploads.observed_by, opened) == ("webhook", "s3_event", [queue])
    assert webhooks.decode(webhook(RECORDED)).event
    with pytest.raises(QueueError, match="has no queue sqs://uploads"):
        uploads.queue.peek(0)
    with pytest.raises(KeyError):
        open_queue(configured, "strange", OneAccess())
