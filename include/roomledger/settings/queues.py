"""Queues in the settings: where the clouds put word of new objects."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from roomledger.settings.sources import NAME

_KEYS = ("name", "url", "connection", "endpoint", "region")
_URLS = {
    "sqs": re.compile(r"sqs://(?:(?P<account>\d{12})/)?(?P<queue>[A-Za-z0-9_-]{1,80}(?:\.fifo)?)"),
    "pubsub": re.compile(r"pubsub://(?P<project>[a-z0-9.:-]+)/(?P<subscription>[A-Za-z][A-Za-z0-9._~+%-]{2,254})"),
}
_EXAMPLES = "sqs://queue-name, sqs://account/queue-name or pubsub://project/subscription"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """One queue; it may bring notices for any number of sources."""

    name: str
    url: str
    """`sqs://queue`, `sqs://account/queue` or `pubsub://project/subscription`."""
    connection: str | None = None
    """As that of a source: Airflow connection id, or an AWS profile."""
    endpoint: str | None = None
    region: str | None = None
    """Of SQS."""

    @property
    def parts(self) -> Mapping[str, str | None]:
        """What the address names: `queue` and maybe `account`, or `project` and `subscription`."""
        found = _URLS[self.url.partition("://")[0]].fullmatch(self.url)
        assert found, self.url  # noqa: S101  # it was read by `read_queue`
        return found.groupdict()


def read_queue(table: Mapping[str, Any], number: int, problems: list[str]) -> QueueSettings:
    """Read a [[queue]]; what is wrong with it is added to the problems."""
    name = table.get("name")
    label = f"queue {name}" if isinstance(name, str) and name else f"queue number {number}"
    wrong = [f"unknown key '{key}': a queue knows {', '.join(_KEYS)}" for key in sorted(table.keys() - set(_KEYS))]
    wrong += [f"'{key}' is missing: every queue needs name and url" for key in ("name", "url") if key not in table]
    given = {key: table[key] for key in _KEYS if key in table}
    wrong += [f"'{key}' must be text and not empty" for key, value in given.items() if not _is_text(value)]
    if isinstance(name, str) and name and not NAME.fullmatch(name):
        wrong.append("a name has lower-case letters, digits, '-' and '_' and opens with a letter or digit")
    url = table.get("url")
    if _is_text(url) and not any(form.fullmatch(url) for form in _URLS.values()):
        wrong.append(f"'{url}' is no address of a queue: use {_EXAMPLES}")
    problems += [f"{label}: {sentence}" for sentence in wrong]
    return QueueSettings(
        name=str(name),
        url=str(url),
        connection=table.get("connection"),
        endpoint=table.get("endpoint"),
        region=table.get("region"),
    )


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def check_twice(queues: Sequence[QueueSettings], problems: list[str]) -> None:
    """Two queues of one name could not be told apart; one queue read as two would take its own messages away."""
    for key in ("name", "url"):
        seen: set[str] = set()
        for queue in queues:
            value = getattr(queue, key)
            if value in seen:
                problems.append(
                    f"queue {queue.name}: the {key} {value} is used twice: one [[queue]] serves all sources"
                )
            seen.add(value)
