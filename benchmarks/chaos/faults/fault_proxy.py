"""Who carries a bucket's notices to the queue that Roomledger listens on, and loses some on the way.

He drops some of what comes, doubles some, delays each copy for itself and passes it on. A delay of up to a day cannot
be waited for: those copies come after the sweep, when all that they tell of has long been settled, and say what they
would have said the day before. How the product takes times that lie far back its tests try, with a clock of their own.
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

from benchmarks.chaos.faults.schedule import Fates
from roomledger.queues import Message


class Named(NamedTuple):
    """A version of an object, as the ledger names it."""

    uri: str
    version: str


@dataclass
class Carrier:
    """Takes what a bucket says, and passes on what the fates leave of it."""

    name: str
    scheme: str
    """Of the addresses of objects that it carries word of."""
    observed_by: str
    """As whose word the ledger has what it passes on."""
    take: Callable[[], Sequence[Message]]
    """Gives what the bucket has said since, each once."""
    pass_on: Callable[[Message], object]
    """Puts the message into the queue that Roomledger listens on."""
    left: Callable[[], int]
    """Counts what is in there, lent or not."""
    held: Callable[[], bool]
    """Whether somebody is at work on some of it."""
    fates: Fates
    passed: Counter[Named] = field(default_factory=Counter)
    """How often Roomledger was told of each version."""
    told: Counter[str] = field(default_factory=Counter)
    """How often the bucket told of each object."""
    dropped: int = 0
    doubled: int = 0
    late: list[Message] = field(default_factory=list)
    _delayed: list[tuple[float, int, Message]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def carry(self) -> None:
        """Take what has come, and pass on what is due."""
        for message in self.take():
            for name in named(message):
                self._meet_fate(name.uri, message)
        while self._delayed and self._delayed[0][0] <= time.monotonic():
            message = heapq.heappop(self._delayed)[2]
            self.pass_on(message)
            self.passed.update(named(message))

    def _meet_fate(self, uri: str, message: Message) -> None:
        self.told[uri] += 1
        delays = self.fates.next(uri)
        self.dropped += not delays
        self.doubled += len(delays) > 1
        for delay in delays:
            if delay is None:
                self.late.append(message)
            else:
                self._delay(message, delay)

    def _delay(self, message: Message, delay_s: float) -> None:
        heapq.heappush(self._delayed, (time.monotonic() + delay_s, next(self._numbers), message))

    def is_for(self, uri: str) -> bool:
        """Whether its bucket holds the object."""
        return uri.startswith(f"{self.scheme}://")

    @property
    def waiting(self) -> int:
        """How many copies are on their way, those apart that come after the sweep."""
        return len(self._delayed)

    def release(self) -> None:
        """Let what was held back until after the sweep come now; whoever carries passes it on."""
        for message in self.late:
            self._delay(message, 0)


def named(message: Message) -> list[Named]:
    """What a notice of S3 or GCS names; S3's test event names nothing."""
    told = message.attributes
    if "objectId" in told:
        return [Named(f"gs://{told['bucketId']}/{told['objectId']}", told["objectGeneration"])]
    records = [record["s3"] for record in json.loads(message.body).get("Records", [])]
    return [
        Named(f"s3://{one['bucket']['name']}/{unquote_plus(one['object']['key'])}", one["object"]["eTag"].strip('"'))
        for one in records
    ]
