"""The vendor's REST API: single records, lists page by page, and the content of assets that only the vendor holds.

Answers are JSON as the vendor sent it, secrets included: `redact` comes before anything is stored.
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
from roomledger.hundredms.downloads import Address, read_content
from roomledger.hundredms.http import Failure, HttpClient
from roomledger.hundredms.redact import redact_text
from roomledger.hundredms.retries import Patience, Transient, asked_pause
from roomledger.hundredms.tokens import Tokens
from roomledger.stores import AccessDenied, ObjectMissing, StoreError

BASE_URL = "https://api.100ms.live/v2"
TIMEOUT = httpx.Timeout(30, connect=5, pool=None)
"""Seconds: how long a server may stay silent in the middle of an answer, and how long a connection may take."""
PRESIGNED_S = 3600
"""How long a signed URL is asked to live."""

Json = dict[str, Any]
Parameter = str | int | bool | None
"""None is left out."""


class Page(NamedTuple):
    """One page of a list."""

    items: list[Any]
    """Records (objects), and as they are whatever else stands among them; without the items of earlier pages."""
    last: str
    """The `start` with which to go on after this page; "" after the last page."""


class Client:
    """One workspace's API. Safe to use from many threads, which then share its token, connections and pauses.

    Every method may raise `AccessDenied`, and `StoreError` when faults outlast all tries or the vendor refuses.
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
        """`tries` and `max_wait_s`: see `Patience`. Raises `ValueError` for a base URL that is none."""
        if not base_url.startswith(("https://", "http://")):
            raise ValueError(f"{redact_text(base_url)!r} is no address of an API: it should be like {BASE_URL}")
        self._base_url = base_url.rstrip("/")
        self._concurrency = concurrency
        self._tokens = Tokens(keys, clock)
        self._patience = Patience(tries=tries, max_wait_s=max_wait_s, sleep=sleep, clock=clock)
        self._wire = HttpClient(timeout, concurrency)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._wire.close()

    @property
    def requests(self) -> int:
        """How many requests have been sent so far, repeated ones and those for content included."""
        return self._wire.requests

    def get(self, path: str, **parameters: Parameter) -> Json | None:
        """The JSON object at a path such as `/rooms/<id>`; None where there is none (404)."""
        return self._patience.ask(lambda: self._try(path, parameters))

    def get_many(self, paths: Iterable[str]) -> Iterator[tuple[str, Json | None]]:
        """Each path with what `get` gives for it, in this order; `concurrency` at a time are asked for or wait."""
        waiting: deque[tuple[str, Future[Json | None]]] = deque()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="vendor")
        try:
            for path in paths:
                waiting.append((path, pool.submit(self.get, path)))
                if len(waiting) == self._concurrency:
                    asked, answer = waiting.popleft()
                    yield asked, answer.result()
            for asked, answer in waiting:
                yield asked, answer.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def pages(self, path: str, *, start: str = "", limit: int = 100, **filters: Parameter) -> Iterator[Page]:
        """A list page by page from the cursor `start` on, in the vendor's order.

        A page may be empty, where all its items came on earlier ones: pages shift when records are added meanwhile.
        """
        seen: set[str] = set()
        cursors = {start}
        while True:
            answer = self.get(path, **filters, limit=limit, start=start or None)
            if answer is None:
                raise StoreError(f"{self._base_url} has no list {path}: check the endpoint in the source's settings")
            items = answer.get("data")
            if not (isinstance(items, list) or (items is None and answer.keys() & {"data", "last"})):
                raise StoreError(
                    f"{self._base_url} gave no list at {path}: check the endpoint in the source's settings"
                )
            start = _next_start(answer, limit)
            if start in cursors:
                start = ""
            cursors.add(start)
            yield Page([item for item in items or () if _id(item) not in seen], start)
            if not start:
                return
            seen.update(map(_id, items or ()))
            seen.discard("")

    def content(self, asset_id: str) -> Iterator[bytes]:
        """The bytes of an asset in pieces of about 8 MiB, from wherever the vendor says that they lie.

        Bytes that were given before an error are to be dropped. Raises `ObjectMissing`, too.
        """
        return read_content(asset_id, lambda: self._address(asset_id), self._wire, self._patience)

    def _try(self, path: str, parameters: Mapping[str, Parameter]) -> Json | None:
        answer = self._answer(path, parameters)
        if isinstance(answer, Failure):
            raise Transient(self._no_proper_answer(path, answer.words))
        status, message = answer.status_code, _message(answer)
        if status == 200:
            found = _json(answer)
            if not isinstance(found, dict):
                raise Transient(self._no_proper_answer(path, "no JSON object"))
            return found
        if status == 404:
            return None
        if status in (401, 403):
            raise AccessDenied(
                f"{self._base_url} refuses the token for {path} ({message}): check that access key and app secret are "
                "of this workspace and belong together, that the workspace may do this, and this computer's clock"
            )
        pause_s = asked_pause(answer.headers.get("Retry-After"), message, self._patience.clock())
        if status == 429:
            asks = f" and asks to wait {pause_s:.0f} s" if pause_s else ""
            words = f"{self._base_url} limits the rate of requests{asks}: try again later, or with fewer at once"
            raise Transient(words, pause_s=pause_s, limited=True)
        if status == 408 or status >= 500:
            raise Transient(self._no_proper_answer(path, message), pause_s=pause_s)
        if answer.has_redirect_location:
            message += ", a redirect, which is not followed: check the endpoint in the source's settings"
        raise StoreError(f"{self._base_url} refuses the request for {path}: {message}")

    def _answer(self, path: str, parameters: Mapping[str, Parameter]) -> httpx.Response | Failure:
        url = f"{self._base_url}/{path.lstrip('/')}"
        query = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in parameters.items()
            if value is not None
        }
        token = self._tokens.current()
        answer = self._wire.get(url, query, token)
        if isinstance(answer, Failure) or answer.status_code not in (401, 403):
            return answer
        return self._wire.get(url, query, self._tokens.renew(token))

    def _no_proper_answer(self, path: str, why: str) -> str:
        return (
            f"no proper answer from {self._base_url} to the request for {path} ({why}): "
            "try again later; if it stays so, check the network and the endpoint in the source's settings"
        )

    def _address(self, asset_id: str) -> Address:
        answer = self.get(f"/recording-assets/{quote(asset_id, safe='')}/presigned-url", presign_duration=PRESIGNED_S)
        if answer is None:
            raise ObjectMissing(f"the vendor has no asset {asset_id}, or holds its content no more")
        match answer.get("url"):
            case str(url) if url.startswith(("https://", "http://")):
                return Address(url)
        raise StoreError(
            f"the vendor gave no URL for asset {asset_id}: look whether its dashboard lets you download it"
        )


def _next_start(answer: Json, limit: int) -> str:
    """The cursor that goes on after a page; "" after the last one: one that is empty or short, or says so."""
    items = answer.get("data") or ()
    # A server that gives fewer at once than it was asked for says so.
    told = str(answer.get("limit"))
    full = min(limit, int(told)) if told.isdecimal() and int(told) else limit
    if len(items) < full:
        return ""
    last = answer.get("last")
    if isinstance(last, str | int):
        return str(last)
    for item in reversed(items):
        if _id(item):
            return _id(item)
    raise StoreError("the vendor's list cannot be read on: a full page names neither its end nor any record's id")


def _id(item: Any) -> str:
    found = item.get("id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else ""


def _json(answer: httpx.Response) -> Any:
    """What the answer holds; None if it is no JSON."""
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None


def _message(answer: httpx.Response) -> str:
    """What an error says (`message` and `details`: vendor documentation), in one line without secrets."""
    found = _json(answer)
    words = [str(answer.status_code)]
    if isinstance(found, dict) and found.get("message"):
        details = found.get("details")
        words += [str(found["message"]), *map(str, details if isinstance(details, list) else ())]
    else:
        words.append(answer.reason_phrase)
    return " ".join(redact_text("; ".join(words)).split())[:300]
