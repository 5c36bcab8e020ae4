"""The intake of webhooks by the current settings: the sources that accept them, their credentials, and the inbox."""

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
from roomledger.webhook.authentication import Credentials, read_credentials


class Intake:
    """Credentials and inbox of one version of the settings and the environment. Safe to use from many threads."""

    def __init__(self, configured: Settings, environ: Mapping[str, str]) -> None:
        self.credentials: Mapping[str, Credentials] = {
            source.name: found for source in configured.sources if (found := read_credentials(source, environ))
        }
        """By name of the source; a source without an entry accepts no webhooks."""
        self._url = configured.inbox_url
        self._opening = threading.Lock()
        self._inbox: Inbox | None = None

    def put(self, source: str, body: bytes, received_at: datetime) -> None:
        """Store the redacted body durably in the inbox. Raises `QueueError`."""
        self._open().put(source, redact_body(body), received_at)

    def _open(self) -> Inbox:
        with self._opening:
            if self._inbox is None:
                assert self._url is not None  # noqa: S101  # the settings require an inbox for sources with webhooks
                self._inbox = open_inbox(self._url)
            return self._inbox


class CurrentIntake:
    """The intake by the settings file as it is now: read with the first request, and again whenever it changes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._path = Path(environ.get("ROOMLEDGER_CONFIG", "roomledger.toml"))
        self._version: tuple[int, ...] | None = None
        self._intake: Intake | SettingsError | None = None

    def get(self) -> Intake:
        """Return the intake. Raises `SettingsError` as long as the file holds mistakes."""
        version = self._file_version()
        if self._intake is None or version != self._version:
            try:
                self._intake = Intake(settings.read(self._path, self._environ), self._environ)
            except SettingsError as error:
                self._intake = error
            self._version = version
        if isinstance(self._intake, SettingsError):
            raise SettingsError(self._intake.problems)
        return self._intake

    def _file_version(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
