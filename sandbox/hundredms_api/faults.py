"""Faults of the API, as numbers and switches that a test can set while the server runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Faults:
    """By default there are no faults. Numbers of requests count down to 0.

    One request gets at most one fault; if several are set, the first in this order.
    """

    at: str = "/v2/"
    """Faults apply only to requests whose path and query contain this: `/v2/` is the API, `/storage/` the files."""
    slow_s: float = 0
    """Delay of every response in seconds."""
    server_errors: int = 0
    """Number of requests that get status 503."""
    rate_limit: int = 0
    """Number of requests that get status 429."""
    rate_limit_form: Literal["header", "text", "bare"] = "header"
    """Where the response has the time to wait: in `Retry-After`, in the message, or nowhere."""
    retry_after_s: int = 1
    garbage: int = 0
    """Number of requests that get status 200 and an HTML page."""
    cut: int = 0
    """Number of responses that end in the middle of the body."""

    refuse_tokens_before: float | None = None
    """Tokens from before this time (Unix seconds) are rejected: a time in the future rejects every token."""
    refuse_with: Literal[401, 403] = 401

    offsets: bool = False
    """Lists use `start` as an offset from the top: new records between two pages shift items to the next page."""
    on_page: Callable[[str], None] | None = None
    """Called with path and query when a page of a list is complete, before it is sent."""
    extra_fields: bool = False
    """All records have unknown keys, and the oldest record of each list has an unknown status."""
    missing_fields: bool = False
    """Every other record, from the oldest, has no optional keys; the others have numbers as strings and peers as an
    array."""

    expired_urls: int = 0
    """Number of signed URLs that have already expired when they are returned."""
