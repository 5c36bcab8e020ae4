"""A proxy between the notifications of buckets and the queue that Roomledger reads: it injects delivery faults.

The proxy drops some notifications, duplicates some, and delays each copy on its own. A run cannot wait for delays of up
to a day; instead, late copies are delivered after the sweep, when everything that they announce is already settled. The
tests of Roomledger cover times in the distant past, with a clock of their own.
"""

from __future__ import annotations

import heapq
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote_plus

from benchmarks.chaos.faults.delivery import DeliveryCounts, RandomDelays
from roomledger.queues import Message


class ObjectVersion(NamedTuple):
    """A version of an object, as the ledger names it."""

    uri: str
    version: str


@dataclass
class FaultProxy:
    """Receives the notifications of one bucket service and forwards them with faults."""

    name: str
    scheme: str
    """URL scheme of the objects."""
    observed_by: str
    """Observer channel of these notifications in the ledger."""
    receive: Callable[[], Sequence[Message]]
    """Returns new notifications of the buckets, each once."""
    forward: Callable[[Message], object]
    """Sends a message to the queue that Roomledger reads."""
    backlog: Callable[[], int]
    """Counts the messages in that queue, those in flight included."""
    has_in_flight: Callable[[], bool]
    """Whether a reader holds unacknowledged messages of that queue."""
    delays: RandomDelays
    sent: Counter[str] = field(default_factory=Counter)
    """Number of notifications that the bucket sent of each object."""
    forwarded: Counter[ObjectVersion] = field(default_factory=Counter)
    """Number of notifications that Roomledger received of each version."""
    dropped: int = 0
    duplicated: int = 0
    late: list[Message] = field(default_factory=list)
    _delayed: list[tuple[float, int, Message]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def run_once(self) -> None:
        """Receive what has arrived, and forward what is due."""
        for message in self.receive():
            for version in announced_versions(message):
                self._inject_faults(version.uri, message)
        while self._delayed and self._delayed[0][0] <= time.monotonic():
            message = heapq.heappop(self._delayed)[2]
            self.forward(message)
            self.forwarded.update(announced_versions(message))

    def _inject_faults(self, uri: str, message: Message) -> None:
        self.sent[uri] += 1
        delays = self.delays.next(uri)
        self.dropped += not delays
        self.duplicated += len(delays) > 1
        for delay in delays:
            if delay is None:
                self.late.append(message)
            else:
                self._schedule(message, delay)

    def _schedule(self, message: Message, delay_s: float) -> None:
        heapq.heappush(self._delayed, (time.monotonic() + delay_s, next(self._numbers), message))

    def schedule_late(self) -> None:
        """Make the late copies due now; `run_once` forwards them."""
        for message in self.late:
            self._schedule(message, 0)

    @property
    def delayed(self) -> int:
        """Number of copies that are still delayed, without the late ones."""
        return len(self._delayed)

    @property
    def counts(self) -> DeliveryCounts:
        """The faults so far."""
        return DeliveryCounts(self.sent.total(), self.dropped, self.duplicated, len(self.late), self.forwarded.total())


def announced_versions(message: Message) -> list[ObjectVersion]:
    """Return the object versions that a notification of S3 or GCS announces; the test event of S3 announces none."""
    attributes = message.attributes
    if "objectId" in attributes:
        uri = f"gs://{attributes['bucketId']}/{attributes['objectId']}"
        return [ObjectVersion(uri, attributes["objectGeneration"])]
    records = [record["s3"] for record in json.loads(message.body).get("Records", [])]
    return [
        ObjectVersion(
            f"s3://{one['bucket']['name']}/{unquote_plus(one['object']['key'])}", one["object"]["eTag"].strip('"')
        )
        for one in records
    ]
