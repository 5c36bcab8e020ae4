"""A JSON document of the vendor, read as a whole, and its values converted to the types of the tables."""

from __future__ import annotations

import io
import json
import re
from math import isfinite
from typing import Any

from roomledger.formats.text import text_fault
from roomledger.model import Rejected

MAX_DOCUMENT = 256 * 1024 * 1024
"""Bytes of the largest document; a transcript of 100 000 words has about 15 million."""

_MILLISECONDS = re.compile(r"(-?\d{1,18})(?:\.\d+)?", re.ASCII)


def read(file: io.BufferedReader) -> Any:
    """Read a file as one JSON document.

    Raises Rejected: `empty_file`, `too_large`, `invalid_utf8`, `bad_json`, `nested_too_deep`.
    """
    parts, size = [], 0
    while part := file.read(1024 * 1024):
        parts.append(part)
        size += len(part)
        if size > MAX_DOCUMENT:
            raise Rejected("too_large", f"The file is larger than {MAX_DOCUMENT >> 20} MiB.")
    content = b"".join(parts)
    parts.clear()
    if not content.strip():
        raise Rejected("empty_file", "The file is empty; a JSON object was expected.")
    try:
        return json.loads(content.decode())
    except UnicodeDecodeError as error:
        raise Rejected("invalid_utf8", f"Byte {error.start} is not UTF-8.") from None
    except ValueError as error:
        raise Rejected("bad_json", f"The file is not JSON, or was truncated at {size} bytes: {error}.") from None
    except RecursionError:
        raise Rejected("nested_too_deep", "The JSON is nested too deep.") from None


def encode(entry: object) -> bytes:
    """Format an entry as JSON in UTF-8, for its refusal; unpaired surrogates stay escaped."""
    try:
        return json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(entry).encode()
    except RecursionError:
        raise Rejected("nested_too_deep", "The JSON is nested too deep.") from None


def describe(value: object) -> str:
    """Describe a value briefly, for a message."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
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
    if isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value):
        return str(value)
    raise Rejected(reason_code, f"{what} is not a text but {describe(value)}")


def milliseconds(value: object, what: str) -> int | None:
    """Return a time in milliseconds, from a number or a text; missing, null and empty give None.

    Raises Rejected `bad_time` for any other value, and for one outside of BIGINT.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        match = _MILLISECONDS.fullmatch(value)
        if match:
            return int(match[1])
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return int(value)
    raise Rejected("bad_time", f"{what} is not a number of milliseconds but {describe(value)}")
