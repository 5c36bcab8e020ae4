"""HTTP without leaks: neither an exception nor a log line of the libraries below tells a signed URL or a token."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import httpx

from roomledger.hundredms.redact import redact_text

# What a URL asks for, signature included, in whatever way it is signed.
_QUERY = re.compile(r"\?[^\s\"<>]*")
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks")


class Failure(NamedTuple):
    """No answer, or not all of it.

    A value instead of httpx's exception, which carries the request along: raised from here, or from inside an `except`
    clause, it would show the URL and the token to whoever logs exceptions with all that belongs to them.
    """

    words: str


class HttpClient:
    """The connections to any number of servers, for any number of threads. Redirects are not followed."""

    def __init__(self, timeout: httpx.Timeout, kept_connections: int) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_without_secrets)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=kept_connections)
        self._client = httpx.Client(
            timeout=timeout, limits=limits, follow_redirects=False, headers={"User-Agent": "roomledger"}
        )
        self._lock = threading.Lock()
        self.requests = 0
        """Requests sent so far."""

    def get(self, url: str, parameters: Mapping[str, str], token: str) -> httpx.Response | Failure:
        """Ask with a bearer token, and wait for the whole answer."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return self._send(url, headers, parameters, stream=False)

    def open(self, url: str) -> httpx.Response | Failure:
        """Ask without a token; the answer's body is to be read with `next_piece`, as it is stored, and closed."""
        return self._send(url, {"Accept-Encoding": "identity"}, None, stream=True)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _send(
        self, url: str, headers: Mapping[str, str], parameters: Mapping[str, str] | None, *, stream: bool
    ) -> httpx.Response | Failure:
        with self._lock:
            self.requests += 1
        try:
            request = self._client.build_request("GET", url, params=parameters, headers=headers)
            return self._client.send(request, stream=stream)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _failure(error)


def next_piece(pieces: Iterator[bytes]) -> bytes | Failure | None:
    """Read on; None at the end."""
    try:
        return next(pieces, None)
    except httpx.HTTPError as error:
        return _failure(error)


def _failure(error: Exception) -> Failure:
    words = " ".join(redact_text(str(error)).split())[:300]
    return Failure(f"{type(error).__name__}: {words}" if words else type(error).__name__)


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact_text(_QUERY.sub("?[redacted]", record.getMessage())), ()
    return True
