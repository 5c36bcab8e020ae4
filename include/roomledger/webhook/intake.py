"""Where webhooks are taken in, as the settings say it now: which sources take some, who may bring them, the inbox."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from roomledger import settings
from roomledger.hundredms.redact import redact_body
from roomledger.queues.inbox import Inbox
from roomledger.runtime import open_inbox
from roomledger.settings import Settings, SettingsError
from roomledger.webhook.authentication import Trust, trust_of


class Desk:
    """What one version of the settings, and the environment, say. Safe to use from many threads."""

    def __init__(self, given: Settings, environ: Mapping[str, str]) -> None:
        self.trusts: Mapping[str, Trust] = {
            source.name: trust for source in given.sources if (trust := trust_of(source, environ)) is not None
        }
        """By name of the source; a source that is not there takes no webhooks."""
        self._url = given.inbox_url
        self._opening = threading.Lock()
        self._inbox: Inbox | None = None

    def put(self, source: str, body: bytes, received_at: datetime) -> None:
        """Put the body down without its secrets, durably. Raises `QueueError`."""
        self._open().put(source, redact_body(body), received_at)

    def _open(self) -> Inbox:
        with self._opening:
            if self._inbox is None:
                assert self._url is not None  # noqa: S101  # where a source takes webhooks, the settings need an inbox
                self._inbox = open_inbox(self._url)
            return self._inbox


class Desks:
    """The desk as of now: the settings are read when it is first asked for, and again when their file changes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._path = Path(environ.get("ROOMLEDGER_CONFIG", "roomledger.toml"))
        self._version: tuple[int, ...] | None = None
        self._desk: Desk | SettingsError | None = None

    def now(self) -> Desk:
        """Give the desk. Raises `SettingsError` for as long as the file holds mistakes."""
        version = self._look()
        if self._desk is None or version != self._version:
            try:
                self._desk = Desk(settings.read(self._path, self._environ), self._environ)
            except SettingsError as error:
                self._desk = error
            self._version = version
        if isinstance(self._desk, SettingsError):
            raise SettingsError(self._desk.problems)
        return self._desk

    def _look(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
