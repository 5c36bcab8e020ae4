"""Records, lists and tokens, read from a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import pytest

from roomledger.hundredms.client import Client, Page
from roomledger.stores import AccessDenied, StoreError
from sandbox.hundredms_api import Vendor
from sandbox.hundredms_api.http import Response, json_response
from tests.hundredms.serving import (
    KEYS,
    NEWEST_FIRST,
    Time,
    assert_no_secret,
    asset,
    ids,
    open_client,
    server_of,
)

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

    with server_of(answer) as base_url, open_client(base_url, passing) as api:
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
        server_of(lambda *_: json_response(200, body)) as base_url,
        open_client(base_url, passing) as api,
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

    with server_of(counter.answer) as base_url, open_client(base_url, passing, concurrency=3) as api:
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
    with open_client(vendor.endpoint, passing, clock=time.time) as api:
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

    with server_of(answer) as base_url, open_client(base_url, passing) as api:
        with pytest.raises(AccessDenied, match=r"bad token Bearer \[redacted\]") as denied:
            api.get("/rooms")
        assert_no_secret(denied.value)


def test_threads_share_a_new_token(vendor: Vendor, passing: Time) -> None:
    with open_client(vendor.endpoint, passing, concurrency=8, clock=time.time) as api:
        api.get("/recording-assets/asset001")
        vendor.faults.refuse_tokens_before = time.time()
        assert all(answer for _, answer in api.get_many(["/recording-assets/asset001"] * 60))
        assert 62 <= len(vendor.requests) <= 61 + 8
