"""The sources that send notifications and the queue that receives them, chosen from the settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from roomledger.provisioning import CannotConfigure, Target
from roomledger.settings import BucketSource, QueueSettings, Settings
from roomledger.stores import split_url

_COMMANDS = {"s3": "s3", "gs": "gcs"}
_QUEUES = {"s3": "sqs", "gs": "pubsub"}
_EXAMPLES = {"s3": "sqs://queue-name", "gs": "pubsub://project/subscription"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Sources of one cloud and their queue."""

    targets: tuple[Target, ...]
    source: BucketSource
    """The first source; all of them have its connection, endpoint and region."""
    queue: QueueSettings | None
    """None when the settings have no queue of this cloud."""

    @property
    def name(self) -> str:
        """Name of a new queue, topic or subscription."""
        return self.targets[0].name

    @property
    def buckets(self) -> tuple[str, ...]:
        """Each bucket once."""
        return tuple(dict.fromkeys(target.bucket for target in self.targets))

    def queue_table(self, url: str, *, endpoint: str | None = None, region: str | None = None) -> str:
        """The [[queue]] of roomledger.toml, or the one to add to it, with this URL, when it has none."""
        queue = self.queue or QueueSettings(
            name=self.source.name, url=url, connection=self.source.connection, endpoint=endpoint, region=region
        )
        values = {key: getattr(queue, key) for key in ("name", "url", "connection", "endpoint", "region")}
        # A TOML basic string is written like a JSON string.
        return "\n".join(["[[queue]]", *(f"{key} = {json.dumps(value)}" for key, value in values.items() if value), ""])


def select(settings: Settings, names: Sequence[str], *, scheme: str, queue: str | None = None) -> Selection:
    """Select these sources, with scheme `s3` or `gs`, and the queue of this name, or the only queue of that cloud.

    Raises `CannotConfigure`, and `SettingsError` for an unknown source.
    """
    sources = []
    for source in settings.select(list(dict.fromkeys(names))):
        actual = source.url.partition("://")[0]
        if actual in _COMMANDS and actual != scheme:
            command = f"roomledger notifications {_COMMANDS[actual]} {source.name}"
            raise CannotConfigure(f"source {source.name} is {source.url}: use {command}")
        if actual != scheme or not isinstance(source, BucketSource):
            raise CannotConfigure(f"source {source.name} is {source.url}: only S3 and GCS buckets send notifications")
        sources.append(source)
    first = sources[0]
    for source in sources:
        for key in ("connection", "endpoint", "region"):
            if getattr(source, key) != getattr(first, key):
                raise CannotConfigure(
                    f"sources {first.name} and {source.name} differ in their {key}: configure each with its own queue"
                )
    targets = []
    for source in sources:
        _, bucket, prefix = split_url(source.url)
        targets.append(Target(source.name, bucket, prefix and f"{prefix}/"))
    return Selection(tuple(targets), first, _queue(settings, scheme, queue))


def _queue(settings: Settings, scheme: str, name: str | None) -> QueueSettings | None:
    queues = {queue.name: queue for queue in settings.queues if queue.url.startswith(f"{_QUEUES[scheme]}://")}
    if name is None:
        if len(queues) > 1:
            raise CannotConfigure(f"the settings have several queues: choose with --queue {' or '.join(queues)}")
        return next(iter(queues.values()), None)
    if name not in queues:
        example = f'write a [[queue]] with name and url = "{_EXAMPLES[scheme]}"'
        way_out = f"use {' or '.join(queues)}" if queues else example
        raise CannotConfigure(f"the settings have no {_QUEUES[scheme].upper()} queue {name}: {way_out}")
    return queues[name]
