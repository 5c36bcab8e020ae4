"""The inbox: webhooks of the vendor, put down as they come by the API server, until a task takes them in.

One small file or object for each event, with when it came and for which source in its name, so that any number of
servers may fill one inbox and the names sort by arrival. Nothing is kept from other receivers: an event that two of
them take in changes nothing the second time. What is there under other names is left alone.
"""

from __future__ import annotations

import heapq
import logging
import math
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from roomledger.queues import MOST_MESSAGES, Message, Queue, QueueError
from roomledger.settings.sources import NAME
from roomledger.stores import split

log = logging.getLogger(__name__)

THREADS = 8
"""Events that are read at once: what takes the time is a network disk or a bucket."""

_LOOK_S = 1.0
_LEFTOVER_S = 3600.0
_TIME = "%Y%m%dT%H%M%S.%fZ"
_EVENT = re.compile(rf"(?P<at>\d{{8}}T\d{{6}}\.\d{{6}}Z)-[0-9a-f]{{16}}-(?P<source>{NAME.pattern})\.json")
_LEFTOVER = re.compile(rf"\.{_EVENT.pattern}\.part")

_Seen = TypeVar("_Seen")


class Inbox(Queue, Protocol):
    """A queue that is filled here; its messages have the attributes `source` and `received_at` (ISO 8601, UTC)."""

    def put(self, source: str, body: bytes, received_at: datetime) -> None:
        """Put an event down; returns when it would outlive a power cut, and raises `QueueError` when it may not."""
        ...


def open_inbox(url: str) -> Inbox:
    """Get the inbox at `file:///folder`, `s3://bucket/prefix` or `gs://bucket/prefix`.

    A folder is made with its first event. A bucket's credentials are found as the cloud's own tools find them, and its
    endpoint may be named by `AWS_ENDPOINT_URL_S3` or `STORAGE_EMULATOR_HOST`. Raises `QueueError`.
    """
    scheme, _, path = split(url)
    match scheme:
        case "s3":
            from roomledger.queues.inbox_bucket import open_s3

            return open_s3(url)
        case "gs":
            from roomledger.queues.inbox_bucket import open_gcs

            return open_gcs(url)
        case "file":
            return FolderInbox(Path(path))
        case _:
            raise ValueError(f"{url} is no inbox: use file:///folder, s3://bucket/prefix or gs://bucket/prefix")


def new_name(source: str, received_at: datetime) -> str:
    """Name an event: no other server or call comes to the same one."""
    if not NAME.fullmatch(source):
        raise ValueError(f"{source!r} is no name of a source")
    return f"{received_at.astimezone(UTC).strftime(_TIME)}-{secrets.token_hex(8)}-{source}.json"


def is_event(name: str) -> bool:
    """Whether `new_name` makes such names."""
    return _EVENT.fullmatch(name) is not None


def message(name: str, body: bytes) -> Message:
    """Make a message of what was put down under this name."""
    found = _EVENT.fullmatch(name)
    assert found, name  # noqa: S101  # `is_event` was asked
    received_at = datetime.strptime(found["at"], _TIME).replace(tzinfo=UTC)
    attributes = {"source": found["source"], "received_at": received_at.isoformat()}
    return Message(name.removesuffix(".json"), body, attributes, receipt=name)


def look_until(look: Callable[[], _Seen], patience_s: float, pause_s: float) -> _Seen:
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


class _Look(NamedTuple):
    """What lies in the folder: names of events in the order of arrival, and of what writers did not finish."""

    events: Sequence[str]
    parts: Sequence[str]


class FolderInbox:
    """An inbox in a folder, which all servers that fill or drain it must share."""

    name = "inbox"
    visibility_timeout_s = math.inf

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wondered: set[str] = set()

    def put(self, source: str, body: bytes, received_at: datetime) -> None:
        """See `Inbox.put`."""
        name = new_name(source, received_at)
        try:
            try:
                self._write(name, body)
            except FileNotFoundError:
                self._make_folder()
                self._write(name, body)
        except OSError as error:
            raise QueueError(f"no event can be put into the inbox {self._folder}: {error.strerror or error}") from error

    def peek(self, patience_s: float) -> bool:
        """See `Queue.waits`; looks once a second."""
        return bool(look_until(lambda: self._look(1).events, patience_s, _LOOK_S))

    def receive(self, patience_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """See `Queue.receive`; the oldest come first."""
        return look_until(lambda: self._take(most), patience_s, _LOOK_S)

    def extend(self, messages: Sequence[Message]) -> None:
        """Nothing to do: it is not kept from others in the first place."""

    def ack(self, messages: Sequence[Message]) -> None:
        """See `Queue.settle`. Not synced: what a power cut brings back is taken in once more."""
        for each in messages:
            try:
                (self._folder / each.receipt).unlink(missing_ok=True)
            except OSError as error:
                raise QueueError(
                    f"{self._folder / each.receipt} cannot be removed: {error.strerror}; let the user that roomledger "
                    "runs as write to the folder"
                ) from error

    def _write(self, name: str, body: bytes) -> None:
        part = self._folder / f".{name}.part"
        try:
            with part.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            part.rename(self._folder / name)
        except OSError:
            with suppress(OSError):
                part.unlink()
            raise
        _sync(self._folder)

    def _make_folder(self) -> None:
        missing = [folder for folder in (self._folder, *self._folder.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            _sync(folder.parent)

    def _take(self, most: int) -> list[Message]:
        seen = self._look(most)
        self._sweep(seen.parts)
        return read_all(self._read, seen.events)

    def _look(self, most: int) -> _Look:
        try:
            with os.scandir(self._folder) as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            self._wonder(
                f"there is no inbox {self._folder} yet: the API server makes it with the first webhook, and has to "
                "share it with the tasks"
            )
            return _Look((), ())
        except OSError as error:
            raise QueueError(f"the inbox {self._folder} cannot be read: {error.strerror or error}") from error
        events = list(filter(is_event, names))
        parts = list(filter(_LEFTOVER.fullmatch, names)) if len(events) < len(names) else []
        if len(events) + len(parts) < len(names):
            self._wonder(f"there are files in the inbox {self._folder} that are no events: they are left alone")
        return _Look(heapq.nsmallest(most, events), parts)

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise QueueError(f"{self._folder / name} cannot be read: {error.strerror or error}") from error

    def _sweep(self, parts: Iterable[str]) -> None:
        """Remove what writers left behind when they crashed, of which nobody was told that it had been received."""
        for name in parts:
            path = self._folder / name
            try:
                if time.time() - path.stat().st_mtime > _LEFTOVER_S:
                    path.unlink()
                    log.warning("removed %s, which was never finished: its sender was not told that it came", path)
            except FileNotFoundError:
                continue  # just finished, or swept by another receiver
            except OSError as error:
                self._wonder(f"{path} was never finished and cannot be removed: {error.strerror}")

    def _wonder(self, sentence: str) -> None:
        """Say it once, not at every look."""
        if sentence not in self._wondered:
            self._wondered.add(sentence)
            log.warning("%s", sentence)


def _sync(folder: Path) -> None:
    """Make durable which names the folder has."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
