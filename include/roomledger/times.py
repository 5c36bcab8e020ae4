"""Parsing of the vendor's times: RFC 3339 text and Unix epochs, as UTC datetimes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Bounds of every time that is stored: far from those of a datetime and of the engines, so that none overflows."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_TICKS_PER_SECOND = {10: 1, 13: 1_000, 16: 1_000_000, 19: 1_000_000_000}


def parse_rfc3339(text: str) -> datetime | None:
    """Parse `2024-08-15T17:38:10.5Z`, with any number of fractional digits (cut to microseconds) and any offset.

    The year 1, by which the vendor's programs write "no time", gives None. Other text, such as a time without an
    offset, and a time before EARLIEST or from LATEST on, raises ValueError.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not an RFC 3339 time such as 2024-08-15T17:38:10Z")
    if text.startswith("0001-"):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"{text[:80]!r} does not exist in the calendar, or on the clock") from None
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"{text[:80]!r} is not in the years {EARLIEST.year} to {LATEST.year - 1}")
    return moment.astimezone(UTC)


def parse_epoch(digits: str) -> datetime | None:
    """Parse a Unix time; the number of digits gives the unit: 10 seconds, 13 milliseconds, 16 micro-, 19 nanoseconds.

    The vendor writes milliseconds. Other text, and a time from LATEST on, gives None.
    """
    ticks = _TICKS_PER_SECOND.get(len(digits))
    if ticks is None or not (digits.isascii() and digits.isdigit()):
        return None
    moment = EARLIEST + timedelta(microseconds=int(digits) * 1_000_000 // ticks)
    return moment if moment < LATEST else None


def utc_now() -> datetime:
    """Give the current time, in UTC."""
    return datetime.now(UTC)
