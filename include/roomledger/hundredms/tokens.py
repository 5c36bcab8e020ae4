"""The management token that opens one workspace's API: made from the workspace's keys, and anew before it expires."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import uuid4

import jwt

from roomledger.hundredms.access import Keys

LIFETIME_S = 24 * 3600
RENEWAL_S = 3600
"""A token with less life left is replaced unasked."""
CLOCK_SKEW_S = 10
"""How far the vendor's clock may lie behind ours."""


class Tokens:
    """The current token of one workspace, for any number of threads."""

    def __init__(self, keys: Keys, clock: Callable[[], float]) -> None:
        """`clock` gives unix seconds."""
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = float("-inf")

    def current(self) -> str:
        """Give the token to ask with."""
        with self._lock:
            return self._valid()

    def renew(self, refused: str) -> str:
        """Give another token than the one that was refused: a new one, unless another thread has made one already."""
        with self._lock:
            if refused == self._token:
                self._renew_at = float("-inf")
            return self._valid()

    def _valid(self) -> str:
        now = self._clock()
        if now >= self._renew_at:
            self._token = self._made(int(now) - CLOCK_SKEW_S)
            self._renew_at = now + LIFETIME_S - RENEWAL_S
        return self._token

    def _made(self, issued_at: int) -> str:
        """Make a token (claims: vendor documentation); it differs from all others by its `jti`."""
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
