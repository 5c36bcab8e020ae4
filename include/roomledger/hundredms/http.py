"""HTTP without leaks: no exception and no log line of the HTTP libraries shows a signed URL or a token."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import httpx

from roomledger.hundredms.redact import redact_text

# The query of a URL, with any signature in it.
_QUERY = re.compile(r"\?[^\s\"<>]*")
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks")


class Failure(NamedTuple):
    """A missing or incomplete response.

    This is a value because httpx's exceptions hold the request: raised from here, or as the context of another one,
    they would show URL and token in logs that include the variables of a traceback.
    """

    reason: str


class HttpClient:
    """Connections to any number of servers. Safe to use from many threads. Redirects are not followed."""

    def __init__(self, timeout: httpx.Timeout, idle_connections: int) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_without_secrets)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=idle_connections)
        self._client = httpx.Client(
            timeout=timeout, limits=limits, follow_redirects=False, headers={"User-Agent": "roomledger"}
        )
        self._lock = threading.Lock()
        self.requests = 0
        """Number of requests sent so far."""

    def get(self, url: str, parameters: Mapping[str, str], token: str) -> httpx.Response | Failure:
        """Send a request with a bearer token, and wait for the whole response."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return self._send(url, headers, parameters, stream=False)

    def open(self, url: str) -> httpx.Response | Failure:
        """Send a request without a token; read the raw body with `next_piece`, then close the response."""
        return self._send(url, {"Accept-Encoding": "identity"}, None, stream=True)

    def close(self) -> None:
        """Close all connections."""
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
    """Return the next piece; None at the end."""
    try:
        return next(pieces, None)
    except httpx.HTTPError as error:
        return _failure(error)


def _failure(error: Exception) -> Failure:
    reason = " ".join(redact_text(str(error)).split())[:300]
    return Failure(f"{type(error).__name__}: {reason}" if reason else type(error).__name__)


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact_text(_QUERY.sub("?[redacted]", record.getMessage())), ()
    return True
