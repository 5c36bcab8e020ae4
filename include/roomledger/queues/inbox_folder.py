"""The inbox of webhooks in a folder: one file per event."""

from __future__ import annotations

import heapq
import logging
import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from roomledger.queues import MOST_MESSAGES, Message, QueueError
from roomledger.queues.inbox import EVENT, Inbox, is_event, new_name, poll_until, read_all

log = logging.getLogger(__name__)

_SCAN_INTERVAL_S = 1.0
_LEFTOVER_S = 3600.0
_LEFTOVER = re.compile(rf"\.{EVENT.pattern}\.part")


class _Scan(NamedTuple):
    """File names in the folder: events in the order of arrival, and unfinished files."""

    events: Sequence[str]
    parts: Sequence[str]


class FolderInbox(Inbox):
    """An inbox in a folder that all API servers and tasks share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._warned: set[str] = set()

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
            raise QueueError(f"cannot write an event to the inbox {self._folder}: {error.strerror or error}") from error

    def peek(self, timeout_s: float) -> bool:
        """See `Queue.peek`; scans every second."""
        return bool(poll_until(lambda: self._scan(1).events, timeout_s, _SCAN_INTERVAL_S))

    def receive(self, timeout_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """See `Queue.receive`; the oldest come first."""
        return poll_until(lambda: self._receive(most), timeout_s, _SCAN_INTERVAL_S)

    def ack(self, messages: Sequence[Message]) -> None:
        """See `Queue.ack`. Not synced: an event that reappears after a power failure is ingested again."""
        for each in messages:
            try:
                (self._folder / each.receipt).unlink(missing_ok=True)
            except OSError as error:
                raise QueueError(
                    f"{self._folder / each.receipt} cannot be removed: {error.strerror}; grant write permission on "
                    "the folder to the user that runs roomledger"
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

    def _receive(self, most: int) -> list[Message]:
        found = self._scan(most)
        self._sweep(found.parts)
        return read_all(self._read, found.events)

    def _scan(self, most: int) -> _Scan:
        try:
            with os.scandir(self._folder) as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            self._warn_once(
                f"there is no inbox {self._folder} yet: the API server creates it with the first webhook, and must "
                "share it with the tasks"
            )
            return _Scan((), ())
        except OSError as error:
            raise QueueError(f"the inbox {self._folder} cannot be read: {error.strerror or error}") from error
        events = list(filter(is_event, names))
        parts = list(filter(_LEFTOVER.fullmatch, names)) if len(events) < len(names) else []
        if len(events) + len(parts) < len(names):
            self._warn_once(f"there are files in the inbox {self._folder} that are not events: they are ignored")
        return _Scan(heapq.nsmallest(most, events), parts)

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise QueueError(f"{self._folder / name} cannot be read: {error.strerror or error}") from error

    def _sweep(self, parts: Iterable[str]) -> None:
        """Remove unfinished files of crashed writers: their senders got no confirmation."""
        for name in parts:
            path = self._folder / name
            try:
                if time.time() - path.stat().st_mtime > _LEFTOVER_S:
                    path.unlink()
                    log.warning("removed %s, which was never finished: its sender got no confirmation", path)
            except FileNotFoundError:
                continue  # just finished, or removed by another receiver
            except OSError as error:
                self._warn_once(f"{path} was never finished and cannot be removed: {error.strerror}")

    def _warn_once(self, message: str) -> None:
        """Log a warning once, not at every scan."""
        if message not in self._warned:
            self._warned.add(message)
            log.warning("%s", message)


def _sync(folder: Path) -> None:
    """Make the names in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
