"""Faults and rate limits: which requests are repeated, when, and what the error says in the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest

from roomledger.hundredms.client import Client
from roomledger.hundredms.retries import requested_pause
from roomledger.stores import StoreError
from sandbox.hundredms_api import Vendor
from sandbox.hundredms_api.http import Response, json_response
from tests.hundredms.serving import (
    BEGIN,
    Time,
    assert_backing_off,
    assert_no_secret,
    asset,
    open_client,
    server_of,
)

FAULTS = {"server_errors": "503", "garbage": "no JSON object", "cut": "RemoteProtocolError"}


@pytest.mark.parametrize("fault", FAULTS)
def test_transient_faults_are_retried(fault: str, api: Client, vendor: Vendor, passing: Time) -> None:
    setattr(vendor.faults, fault, 4)
    assert api.get("/recording-assets/asset001") == asset(1)
    assert api.requests == len(vendor.requests) == 5
    assert_backing_off(passing.slept, 4)


@pytest.mark.parametrize("fault", FAULTS)
def test_permanent_faults_are_an_error(fault: str, api: Client, vendor: Vendor, passing: Time) -> None:
    setattr(vendor.faults, fault, 99)
    request = rf"no valid response from {vendor.endpoint} to the request for /rooms/1"
    message = rf"{request} \(.*{FAULTS[fault]}.*\): try again later"
    with pytest.raises(StoreError, match=message) as raised:
        api.get("/rooms/1")
    assert len(vendor.requests) == 5
    assert_backing_off(passing.slept, 4)
    assert_no_secret(raised.value)


def test_a_silent_server_causes_a_timeout(api: Client, vendor: Vendor, passing: Time) -> None:
    vendor.faults.slow_s = 30
    begin = time.perf_counter()
    with pytest.raises(StoreError, match="ReadTimeout"):
        api.get("/rooms/1")
    assert 5 * 0.3 <= time.perf_counter() - begin < 4
    vendor.faults.slow_s = 0
    assert api.get("/recording-assets/asset001")


def test_an_unreachable_server_is_named_in_the_error(passing: Time) -> None:
    with (
        open_client("http://127.0.0.1:1/v2", passing) as api,
        pytest.raises(StoreError, match=r"127\.0\.0\.1:1.*ConnectError"),
    ):
        api.get("/rooms")
    assert_backing_off(passing.slept, 4)


def test_an_invalid_base_url_is_an_error(passing: Time) -> None:
    with (
        open_client("http://localhost:port/v2", passing) as api,
        pytest.raises(StoreError, match=r"InvalidURL.*check .* the endpoint"),
    ):
        api.get("/rooms")


def test_the_total_waiting_time_is_limited(vendor: Vendor, passing: Time) -> None:
    vendor.faults.server_errors = 99
    with open_client(vendor.endpoint, passing, tries=50, max_wait_s=20) as api, pytest.raises(StoreError, match="503"):
        api.get("/rooms")
    assert 7 <= sum(passing.slept) <= 20


def test_other_refusals_show_the_vendors_message_and_are_not_retried(api: Client, vendor: Vendor) -> None:
    message = r"refuses the request for /recording-assets: 400; limit is not a whole number; many$"
    with pytest.raises(StoreError, match=message) as raised:
        api.get("/recording-assets", limit="many")
    assert raised.type is StoreError
    assert len(vendor.requests) == 1


def test_a_refusal_without_a_message_shows_the_status(passing: Time) -> None:
    with (
        server_of(lambda *_: Response(405, "text/html", b"<p>No.</p>")) as base_url,
        open_client(base_url, passing) as api,
        pytest.raises(StoreError, match=r"/rooms: 405; Method Not Allowed$"),
    ):
        api.get("/rooms")


def test_a_redirect_does_not_receive_the_token(passing: Time) -> None:
    requested: list[tuple[str, str | None]] = []

    def elsewhere(target: str, authorization: str | None) -> Response:
        requested.append((target, authorization))
        return json_response(200, {})

    with server_of(elsewhere) as other:
        moved = Response(302, "text/plain", b"", (("Location", f"{other}/stolen?sig=c2lnbmVk"),))
        with (
            server_of(lambda *_: moved) as base_url,
            open_client(base_url, passing) as api,
            pytest.raises(StoreError, match="302; Found, a redirect, which is not followed: check the endpoint"),
        ):
            api.get("/rooms")
    assert requested == []


# Rate limits


@pytest.mark.parametrize(("form", "least"), [("header", 45), ("text", 45), ("bare", 1)])
def test_a_rate_limit_is_respected_in_every_form(
    form: Any, least: float, api: Client, vendor: Vendor, passing: Time
) -> None:
    vendor.faults.rate_limit, vendor.faults.rate_limit_form, vendor.faults.retry_after_s = 1, form, 45
    assert api.get("/recording-assets/asset001")
    [slept] = passing.slept
    assert least < slept <= least + 1


def test_rate_limits_do_not_count_as_tries(vendor: Vendor, passing: Time) -> None:
    vendor.faults.rate_limit = 20
    with open_client(vendor.endpoint, passing, tries=1) as api:
        assert api.get("/recording-assets/asset001")
    assert len(passing.slept) == 20


def test_a_permanent_rate_limit_is_an_error(api: Client, vendor: Vendor, passing: Time) -> None:
    vendor.faults.rate_limit, vendor.faults.rate_limit_form = 999, "bare"
    with pytest.raises(StoreError, match="limits the rate of requests: try again later"):
        api.get("/rooms")
    assert 200 < sum(passing.slept) <= 300
    assert all(before < after or after > 59 for before, after in pairwise(passing.slept))


def test_a_rate_limit_beyond_the_maximum_is_an_error_at_once(api: Client, vendor: Vendor, passing: Time) -> None:
    vendor.faults.rate_limit, vendor.faults.retry_after_s = 1, 1000
    for _ in range(3):
        with pytest.raises(StoreError, match="asks to wait 1000 s"):
            api.get("/rooms")
    assert len(vendor.requests) == 1
    assert passing.slept == []
    passing.now += 1001
    assert api.get("/rooms")


def test_a_rate_limit_delays_the_other_threads(vendor: Vendor, passing: Time) -> None:
    vendor.faults.rate_limit, vendor.faults.retry_after_s = 1, 45
    waits: list[float] = []
    requests_meanwhile: list[int] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            with ThreadPoolExecutor(1) as other:
                assert other.submit(api.get, "/recording-assets/asset001").result(10)
        else:
            requests_meanwhile.append(len(vendor.requests))
            passing.now += seconds

    with open_client(vendor.endpoint, passing, sleep=sleep) as api:
        assert api.get("/recording-assets/asset002")
    assert requests_meanwhile == [1]
    assert [int(seconds) for seconds in waits] == [45, 45]
    assert len(vendor.requests) == 3


def test_a_fault_does_not_delay_other_threads(vendor: Vendor, passing: Time) -> None:
    vendor.faults.server_errors = 1
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        assert api.get("/recording-assets/asset001")

    with open_client(vendor.endpoint, passing, sleep=sleep) as api:
        assert api.get("/recording-assets/asset002")
    assert len(waits) == 1


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "XYZ-9")
        time.tzset()
        yield
    time.tzset()


PAUSES = [
    ("45", "", 45),
    (" 45 ", "", 45),
    (formatdate(BEGIN + 30, usegmt=True), "", 30),
    (formatdate(BEGIN + 30).replace("+0000", "-0000"), "", 30),
    (formatdate(BEGIN - 30, usegmt=True), "", None),
    (None, "rate limit exceeded, retry after 45 seconds", 45),
    (None, "Retry after 1 second.", 1),
    (None, "retry after 2 minutes", 120),
    ("7", "retry after 45 seconds", 7),
    (None, "rate limit exceeded", None),
    ("0", "", None),
    ("soon", "", None),
    ("-5", "", None),
    ("1e9", "", None),
    ("²", "", None),
    ("9" * 400, "", None),
    ("Fri, 99 Jan 9999 99:99:99 GMT", "", None),
    ("", "", None),
]


@pytest.mark.parametrize(("header", "message", "seconds"), PAUSES)
def test_the_requested_pause_is_parsed(
    header: str | None, message: str, seconds: float | None, far_from_greenwich: None
) -> None:
    assert requested_pause(header, message, BEGIN) == seconds


def test_the_pause_requested_by_an_error_is_respected(passing: Time) -> None:
    answers = iter([json_response(503, {}, ("Retry-After", "33")), json_response(200, {"id": "1"})])
    with server_of(lambda *_: next(answers)) as base_url, open_client(base_url, passing) as api:
        assert api.get("/rooms/1") == {"id": "1"}
    assert [int(seconds) for seconds in passing.slept] == [33]
