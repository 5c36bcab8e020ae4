"""The content of assets, from the vendor's storage."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Any

import pytest

from roomledger.hundredms.client import Client
from roomledger.stores import PIECE_BYTES, AccessDenied, ObjectMissing, StoreError
from sandbox.dataset.workspace import SIGNATURE_CANARY
from sandbox.hundredms_api import Vendor
from sandbox.hundredms_api.http import Response, json_response
from tests.hundredms.serving import (
    Time,
    assert_backing_off,
    assert_no_secret,
    open_client,
    server_of,
    storage,
)


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


EXPIRED = Response(400, "application/xml", b"<Error><Code>ExpiredToken</Code><S>canary-of-a-signed-url</S></Error>")
NOT_FOUND = Response(404, "text/plain", b"canary-of-a-signed-url")
FINE = Response(200, "text/csv", b"fine")
AS_STORED = Response(200, "text/csv", b"\x1f\x8b as stored", (("Content-Encoding", "gzip"),))


def test_bytes_are_returned_as_stored(passing: Time) -> None:
    with storage(AS_STORED) as base_url, open_client(base_url, passing) as api:
        assert list(api.content("a")) == [AS_STORED.body]


def test_a_signed_url_is_requested_unchanged(passing: Time) -> None:
    signed = "/stored/a%2Fb%20c+d~(e)!*/%C3%A9.csv?X-Amz-Signature=a%2Bb/c==&name=%22x%27+y%22&empty=&"
    requested: list[str] = []

    def answer(target: str, _: str | None) -> Response:
        requested.append(target)
        return FINE if target.startswith("/stored") else json_response(200, {"url": base_url + signed})

    with server_of(answer) as base_url, open_client(base_url, passing) as api:
        assert list(api.content("a")) == [b"fine"]
    assert requested[1:] == [signed]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_new_url_is_requested_after_a_refusal_of_the_storage(status: int, passing: Time) -> None:
    with storage(EXPIRED._replace(status=status), FINE) as base_url, open_client(base_url, passing) as api:
        assert list(api.content("a")) == [b"fine"]
        assert api.requests == 4


STORAGE_ERRORS = [
    ([EXPIRED, EXPIRED], AccessDenied, "400 ExpiredToken"),
    ([NOT_FOUND], ObjectMissing, "404 Not Found"),
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
        open_client(base_url, passing) as api,
        pytest.raises(error, match=message) as raised,
    ):
        list(api.content("a"))
    assert raised.type is error
    assert_no_secret(raised.value)


@pytest.mark.parametrize("url", [None, "", 5, "s3://acme/key", "file:///etc/passwd"])
def test_a_response_without_a_url_is_an_error(url: Any, passing: Time) -> None:
    with (
        storage(url=url) as base_url,
        open_client(base_url, passing) as api,
        pytest.raises(StoreError, match="the vendor returned no URL for asset a: check"),
    ):
        list(api.content("a"))


@pytest.mark.parametrize(
    "url", ["http://[half?X-Amz-Signature=", "http://127.0.0.1:1/k?X-Amz-Signature=", "http://\n?"]
)
def test_the_error_for_an_unreachable_url_hides_its_signature(url: str, passing: Time) -> None:
    with storage(url=url + SIGNATURE_CANARY) as base_url, open_client(base_url, passing) as api:
        with pytest.raises(StoreError, match="does not return the content of asset a") as raised:
            list(api.content("a"))
        assert_no_secret(raised.value)
