"""The inbox of webhooks: what its kinds (`inbox_folder`, `inbox_bucket`) share.

The API server stores each event as one small file or object, and a task ingests it. Arrival time and source are in its
name, so that any number of servers may fill one inbox and names sort by arrival. No event is hidden from other
receivers: when two of them ingest it, the second time changes nothing. Other names are left alone.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from roomledger.queues import Message, Queue, QueueError
from roomledger.settings.sources import NAME

log = logging.getLogger(__name__)

THREADS = 8
"""Events that are read at once: what takes the time is a network disk or a bucket."""

_TIME = "%Y%m%dT%H%M%S.%fZ"
EVENT = re.compile(rf"(?P<at>\d{{8}}T\d{{6}}\.\d{{6}}Z)-[0-9a-f]{{16}}-(?P<source>{NAME.pattern})\.json")
"""The name of an event."""

_Seen = TypeVar("_Seen")


class Inbox(Queue, Protocol):
    """A queue that is filled here; its messages have the attributes `source` and `received_at` (ISO 8601, UTC)."""

    def put(self, source: str, body: bytes, received_at: datetime) -> None:
        """Put an event down; returns when it would outlive a power cut, and raises `QueueError` when it may not."""
        ...


def new_name(source: str, received_at: datetime) -> str:
    """Name an event: no other server or call comes to the same one."""
    if not NAME.fullmatch(source):
        raise ValueError(f"{source!r} is no name of a source")
    return f"{received_at.astimezone(UTC).strftime(_TIME)}-{secrets.token_hex(8)}-{source}.json"


def is_event(name: str) -> bool:
    """Whether `new_name` makes such names."""
    return EVENT.fullmatch(name) is not None


def message(name: str, body: bytes) -> Message:
    """Make a message of what was put down under this name."""
    found = EVENT.fullmatch(name)
    assert found, name  # noqa: S101  # `is_event` was asked
    received_at = datetime.strptime(found["at"], _TIME).replace(tzinfo=UTC)
    attributes = {"source": found["source"], "received_at": received_at.isoformat()}
    return Message(name.removesuffix(".json"), body, attributes, receipt=name)


def poll_until(look: Callable[[], _Seen], patience_s: float, pause_s: float) -> _Seen:
    """Look again and again until something is seen; what is seen last, after `patience_s`, may be nothing."""
    deadline = time.monotonic() + patience_s
    while not (seen := look()) and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause_s, left))
    return seen


def read_all(read: Callable[[str], bytes], names: Sequence[str]) -> list[Message]:
    """Read many at once, in the order of the names; what another receiver has removed meanwhile is left out."""

    def one(name: str) -> Message | QueueError | None:
        try:
            return message(name, read(name))
        except FileNotFoundError:
            return None
        except QueueError as error:
            return error

    with ThreadPoolExecutor(THREADS) as threads:
        done = list(threads.map(one, names))
    found = [each for each in done if isinstance(each, Message)]
    errors = [each for each in done if isinstance(each, QueueError)]
    for error in errors:
        if not found:
            raise error
        # One that cannot be read shall not keep back the others.
        log.error("%s", error)
    return found
