"""Fields of the vendor's JSON objects, as the warehouse takes them: redacted, bounded, and null where of a wrong type.

REST API and webhooks say the same things in the same ways: numbers and ids as text or the other way round, empty texts
for what there is not, the year 1 for no time (vendor documentation).
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from math import isfinite
from typing import Any

from roomledger.hundredms.redact import REDACTED, redact
from roomledger.model import Rejected
from roomledger.times import parse_rfc3339

MAX_INDEXED_BYTES = 1280
"""Bytes of the longest id or address, in UTF-8: two of them fit into an entry of a PostgreSQL index (2704 bytes), and
so does the longest address of an object (a bucket of 222 and a key of 1024 bytes on GCS)."""

INT32, INT64 = (1 << 31) - 1, (1 << 63) - 1

_NO_DOUBLE = 1 << 1023
_UNHELD = re.compile("[\0\ud800-\udfff]")
_NUMBER = re.compile(r"\d{1,19}(?:\.\d{1,19})?", re.ASCII)
_WEB = re.compile(r"(?:^|\s)https?:", re.IGNORECASE)
_RECORDER_ROLE, _RECORDER_USER = "__internal_recorder", "100ms_"

Json = dict[str, Any]


def given(said: Any, what: str) -> Json:
    """Give the vendor's object. Raises Rejected for anything else."""
    if not isinstance(said, dict):
        raise Rejected("not_an_object", f"The vendor's {what} is no JSON object but a {type(said).__name__}.")
    return said


def storable(redacted: Any, what: str) -> Json:
    """Give the vendor's object as the warehouse can hold it: text without NUL, numbers within bounds.

    Secrets were removed before, by `redact` or `redact_body`. Raises Rejected.
    """
    try:
        clean: Json = _held(given(redacted, what))
        canonical(clean)
    except RecursionError:
        raise Rejected("not_json", f"The vendor's {what} is nested deeper than any of its objects.") from None
    except (TypeError, ValueError) as error:
        raise Rejected("not_json", f"The vendor's {what} is not valid JSON: {error}.") from None
    return clean


def keep(said: Any, what: str) -> Json:
    """Give what may be stored of the vendor's object: redacted and `storable`. Raises Rejected."""
    return storable(redact(given(said, what)), what)


def _held(value: Any) -> Any:
    """Give a JSON value as the warehouse can hold it.

    In text NUL and halves of surrogate pairs become U+FFFD; numbers that are no finite double become text.
    """
    if isinstance(value, str):
        return _UNHELD.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_held(name): _held(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_held(entry) for entry in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) >= _NO_DOUBLE:
        return str(value)
    return value


def canonical(value: Any) -> str:
    """Give a JSON value as text that is the same for equal values."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def record(kept: Json) -> tuple[str, str]:
    """Give an object as canonical JSON text, and its SHA-256 in hex."""
    text = canonical(kept)
    return text, hashlib.sha256(text.encode()).hexdigest()


def inner(kept: Json, name: str) -> Json:
    """Take an object; anything else is an empty one."""
    value = kept.get(name)
    return value if isinstance(value, dict) else {}


def identity(kept: Json, what: str) -> str:
    """Take the object's own id. Raises Rejected when there is none that a row can have."""
    found = text(kept, "id")
    if found is None:
        raise Rejected("id_missing", f"The vendor's {what} has no id, so no row can stand for it.")
    if len(found.encode()) > MAX_INDEXED_BYTES:
        raise Rejected("id_too_long", f"The id of the vendor's {what} has more than {MAX_INDEXED_BYTES} bytes.")
    return found


def indexed(kept: Json, name: str) -> str | None:
    """Take a text that is short enough for an index, such as an id of something else."""
    found = text(kept, name)
    return found if found and len(found.encode()) <= MAX_INDEXED_BYTES else None


def uri(said: Json, kept: Json, name: str) -> str | None:
    """Take the address of an asset's object; web addresses and what else held a secret are none.

    `said` is the object as it came, `kept` what may be kept of it. It may have been redacted before it came, so the
    traces of that count, too.
    """
    found = kept.get(name)
    if not isinstance(found, str) or found != said.get(name) or REDACTED in found or _WEB.search(found):
        return None
    return indexed(kept, name)


def text(kept: Json, name: str) -> str | None:
    """Take a text, or a number that stands for one; the vendor's empty texts say that there is none."""
    value = kept.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value or None if isinstance(value, str) else None


def flag(kept: Json, name: str) -> bool | None:
    """Take true or false."""
    value = kept.get(name)
    return value if isinstance(value, bool) else None


def time(kept: Json, name: str) -> datetime | None:
    """Take a point in time."""
    value = kept.get(name)
    try:
        return parse_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        return None


def whole(kept: Json, name: str, most: int) -> int | None:
    """Take a whole number from 0 to `most`."""
    number = _number(kept.get(name))
    return int(number) if number is not None and number == int(number) and number <= most else None


def seconds(kept: Json, name: str) -> float | None:
    """Take a duration in seconds."""
    number = _number(kept.get(name))
    return None if number is None else float(number)


def _number(value: Any) -> int | float | None:
    """Take a number from 0 up, or a text with one."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def is_recorder(kept: Json) -> bool:
    """Tell whether a peer is the vendor's recorder; its name is no sign, since anybody may be called Beam."""
    return text(kept, "role") == _RECORDER_ROLE or (text(kept, "user_id") or "").startswith(_RECORDER_USER)
