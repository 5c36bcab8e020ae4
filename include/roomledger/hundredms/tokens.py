"""The management token of one workspace's API: signed with the workspace's keys, and renewed before it expires."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import uuid4

import jwt

from roomledger.hundredms.access import Keys

LIFETIME_S = 24 * 3600
RENEWAL_S = 3600
"""A token that expires sooner is renewed."""
CLOCK_SKEW_S = 10
"""How far the vendor's clock may be behind ours."""


class Tokens:
    """The current token of one workspace. Safe to use from many threads."""

    def __init__(self, keys: Keys, clock: Callable[[], float]) -> None:
        """`clock` returns Unix seconds."""
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = float("-inf")

    def current(self) -> str:
        """Return a valid token."""
        with self._lock:
            return self._valid()

    def renew(self, refused: str) -> str:
        """Replace a refused token; return the current one if another thread has already replaced it."""
        with self._lock:
            if refused == self._token:
                self._renew_at = float("-inf")
            return self._valid()

    def _valid(self) -> str:
        now = self._clock()
        if now >= self._renew_at:
            self._token = self._sign(int(now) - CLOCK_SKEW_S)
            self._renew_at = now + LIFETIME_S - RENEWAL_S
        return self._token

    def _sign(self, issued_at: int) -> str:
        """Sign a token (claims: vendor documentation); its `jti` makes it unique."""
        claims = {
            "access_key": self._keys.access_key,
            "type": "management",
            "version": 2,
            "jti": str(uuid4()),
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + LIFETIME_S,
        }
        return jwt.encode(claims, self._keys.secret, algorithm="HS256")
