"""Retries of requests: after transient faults, and after the pauses that a server requests, within a limit."""

from __future__ import annotations

import logging
import random
import re
import threading
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from roomledger.stores import StoreError

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""Longest pause of the back-off; the server may request a longer one."""
JITTER_S = 1.0
"""Pauses are longer by up to this, so that waiting threads do not all return at once."""

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_RETRY_AFTER = re.compile(r"retry after (\d{1,9}) (second|minute)", re.I)
_UNITS_S = {"second": 1, "minute": 60}


class Transient(StoreError):
    """The server returned no valid response; it may to a repeated request."""

    def __init__(self, message: str, *, pause_s: float | None = None, limited: bool = False) -> None:
        """`pause_s`: what the server requested; `limited`: it answers no request before."""
        super().__init__(message)
        self.pause_s = pause_s
        self.limited = limited


class RetryPolicy:
    """Retries of the requests to one server; a rate limit that one thread meets delays all other threads, too."""

    def __init__(
        self, *, tries: int, max_wait_s: float, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        """One request may meet `tries` faults and wait `max_wait_s` seconds in all; rate limits do not count as tries.

        `clock` returns Unix seconds.
        """
        self._tries = tries
        self._max_wait_s = max_wait_s
        self._sleep = sleep
        self.clock = clock
        self._lock = threading.Lock()
        self._limit = ""
        self._limited_until = float("-inf")

    def call(self, attempt: Callable[[], _T]) -> _T:
        """Call `attempt` until it raises no `Transient`; raise the last one when tries or time are exhausted."""
        faults = count(1)

        def is_exhausted(state: RetryCallState) -> bool:
            too_many = not _error(state).limited and next(faults) >= self._tries
            return too_many or state.idle_for + state.upcoming_sleep > self._max_wait_s

        retrying = Retrying(
            retry=retry_if_exception_type(Transient),
            wait=self._pause,
            stop=is_exhausted,
            sleep=self._sleep,
            before_sleep=_log_retry,
            reraise=True,
        )
        result: _T = retrying(self._attempt_unless_limited, attempt)
        return result

    def _attempt_unless_limited(self, attempt: Callable[[], _T]) -> _T:
        with self._lock:
            remaining_s, limit = self._limited_until - self.clock(), self._limit
        if remaining_s > 0:
            raise Transient(limit, pause_s=remaining_s, limited=True)
        return attempt()

    def _pause(self, state: RetryCallState) -> float:
        error = _error(state)
        pause_s: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(state.attempt_number - 1, 10))
        if error.pause_s is not None:
            pause_s = error.pause_s
        if error.limited:
            with self._lock:
                self._limit = str(error)
                self._limited_until = max(self._limited_until, self.clock() + pause_s)
        return pause_s + random.uniform(0, JITTER_S)  # noqa: S311  # not for secrets


def requested_pause(retry_after: str | None, message: str, now: float) -> float | None:
    """Seconds that a response requests to wait, by its header `Retry-After` (seconds or a date) or else its message.

    The vendor writes "retry after 45 seconds" (vendor documentation). None if there is no request, or one of 0.
    """
    header = (retry_after or "").strip()
    in_message = _RETRY_AFTER.search(message)
    if re.fullmatch(r"\d{1,9}", header, re.ASCII):
        pause_s = float(header)
    elif header:
        try:
            moment = parsedate_to_datetime(header)
            pause_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, OverflowError):
            return None
    elif in_message:
        pause_s = float(in_message[1]) * _UNITS_S[in_message[2].lower()]
    else:
        return None
    return pause_s if pause_s > 0 else None


def _error(state: RetryCallState) -> Transient:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Transient)  # noqa: S101  # nothing else is retried
    return error


def _log_retry(state: RetryCallState) -> None:
    log.info("retrying in %.1f s: %s", state.upcoming_sleep, _error(state))
