"""The vendor's REST API: single records, lists page by page, and the content of vendor-stored assets.

Records are JSON as sent by the vendor, secrets included: `redact` them before anything is stored.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import httpx

from roomledger.hundredms.access import Keys
from roomledger.hundredms.downloads import SignedUrl, read_content
from roomledger.hundredms.http import Failure, HttpClient
from roomledger.hundredms.redact import redact_text
from roomledger.hundredms.retries import RetryPolicy, Transient, requested_pause
from roomledger.hundredms.tokens import Tokens
from roomledger.stores import AccessDenied, ObjectMissing, StoreError

BASE_URL = "https://api.100ms.live/v2"
TIMEOUT = httpx.Timeout(30, connect=5, pool=None)
"""Seconds: the longest silence during a response, and the longest time to connect."""
PRESIGNED_S = 3600
"""Requested lifetime of a signed URL."""

Json = dict[str, Any]
Parameter = str | int | bool | None
"""None leaves the parameter out."""


class Page(NamedTuple):
    """One page of a list."""

    items: list[Any]
    """Records (objects) and any other values among them, unchanged; without items of earlier pages."""
    last: str
    """The `start` of the next page; "" after the last page."""


class Client:
    """One workspace's API. Safe to use from many threads, which share its token, connections and pauses.

    Every method may raise `AccessDenied`, or `StoreError` when all tries fail or the vendor refuses the request.
    """

    def __init__(
        self,
        base_url: str,
        keys: Keys,
        *,
        concurrency: int = 4,
        tries: int = 5,
        max_wait_s: float = 300,
        timeout: httpx.Timeout = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`tries` and `max_wait_s`: see `RetryPolicy`. Raises `ValueError` for an invalid base URL."""
        if not base_url.startswith(("https://", "http://")):
            raise ValueError(f"{redact_text(base_url)!r} is not a base URL: use one such as {BASE_URL}")
        self._base_url = base_url.rstrip("/")
        self._concurrency = concurrency
        self._tokens = Tokens(keys, clock)
        self._retries = RetryPolicy(tries=tries, max_wait_s=max_wait_s, sleep=sleep, clock=clock)
        self._http = HttpClient(timeout, concurrency)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    @property
    def requests(self) -> int:
        """Number of requests sent so far, including retries and downloads."""
        return self._http.requests

    def get(self, path: str, **parameters: Parameter) -> Json | None:
        """The JSON object at a path such as `/rooms/<id>`; None if it does not exist (404)."""
        return self._retries.call(lambda: self._try(path, parameters))

    def get_many(self, paths: Iterable[str]) -> Iterator[tuple[str, Json | None]]:
        """Yield each path with the result of `get`, in order; at most `concurrency` are in flight or waiting."""
        waiting: deque[tuple[str, Future[Json | None]]] = deque()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="vendor")
        try:
            for path in paths:
                waiting.append((path, pool.submit(self.get, path)))
                if len(waiting) == self._concurrency:
                    first, result = waiting.popleft()
                    yield first, result.result()
            for path, result in waiting:
                yield path, result.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def pages(self, path: str, *, start: str = "", limit: int = 100, **filters: Parameter) -> Iterator[Page]:
        """A list page by page from the cursor `start` on, in the vendor's order.

        A page is empty if earlier pages had all its items: pages shift when records are added meanwhile.
        """
        seen: set[str] = set()
        cursors = {start}
        while True:
            body = self.get(path, **filters, limit=limit, start=start or None)
            if body is None:
                raise StoreError(f"{self._base_url} has no list {path}: check the endpoint in the source's settings")
            items = body.get("data")
            if not (isinstance(items, list) or (items is None and body.keys() & {"data", "last"})):
                raise StoreError(f"{self._base_url} has no list at {path}: check the endpoint in the settings")
            start = _next_start(body, limit)
            if start in cursors:
                start = ""
            cursors.add(start)
            yield Page([item for item in items or () if _id(item) not in seen], start)
            if not start:
                return
            seen.update(map(_id, items or ()))
            seen.discard("")

    def content(self, asset_id: str) -> Iterator[bytes]:
        """The bytes of an asset in pieces of about 8 MiB, from the storage that the vendor names.

        Discard the pieces received before an error. Raises `ObjectMissing`, too.
        """
        return read_content(asset_id, lambda: self._sign_url(asset_id), self._http, self._retries)

    def _try(self, path: str, parameters: Mapping[str, Parameter]) -> Json | None:
        response = self._request(path, parameters)
        if isinstance(response, Failure):
            raise Transient(self._no_proper_answer(path, response.reason))
        status, message = response.status_code, _message(response)
        if status == 200:
            record = _json(response)
            if not isinstance(record, dict):
                raise Transient(self._no_proper_answer(path, "no JSON object"))
            return record
        if status == 404:
            return None
        if status in (401, 403):
            raise AccessDenied(
                f"{self._base_url} refuses the token for {path} ({message}): check that access key and app secret "
                "are those of this workspace, what the workspace is allowed to do, and this computer's clock"
            )
        pause_s = requested_pause(response.headers.get("Retry-After"), message, self._retries.clock())
        if status == 429:
            wait = f" and asks to wait {pause_s:.0f} s" if pause_s else ""
            limit = f"{self._base_url} limits the rate of requests{wait}: try again later, or with fewer at once"
            raise Transient(limit, pause_s=pause_s, limited=True)
        if status == 408 or status >= 500:
            raise Transient(self._no_proper_answer(path, message), pause_s=pause_s)
        if response.has_redirect_location:
            message += ", a redirect, which is not followed: check the endpoint in the source's settings"
        raise StoreError(f"{self._base_url} refuses the request for {path}: {message}")

    def _request(self, path: str, parameters: Mapping[str, Parameter]) -> httpx.Response | Failure:
        url = f"{self._base_url}/{path.lstrip('/')}"
        query = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in parameters.items()
            if value is not None
        }
        token = self._tokens.current()
        response = self._http.get(url, query, token)
        if isinstance(response, Failure) or response.status_code not in (401, 403):
            return response
        return self._http.get(url, query, self._tokens.renew(token))

    def _no_proper_answer(self, path: str, reason: str) -> str:
        return (
            f"no valid response from {self._base_url} to the request for {path} ({reason}): "
            "try again later; if this persists, check the network and the endpoint in the source's settings"
        )

    def _sign_url(self, asset_id: str) -> SignedUrl:
        body = self.get(f"/recording-assets/{quote(asset_id, safe='')}/presigned-url", presign_duration=PRESIGNED_S)
        if body is None:
            raise ObjectMissing(f"the vendor has no asset {asset_id}, or no longer stores its content")
        match body.get("url"):
            case str(url) if url.startswith(("https://", "http://")):
                return SignedUrl(url)
        raise StoreError(
            f"the vendor returned no URL for asset {asset_id}: check whether its dashboard can download it"
        )


