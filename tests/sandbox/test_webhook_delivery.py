"""Webhook delivery: retries, secrets and signatures, and the injected losses, duplicates and delays."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Thread
from typing import Any

import pytest

from roomledger.webhook.authentication import Credentials, has_secret, is_signed
from sandbox.dataset import MINIMUM_SESSIONS, generate
from sandbox.dataset.webhook_events import webhook_events
from sandbox.dataset.workspace import (
    Record,
)
from sandbox.hundredms_api.webhooks import PAUSES_S, Poster, post

Request = tuple[float, dict[str, bytes], bytes]
EVENT = {"id": "e1", "type": "peer.join.success", "data": {"user_name": "Łucja 🦊"}}
CLOSE_CONNECTION = 0


@dataclass
class Endpoint:
    """A receiver that responds with these statuses in turn, and then with 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Events that always get status 503."""
    requests: list[Request] = field(default_factory=list)

    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for _, _, body in self.requests]


@contextmanager
def serve() -> Iterator[Endpoint]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value.encode("latin-1") for name, value in self.headers.items()}
            endpoint.requests.append((time.monotonic(), headers, body))
            status = endpoint.statuses.pop(0) if endpoint.statuses else 200
            if json.loads(body)["id"] in endpoint.refused:
                status = 503
            if status == CLOSE_CONNECTION:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_port}/webhooks/acme"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serve() as endpoint:
        yield endpoint


def test_a_request_has_the_secret_and_the_signature(endpoint: Endpoint) -> None:
    assert post(EVENT, endpoint.url, "X-Acme", "geheim-ä", "signing-ä")
    [(_, headers, body)] = endpoint.requests
    assert json.loads(body) == EVENT
    assert headers["content-type"] == b"application/json"
    credentials = Credentials("X-Acme", ("geheim-ä".encode(),), ("signing-ä".encode(),))
    assert has_secret(credentials, headers["x-acme"])
    assert is_signed(credentials, body, headers["x-100ms-signature"])


def test_without_a_signing_secret_there_is_no_signature(endpoint: Endpoint) -> None:
    assert post(EVENT, endpoint.url, "X-Acme", "secret")
    assert "x-100ms-signature" not in endpoint.requests[0][1]


@pytest.mark.parametrize(
    ("statuses", "received", "attempts"),
    [
        ([200], True, 1),
        ([500, 200], True, 2),
        ([201, 302, 204, 200], True, 4),
        ([CLOSE_CONNECTION, 401, 200], True, 3),
        ([503, 503, 503, 503, 200], False, 4),
        ([CLOSE_CONNECTION] * 4, False, 4),
    ],
)
def test_only_status_200_counts_and_there_are_three_retries(
    endpoint: Endpoint, statuses: list[int], received: bool, attempts: int
) -> None:
    endpoint.statuses = statuses
    assert post(EVENT, endpoint.url, "X-Acme", "secret", scale=0.001) is received
    assert endpoint.ids() == ["e1"] * attempts


def test_the_pauses_are_as_documented(endpoint: Endpoint) -> None:
    assert PAUSES_S == (1, 3, 10)
    endpoint.statuses = [500] * 4
    assert not post(EVENT, endpoint.url, "X-Acme", "secret", scale=0.05)
    times = [at for at, _, _ in endpoint.requests]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(0.05 * pause <= took < 0.05 * pause + 2 for pause, took in zip(PAUSES_S, pauses, strict=True))


def test_an_event_is_given_up_without_a_receiver() -> None:
    with serve() as endpoint:
        url = endpoint.url
    began = time.monotonic()
    assert not post(EVENT, url, "X-Acme", "secret", scale=0.01)
    assert time.monotonic() - began >= 0.14


def numbered(count: int) -> list[Record]:
    return [EVENT | {"id": f"e{number}"} for number in range(count)]


def poster(endpoint: Endpoint, **switches: Any) -> Poster:
    return Poster(endpoint.url, "X-Acme", "secret", "signing", scale=0.001, **switches)


def ids(several: Sequence[Record]) -> list[str]:
    return [one["id"] for one in several]


def test_each_event_is_posted_once_and_in_order(endpoint: Endpoint) -> None:
    posted = poster(endpoint, threads=1).post(numbered(50))
    assert endpoint.ids() == ids(numbered(50)) == posted.received
    assert posted.given_up == posted.dropped == []


def test_several_threads_post_each_event_once(endpoint: Endpoint) -> None:
    posted = poster(endpoint).post(numbered(100))
    assert sorted(endpoint.ids()) == sorted(ids(numbered(100))) == sorted(posted.received)


def test_a_share_is_dropped(endpoint: Endpoint) -> None:
    posted = poster(endpoint, drop=0.3, threads=1).post(numbered(50))
    assert (len(posted.dropped), len(posted.received)) == (15, 35)
    assert endpoint.ids() == posted.received
    assert sorted(posted.received + posted.dropped) == sorted(ids(numbered(50)))
    assert posted.dropped != ids(numbered(15))


def test_a_share_is_posted_twice(endpoint: Endpoint) -> None:
    posted = poster(endpoint, double=0.2).post(numbered(50))
    assert Counter(Counter(endpoint.ids()).values()) == {1: 40, 2: 10}
    assert Counter(posted.received) == Counter(endpoint.ids())


@pytest.mark.parametrize("switches", [{"shuffle": True, "threads": 1}, {"delay_s": 0.2}])
def test_the_order_can_change(endpoint: Endpoint, switches: dict[str, Any]) -> None:
    posted = poster(endpoint, **switches).post(numbered(30))
    assert sorted(endpoint.ids()) == sorted(ids(numbered(30))) == sorted(posted.received)
    assert endpoint.ids() != ids(numbered(30))


def test_a_delay_has_its_limit(endpoint: Endpoint) -> None:
    began = time.monotonic()
    poster(endpoint, delay_s=0.3, threads=20).post(numbered(20))
    assert 0.2 < max(at for at, _, _ in endpoint.requests) - began < 3


def test_random_choices_depend_only_on_the_seed(endpoint: Endpoint) -> None:
    def drawn(seed: int) -> tuple[list[str], list[str]]:
        posted = poster(endpoint, drop=0.2, double=0.2, shuffle=True, threads=1, seed=seed).post(numbered(30))
        return posted.received, posted.dropped

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_given_up_events_are_reported(endpoint: Endpoint) -> None:
    endpoint.refused = {"e3", "e7"}
    posted = poster(endpoint, double=1).post(numbered(10))
    assert posted.given_up == ["e3", "e3", "e7", "e7"]
    assert len(posted.received) == 16
    assert not {*posted.received} & endpoint.refused
    assert Counter(endpoint.ids())["e3"] == 2 * (1 + len(PAUSES_S))


def test_secrets_are_not_shown(endpoint: Endpoint) -> None:
    shown = repr(Poster(endpoint.url, "X-Acme", "very-secret", "signing-secret"))
    assert "secret" not in shown
    assert "X-Acme" in shown


def test_a_whole_session_is_posted(endpoint: Endpoint) -> None:
    workspace = generate(sessions=MINIMUM_SESSIONS).workspaces[0]
    session_events = webhook_events(workspace, workspace.sessions[0]["id"])
    poster(endpoint, shuffle=True, double=0.5).post(session_events)
    received = {json.loads(body)["id"]: json.loads(body) for _, _, body in endpoint.requests}
    assert received == {one["id"]: one for one in session_events}
