"""The inbox of webhooks: what `inbox_folder` and `inbox_bucket` share.

The API server stores each event as one small file or object, and a task ingests it. Arrival time and source are in its
name, so that any number of servers may write to one inbox and names sort by arrival. No event is hidden from other
receivers: when two of them ingest it, the second time changes nothing. Other names are ignored.
"""

from __future__ import annotations

import logging
import math
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
"""Events that are read at once: each waits for a network disk or a bucket."""

_TIME = "%Y%m%dT%H%M%S.%fZ"
EVENT = re.compile(rf"(?P<at>\d{{8}}T\d{{6}}\.\d{{6}}Z)-[0-9a-f]{{16}}-(?P<source>{NAME.pattern})\.json")
"""The name of an event."""

_Found = TypeVar("_Found")


class Inbox(Queue, Protocol):
    """A queue that we write to; its messages have the attributes `source` and `received_at` (ISO 8601, UTC)."""

    name: str = "inbox"
    visibility_timeout_s: float = math.inf

    def extend(self, messages: Sequence[Message]) -> None:
        """Do nothing: an event is never hidden from other receivers."""
        return

    def put(self, source: str, body: bytes, received_at: datetime) -> None:
        """Store an event durably: it survives a power failure. Raises `QueueError` if that is not certain."""
        ...


def new_name(source: str, received_at: datetime) -> str:
    """Return a name for an event, unique among all servers and calls."""
    if not NAME.fullmatch(source):
        raise ValueError(f"{source!r} is not a valid source name")
    return f"{received_at.astimezone(UTC).strftime(_TIME)}-{secrets.token_hex(8)}-{source}.json"


def is_event(name: str) -> bool:
    """Whether the name has the form of `new_name`."""
    return EVENT.fullmatch(name) is not None


def message(name: str, body: bytes) -> Message:
    """Return the message of the event that is stored under this name."""
    found = EVENT.fullmatch(name)
    assert found, name  # noqa: S101  # callers check `is_event`
    received_at = datetime.strptime(found["at"], _TIME).replace(tzinfo=UTC)
    attributes = {"source": found["source"], "received_at": received_at.isoformat()}
    return Message(name.removesuffix(".json"), body, attributes, receipt=name)


def poll_until(poll: Callable[[], _Found], timeout_s: float, pause_s: float) -> _Found:
    """Poll until something is found; return the last result, which may be empty after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (found := poll()) and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause_s, left))
    return found


def read_all(read: Callable[[str], bytes], names: Sequence[str]) -> list[Message]:
    """Read many at once, in the order of the names; events that another receiver has removed are omitted."""

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
        # One unreadable event must not delay the others.
        log.error("%s", error)
    return found
