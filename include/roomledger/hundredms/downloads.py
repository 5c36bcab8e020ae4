"""The bytes of assets that the vendor holds, from the storage that a signed URL leads to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from roomledger.hundredms.http import Failure, HttpClient, next_piece
from roomledger.hundredms.retries import Patience, Transient, asked_pause
from roomledger.stores import PIECE_BYTES, AccessDenied, ObjectMissing, StoreError

ERROR_BYTES = 4096
"""How much of a storage's error is read."""

_CODE = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")


@dataclass(frozen=True, slots=True)
class Address:
    """A signed URL, kept out of what shows the variables of a call that failed."""

    url: str = field(repr=False)


class _Opened(NamedTuple):
    """Content whose first piece is there."""

    response: httpx.Response
    first: bytes
    rest: Iterator[bytes]


def read_content(
    asset_id: str, address: Callable[[], Address], wire: HttpClient, patience: Patience
) -> Iterator[bytes]:
    """Give the content in pieces; `address` asks the vendor for a URL, a second time if the storage refuses the first.

    Raises `ObjectMissing`, `AccessDenied` or `StoreError`, with the first piece or any later one.
    """
    opened = _open(asset_id, address(), wire, patience)
    if isinstance(opened, Failure):  # the URL may have run out on its way
        opened = _open(asset_id, address(), wire, patience)
    if isinstance(opened, Failure):
        raise AccessDenied(
            f"the storage does not accept the URL that the vendor gave for asset {asset_id} ({opened.words}): "
            "look whether the vendor's dashboard still lets you download it"
        )
    received = 0
    piece: bytes | Failure | None = opened.first
    with closing(opened.response):
        while isinstance(piece, bytes):
            yield piece
            received += len(piece)
            piece = next_piece(opened.rest)
    if isinstance(piece, Failure):
        raise StoreError(f"asset {asset_id} broke off after {received} bytes: try again ({piece.words})")


def _open(asset_id: str, address: Address, wire: HttpClient, patience: Patience) -> _Opened | Failure:
    """Begin to read; a failure says why the storage refuses the URL."""
    return patience.ask(lambda: _try_to_open(asset_id, address, wire, patience))


def _try_to_open(asset_id: str, address: Address, wire: HttpClient, patience: Patience) -> _Opened | Failure:
    answer = wire.open(address.url)
    if isinstance(answer, Failure):
        raise Transient(_not_given(asset_id, answer.words))
    status = answer.status_code
    if status == 200:
        pieces = answer.iter_raw(PIECE_BYTES)
        first = next_piece(pieces)
        if not isinstance(first, Failure):
            return _Opened(answer, first or b"", pieces)
        raise Transient(_not_given(asset_id, first.words))
    why = _why(answer)
    if status == 404:
        raise ObjectMissing(f"the storage holds the content of asset {asset_id} no more ({why})")
    if status in (400, 401, 403):
        return Failure(why)
    if status in (408, 429) or status >= 500:
        pause_s = asked_pause(answer.headers.get("Retry-After"), "", patience.clock())
        raise Transient(_not_given(asset_id, why), pause_s=pause_s)
    raise StoreError(_not_given(asset_id, why))


def _why(answer: httpx.Response) -> str:
    """Status and code of an error; nothing else of it, since it may repeat the signature."""
    with closing(answer):
        body = next_piece(answer.iter_raw(ERROR_BYTES))
    code = _CODE.search(body) if isinstance(body, bytes) else None
    return f"{answer.status_code} {code[1].decode() if code else answer.reason_phrase}"


def _not_given(asset_id: str, why: str) -> str:
    return f"the storage does not give the content of asset {asset_id} ({why}): try again later"
