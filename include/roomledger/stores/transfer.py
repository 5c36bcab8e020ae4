"""How bytes and answers come over the network: pieces, patience and plain words, the same for S3 and GCS.

After an error that may pass a request is made again, with back-off: one that stays is reported after some 4 seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from urllib3.util import Retry

from roomledger.model import Observation
from roomledger.stores import PIECE_BYTES, StoreError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=30)
"""How long a server may stay silent in the middle of an answer."""
TOTAL_TIMEOUT = timedelta(hours=2)
"""How long one answer may take, the pauses of whoever reads it included."""
RETRIES = 3
RETRY_TIME = timedelta(seconds=4)
FIRST_PAUSE = timedelta(seconds=0.5)


def http_options(endpoint: str) -> ClientConfig:
    """What obstore needs to know of the connection."""
    return {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "timeout": TOTAL_TIMEOUT,
    }


def retries() -> RetryConfig:
    """How obstore is to try again."""
    return {"max_retries": RETRIES, "backoff": {"init_backoff": FIRST_PAUSE, "max_backoff": RETRY_TIME, "base": 2}}


def urllib3_retries() -> Retry:
    """How urllib3 is to try again, as far as nothing of an answer has been handed on."""
    return Retry(
        total=RETRIES,
        backoff_factor=FIRST_PAUSE.total_seconds(),
        backoff_max=RETRY_TIME.total_seconds(),
        status_forcelist=(408, 429, 500, 502, 503, 504),
        raise_on_status=False,
    )


def is_plain(key: str) -> bool:
    """Whether obstore can name the key: it knows no empty, `.` or `..` segments and no control characters."""
    return not any(part in ("", ".", "..") for part in key.split("/")) and not any(c < " " or c == "\x7f" for c in key)


def pieces(found: obstore.GetResult, seen: Observation) -> Iterator[bytes]:
    """The body of an answer, in one piece if it is small."""
    if seen.size_bytes <= PIECE_BYTES:
        yield bytes(found.bytes())
    else:
        yield from map(bytes, found.stream(min_chunk_size=PIECE_BYTES))


def whole(pieces: Iterable[bytes], seen: Observation) -> Iterator[bytes]:
    """The same pieces. Raises `StoreError` unless they add up to the object's size."""
    received = 0
    for piece in pieces:
        received += len(piece)
        if received > seen.size_bytes:
            break
        yield piece
    if received != seen.size_bytes:
        raise StoreError(f"{seen.uri} broke off after {received} of {seen.size_bytes} bytes: try again")


def summary(error: BaseException | str) -> str:
    """What an error says, in one line that fits into a sentence."""
    return " ".join(str(error).partition("Debug source")[0].split())[:300] or type(error).__name__
