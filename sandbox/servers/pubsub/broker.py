"""What topics and subscriptions hold, and the calls of Pub/Sub's protocol on them, without the wire."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google import pubsub_v1 as api
from google.protobuf import any_pb2, empty_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

LONGEST_PULL_S = 20.0
"""After about so long the real Pub/Sub, too, answers that nothing came."""
LARGEST_REQUEST = 512 * 1024
"""Bytes of receipts that it takes at once (vendor documentation)."""


class Refused(Exception):
    """A call that came to nothing, as the protocol puts it."""

    def __init__(self, code: str, words: str, metadata: dict[str, str] | None = None) -> None:
        super().__init__(words)
        info = any_pb2.Any()
        info.Pack(error_details_pb2.ErrorInfo(domain="pubsub.googleapis.com", metadata=metadata))
        details = [info] if metadata else []
        self.status = status_pb2.Status(code=code_pb2.Code.Value(code), message=words, details=details)


@dataclass
class _Subscription:
    settings: api.Subscription
    waiting: deque[api.PubsubMessage] = field(default_factory=deque)
    lent: dict[str, tuple[float, api.PubsubMessage]] = field(default_factory=dict)
    """By ack id: until when, and what."""

    def take_back(self) -> None:
        now = time.monotonic()
        for ack_id in [ack_id for ack_id, (until, _) in self.lent.items() if until <= now]:
            self.waiting.append(self.lent.pop(ack_id)[1])

    def lend(self, most: int) -> list[api.ReceivedMessage]:
        until, given = time.monotonic() + self.settings.ack_deadline_seconds, []
        for _ in range(min(most, len(self.waiting))):
            message, ack_id = self.waiting.popleft(), secrets.token_hex(90)  # as long as the real ones
            self.lent[ack_id] = until, message
            given.append(api.ReceivedMessage(ack_id=ack_id, message=message))
        return given


class Broker:
    """All topics and subscriptions, and what the protocol does with them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._topics: dict[str, api.Topic] = {}
        self._subscriptions: dict[str, _Subscription] = {}

    def create_topic(self, asked: api.Topic) -> api.Topic:
        """Refused if it is there."""
        with self._changed:
            if asked.name in self._topics:
                raise Refused("ALREADY_EXISTS", f"{asked.name} is there already")
            self._topics[asked.name] = asked
        return asked

    def get_topic(self, asked: api.GetTopicRequest) -> api.Topic:
        """What it was created with."""
        return _known(self._topics, asked.topic)

    def publish(self, asked: api.PublishRequest) -> api.PublishResponse:
        """Put a copy into every subscription of the topic."""
        with self._changed:
            _known(self._topics, asked.topic)
            for message in asked.messages:
                message.message_id, message.publish_time = str(next(self._numbers)), datetime.now(UTC)
            for subscription in self._subscriptions.values():
                if subscription.settings.topic == asked.topic:
                    subscription.waiting.extend(asked.messages)
            self._changed.notify_all()
        return api.PublishResponse(message_ids=[message.message_id for message in asked.messages])

    def create_subscription(self, asked: api.Subscription) -> api.Subscription:
        """It gets what is published from now on, and lends for ten seconds unless its settings say otherwise."""
        with self._changed:
            _known(self._topics, asked.topic)
            if asked.name in self._subscriptions:
                raise Refused("ALREADY_EXISTS", f"{asked.name} is there already")
            asked.ack_deadline_seconds = asked.ack_deadline_seconds or 10
            self._subscriptions[asked.name] = _Subscription(asked)
        return asked

    def get_subscription(self, asked: api.GetSubscriptionRequest) -> api.Subscription:
        """What it was created with."""
        settings: api.Subscription = _known(self._subscriptions, asked.subscription).settings
        return settings

    def delete_subscription(self, asked: api.DeleteSubscriptionRequest) -> empty_pb2.Empty:
        """With all that it holds."""
        with self._changed:
            _known(self._subscriptions, asked.subscription)
            del self._subscriptions[asked.subscription]
        return empty_pb2.Empty()

    def pull(self, asked: api.PullRequest, still_asked: Callable[[], bool]) -> api.PullResponse:
        """Lend what waits, or what comes first; nothing is lent to who has hung up."""
        until = time.monotonic() + LONGEST_PULL_S
        with self._changed:
            while still_asked() and time.monotonic() < until:
                subscription = _known(self._subscriptions, asked.subscription)
                subscription.take_back()
                if given := subscription.lend(asked.max_messages):
                    return api.PullResponse(received_messages=given)
                self._changed.wait(0.05)
        return api.PullResponse()

    def acknowledge(self, asked: api.AcknowledgeRequest) -> empty_pb2.Empty:
        """Forget what was lent."""
        return self._give_up(asked, lambda *_: None)

    def modify_ack_deadline(self, asked: api.ModifyAckDeadlineRequest) -> empty_pb2.Empty:
        """Lend it from now on for so many seconds; for none it waits again at once."""
        until = time.monotonic() + asked.ack_deadline_seconds

        def lend_on(subscription: _Subscription, ack_id: str, message: api.PubsubMessage) -> None:
            subscription.lent[ack_id] = until, message

        return self._give_up(asked, lend_on)

    def _give_up(self, asked: Any, then: Callable[[_Subscription, str, api.PubsubMessage], None]) -> empty_pb2.Empty:
        if sum(map(len, asked.ack_ids)) > LARGEST_REQUEST:
            raise Refused("INVALID_ARGUMENT", "the request is too large")
        with self._changed:
            subscription = _known(self._subscriptions, asked.subscription)
            subscription.take_back()
            gone = [ack_id for ack_id in asked.ack_ids if ack_id not in subscription.lent]
            for ack_id in set(asked.ack_ids).difference(gone):
                then(subscription, ack_id, subscription.lent.pop(ack_id)[1])
            self._changed.notify_all()
        if gone and subscription.settings.enable_exactly_once_delivery:
            invalid = dict.fromkeys(gone, "PERMANENT_FAILURE_INVALID_ACK_ID")
            raise Refused("FAILED_PRECONDITION", "Some ack ids are invalid.", invalid)
        return empty_pb2.Empty()


def _known(things: dict[str, Any], name: str) -> Any:
    if name not in things:
        raise Refused("NOT_FOUND", f"Resource not found (resource={name.rpartition('/')[2]}).")
    return things[name]
