"""The endpoint on a real HTTP server, in its own process, with its own settings and inbox."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from roomledger.queues import Message
from roomledger.runtime import open_inbox
from sandbox.servers.process_group import HOST, free_ports, running

SECRETS = {
    "ROOMLEDGER_WEBHOOK_SECRETS_TALK": "old-secret-of-talk  new-secret-of-talk",
    "ROOMLEDGER_WEBHOOK_SECRETS_ACME_EU": "geheim-ä",
    "ROOMLEDGER_WEBHOOK_SECRETS_SIGNED": "secret-of-signed",
    "ROOMLEDGER_WEBHOOK_SIGNING_SECRETS_SIGNED": "signing-old signing-new",
    "ROOMLEDGER_WEBHOOK_SECRETS_QUIET": "secret-of-quiet",
}
SOURCES = {"talk": "X-Talk-Secret", "acme-eu": "X-Talk-Secret", "signed": "X-Talk-Secret", "unset": "X-Secret"}
"""Sources that accept webhooks, and the header of each."""


def settings_text(inbox_url: str, warehouse_url: str = "duckdb:///warehouse.duckdb", **headers: str) -> str:
    sources = "".join(
        f'[[source]]\nname = "{name}"\ncustomer = "Acme"\nurl = "100ms://{name}"\nwebhook_header = "{header}"\n'
        for name, header in (SOURCES | headers).items()
    )
    quiet = '[[source]]\nname = "quiet"\ncustomer = "Acme"\nurl = "100ms://quiet"\n'
    return f'[warehouse]\nurl = "{warehouse_url}"\n[webhooks]\ninbox = "{inbox_url}"\n{sources}{quiet}'


@dataclass(frozen=True)
class Endpoint:
    """A running server."""

    url: str
    folder: Path
    inbox_url: str
    pid: int
    """Leader of its process group."""
    headers: Mapping[str, str] = field(default_factory=lambda: {"X-Talk-Secret": "new-secret-of-talk"})

    def post(self, content: bytes = b'{"id":"e1"}', source: str = "talk", **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()} or self.headers
        return self.request("POST", f"/webhooks/{source}", content=content, headers=sent)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        # Setting up TLS, which is not used here, would take ten times as long as the whole request.
        return httpx.request(method, self.url + path, timeout=30, verify=False, **options)

    def events(self) -> list[Message]:
        return open_inbox(self.inbox_url).receive(0)

    def log(self) -> str:
        return (self.folder / "server.log").read_text("utf-8", "replace")

    def write_settings(self, text: str) -> None:
        (self.folder / "roomledger.toml").write_text(text)


Serve = Callable[..., Endpoint]


def started(stack: ExitStack, folder: Path, inbox_url: str, environ: Mapping[str, str], text: str | None) -> Endpoint:
    (port,) = free_ports(1)
    folder.mkdir(exist_ok=True)
    if text is not None:
        (folder / "roomledger.toml").write_text(text)
    command = [sys.executable, "-m", "uvicorn", "--factory", "roomledger.webhook.endpoint:create_app"]
    root = Path(__file__).parents[2]
    environment = {
        "PYTHONPATH": str(root / "include"),
        "ROOMLEDGER_CONFIG": str(folder / "roomledger.toml"),
        **SECRETS,
        **environ,
    }
    process = stack.enter_context(running([*command, f"--host={HOST}", f"--port={port}"], folder, environment))
    endpoint = Endpoint(f"http://{HOST}:{port}", folder, inbox_url, process.pid)
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, endpoint.log()
        try:
            endpoint.request("GET", "/")
        except httpx.TransportError:
            assert time.monotonic() < deadline, endpoint.log()
            time.sleep(0.05)
        else:
            return endpoint


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Each call starts a server; the servers of one test share an inbox."""
    numbers = itertools.count(1)
    with ExitStack() as stack:

        def start(inbox_url: str = f"file://{tmp_path}/inbox", text: str | None = None, **environ: str) -> Endpoint:
            folder = tmp_path / f"server-{next(numbers)}"
            return started(stack, folder, inbox_url, environ, text or settings_text(inbox_url))

        yield start


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """One server for all tests that only send requests."""
    folder = tmp_path_factory.mktemp("endpoint")
    url = f"file://{folder}/inbox"
    with ExitStack() as stack:
        yield started(stack, folder / "server", url, {}, settings_text(url))


@pytest.fixture
def endpoint(shared: Endpoint) -> Endpoint:
    """The shared server, with an empty inbox."""
    inbox = open_inbox(shared.inbox_url)
    inbox.ack(inbox.receive(0))
    return shared
