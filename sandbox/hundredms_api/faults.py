"""What may go wrong at the vendor, as numbers and switches that a test sets while the server runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Faults:
    """By default nothing goes wrong; numbers of requests count down to 0 as they strike.

    If several are set, one request suffers one fault, in the order in which they stand here.
    """

    at: str = "/v2/"
    """Only requests whose path and query hold this suffer: by default those to the API; `/held/` means the bytes."""
    slow_s: float = 0
    """Every answer comes this many seconds late."""
    server_errors: int = 0
    """So many requests get 503."""
    rate_limit: int = 0
    """So many requests get 429."""
    rate_limit_form: Literal["header", "text", "bare"] = "header"
    """Where it says how long to wait: `Retry-After`, the text of the message, or nowhere."""
    retry_after_s: int = 1
    garbage: int = 0
    """So many requests get 200 and a page of HTML."""
    cut: int = 0
    """So many answers end in the middle of the body."""

    refuse_tokens_before: float | None = None
    """Tokens made before this moment (Unix seconds) are refused: a moment in the future refuses every token."""
    refuse_with: Literal[401, 403] = 401

    offsets: bool = False
    """Lists take `start` for an offset from the top: what arrives between two pages shifts items to the next one."""
    on_page: Callable[[str], None] | None = None
    """Called with path and query once a page of a list is put together, before anybody can ask for the next."""
    extra_fields: bool = False
    """All records have keys that nobody knows, and the oldest of each list a status that nobody knows."""
    missing_fields: bool = False
    """Every other record, from the oldest, lacks what is optional; the others have numbers as strings, and peers as an
    array."""

    expired_urls: int = 0
    """So many signed URLs have expired when they are given."""
