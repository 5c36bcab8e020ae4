"""Which sources are to ring, and which queue hears them: what the settings say, or what they should say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from roomledger.cloud import CannotRing, Ring
from roomledger.settings import QueueSettings, Settings, Source
from roomledger.stores import split

_BELLS = {"s3": "s3", "gs": "gcs"}
_QUEUES = {"s3": "sqs", "gs": "pubsub"}
_EXAMPLES = {"s3": "sqs://queue-name", "gs": "pubsub://project/subscription"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to ring."""

    rings: tuple[Ring, ...]
    source: Source
    """The first one: they are all reached in one way."""
    queue: QueueSettings | None
    """None when the settings name no queue of this cloud."""
    neighbours: tuple[str, ...]
    """Other sources of the settings in the same buckets."""

    @property
    def name(self) -> str:
        """What a new queue is called."""
        return f"roomledger-{self.source.name}"


def choose(settings: Settings, names: Sequence[str], *, scheme: str, queue: str | None = None) -> Choice:
    """Take these sources, of `scheme` `s3` or `gs`, and the queue of this name, or the only one of that cloud.

    Raises `CannotRing`, and `SettingsError` when the settings have no such source.
    """
    sources = settings.select(list(dict.fromkeys(names)))
    for source in sources:
        found = source.url.partition("://")[0]
        if found != scheme:
            way_out = f"use roomledger bell {_BELLS[found]} {source.name}" if found in _BELLS else "it rings no bell"
            raise CannotRing(f"source {source.name} is {source.url}: {way_out}")
    first = sources[0]
    for source in sources[1:]:
        for key in ("connection", "endpoint", "region"):
            if getattr(source, key) != getattr(first, key):
                raise CannotRing(
                    f"sources {first.name} and {source.name} differ in their {key}: let each ring in a queue of its own"
                )
    rings = tuple(_ring(source) for source in sources)
    buckets = {ring.bucket for ring in rings}
    others = (source for source in settings.sources if source not in sources)
    neighbours = tuple(
        other.name for other in others if other.url.startswith(f"{scheme}://") and _ring(other).bucket in buckets
    )
    return Choice(rings, first, _queue(settings, scheme, queue), neighbours)


def _ring(source: Source) -> Ring:
    _, bucket, prefix = split(source.url)
    return Ring(source.name, bucket, prefix and f"{prefix}/")


def _queue(settings: Settings, scheme: str, name: str | None) -> QueueSettings | None:
    known = [queue for queue in settings.queues if queue.url.startswith(f"{_QUEUES[scheme]}://")]
    if name is None:
        if len(known) > 1:
            raise CannotRing(f"several queues could hear it: choose with --queue {_names(known)}")
        return known[0] if known else None
    for queue in known:
        if queue.name == name:
            return queue
    have = f"they have {_names(known)}" if known else f'write a [[queue]] with name and url = "{_EXAMPLES[scheme]}"'
    raise CannotRing(f"the settings have no [[queue]] of {_QUEUES[scheme].upper()} called {name}: {have}")


def _names(queues: Sequence[QueueSettings]) -> str:
    return " or ".join(queue.name for queue in queues)


def lines(queue: QueueSettings) -> str:
    """The [[queue]] as roomledger.toml has it."""
    given = ((key, getattr(queue, key)) for key in ("name", "url", "connection", "endpoint", "region"))
    # A TOML string in double quotes is written as a JSON string is.
    return "\n".join(["[[queue]]", *(f"{key} = {json.dumps(value)}" for key, value in given if value)]) + "\n"
