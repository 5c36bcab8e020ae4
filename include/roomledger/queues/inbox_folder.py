"""The inbox of webhooks in a folder: one file for each event."""

from __future__ import annotations

import heapq
import logging
import math
import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from roomledger.queues import MOST_MESSAGES, Message, QueueError
from roomledger.queues.inbox import EVENT, is_event, new_name, poll_until, read_all

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_LEFTOVER_S = 3600.0
_LEFTOVER = re.compile(rf"\.{EVENT.pattern}\.part")


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
        return bool(poll_until(lambda: self._look(1).events, patience_s, _LOOK_S))

    def receive(self, patience_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """See `Queue.receive`; the oldest come first."""
        return poll_until(lambda: self._take(most), patience_s, _LOOK_S)

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
