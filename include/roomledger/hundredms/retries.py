"""When to ask a server again: after faults that may pass, and after the pauses that it asks for, within a bound."""

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
"""How far the pauses grow that nobody asked for."""
JITTER_S = 1.0
"""Pauses are longer by up to this, so that those who wait do not come back all at once."""

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_IN_WORDS = re.compile(r"retry after (\d{1,9}) (second|minute)", re.I)
_UNITS_S = {"second": 1, "minute": 60}


class Transient(StoreError):
    """The server did not answer properly, or not yet; it may when it is asked again."""

    def __init__(self, message: str, *, pause_s: float | None = None, limited: bool = False) -> None:
        """`pause_s`: what the server asked for; `limited`: it answers nobody until then."""
        super().__init__(message)
        self.pause_s = pause_s
        self.limited = limited


class Patience:
    """How long the requests to one server are tried; a limit that one thread meets holds up all others, too."""

    def __init__(
        self, *, tries: int, max_wait_s: float, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        """One request may meet `tries` faults, and wait `max_wait_s` seconds in all; limits of the rate only cost time.

        `clock` gives seconds.
        """
        self._tries = tries
        self._max_wait_s = max_wait_s
        self._sleep = sleep
        self.clock = clock
        self._lock = threading.Lock()
        self._limit = ""
        self._limited_until = float("-inf")

    def ask(self, attempt: Callable[[], _T]) -> _T:
        """Call `attempt` until it raises no `Transient`; the last one is raised when patience is at its end."""
        faults = count(1)

        def is_enough(state: RetryCallState) -> bool:
            given_up = not _error(state).limited and next(faults) >= self._tries
            return given_up or state.idle_for + state.upcoming_sleep > self._max_wait_s

        asking = Retrying(
            retry=retry_if_exception_type(Transient),
            wait=self._pause,
            stop=is_enough,
            sleep=self._sleep,
            before_sleep=_tell,
            reraise=True,
        )
        answer: _T = asking(self._attempt_unless_limited, attempt)
        return answer

    def _attempt_unless_limited(self, attempt: Callable[[], _T]) -> _T:
        with self._lock:
            left, limit = self._limited_until - self.clock(), self._limit
        if left > 0:
            raise Transient(limit, pause_s=left, limited=True)
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
        return pause_s + random.uniform(0, JITTER_S)  # noqa: S311  # no secret


def asked_pause(retry_after: str | None, message: str, now: float) -> float | None:
    """Seconds that an answer asks to wait: by its header `Retry-After` (seconds or a date), or else by its message.

    The vendor writes "retry after 45 seconds" (vendor documentation). None where it does not say, or says 0.
    """
    header = (retry_after or "").strip()
    words = _IN_WORDS.search(message)
    if re.fullmatch(r"\d{1,9}", header, re.ASCII):
        pause_s = float(header)
    elif header:
        try:
            moment = parsedate_to_datetime(header)
            pause_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, OverflowError):
            return None
    elif words:
        pause_s = float(words[1]) * _UNITS_S[words[2].lower()]
    else:
        return None
    return pause_s if pause_s > 0 else None


def _error(state: RetryCallState) -> Transient:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Transient)  # noqa: S101  # nothing else is tried again
    return error


def _tell(state: RetryCallState) -> None:
    log.info("asking again in %.1f s: %s", state.upcoming_sleep, _error(state))
