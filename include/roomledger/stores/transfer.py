"""Rules of every transfer, the same for S3, GCS and queues: size of pieces, timeouts, retries, text of errors.

A request that fails is retried with back-off if it may succeed later; an error that lasts is reported after some 4
seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore

from roomledger.model import Observation
from roomledger.stores import PIECE_BYTES, StoreError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=30)
"""How long a server may stay silent in the middle of a response."""
TOTAL_TIMEOUT = timedelta(hours=2)
"""How long one response may take, including the time in which its reader does something else."""
RETRIES = 3
RETRY_TIME = timedelta(seconds=4)
FIRST_PAUSE = timedelta(seconds=0.5)


def http_options(endpoint: str) -> ClientConfig:
    """Settings of obstore's connections."""
    return {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "timeout": TOTAL_TIMEOUT,
    }


def retries() -> RetryConfig:
    """Settings of obstore's retries."""
    return {"max_retries": RETRIES, "backoff": {"init_backoff": FIRST_PAUSE, "max_backoff": RETRY_TIME, "base": 2}}


def is_plain(key: str) -> bool:
    """Whether obstore can name the key: it supports no empty, `.` or `..` segments and no control characters."""
    return not any(part in ("", ".", "..") for part in key.split("/")) and not any(c < " " or c == "\x7f" for c in key)


def pieces(found: obstore.GetResult, seen: Observation) -> Iterator[bytes]:
    """Yield the body of a response, in one piece if it is small."""
    if seen.size_bytes <= PIECE_BYTES:
        yield bytes(found.bytes())
    else:
        yield from map(bytes, found.stream(min_chunk_size=PIECE_BYTES))


def check_size(pieces: Iterable[bytes], seen: Observation) -> Iterator[bytes]:
    """Yield the same pieces. Raises `StoreError` unless they add up to the object's size."""
    received = 0
    for piece in pieces:
        received += len(piece)
        if received > seen.size_bytes:
            break
        yield piece
    if received != seen.size_bytes:
        raise StoreError(f"{seen.uri} broke off after {received} of {seen.size_bytes} bytes: try again")


def summary(error: BaseException | str) -> str:
    """The text of an error in one line, to be part of a sentence."""
    return " ".join(str(error).partition("Debug source")[0].split())[:300] or type(error).__name__
