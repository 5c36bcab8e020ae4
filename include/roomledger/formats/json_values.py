"""Values of a JSON document as the types of the tables, and what is left over as a JSON column.

A value is converted or refused, never guessed: a caller loads the entry without it, and keeps it in `extra`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from roomledger.formats.document import Entry, duplicate_key
from roomledger.formats.text import LINE_BREAK, text_fault
from roomledger.model import Rejected

MAX_OFFSET_MS = 24 * 3600 * 1000
"""End of the longest recording, in milliseconds from its start: twice the longest session of the vendor."""
_WHOLE = re.compile(r"\d{1,18}(?:\.0{1,18})?", re.ASCII)
_FRACTION = re.compile(r"\d{1,18}\.\d{1,18}", re.ASCII)
_DEEPEST = 50


def describe(value: object) -> str:
    """Describe a value briefly, for a message."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return repr(value[:80]) if isinstance(value, str) else str(value)[:80]


def text(value: object, what: str, reason_code: str) -> str | None:
    """Return a text, or a number as text; null gives None. Raises Rejected, with `what` as the name of the value."""
    if isinstance(value, str):
        code = text_fault(value)
        if code:
            content = "a NUL byte, which a text column cannot store" if code == "nul_byte" else "half a character"
            raise Rejected(code, f"{what} contains {content}")
        return value
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise Rejected(reason_code, f"{what} is not a text but {describe(value)}")


def line(value: str | None, what: str) -> str | None:
    """Return a name or id, None if it is empty. Raises Rejected `value_spans_lines` if it has several lines."""
    if value and not value.isprintable() and LINE_BREAK.search(value):
        raise Rejected("value_spans_lines", f"{what} has a line break")
    return value or None


def is_fraction(value: object) -> bool:
    """Whether a time has a fraction, so that it is no count of milliseconds."""
    if isinstance(value, str):
        return "." in value and _FRACTION.fullmatch(value) is not None and _WHOLE.fullmatch(value) is None
    return isinstance(value, float) and not value.is_integer()


def is_more_than_a_day_of_seconds(value: object) -> bool:
    """Whether a whole number, also as text, is within a recording as milliseconds, but not as seconds."""
    if isinstance(value, str):
        value = int(value.partition(".")[0]) if _WHOLE.fullmatch(value) else None
    return isinstance(value, (int, float)) and MAX_OFFSET_MS // 1000 < value <= MAX_OFFSET_MS and value == int(value)


def milliseconds(value: object, what: str, *, unit_known: bool = True) -> int | None:
    """Return an offset in milliseconds, from a number or a text; missing, null and empty give None.

    Raises Rejected `bad_time` for any other value: one that no recording can have, a fraction, and any number if the
    unit is unknown because other times of the file are fractions.
    """
    if value is None or value == "":
        return None
    if is_fraction(value):
        raise Rejected("bad_time", f"{what} is {describe(value)}, a fraction, not a count of milliseconds")
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        offset = int(value.partition(".")[0])
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        offset = int(value)
    else:
        raise Rejected("bad_time", f"{what} is not a number of milliseconds but {describe(value)}")
    if not unit_known:
        raise Rejected("bad_time", f"{what} is {describe(value)}, in an unknown unit: other times have fractions")
    if not 0 <= offset <= MAX_OFFSET_MS:
        raise Rejected("bad_time", f"{what} is {describe(value)} ms, which is within no recording")
    return offset


def _plain(value: Any) -> Any:
    """Return a value without the places of its entries. Raises Rejected `duplicate_key`."""
    if not (isinstance(value, list) and value and isinstance(value[0], Entry)):
        return value
    for entry in value:
        if entry.repeated:
            raise duplicate_key("The file", entry.repeated, ".")
    return [entry.value for entry in value]


def has_content(value: Any) -> bool:
    """Whether a value is not null, empty text, an empty list or an empty object."""
    return value not in (None, "", [], {})


def format_extra(left_over: Mapping[str, Any]) -> str | None:
    """Format what is left over as a JSON object; None if nothing has content.

    A value that JSON columns cannot store (NUL, half characters, deep nesting) becomes the text of its JSON. Raises
    Rejected `duplicate_key`.
    """
    kept = {name: _plain(value) for name, value in left_over.items() if has_content(value)}
    if not kept:
        return None
    return json.dumps({_storable(name): _kept(value) for name, value in kept.items()}, ensure_ascii=False, default=repr)


def _kept(value: Any) -> Any:
    found = "" if _is_deep(value, _DEEPEST) else json.dumps(value, ensure_ascii=False, default=repr)
    return value if found and "\\u0000" not in found and not text_fault(found) else json.dumps(value, default=repr)


def _storable(name: str) -> str:
    return json.dumps(name)[1:-1] if text_fault(name) else name


_ABOUT_THE_FILE = {"id", "language", "model", "name", "title", "version"}
"""Names of texts that are no speech, even of several words."""


def require_nothing_unread(left_over: Mapping[str, Any], *, is_empty: bool) -> None:
    """Raise Rejected `unexpected_shape` for a document without entries that has words under a name not understood."""
    words = (name for name, value in left_over.items() if name not in _ABOUT_THE_FILE and _has_words(_plain(value)))
    if is_empty and (unread := next(words, None)):
        raise Rejected("unexpected_shape", f"The file has no entries, but {unread[:80]!r}, which is not understood.")


def _has_words(value: Any) -> bool:
    """Whether a value is a text of several words, a list with content, or an object with one of these."""
    if isinstance(value, str):
        return len(value.split()) > 1
    if isinstance(value, dict):
        return any(map(_has_words, value.values()))
    return isinstance(value, list) and bool(value)


def _is_deep(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deep(one, levels - 1) for one in inner)