def _next_start(body: Json, limit: int) -> str:
    """The cursor after a page; "" after the last page, which is empty, not full, or has an empty `last`."""
    items = body.get("data") or ()
    # A server may lower the limit; the page then names its own.
    page_limit = str(body.get("limit"))
    full = min(limit, int(page_limit)) if page_limit.isdecimal() and int(page_limit) else limit
    if len(items) < full:
        return ""
    last = body.get("last")
    if isinstance(last, str | int):
        return str(last)
    for item in reversed(items):
        if _id(item):
            return _id(item)
    raise StoreError("cannot continue the vendor's list: a full page has neither a cursor nor a record with an id")


def _id(item: Any) -> str:
    value = item.get("id") if isinstance(item, dict) else None
    return value if isinstance(value, str) else ""


def _json(response: httpx.Response) -> Any:
    """The JSON value of the body; None if it is not JSON."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _message(response: httpx.Response) -> str:
    """The message of an error (`message` and `details`: vendor documentation), in one line without secrets."""
    body = _json(response)
    parts = [str(response.status_code)]
    if isinstance(body, dict) and body.get("message"):
        details = body.get("details")
        parts += [str(body["message"]), *map(str, details if isinstance(details, list) else ())]
    else:
        parts.append(response.reason_phrase)
    return " ".join(redact_text("; ".join(parts)).split())[:300]
