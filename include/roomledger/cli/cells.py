"""Cells of tables as text for people: times, durations, numbers, and text that a terminal can show."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rich.cells import cell_len, chop_cells

_BIDI = {*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}
"""They would show text in another order than it has."""

_LONGEST_S = 1e12
"""A larger number is shown as it is."""


def is_number(cell: Any) -> bool:
    """Whether a cell is a number, and so stands on the right."""
    return isinstance(cell, int | float | Decimal | timedelta) and not isinstance(cell, bool)


def shown(column: str, cell: Any) -> str:
    """Give a cell as text; the number of a column whose name ends in `_s` is a duration."""
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).lower()
        case timedelta():
            return duration(cell.total_seconds())
        case int() | float() | Decimal() if column.endswith("_s") and abs(float(cell)) < _LONGEST_S:
            return duration(float(cell))
        case int():
            return f"{cell:,}"
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M:%S%z}".replace("+0000", "Z")
        case dict() | list():
            return visible(json.dumps(cell, ensure_ascii=False, default=str))
        case bytes():
            return visible(cell.decode("utf-8", "backslashreplace"))
    return visible(str(cell))


def title(column: str, cells: list[Any]) -> str:
    """Give the heading of a column; that of durations without its unit."""
    are_durations = any(is_number(cell) for cell in cells)
    name = column.removesuffix("_s") if are_durations and len(column) > len("_s") else column
    return visible(name.replace("_", " "))


def duration(seconds: float) -> str:
    """Give seconds in the units of people, such as `4 min 12 s`, `1 h 03 min` or `0.8 s`."""
    sign, seconds = "-" if seconds < 0 else "", abs(seconds)
    if seconds < 0.0995:
        return f"{sign}{max(1, round(seconds * 1000))} ms" if seconds else "0 s"
    if seconds < 9.95:
        return f"{sign}{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{sign}{whole} s"
    if whole < 3600:
        return f"{sign}{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{sign}{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / 3600)
    return f"{sign}{hours // 24} d {hours % 24:02} h"


def visible(text: str) -> str:
    """Give text whose control characters, but for new lines, are written as escapes: a terminal would obey them."""
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return "".join(
        f"\\u{ord(one):04x}" if one != "\n" and (unicodedata.category(one) in ("Cc", "Cs") or one in _BIDI) else one
        for one in text
    )


_BREAKS = ("/ ", "?&=,;:_-")
"""Where a line is broken, best first."""


def fold(text: str, width: int) -> str:
    """Break lines that are wider than this, after a slash, blank or the like; nothing is left out or added."""
    return "\n".join(piece for line in text.split("\n") for piece in _pieces(line, max(2, width)))


def _pieces(line: str, width: int) -> Iterator[str]:
    while cell_len(line) > width:
        # A character may have no width of its own.
        first = next(iter(chop_cells(line[: 4 * width], width)), "") or line[0]
        breaks = (max(first.rfind(one) for one in ones) + 1 for ones in _BREAKS)
        at = next((at for at in breaks if at > len(first) // 3), len(first))
        yield first[:at]
        line = line[at:]
    yield line
