"""Subscriptions: the queues of the settings and the inbox of webhooks, each with how its messages are decoded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from roomledger.hundredms import webhooks
from roomledger.ledger.refusals import RefusalRow
from roomledger.ledger.vendor_events import WebhookEvent
from roomledger.model import Rejected
from roomledger.queues import Message, Notification, Queue, gcs_events, s3_events
from roomledger.settings import INBOX, QueueSettings, Settings, Source


class Decoded(NamedTuple):
    """The content of a message."""

    notifications: Sequence[Notification]
    """Objects to inspect."""
    event: WebhookEvent | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A queue, and how its messages are decoded."""

    name: str
    queue: Queue
    observed_by: str
    """Observer of its notifications: s3_event, gcs_event or webhook."""
    decode: Callable[[Message], Decoded]
    """Raises Rejected."""
    refuse: Callable[[Message, Rejected], RefusalRow]
    """Builds the refusal of a rejected message."""


def subscribe(settings: Settings, name: str, queue: Queue) -> Subscription:
    """Give the subscription of the queue or inbox of this name."""
    if name == INBOX:
        return webhook_subscription(queue, settings.sources)
    return bucket_subscription(settings.queue(name), queue)


def bucket_subscription(settings: QueueSettings, queue: Queue) -> Subscription:
    """Give the subscription to a queue of bucket events: of S3 in SQS, of GCS in Pub/Sub."""
    is_s3 = settings.url.startswith("sqs:")
    decode = s3_events.notifications if is_s3 else gcs_events.notifications

    def refuse(message: Message, error: Rejected) -> RefusalRow:
        uri = f"{settings.url}/{message.message_id}"
        return RefusalRow("", settings.name, "message", uri, error.reason_code, error.detail, message.body)

    observed_by = "s3_event" if is_s3 else "gcs_event"
    return Subscription(settings.name, queue, observed_by, lambda message: Decoded(decode(message)), refuse)


def webhook_subscription(inbox: Queue, sources: Sequence[Source]) -> Subscription:
    """Give the subscription to the inbox; `sources` are all of the settings."""
    by_name = {source.name: source for source in sources}
    return Subscription(
        INBOX,
        inbox,
        "webhook",
        lambda message: _decode_webhook(by_name, message),
        lambda message, error: _refuse_webhook(by_name, message, error),
    )


def _decode_webhook(sources: Mapping[str, Source], message: Message) -> Decoded:
    source = sources.get(message.attributes.get("source", ""))
    if source is None:
        raise Rejected("source_unknown", "The settings no longer contain the source that received this webhook.")
    try:
        body = json.loads(message.body)
    except (ValueError, RecursionError):
        raise Rejected("not_json", "The webhook's body is not JSON.") from None
    event, assets = webhooks.decode(body)
    received_at = datetime.fromisoformat(message.attributes["received_at"])
    notifications = [Notification(asset.uri, None) for asset in assets if asset.uri]
    return Decoded(notifications, WebhookEvent(source, event, assets, received_at))


def _refuse_webhook(sources: Mapping[str, Source], message: Message, error: Rejected) -> RefusalRow:
    name = message.attributes.get("source", INBOX)
    source = sources.get(name)
    uri = f"{source.url if source else '100ms://' + name}/webhooks/{sha256(message.body).hexdigest()[:24]}"
    customer = source.customer if source else ""
    return RefusalRow(customer, name, "webhook", uri, error.reason_code, error.detail, message.body)
