"""Parsing of the vendor's times: RFC 3339 text and Unix epochs, as UTC datetimes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS_PER_SECOND = {10: 1, 13: 1_000, 16: 1_000_000, 19: 1_000_000_000}


def parse_rfc3339(text: str) -> datetime | None:
    """Parse `2024-08-15T17:38:10.5Z`, with any number of fractional digits (cut to microseconds) and any offset.

    The year 1, by which the vendor's programs write "no time", gives None. Other text, such as a time without an
    offset, raises ValueError.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not an RFC 3339 time such as 2024-08-15T17:38:10Z")
    if text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text[:80]!r} is not a valid time: {error}") from None


def parse_epoch(digits: str) -> datetime | None:
    """Parse a Unix time; the number of digits gives the unit: 10 seconds, 13 milliseconds, 16 micro-, 19 nanoseconds.

    The vendor writes milliseconds. Other text gives None.
    """
    ticks = _TICKS_PER_SECOND.get(len(digits))
    if ticks is None or not (digits.isascii() and digits.isdigit()):
        return None
    return _UNIX + timedelta(microseconds=int(digits) * 1_000_000 // ticks)


def utc_now() -> datetime:
    """Give the current time, in UTC."""
    return datetime.now(UTC)
