"""Receiver: one pending request per queue, so that a silent queue does not delay the messages of another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from types import TracebackType
from typing import NamedTuple

from roomledger import times
from roomledger.pipeline.subscriptions import Subscription
from roomledger.queues import Message, QueueError

TIMEOUT_S = 1.0
"""How long to wait for the first message of a queue, and to pause after an error."""
_TOGETHER_S = 0.05
"""Messages that arrive this soon after the first one are ingested with it."""
_AT_ONCE_S = 0.25
"""Time limit for the response to a request with a timeout of 0."""


class Received(NamedTuple):
    """The response to one request to a queue."""

    subscription: Subscription
    messages: Sequence[Message]
    at: datetime
    problem: str | None = None
    """Why the queue could not be read."""


class Receiver:
    """Has at most one request per queue; the messages must be acknowledged before the next `take`."""

    def __init__(self, subscriptions: Sequence[Subscription]) -> None:
        self._subscriptions = subscriptions
        self._pool = ThreadPoolExecutor(max(len(subscriptions), 1), "receive")
        self._pending: dict[Future[Received], Subscription] = {}
        self.problems: dict[str, str] = {}
        """Why queues could not be read, by their names, until they can be read again."""

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the responses that no `take` returned: their messages are delivered again."""
        self._pool.shutdown(cancel_futures=True)

    @property
    def has_pending(self) -> bool:
        """Whether a request is pending, which may receive messages."""
        return bool(self._pending)

    def request(self, timeout_s: float) -> None:
        """Send a request with this timeout to every queue that has none pending."""
        for subscription in self._subscriptions:
            if subscription not in self._pending.values():
                self._pending[self._pool.submit(_receive, subscription, timeout_s)] = subscription

    def take(self, timeout_s: float) -> list[Received]:
        """Return the responses that have arrived; wait for the first up to `timeout_s`, or a quarter second if it is 0.

        Other requests stay pending.
        """
        until = time.monotonic() + max(timeout_s, _AT_ONCE_S)
        done: set[Future[Received]] = set()
        pending = set(self._pending)
        while pending and not any(_has_arrived(one) for one in done) and (left := until - time.monotonic()) > 0:
            ended, pending = wait(pending, left, FIRST_COMPLETED)
            done |= ended
        if pending and done:
            done |= wait(pending, _TOGETHER_S).done
        for one in done:
            del self._pending[one]
        arrived = [one.result() for one in done]
        for subscription, _, _, problem in arrived:
            self.problems.pop(subscription.name, None)
            if problem:
                self.problems[subscription.name] = problem
        return arrived


def _has_arrived(done: Future[Received]) -> bool:
    received = done.result()
    return bool(received.messages or received.problem)


def _receive(subscription: Subscription, timeout_s: float) -> Received:
    try:
        messages = subscription.queue.receive(timeout_s)
    except QueueError as error:
        time.sleep(TIMEOUT_S)
        return Received(subscription, [], times.utc_now(), str(error))
    return Received(subscription, messages, times.utc_now())
