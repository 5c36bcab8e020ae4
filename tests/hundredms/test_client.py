"""The client against a real server: faults that it survives, errors for all others, and no leaked secrets."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from email.utils import formatdate
from itertools import islice, pairwise
from typing import Any

import httpx
import pytest

from roomledger.hundredms.access import Keys
from roomledger.hundredms.client import Client, Page
from roomledger.hundredms.retries import requested_pause
from roomledger.stores import PIECE_BYTES, AccessDenied, ObjectMissing, StoreError
from sandbox.dataset.workspace import SIGNATURE_CANARY, Workspace
from sandbox.hundredms_api import Vendor, vendor_server
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


def asset(number: int) -> dict[str, Any]:
    return {
        "id": f"asset{number:03}",
        "path": f"s3://vendor-eu/{number}.csv",
        "status": "completed",
        "created_at": f"2026-03-02T{10 + number // 60}:{number % 60:02}:00Z",
    }


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    ours = Workspace("acme", "acme-100ms", "acme", KEYS.access_key, KEYS.secret)
    ours.assets = [asset(number) for number in range(45)]
    ours.contents = {"asset001": b"SenderName,Message\nPriya,hello\n", "asset002": b""}
    with vendor_server([ours]) as server:
        yield server


@pytest.fixture
def passing() -> Time:
    return Time(time.time())


@pytest.fixture
def api(vendor: Vendor, passing: Time) -> Iterator[Client]:
    with opened(vendor.endpoint, passing) as client:
        yield client


def opened(base_url: str, passing: Time, **other: Any) -> Client:
    timeout = httpx.Timeout(0.3, pool=None)
    return Client(base_url, KEYS, **{"timeout": timeout, "sleep": passing.sleep, "clock": passing.clock} | other)


@contextmanager
def answering(answer: Callable[[str, str | None], Response]) -> Iterator[str]:
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


# Single records


def test_a_record_is_returned_as_the_vendor_sends_it(api: Client) -> None:
    assert api.get("/recording-assets/asset007") == asset(7)
    assert api.get("recording-assets/asset007") == asset(7)
    assert api.requests == 2


def test_a_missing_record_is_none(api: Client) -> None:
    assert api.get("/recording-assets/never") is None


def test_parameters_are_encoded_as_the_vendor_expects_them(api: Client, vendor: Vendor) -> None:
    api.get("/sessions", active=True, after="2026-03-02T10:00:00+01:00", room_id=None, limit=20)
    assert vendor.requests == ["GET /v2/sessions?active=true&after=2026-03-02T10%3A00%3A00%2B01%3A00&limit=20"]


def test_a_base_url_without_a_scheme_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"'api\.example\.com' is not a base URL: use .* such as https://api\.100ms\.live/v2"
    ):
        Client("api.example.com", KEYS)


# Lists


def test_a_list_is_read_page_by_page(api: Client, vendor: Vendor) -> None:
    pages = list(api.pages("/recording-assets", limit=20))
    assert ids(iter(pages)) == NEWEST_FIRST
    assert [page.last for page in pages] == ["asset025", "asset005", ""]
    assert len(vendor.requests) == 3


def test_a_full_last_page_is_followed_by_an_empty_one(api: Client, vendor: Vendor) -> None:
    assert [len(page.items) for page in api.pages("/recording-assets", limit=15)] == [15, 15, 15, 0]


def test_a_list_can_be_empty(api: Client) -> None:
    assert list(api.pages("/rooms")) == [Page([], "")]


def test_a_list_can_be_resumed_from_a_cursor(api: Client) -> None:
    first = next(api.pages("/recording-assets", limit=20))
    assert ids(api.pages("/recording-assets", start=first.last, limit=20)) == NEWEST_FIRST[20:]


def test_filters_are_sent_with_every_page(api: Client, vendor: Vendor) -> None:
    list(api.pages("/recording-assets", limit=20, status="completed"))
    assert all("status=completed" in request for request in vendor.requests)


def test_pages_are_requested_as_they_are_read(api: Client, vendor: Vendor) -> None:
    with closing(api.pages("/recording-assets", limit=10)) as pages:
        next(pages)
    assert len(vendor.requests) == 1


def test_items_that_shift_to_a_later_page_are_returned_once(api: Client, vendor: Vendor) -> None:
    vendor.faults.offsets = True
    new = iter(range(45, 60))
    vendor.faults.on_page = lambda _: vendor.workspaces[0].assets.extend(map(asset, islice(new, 3)))
    found = list(api.pages("/recording-assets", limit=20))
    assert ids(iter(found)) == NEWEST_FIRST
    assert [len(page.items) for page in found] == [20, 17, 8]


def item(number: int) -> dict[str, Any]:
    return {"id": f"i{number}"}


FULL = [item(number) for number in range(10)]
LISTS = {
    "null": ([{"limit": 10, "data": None, "last": ""}], 0, [""]),
    "empty": ([{"limit": 10, "data": [], "last": "i9"}], 0, [""]),
    "no data": ([{"limit": 10, "last": ""}], 0, [""]),
    "short": ([{"limit": 10, "data": FULL[:9], "last": "i8"}], 9, [""]),
    "empty last": ([{"limit": 10, "data": FULL, "last": ""}], 10, [""]),
    "missing last": ([{"limit": 10, "data": FULL}, {"data": [item(10)]}], 11, ["i9", ""]),
    "null last": ([{"limit": 10, "data": FULL, "last": None}, {"data": [item(10)]}], 11, ["i9", ""]),
    "last repeated": ([{"data": FULL, "last": "i9"}, {"data": FULL, "last": "i9"}], 10, ["i9", ""]),
    "last in a circle": (
        [{"data": FULL, "last": "a"}, {"data": FULL, "last": "b"}, {"data": FULL, "last": "a"}],
        10,
        ["a", "b", ""],
    ),
    "smaller limit": ([{"limit": 5, "data": FULL[:5], "last": "i4"}, {"limit": 5, "data": FULL[5:8]}], 8, ["i4", ""]),
    "limit as text": ([{"limit": "5", "data": FULL[:5], "last": "i4"}, {"data": FULL[5:8]}], 8, ["i4", ""]),
    "larger limit": ([{"limit": 100, "data": FULL, "last": "i9"}, {"data": []}], 10, ["i9", ""]),
    "number as last": ([{"data": FULL, "last": 10}, {"data": [item(10)], "last": 11}], 11, ["10", ""]),
    "no objects": ([{"data": [1, None, "x", [], {"id": 5}, {}, {}, {}, item(1), "x"]}, {"data": [{}]}], 11, ["i1", ""]),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_ends_in_every_form(name: str, passing: Time) -> None:
    answers, items, cursors = LISTS[name]
    left = iter(answers)
    requested: list[str] = []

    def answer(target: str, _: str | None) -> Response:
        requested.append(target)
        return json_response(200, next(left))

    with answering(answer) as base_url, opened(base_url, passing) as api:
        pages = list(api.pages("/things", limit=10))
    assert sum(len(page.items) for page in pages) == items
    assert [page.last for page in pages] == cursors
    assert requested == ["/things?limit=10", *(f"/things?limit=10&start={cursor}" for cursor in cursors[:-1])]
    assert next(left, None) is None


INVALID_LISTS = [
    ({}, "has no list at /things"),
    ({"data": {"id": 1}, "last": ""}, "has no list at"),
    ({"data": [0] * 10}, "cannot continue"),
]


@pytest.mark.parametrize(("body", "message"), INVALID_LISTS)
def test_an_invalid_list_is_an_error(body: Any, message: str, passing: Time) -> None:
    with (
        answering(lambda *_: json_response(200, body)) as base_url,
        opened(base_url, passing) as api,
        pytest.raises(StoreError, match=message),
    ):
        list(api.pages("/things", limit=10))


def test_a_missing_list_is_an_error(api: Client) -> None:
    with pytest.raises(StoreError, match="has no list /things: check the endpoint"):
        next(api.pages("/things"))


# Many records


class ConcurrencyCounter:
    """Responses of a server that counts concurrent requests."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.current, self.highest = 0, 0

    def answer(self, target: str, _: str | None) -> Response:
        with self.lock:
            self.current += 1
            self.highest = max(self.highest, self.current)
        time.sleep(0.02 if target.endswith("0") else 0.005)
        with self.lock:
            self.current -= 1
        return json_response(404 if target.endswith("7") else 200, {"id": target})


