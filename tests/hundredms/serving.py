"""Clients of a simulated vendor or of a server with responses of a test, and time that passes when a client sleeps."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from roomledger.hundredms.access import Keys
from roomledger.hundredms.client import Client, Page
from sandbox.dataset.workspace import SIGNATURE_CANARY
from sandbox.hundredms_api.http import HOST, Response, Server, json_response

KEYS = Keys("key-of-acme", "an-invented-secret-of-more-than-32-bytes")
BEGIN = 1_800_000_000.0


class Time:
    """Time that passes only during `sleep`."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def assert_backing_off(slept: list[float], times: int) -> None:
    assert len(slept) == times
    for number, seconds in enumerate(slept):
        assert 2**number <= seconds <= 2**number + 1
    assert all(seconds != int(seconds) for seconds in slept)


def asset(number: int) -> dict[str, Any]:
    return {
        "id": f"asset{number:03}",
        "path": f"s3://vendor-eu/{number}.csv",
        "status": "completed",
        "created_at": f"2026-03-02T{10 + number // 60}:{number % 60:02}:00Z",
    }


def open_client(base_url: str, passing: Time, **other: Any) -> Client:
    timeout = httpx.Timeout(0.3, pool=None)
    return Client(base_url, KEYS, **{"timeout": timeout, "sleep": passing.sleep, "clock": passing.clock} | other)


@contextmanager
def server_of(answer: Callable[[str, str | None], Response]) -> Iterator[str]:
    """A server with the responses of a test; yields its base URL."""
    with Server() as server:
        server.respond = answer
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.close_connections()
    assert server.errors == []


def ids(pages: Iterator[Page]) -> list[str]:
    return [item["id"] for page in pages for item in page.items]


NEWEST_FIRST = [f"asset{number:03}" for number in reversed(range(45))]


@contextmanager
def storage(*answers: Response, url: Any = "/stored?X-Amz-Signature=") -> Iterator[str]:
    """An API that returns a URL for every asset, and a storage with these responses."""
    left = iter(answers)

    def answer(target: str, _: str | None) -> Response:
        if target.startswith("/stored"):
            return next(left)
        signed = f"{base_url}{url}{SIGNATURE_CANARY}" if isinstance(url, str) and url.startswith("/") else url
        return json_response(200, {"id": "a", "url": signed})

    with server_of(answer) as base_url:
        yield base_url
    assert next(left, None) is None


SECRETS = (SIGNATURE_CANARY, KEYS.secret, "eyJ")


def assert_no_secret(error: BaseException) -> None:
    """Neither in the error, which has no cause or context, nor in the variables of our frames in its traceback."""
    assert error.__cause__ is None
    assert error.__context__ is None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if frame.f_globals["__name__"].startswith("roomledger.")]
    assert ours
    visible = str(error) + "".join(repr(variable) for frame in ours for variable in frame.f_locals.values())
    for secret in SECRETS:
        assert secret not in visible
