"""What is to go wrong, and when, all of it drawn from one seed: the same seed gives the same plans."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sandbox.dataset import World, WorldObject
from sandbox.dataset.workspace import Record
from sandbox.live_traffic import Part

HALVES = 0.2
"""Share of the objects that are there in part before they are there in whole, as another version."""
_BUSY = 0.9
"""Share of the time after which nothing new happens: the last notices are still to be delayed, and parts killed."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What becomes of notices and webhooks."""

    dropped: float = 0.3
    doubled: float = 0.3
    """Of those that are not dropped."""
    late: float = 0.1
    """Of all that are sent, the second ones among them: they come when the sweep is over."""
    delay_s: float = 20.0
    """The others come after up to so many seconds, each after its own, and so in another order."""


class Fates:
    """Draws what becomes of each notice: of the first that names an object, of the second, and so on."""

    def __init__(self, seed: int, shares: Shares) -> None:
        self._seed = seed
        self._shares = shares
        self._told: dict[str, int] = {}

    def next(self, uri: str) -> list[float | None]:
        """Give for each copy of the next notice of this object its delay in seconds; None for after the sweep."""
        number = self._told[uri] = self._told.get(uri, 0) + 1
        # Drawn for itself, as in which order the notices of several objects come is not known beforehand.
        rng = random.Random(f"{self._seed} {uri} {number}")
        if rng.random() < self._shares.dropped:
            return []
        copies = 2 if rng.random() < self._shares.doubled else 1
        return [
            None if rng.random() < self._shares.late else rng.uniform(0, self._shares.delay_s) for _ in range(copies)
        ]


class Upload(NamedTuple):
    """Some bytes on their way into a bucket."""

    at_s: float
    """Seconds since the beginning."""
    thing: WorldObject
    content: bytes


def uploads(world: World, seconds: float, rng: random.Random) -> list[Upload]:
    """Spread the objects of the customers' buckets over the time, in any order; some are there in part first.

    Segments of films are left out: there are many, and all alike.
    """
    buckets = {bucket.source for bucket in world.buckets}
    found = []
    for thing in world.objects:
        if thing.source not in buckets or thing.key.endswith(".ts"):
            continue
        at = rng.uniform(0, _BUSY * seconds)
        found.append(Upload(at, thing, thing.content))
        half = thing.content[: len(thing.content) // 2]
        # S3 tells times in whole seconds: two versions of one second would follow each other in no known order.
        before = at - rng.uniform(2, 20)
        # What is refused or ignored as a whole would leave the rows of a half that was not.
        if rng.random() < HALVES and before > 0 and half and thing.outcome.disposition == "loaded":
            found.append(Upload(before, thing, half))
    return sorted(found, key=lambda upload: upload.at_s)


class Told(NamedTuple):
    """A session that is over: from now on the vendor's API tells of it, and its webhooks are posted."""

    at_s: float
    part: Part
    events: Sequence[Record]
    late: Sequence[Record]
    """Those that are posted when the sweep is over."""


def tellings(sessions: Iterable[Part], seconds: float, shares: Shares, rng: random.Random) -> list[Told]:
    """Spread the sessions over the time, the oldest first, and hold some of their events back."""
    sessions = [*sessions]
    times = sorted(rng.uniform(0, _BUSY * seconds) for _ in sessions)
    found = []
    for at, part in zip(times, sessions, strict=True):
        late = {*rng.sample(range(len(part.events)), round(shares.late * len(part.events)))}
        events = [event for place, event in enumerate(part.events) if place not in late]
        held = [event for place, event in enumerate(part.events) if place in late]
        found.append(Told(at, part, events, held))
    return found


class Kill(NamedTuple):
    """A part that is to die."""

    at_s: float
    part: str
    pause_s: float
    """How long it stays dead, if somebody has to start it again."""
    alone: bool
    """Whether what it has started outlives it until it is started again."""
    wait_s: float
    """How long the killer waits after what it has waited for, if the part dies in the midst of its work."""


def kills(parts: Sequence[str], count: int, seconds: float, rng: random.Random) -> list[Kill]:
    """Spread so many kills over the time: every part dies once before one dies twice, in any order."""
    return [
        Kill(
            # Not before something has begun, and evenly, give or take a little.
            at_s=seconds * (0.05 + 0.95 * (number + rng.random()) / count),
            part=part,
            pause_s=rng.uniform(1, 8),
            alone=rng.random() < 0.5,
            wait_s=rng.choice([0.0, rng.uniform(0, 0.5), rng.uniform(0, 2)]),
        )
        for number, part in zip(range(count), _in_rounds(parts, rng), strict=False)
    ]


def _in_rounds(parts: Sequence[str], rng: random.Random) -> Iterator[str]:
    while True:
        yield from rng.sample(parts, len(parts))