def test_many_records_are_requested_concurrently_and_returned_in_order(passing: Time) -> None:
    counter = ConcurrencyCounter()
    started: list[int] = []

    def paths() -> Iterator[str]:
        for number in range(40):
            started.append(number)
            yield f"/rooms/{number}"

    with answering(counter.answer) as base_url, opened(base_url, passing, concurrency=3) as api:
        for number, (path, answer) in enumerate(api.get_many(paths())):
            assert path == f"/rooms/{number}"
            assert answer == (None if path.endswith("7") else {"id": path})
            assert len(started) <= number + 3
        assert api.requests == 40 + len(passing.slept)  # a connection may time out on a busy machine, and be retried
    assert counter.highest == 3


def test_no_more_records_are_requested_after_the_iteration_stops(api: Client, vendor: Vendor) -> None:
    with closing(api.get_many(f"/recording-assets/asset{number:03}" for number in range(45))) as answers:
        assert [path for path, _ in islice(answers, 2)] == ["/recording-assets/asset000", "/recording-assets/asset001"]
    assert len(vendor.requests) <= 5


def test_an_error_ends_the_iteration(api: Client, vendor: Vendor) -> None:
    vendor.faults.refuse_tokens_before = time.time() + 3600
    with pytest.raises(AccessDenied):
        list(api.get_many(f"/recording-assets/asset{number:03}" for number in range(45)))
    assert len(vendor.requests) <= 2 * 8


