"""Topics and subscriptions, and the calls of the Pub/Sub protocol, without the network."""

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
"""The real Pub/Sub also returns an empty response after about this time."""
LARGEST_REQUEST = 512 * 1024
"""Limit of the ack ids in one request, in bytes (vendor documentation)."""


class CallError(Exception):
    """The call fails with this status."""

    def __init__(self, code: str, message: str, metadata: dict[str, str] | None = None) -> None:
        super().__init__(message)
        info = any_pb2.Any()
        info.Pack(error_details_pb2.ErrorInfo(domain="pubsub.googleapis.com", metadata=metadata))
        details = [info] if metadata else []
        self.status = status_pb2.Status(code=code_pb2.Code.Value(code), message=message, details=details)


@dataclass
class _Subscription:
    settings: api.Subscription
    waiting: deque[api.PubsubMessage] = field(default_factory=deque)
    leased: dict[str, tuple[float, api.PubsubMessage]] = field(default_factory=dict)
    """Deadline and message by ack id."""

    def return_expired(self) -> None:
        now = time.monotonic()
        for ack_id in [ack_id for ack_id, (deadline, _) in self.leased.items() if deadline <= now]:
            self.waiting.append(self.leased.pop(ack_id)[1])

    def lease(self, limit: int) -> list[api.ReceivedMessage]:
        deadline, received = time.monotonic() + self.settings.ack_deadline_seconds, []
        for _ in range(min(limit, len(self.waiting))):
            message, ack_id = self.waiting.popleft(), secrets.token_hex(90)  # as long as the real ones
            self.leased[ack_id] = deadline, message
            received.append(api.ReceivedMessage(ack_id=ack_id, message=message))
        return received


class Broker:
    """All topics and subscriptions, with the calls of the protocol."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._topics: dict[str, api.Topic] = {}
        self._subscriptions: dict[str, _Subscription] = {}

    def create_topic(self, request: api.Topic) -> api.Topic:
        """Fails if the topic exists."""
        with self._changed:
            if request.name in self._topics:
                raise CallError("ALREADY_EXISTS", f"{request.name} already exists")
            self._topics[request.name] = request
        return request

    def get_topic(self, request: api.GetTopicRequest) -> api.Topic:
        """The topic as it was created."""
        return _find(self._topics, request.topic)

    def publish(self, request: api.PublishRequest) -> api.PublishResponse:
        """Add the messages to every subscription of the topic."""
        with self._changed:
            _find(self._topics, request.topic)
            for message in request.messages:
                message.message_id, message.publish_time = str(next(self._numbers)), datetime.now(UTC)
            for subscription in self._subscriptions.values():
                if subscription.settings.topic == request.topic:
                    subscription.waiting.extend(request.messages)
            self._changed.notify_all()
        return api.PublishResponse(message_ids=[message.message_id for message in request.messages])

    def create_subscription(self, request: api.Subscription) -> api.Subscription:
        """It receives messages from now on; the default ack deadline is ten seconds."""
        with self._changed:
            _find(self._topics, request.topic)
            if request.name in self._subscriptions:
                raise CallError("ALREADY_EXISTS", f"{request.name} already exists")
            request.ack_deadline_seconds = request.ack_deadline_seconds or 10
            self._subscriptions[request.name] = _Subscription(request)
        return request

    def get_subscription(self, request: api.GetSubscriptionRequest) -> api.Subscription:
        """The settings with which it was created."""
        settings: api.Subscription = _find(self._subscriptions, request.subscription).settings
        return settings

    def delete_subscription(self, request: api.DeleteSubscriptionRequest) -> empty_pb2.Empty:
        """Delete the subscription with its messages."""
        with self._changed:
            _find(self._subscriptions, request.subscription)
            del self._subscriptions[request.subscription]
        return empty_pb2.Empty()

    def pull(self, request: api.PullRequest, is_active: Callable[[], bool]) -> api.PullResponse:
        """Lease messages, and wait for the first one if necessary, as long as the client is connected."""
        until = time.monotonic() + LONGEST_PULL_S
        with self._changed:
            while is_active() and time.monotonic() < until:
                subscription = _find(self._subscriptions, request.subscription)
                subscription.return_expired()
                if received := subscription.lease(request.max_messages):
                    return api.PullResponse(received_messages=received)
                self._changed.wait(0.05)
        return api.PullResponse()

    def acknowledge(self, request: api.AcknowledgeRequest) -> empty_pb2.Empty:
        """Remove leased messages."""
        return self._update_leases(request, lambda *_: None)

    def modify_ack_deadline(self, request: api.ModifyAckDeadlineRequest) -> empty_pb2.Empty:
        """Extend leases to this number of seconds from now; 0 returns the messages at once."""
        deadline = time.monotonic() + request.ack_deadline_seconds

        def extend(subscription: _Subscription, ack_id: str, message: api.PubsubMessage) -> None:
            subscription.leased[ack_id] = deadline, message

        return self._update_leases(request, extend)

    def _update_leases(
        self, request: Any, then: Callable[[_Subscription, str, api.PubsubMessage], None]
    ) -> empty_pb2.Empty:
        if sum(map(len, request.ack_ids)) > LARGEST_REQUEST:
            raise CallError("INVALID_ARGUMENT", "the request is too large")
        with self._changed:
            subscription = _find(self._subscriptions, request.subscription)
            subscription.return_expired()
            invalid = [ack_id for ack_id in request.ack_ids if ack_id not in subscription.leased]
            for ack_id in set(request.ack_ids).difference(invalid):
                then(subscription, ack_id, subscription.leased.pop(ack_id)[1])
            self._changed.notify_all()
        if invalid and subscription.settings.enable_exactly_once_delivery:
            failures = dict.fromkeys(invalid, "PERMANENT_FAILURE_INVALID_ACK_ID")
            raise CallError("FAILED_PRECONDITION", "Some ack ids are invalid.", failures)
        return empty_pb2.Empty()


def _find(resources: dict[str, Any], name: str) -> Any:
    if name not in resources:
        raise CallError("NOT_FOUND", f"Resource not found (resource={name.rpartition('/')[2]}).")
    return resources[name]
