"""Fields of the vendor's JSON objects as the warehouse stores them: redacted, bounded, null if the type is wrong.

REST API and webhooks share their conventions: numbers and ids as text or the reverse, empty text for a missing value,
the year 1 for a missing time (vendor documentation).
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
"""Bytes of the longest id or URI, in UTF-8: two of them fit into one entry of a PostgreSQL index (2704 bytes), and the
longest URI of an object (a bucket of 222 and a key of 1024 bytes on GCS) fits into this limit."""

INT32, MAX_BYTES = (1 << 31) - 1, 1 << 53
"""Largest numbers of two kinds of columns; no object is larger, and sums of a thousand sizes still fit into BIGINT."""

_DOUBLE_LIMIT = 1 << 1023
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NUMBER = re.compile(r"\d{1,19}(?:\.\d{1,19})?", re.ASCII)
_WEB = re.compile(r"(?:^|\s)https?:", re.IGNORECASE)
_RECORDER_ROLE, _RECORDER_USER = "__internal_recorder", "100ms_"

Json = dict[str, Any]


def require_object(value: Any, what: str) -> Json:
    """Return the vendor's object. Raises Rejected for anything else."""
    if not isinstance(value, dict):
        raise Rejected("not_an_object", f"The vendor's {what} is not a JSON object.")
    return value


def storable(redacted: Any, what: str) -> Json:
    """Copy the vendor's object with values that the warehouse can store: text without NUL, numbers within bounds.

    `redact` or `redact_body` must have removed its secrets before. Raises Rejected.
    """
    try:
        clean: Json = _storable(require_object(redacted, what))
        canonical(clean)
    except RecursionError:
        raise Rejected("not_json", f"The vendor's {what} is nested too deep.") from None
    except (TypeError, ValueError):
        raise Rejected("not_json", f"The vendor's {what} has a value that JSON does not have.") from None
    return clean


def sanitize(value: Any, what: str) -> Json:
    """Copy the vendor's object, redacted and `storable`. Raises Rejected."""
    return storable(redact(require_object(value, what)), what)


def _storable(value: Any) -> Any:
    """Replace NUL and unpaired surrogates in text by U+FFFD, and numbers that are not finite doubles by text."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_storable(name): _storable(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_storable(entry) for entry in value]
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    return str(value) if isinstance(value, int) and abs(value) >= _DOUBLE_LIMIT else value


def canonical(value: Any) -> str:
    """Format a JSON value as text; equal values give the same text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def record(clean: Json) -> tuple[str, str]:
    """Return an object as canonical JSON text, and the SHA-256 of that text in hex."""
    json_text = canonical(clean)
    return json_text, hashlib.sha256(json_text.encode()).hexdigest()


def inner(clean: Json, name: str) -> Json:
    """Return a nested object, empty if the field is missing or of another type."""
    value = clean.get(name)
    return value if isinstance(value, dict) else {}


def identity(clean: Json, what: str) -> str:
    """Return the object's own id. Raises Rejected if it is missing or too long for a key."""
    value = text(clean, "id")
    if value is None:
        raise Rejected("id_missing", f"The vendor's {what} has no id.")
    if len(value.encode()) > MAX_INDEXED_BYTES:
        raise Rejected("id_too_long", f"The id of the vendor's {what} has more than {MAX_INDEXED_BYTES} bytes.")
    return value


def indexed(clean: Json, name: str) -> str | None:
    """Return a text that is short enough for an index, such as the id of another object."""
    value = text(clean, name)
    return value if value and len(value.encode()) <= MAX_INDEXED_BYTES else None


def uri(raw: Json, clean: Json, name: str) -> str | None:
    """Return the URI of an asset's object; None for web addresses and for URIs that held a secret.

    `raw` is the object as received, `clean` its sanitized copy. `raw` may have been redacted before, so traces of
    redaction count, too.
    """
    value = clean.get(name)
    if not isinstance(value, str) or value != raw.get(name) or REDACTED in value or _WEB.search(value):
        return None
    return indexed(clean, name)


def text(clean: Json, name: str) -> str | None:
    """Return a text, or a number as text; None for the empty text, which the vendor uses for a missing value."""
    value = clean.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value or None if isinstance(value, str) else None


def flag(clean: Json, name: str) -> bool | None:
    """Return true or false."""
    value = clean.get(name)
    return value if isinstance(value, bool) else None


def time(clean: Json, name: str) -> datetime | None:
    """Return a point in time."""
    value = clean.get(name)
    try:
        return parse_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        return None


def whole(clean: Json, name: str, maximum: int) -> int | None:
    """Return a whole number from 0 to `maximum`."""
    number = _number(clean.get(name))
    return int(number) if number is not None and number == int(number) and number <= maximum else None


def seconds(clean: Json, name: str) -> float | None:
    """Return a duration in seconds, of at most 68 years: intervals of some engines are no longer."""
    number = _number(clean.get(name))
    return None if number is None or number > INT32 else float(number)


def _number(value: Any) -> int | float | None:
    """Return a number that is not negative; a text may hold it."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def is_recorder(clean: Json) -> bool:
    """Tell whether a peer is the vendor's recorder; its name proves nothing, anybody may be called Beam."""
    return text(clean, "role") == _RECORDER_ROLE or (text(clean, "user_id") or "").startswith(_RECORDER_USER)
