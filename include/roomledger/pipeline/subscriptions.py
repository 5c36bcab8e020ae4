"""Bells: the queues that the settings name and the inbox of webhooks, each with how its messages are understood."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from roomledger import queues
from roomledger.hundredms import webhooks
from roomledger.ledger.refusals import RefusalRow
from roomledger.ledger.vendor_events import Heard
from roomledger.model import Rejected
from roomledger.queues import Message, Notice, Queue
from roomledger.queues.inbox_folder import open_inbox
from roomledger.settings import INBOX, QueueSettings, Settings, Source
from roomledger.stores import Access


class Decoded(NamedTuple):
    """What a message says."""

    notices: Sequence[Notice]
    """Objects to look at."""
    heard: Heard | None = None
    """The vendor's event."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A queue, and how its messages are understood."""

    name: str
    queue: Queue
    observed_by: str
    """As whose word its notices go into the ledger: s3_event, gcs_event or webhook."""
    understand: Callable[[Message], Decoded]
    """Raises Rejected."""
    refuse: Callable[[Message, Rejected], RefusalRow]
    """Puts a message that is not understood into the form in which it is kept."""


def open_subscription(settings: Settings, name: str, access: Callable[[QueueSettings], Access]) -> Subscription:
    """Get the bell of this name ready; nothing is asked of its queue yet. Raises QueueError, and KeyError."""
    if name == INBOX and settings.inbox_url:
        return webhook_subscription(open_inbox(settings.inbox_url), settings.sources)
    queue = {one.name: one for one in settings.queues}[name]
    return bucket_subscription(queue, queues.open_queue(queue, access(queue)))


def bucket_subscription(settings: QueueSettings, queue: Queue) -> Subscription:
    """The bell of a queue of bucket events."""

    def refuse(message: Message, error: Rejected) -> RefusalRow:
        address = f"{settings.url}/{message.message_id}"
        return RefusalRow("", settings.name, address, error.reason_code, error.detail, message.body)

    return Subscription(
        settings.name,
        queue,
        "s3_event" if settings.url.startswith("sqs:") else "gcs_event",
        lambda message: Decoded(queues.notices(settings, message)),
        refuse,
    )


def webhook_subscription(inbox: Queue, sources: Sequence[Source]) -> Subscription:
    """The bell of the inbox; `sources` are all that the settings name."""
    named = {source.name: source for source in sources}
    return Subscription(INBOX, inbox, "webhook", partial(_heard, named), partial(_kept, named))


def _heard(sources: dict[str, Source], message: Message) -> Decoded:
    source = sources.get(message.attributes.get("source", ""))
    if source is None:
        raise Rejected("source_unknown", "The settings no longer name the source that this webhook came to.")
    try:
        event, assets = webhooks.event(json.loads(message.body))
    except (ValueError, RecursionError) as error:
        raise Rejected("not_json", f"The webhook's body is no JSON: {error}.") from None
    received_at = datetime.fromisoformat(message.attributes["received_at"])
    return Decoded(
        [Notice(asset.uri, None) for asset in assets if asset.uri], Heard(source, event, assets, received_at)
    )


def _kept(sources: dict[str, Source], message: Message, error: Rejected) -> RefusalRow:
    name = message.attributes.get("source", INBOX)
    source = sources.get(name)
    digest = sha256(message.body).hexdigest()[:24]
    address = f"{source.url if source else '100ms://' + name}/webhooks/{digest}"
    customer = source.customer if source else ""
    return RefusalRow(customer, name, address, error.reason_code, error.detail, message.body)
