"""The bytes of vendor-stored assets, from the storage behind a signed URL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from roomledger.hundredms.http import Failure, HttpClient, next_piece
from roomledger.hundredms.retries import RetryPolicy, Transient, requested_pause
from roomledger.stores import PIECE_BYTES, AccessDenied, ObjectMissing, StoreError

ERROR_BYTES = 4096
"""Bytes of an error response that are read."""

_CODE = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A signed URL that `repr` hides, for instance in logs of the variables of a failed call."""

    url: str = field(repr=False)


class _Download(NamedTuple):
    """A response whose first piece has been received."""

    response: httpx.Response
    first: bytes
    rest: Iterator[bytes]


def read_content(
    asset_id: str, sign_url: Callable[[], SignedUrl], http: HttpClient, retries: RetryPolicy
) -> Iterator[bytes]:
    """Yield the content in pieces. `sign_url` requests a URL, and a second one if the storage refuses the first.

    Raises `ObjectMissing`, `AccessDenied` or `StoreError`, with the first piece or any later one.
    """
    opened = _open(asset_id, sign_url(), http, retries)
    if isinstance(opened, Failure):  # the URL may have expired
        opened = _open(asset_id, sign_url(), http, retries)
    if isinstance(opened, Failure):
        raise AccessDenied(
            f"the storage refuses the URL that the vendor returned for asset {asset_id} ({opened.reason}): "
            "check whether the vendor's dashboard can still download it"
        )
    received = 0
    piece: bytes | Failure | None = opened.first
    with closing(opened.response):
        while isinstance(piece, bytes):
            yield piece
            received += len(piece)
            piece = next_piece(opened.rest)
    if isinstance(piece, Failure):
        raise StoreError(f"asset {asset_id} broke off after {received} bytes: try again ({piece.reason})")


def _open(asset_id: str, signed: SignedUrl, http: HttpClient, retries: RetryPolicy) -> _Download | Failure:
    """Start the download; a failure tells why the storage refuses the URL."""
    return retries.call(lambda: _try_to_open(asset_id, signed, http, retries))


def _try_to_open(asset_id: str, signed: SignedUrl, http: HttpClient, retries: RetryPolicy) -> _Download | Failure:
    response = http.open(signed.url)
    if isinstance(response, Failure):
        raise Transient(_unavailable(asset_id, response.reason))
    status = response.status_code
    if status == 200:
        pieces = response.iter_raw(PIECE_BYTES)
        first = next_piece(pieces)
        if not isinstance(first, Failure):
            return _Download(response, first or b"", pieces)
        raise Transient(_unavailable(asset_id, first.reason))
    reason = _reason(response)
    if status == 404:
        raise ObjectMissing(f"the storage no longer has the content of asset {asset_id} ({reason})")
    if status in (400, 401, 403):
        return Failure(reason)
    if status in (408, 429) or status >= 500:
        pause_s = requested_pause(response.headers.get("Retry-After"), "", retries.clock())
        raise Transient(_unavailable(asset_id, reason), pause_s=pause_s)
    raise StoreError(_unavailable(asset_id, reason))


def _reason(response: httpx.Response) -> str:
    """Status and error code; the rest of the body may repeat the signature."""
    with closing(response):
        body = next_piece(response.iter_raw(ERROR_BYTES))
    code = _CODE.search(body) if isinstance(body, bytes) else None
    return f"{response.status_code} {code[1].decode() if code else response.reason_phrase}"


def _unavailable(asset_id: str, reason: str) -> str:
    return f"the storage does not return the content of asset {asset_id} ({reason}): try again later"
