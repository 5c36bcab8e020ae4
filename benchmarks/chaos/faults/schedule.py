"""The schedule of a run: uploads, sessions and kills with their times, all drawn from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.chaos.faults.delivery import FaultRates
from sandbox.dataset import World, WorldObject
from sandbox.dataset.workspace import Record
from sandbox.live_traffic import Part

PARTIAL = 0.2
"""Share of the objects whose first version holds only the first half of the bytes."""
_BUSY = 0.9
"""Share of the time in which uploads and sessions start; the rest is for delayed notifications and further kills."""


class Upload(NamedTuple):
    """An upload of an object version to its bucket."""

    at_s: float
    """Seconds since the start."""
    target: WorldObject
    content: bytes


def plan_uploads(world: World, seconds: float, rng: random.Random) -> list[Upload]:
    """Spread the objects of the customers' buckets over the time, in random order; some are uploaded in part first.

    Media segments are left out: they are many and all alike.
    """
    buckets = {bucket.source for bucket in world.buckets}
    found = []
    for target in world.objects:
        if target.source not in buckets or target.key.endswith(".ts"):
            continue
        at_s = rng.uniform(0, _BUSY * seconds)
        found.append(Upload(at_s, target, target.content))
        half = target.content[: len(target.content) // 2]
        # S3 reports times in whole seconds: the order of two versions of the same second would be unknown.
        before_s = at_s - rng.uniform(2, 20)
        # A complete object that is refused or ignored would not replace the rows of its first half.
        if rng.random() < PARTIAL and before_s > 0 and half and target.outcome.disposition == "loaded":
            found.append(Upload(before_s, target, half))
    return sorted(found, key=lambda upload: upload.at_s)


class SessionEnd(NamedTuple):
    """The end of a session: its records appear in the API of 100ms, and its webhooks are sent."""

    at_s: float
    session: Part
    events: Sequence[Record]
    late_events: Sequence[Record]
    """Events that are sent after the sweep."""


def plan_sessions(sessions: Iterable[Part], seconds: float, rates: FaultRates, rng: random.Random) -> list[SessionEnd]:
    """Spread the ends of the sessions over the time, oldest session first; some of their events are late."""
    sessions = [*sessions]
    times = sorted(rng.uniform(0, _BUSY * seconds) for _ in sessions)
    found = []
    for at_s, session in zip(times, sessions, strict=True):
        late = {*rng.sample(range(len(session.events)), round(rates.late * len(session.events)))}
        events = [event for index, event in enumerate(session.events) if index not in late]
        late_events = [event for index, event in enumerate(session.events) if index in late]
        found.append(SessionEnd(at_s, session, events, late_events))
    return found


class Kill(NamedTuple):
    """A kill of a component."""

    at_s: float
    component: str
    downtime_s: float
    """Pause before the restart of a component that nothing else restarts."""
    single_process: bool
    """Whether child processes of a component, or the worker of a task, survive the kill."""
    delay_s: float
    """Pause between the start of the work that the kill waits for and the kill: it interrupts the work."""


def plan_kills(components: Sequence[str], count: int, seconds: float, rng: random.Random) -> list[Kill]:
    """Spread the kills over the time: in random order, and each component once before any component twice."""
    return [
        Kill(
            # Evenly, give or take a little, and not before there is some work.
            at_s=seconds * (0.05 + 0.95 * (number + rng.random()) / count),
            component=component,
            downtime_s=rng.uniform(1, 8),
            single_process=rng.random() < 0.5,
            delay_s=rng.choice([0.0, rng.uniform(0, 0.5), rng.uniform(0, 2)]),
        )
        for number, component in zip(range(count), _rounds(components, rng), strict=False)
    ]


def _rounds(components: Sequence[str], rng: random.Random) -> Iterator[str]:
    while True:
        yield from rng.sample(components, len(components))