# Tokens


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_replaced_once(status: Any, vendor: Vendor, passing: Time) -> None:
    with opened(vendor.endpoint, passing, clock=time.time) as api:
        assert api.get("/recording-assets/asset001")
        vendor.faults.refuse_with = status
        vendor.faults.refuse_tokens_before = time.time()
        assert api.get("/recording-assets/asset001")
        assert api.get("/recording-assets/asset001")
    assert len(vendor.requests) == 4


@pytest.mark.parametrize("status", [401, 403])
def test_the_error_tells_what_to_check_when_every_token_is_refused(
    status: Any, api: Client, vendor: Vendor, passing: Time
) -> None:
    vendor.faults.refuse_with = status
    vendor.faults.refuse_tokens_before = time.time() + 3600
    message = (
        rf"{vendor.endpoint} refuses the token for /rooms \({status}; .*revoked\): check .* access key .* app secret"
    )
    with pytest.raises(AccessDenied, match=message) as denied:
        list(api.pages("/rooms"))
    assert len(vendor.requests) == 2
    assert passing.slept == []
    assert_no_secret(denied.value)


def test_the_message_of_a_refusal_holds_no_token(passing: Time) -> None:
    def answer(_: str, authorization: str | None) -> Response:
        return json_response(401, {"message": f"bad token {authorization}", "details": [authorization]})

    with answering(answer) as base_url, opened(base_url, passing) as api:
        with pytest.raises(AccessDenied, match=r"bad token Bearer \[redacted\]") as denied:
            api.get("/rooms")
        assert_no_secret(denied.value)


def test_threads_share_a_new_token(vendor: Vendor, passing: Time) -> None:
    with opened(vendor.endpoint, passing, concurrency=8, clock=time.time) as api:
        api.get("/recording-assets/asset001")
        vendor.faults.refuse_tokens_before = time.time()
        assert all(answer for _, answer in api.get_many(["/recording-assets/asset001"] * 60))
        assert 62 <= len(vendor.requests) <= 61 + 8


# Transient faults


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


def assert_backing_off(slept: list[float], times: int) -> None:
    assert len(slept) == times
    for number, seconds in enumerate(slept):
        assert 2**number <= seconds <= 2**number + 1
    assert all(seconds != int(seconds) for seconds in slept)


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
        opened("http://127.0.0.1:1/v2", passing) as api,
        pytest.raises(StoreError, match=r"127\.0\.0\.1:1.*ConnectError"),
    ):
        api.get("/rooms")
    assert_backing_off(passing.slept, 4)


