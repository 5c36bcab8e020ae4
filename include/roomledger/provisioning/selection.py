"""Which sources are to ring, and which queue hears them: what the settings say, or what they should say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from roomledger.provisioning import CannotConfigure, Target
from roomledger.settings import BucketSource, QueueSettings, Settings, Source
from roomledger.stores import split_url

_COMMANDS = {"s3": "s3", "gs": "gcs"}
_QUEUES = {"s3": "sqs", "gs": "pubsub"}
_EXAMPLES = {"s3": "sqs://queue-name", "gs": "pubsub://project/subscription"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to ring."""

    rings: tuple[Target, ...]
    source: BucketSource
    """The first one: they are all reached in one way."""
    queue: QueueSettings | None
    """None when the settings name no queue of this cloud."""
    neighbours: tuple[str, ...]
    """Other sources of the settings in the same buckets."""

    @property
    def name(self) -> str:
        """What a new queue is called."""
        return self.rings[0].name

    @property
    def buckets(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(ring.bucket for ring in self.rings))

    def table(self, url: str, *, endpoint: str | None = None, region: str | None = None) -> str:
        """The [[queue]] as roomledger.toml has it; or as it should have it, with this address, when there is none."""
        queue = self.queue or QueueSettings(
            name=self.source.name, url=url, connection=self.source.connection, endpoint=endpoint, region=region
        )
        given = ((key, getattr(queue, key)) for key in ("name", "url", "connection", "endpoint", "region"))
        # A TOML string in double quotes is written as a JSON string is.
        return "\n".join(["[[queue]]", *(f"{key} = {json.dumps(value)}" for key, value in given if value)]) + "\n"


def choose(settings: Settings, names: Sequence[str], *, scheme: str, queue: str | None = None) -> Choice:
    """Take these sources, of `scheme` `s3` or `gs`, and the queue of this name, or the only one of that cloud.

    Raises `CannotRing`, and `SettingsError` when the settings have no such source.
    """
    sources = settings.select(list(dict.fromkeys(names)))
    first = sources[0]
    for source in sources:
        found = source.url.partition("://")[0]
        if found != scheme:
            way = f"use roomledger bell {_COMMANDS[found]} {source.name}" if found in _COMMANDS else "it rings no bell"
            raise CannotConfigure(f"source {source.name} is {source.url}: {way}")
        for key in ("connection", "endpoint", "region"):
            if getattr(source, key) != getattr(first, key):
                raise CannotConfigure(
                    f"sources {first.name} and {source.name} differ in their {key}: let each ring in a queue of its own"
                )
    rings = tuple(map(_ring, sources))
    buckets = {ring.bucket for ring in rings}
    others = [one for one in settings.sources if one not in sources and one.url.startswith(f"{scheme}://")]
    neighbours = tuple(other.name for other in others if _ring(other).bucket in buckets)
    assert isinstance(first, BucketSource)  # noqa: S101  # by its scheme
    return Choice(rings, first, _queue(settings, scheme, queue), neighbours)


def _ring(source: Source) -> Target:
    _, bucket, prefix = split_url(source.url)
    return Target(source.name, bucket, prefix and f"{prefix}/")


def _queue(settings: Settings, scheme: str, name: str | None) -> QueueSettings | None:
    known = {one.name: one for one in settings.queues if one.url.startswith(f"{_QUEUES[scheme]}://")}
    if name is None:
        if len(known) > 1:
            raise CannotConfigure(f"several queues could hear it: choose with --queue {' or '.join(known)}")
        return next(iter(known.values()), None)
    if name not in known:
        example = f'write a [[queue]] with name and url = "{_EXAMPLES[scheme]}"'
        have = f"they have {' or '.join(known)}" if known else example
        raise CannotConfigure(f"the settings have no [[queue]] of {_QUEUES[scheme].upper()} called {name}: {have}")
    return known[name]
