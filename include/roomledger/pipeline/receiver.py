"""Receiving: every queue is waited at by itself, so that what one brings is not kept back by the silence of another."""

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

PATIENCE_S = 1.0
"""How long a queue is waited at for a first message, and left alone after an error."""
_TOGETHER_S = 0.05
"""What comes so soon after the first message is answered together with it."""
_AT_ONCE_S = 0.25
"""What a queue that waits for nothing may take to say what is there."""


class Received(NamedTuple):
    """What one request at a queue brought."""

    subscription: Subscription
    messages: Sequence[Message]
    at: datetime
    problem: str | None = None
    """Why the queue could not be read."""


class Receiver:
    """Has one request at each queue, at most: what it brought must be settled before the next `take`."""

    def __init__(self, subscriptions: Sequence[Subscription]) -> None:
        self._bells = subscriptions
        self._pool = ThreadPoolExecutor(max(len(subscriptions), 1), "receive")
        self._open: dict[Future[Received], Subscription] = {}
        self.problems: dict[str, str] = {}
        """What ails queues, by their names, until they can be read again."""

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what no `take` gave: it comes again."""
        self._pool.shutdown(cancel_futures=True)

    @property
    def is_waiting(self) -> bool:
        """Whether a request is open, which may take something out of its queue."""
        return bool(self._open)

    def ask(self, patience_s: float) -> None:
        """Send a request of so much patience to every queue that has none."""
        for subscription in self._bells:
            if subscription not in self._open.values():
                self._open[self._pool.submit(_receive, subscription, patience_s)] = subscription

    def take(self, patience_s: float) -> list[Received]:
        """Give what has come; wait for it for `patience_s` at most, and at least until those that do not wait answer.

        The requests of queues from which nothing has come yet stay open.
        """
        until = time.monotonic() + max(patience_s, _AT_ONCE_S)
        done: set[Future[Received]] = set()
        is_open = set(self._open)
        while is_open and not any(_brought(one) for one in done) and (left := until - time.monotonic()) > 0:
            ended, is_open = wait(is_open, left, FIRST_COMPLETED)
            done |= ended
        if is_open and done:
            done |= wait(is_open, _TOGETHER_S).done
        for one in done:
            del self._open[one]
        brought = [one.result() for one in done]
        for subscription, _, _, problem in brought:
            self.problems.pop(subscription.name, None)
            if problem:
                self.problems[subscription.name] = problem
        return brought


def _brought(done: Future[Received]) -> bool:
    received = done.result()
    return bool(received.messages or received.problem)


def _receive(subscription: Subscription, patience_s: float) -> Received:
    try:
        messages = subscription.queue.receive(patience_s)
    except QueueError as error:
        time.sleep(PATIENCE_S)
        return Received(subscription, [], times.utc_now(), str(error))
    return Received(subscription, messages, times.utc_now())