def test_an_invalid_base_url_is_an_error(passing: Time) -> None:
    with (
        opened("http://localhost:port/v2", passing) as api,
        pytest.raises(StoreError, match=r"InvalidURL.*check .* the endpoint"),
    ):
        api.get("/rooms")


def test_the_total_waiting_time_is_limited(vendor: Vendor, passing: Time) -> None:
    vendor.faults.server_errors = 99
    with opened(vendor.endpoint, passing, tries=50, max_wait_s=20) as api, pytest.raises(StoreError, match="503"):
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
        answering(lambda *_: Response(405, "text/html", b"<p>No.</p>")) as base_url,
        opened(base_url, passing) as api,
        pytest.raises(StoreError, match=r"/rooms: 405; Method Not Allowed$"),
    ):
        api.get("/rooms")


def test_a_redirect_does_not_receive_the_token(passing: Time) -> None:
    requested: list[tuple[str, str | None]] = []

    def elsewhere(target: str, authorization: str | None) -> Response:
        requested.append((target, authorization))
        return json_response(200, {})

    with answering(elsewhere) as other:
        moved = Response(302, "text/plain", b"", (("Location", f"{other}/stolen?sig=c2lnbmVk"),))
        with (
            answering(lambda *_: moved) as base_url,
            opened(base_url, passing) as api,
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
    with opened(vendor.endpoint, passing, tries=1) as api:
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

    with opened(vendor.endpoint, passing, sleep=sleep) as api:
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

    with opened(vendor.endpoint, passing, sleep=sleep) as api:
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
    with answering(lambda *_: next(answers)) as base_url, opened(base_url, passing) as api:
        assert api.get("/rooms/1") == {"id": "1"}
    assert [int(seconds) for seconds in passing.slept] == [33]


# Content


def test_content_is_downloaded_without_sending_the_token_to_the_storage(api: Client, vendor: Vendor) -> None:
    # The simulated storage refuses requests with an Authorization header.
    assert list(api.content("asset001")) == [b"SenderName,Message\nPriya,hello\n"]
    assert list(api.content("asset002")) == [b""]
    assert vendor.downloads == ["/storage/vendor-eu/1.csv", "/storage/vendor-eu/2.csv"]
    assert api.requests == 4


def test_an_id_is_escaped_in_the_path(api: Client, vendor: Vendor) -> None:
    with pytest.raises(ObjectMissing):
        list(api.content("../rooms?x#y"))
    assert vendor.requests == ["GET /v2/recording-assets/..%2Frooms%3Fx%23y/presigned-url?presign_duration=3600"]


def test_large_content_is_returned_in_pieces(api: Client, vendor: Vendor) -> None:
    vendor.workspaces[0].contents["asset003"] = content = bytes(range(256)) * 75_000
    pieces = list(api.content("asset003"))
    assert b"".join(pieces) == content
    assert [len(piece) for piece in pieces] == [PIECE_BYTES, PIECE_BYTES, len(content) - 2 * PIECE_BYTES]


def test_an_expired_url_is_replaced_once(api: Client, vendor: Vendor, passing: Time) -> None:
    vendor.faults.expired_urls = 1
    assert list(api.content("asset001"))
    assert len(vendor.requests) == len(vendor.downloads) == 2
    vendor.faults.expired_urls = 9
    with pytest.raises(AccessDenied, match=r"refuses the URL .* asset001 \(403 AccessDenied\): check") as denied:
        list(api.content("asset001"))
    assert len(vendor.requests) == len(vendor.downloads) == 4
    assert passing.slept == []
    assert_no_secret(denied.value)


@pytest.mark.parametrize("asset_id", ["never", "asset009"])
def test_an_asset_that_the_vendor_no_longer_stores_is_gone(asset_id: str, api: Client) -> None:
    with pytest.raises(ObjectMissing, match=f"asset {asset_id}"):
        list(api.content(asset_id))


@pytest.mark.parametrize("fault", ["server_errors", "cut"])
def test_transient_faults_of_the_storage_are_retried(fault: str, api: Client, vendor: Vendor, passing: Time) -> None:
    vendor.faults.at = "/storage/"
    setattr(vendor.faults, fault, 4)
    assert b"".join(api.content("asset001")) == b"SenderName,Message\nPriya,hello\n"
    assert_backing_off(passing.slept, 4)
    assert (len(vendor.requests), len(vendor.downloads)) == (1, 5)


@pytest.mark.parametrize("fault", ["server_errors", "cut", "rate_limit"])
def test_permanent_faults_of_the_storage_are_an_error(fault: str, api: Client, vendor: Vendor) -> None:
    vendor.faults.at = "/storage/"
    setattr(vendor.faults, fault, 99)
    with pytest.raises(
        StoreError, match=r"does not return the content of asset asset001 .*: try again later"
    ) as raised:
        list(api.content("asset001"))
    assert len(vendor.downloads) == 5
    assert_no_secret(raised.value)


def test_an_interrupted_download_is_an_error(api: Client, vendor: Vendor) -> None:
    vendor.workspaces[0].contents["asset003"] = bytes(PIECE_BYTES * 3)
    vendor.faults.at, vendor.faults.cut = "/storage/", 1
    with pytest.raises(StoreError, match=r"asset asset003 broke off after 8388608 bytes: try again") as raised:
        list(api.content("asset003"))
    assert raised.value.__context__ is None


def test_an_abandoned_download_closes_its_connection(api: Client, vendor: Vendor) -> None:
    vendor.workspaces[0].contents["asset003"] = bytes(PIECE_BYTES * 3)
    with closing(api.content("asset003")) as pieces:
        next(pieces)
        assert connections() == 1
    deadline = time.monotonic() + 5
    while connections():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert list(api.content("asset001"))


def connections() -> int:
    """Number of connections to the servers of this test; each has its own thread."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


@contextmanager
def storage(*answers: Response, url: Any = "/stored?X-Amz-Signature=") -> Iterator[str]:
    """An API that returns a URL for every asset, and a storage with these responses."""
    left = iter(answers)

    def answer(target: str, _: str | None) -> Response:
        if target.startswith("/stored"):
            return next(left)
        signed = f"{base_url}{url}{SIGNATURE_CANARY}" if isinstance(url, str) and url.startswith("/") else url
        return json_response(200, {"id": "a", "url": signed})

    with answering(answer) as base_url:
        yield base_url
    assert next(left, None) is None


EXPIRED = Response(400, "application/xml", b"<Error><Code>ExpiredToken</Code><S>canary-of-a-signed-url</S></Error>")
GONE = Response(404, "text/plain", b"canary-of-a-signed-url")
FINE = Response(200, "text/csv", b"fine")
AS_STORED = Response(200, "text/csv", b"\x1f\x8b as stored", (("Content-Encoding", "gzip"),))


def test_bytes_are_returned_as_stored(passing: Time) -> None:
    with storage(AS_STORED) as base_url, opened(base_url, passing) as api:
        assert list(api.content("a")) == [AS_STORED.body]


def test_a_signed_url_is_requested_unchanged(passing: Time) -> None:
    signed = "/stored/a%2Fb%20c+d~(e)!*/%C3%A9.csv?X-Amz-Signature=a%2Bb/c==&name=%22x%27+y%22&empty=&"
    requested: list[str] = []

    def answer(target: str, _: str | None) -> Response:
        requested.append(target)
        return FINE if target.startswith("/stored") else json_response(200, {"url": base_url + signed})

    with answering(answer) as base_url, opened(base_url, passing) as api:
        assert list(api.content("a")) == [b"fine"]
    assert requested[1:] == [signed]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_new_url_is_requested_after_a_refusal_of_the_storage(status: int, passing: Time) -> None:
    with storage(EXPIRED._replace(status=status), FINE) as base_url, opened(base_url, passing) as api:
        assert list(api.content("a")) == [b"fine"]
        assert api.requests == 4


STORAGE_ERRORS = [
    ([EXPIRED, EXPIRED], AccessDenied, "400 ExpiredToken"),
    ([GONE], ObjectMissing, "404 Not Found"),
    (
        [Response(307, "text/plain", b"", (("Location", f"/k?Unknown={SIGNATURE_CANARY}"),))],
        StoreError,
        "307 Temporary",
    ),
    ([Response(416, "text/plain", b"canary-of-a-signed-url" * 99_999)], StoreError, "416 Requested"),
]


@pytest.mark.parametrize(("answers", "error", "message"), STORAGE_ERRORS)
def test_other_responses_of_the_storage_are_errors(
    answers: list[Response], error: type[Exception], message: str, passing: Time
) -> None:
    with (
        storage(*answers) as base_url,
        opened(base_url, passing) as api,
        pytest.raises(error, match=message) as raised,
    ):
        list(api.content("a"))
    assert raised.type is error
    assert_no_secret(raised.value)


@pytest.mark.parametrize("url", [None, "", 5, "s3://acme/key", "file:///etc/passwd"])
def test_a_response_without_a_url_is_an_error(url: Any, passing: Time) -> None:
    with (
        storage(url=url) as base_url,
        opened(base_url, passing) as api,
        pytest.raises(StoreError, match="the vendor returned no URL for asset a: check"),
    ):
        list(api.content("a"))


@pytest.mark.parametrize(
    "url", ["http://[half?X-Amz-Signature=", "http://127.0.0.1:1/k?X-Amz-Signature=", "http://\n?"]
)
def test_the_error_for_an_unreachable_url_hides_its_signature(url: str, passing: Time) -> None:
    with storage(url=url + SIGNATURE_CANARY) as base_url, opened(base_url, passing) as api:
        with pytest.raises(StoreError, match="does not return the content of asset a") as raised:
            list(api.content("a"))
        assert_no_secret(raised.value)


# Secrets


SECRETS = (SIGNATURE_CANARY, KEYS.secret, "eyJ")


def assert_no_secret(error: BaseException) -> None:
    """Neither in the error, which has no cause or context, nor in the variables of our frames in its traceback."""
    assert error.__cause__ is None
    assert error.__context__ is None
    ours = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if "/roomledger/" in frame.f_code.co_filename]
    assert ours
    visible = str(error) + "".join(repr(variable) for frame in ours for variable in frame.f_locals.values())
    for secret in SECRETS:
        assert secret not in visible


def test_no_log_of_any_level_shows_a_secret(
    api: Client, vendor: Vendor, passing: Time, caplog: pytest.LogCaptureFixture
) -> None:
    loggers = ["", "httpx", "httpcore", "httpcore.http11", "httpcore.connection"]
    signed = Response(307, "text/plain", b"", (("Location", f"/elsewhere?Unknown={SIGNATURE_CANARY}'"),))
    with ExitStack() as levels:
        for name in loggers:
            levels.enter_context(caplog.at_level(logging.DEBUG, logger=name))
        vendor.faults.expired_urls = vendor.faults.server_errors = 1
        assert list(api.content("asset001"))
        vendor.faults.at, vendor.faults.cut = "/storage/", 99
        with pytest.raises(StoreError):
            list(api.content("asset001"))
        with storage(signed) as base_url, opened(base_url, passing) as other, pytest.raises(StoreError):
            list(other.content("a"))
        with answering(lambda *_: signed) as base_url, opened(base_url, passing) as other, pytest.raises(StoreError):
            other.get("/rooms")
        lines = [
            f"{record.name} {record.getMessage()} {record.args} {json.dumps(record.__dict__, default=repr)}"
            for record in caplog.records
        ]
    for secret in SECRETS:
        assert not [line for line in lines if secret in line]
    assert any(
        line.startswith("httpx HTTP Request: GET http://127.0.0.1") and "/storage/vendor-eu/1.csv" in line
        for line in lines
    )
    assert any("/elsewhere?[redacted]" in line for line in lines)
    assert any(line.startswith("httpcore.http11 ") for line in lines)
    assert any(line.startswith("roomledger.hundredms.retries retrying in ") for line in lines)


def test_the_client_shows_no_secret(api: Client) -> None:
    list(api.content("asset001"))
    shown = (
        repr(api)
        + repr(vars(api))
        + "".join(repr(vars(part)) for part in vars(api).values() if hasattr(part, "__dict__"))
    )
    assert SIGNATURE_CANARY not in shown
    assert KEYS.secret not in shown
