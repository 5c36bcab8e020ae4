"""Queues in the settings: where the clouds send notifications of new objects."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from roomledger.settings.sources import NAME, check_server

_KEYS = ("name", "url", "connection", "endpoint", "region")
_URLS = {
    "sqs": re.compile(r"sqs://(?:(?P<account>\d{12})/)?(?P<queue>[A-Za-z0-9_-]{1,80}(?:\.fifo)?)"),
    "pubsub": re.compile(r"pubsub://(?P<project>[a-z0-9.:-]+)/(?P<subscription>[A-Za-z][A-Za-z0-9._~+%-]{2,254})"),
}
_EXAMPLES = "sqs://queue-name, sqs://account/queue-name or pubsub://project/subscription"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """One queue; it may carry notifications for any number of sources."""

    name: str
    url: str
    """`sqs://queue`, `sqs://account/queue` or `pubsub://project/subscription`."""
    connection: str | None = None
    """As in a source: Airflow connection id, or an AWS profile."""
    endpoint: str | None = None
    region: str | None = None
    """SQS only."""

    @property
    def parts(self) -> Mapping[str, str | None]:
        """Parts of the URL: `queue` and `account` (may be None), or `project` and `subscription`."""
        match = _URLS[self.url.partition("://")[0]].fullmatch(self.url)
        assert match, self.url  # noqa: S101  # `read_queue` has checked it
        return match.groupdict()


def read_queue(table: Mapping[str, Any], number: int, problems: list[str]) -> QueueSettings:
    """Read a [[queue]]; its mistakes are added to the problems."""
    name = table.get("name")
    label = f"queue {name}" if isinstance(name, str) and name else f"queue number {number}"
    mistakes = [f"unknown key '{key}': a queue has {', '.join(_KEYS)}" for key in sorted(table.keys() - set(_KEYS))]
    mistakes += [f"'{key}' is missing: every queue needs name and url" for key in ("name", "url") if key not in table]
    mistakes += [f"'{key}' must be text and not empty" for key in _KEYS if key in table and not _is_text(table[key])]
    check_server(table, mistakes.append, needs_scheme=False)
    if isinstance(name, str) and name and not NAME.fullmatch(name):
        mistakes.append("a name has only lower-case letters, digits, '-' and '_' and starts with a letter or digit")
    url = table.get("url")
    if _is_text(url) and not any(form.fullmatch(url) for form in _URLS.values()):
        mistakes.append(f"'{url}' is not a supported queue URL: use {_EXAMPLES}")
    problems += [f"{label}: {sentence}" for sentence in mistakes]
    return QueueSettings(
        name=str(name),
        url=str(url),
        connection=table.get("connection"),
        endpoint=table.get("endpoint"),
        region=table.get("region"),
    )


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def check_duplicates(queues: Sequence[QueueSettings], problems: list[str]) -> None:
    """Refuse duplicate names, and duplicate URLs: two readers of one queue would take each other's messages."""
    for key in ("name", "url"):
        seen: set[str] = set()
        for queue in queues:
            value = getattr(queue, key)
            if value in seen:
                problems.append(
                    f"queue {queue.name}: the {key} {value} is used twice: one [[queue]] serves all sources"
                )
            seen.add(value)
