"""One JSON document of the vendor, read whole, and its values cast to what the tables hold."""

from __future__ import annotations

import io
import json
import re
from math import isfinite
from typing import Any

from roomledger.formats.text import fault
from roomledger.model import Rejected

MAX_DOCUMENT = 256 * 1024 * 1024
"""Bytes of the largest document; 100 000 words of a transcript take about 15 million."""

_MILLISECONDS = re.compile(r"(-?\d{1,18})(?:\.\d+)?", re.ASCII)


def read(file: io.BufferedReader) -> Any:
    """Read the document that a file is.

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
        raise Rejected("empty_file", "The file is empty; it should hold a JSON object.")
    try:
        return json.loads(content.decode())
    except UnicodeDecodeError as error:
        raise Rejected("invalid_utf8", f"Byte {error.start} is not UTF-8.") from None
    except ValueError as error:
        raise Rejected("bad_json", f"The file is not JSON, or was cut off at {size} bytes: {error}.") from None
    except RecursionError:
        raise Rejected("nested_too_deep", "The JSON is nested deeper than any file of the vendor.") from None


def written(entry: object) -> bytes:
    """Write an entry as JSON in UTF-8, for its refusal; half characters stay escaped."""
    try:
        return json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(entry).encode()
    except RecursionError:
        raise Rejected("nested_too_deep", "The JSON is nested deeper than any file of the vendor.") from None


def shown(value: object) -> str:
    """Show a value in a sentence, shortly."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return repr(value[:80]) if isinstance(value, str) else str(value)[:80]


def text(value: object, what: str, reason_code: str) -> str | None:
    """Take a text, or a number that stands for one; null gives None. `what` names it in the Rejected raised."""
    if isinstance(value, str):
        code = fault(value)
        if code:
            held = "a NUL byte, which no text column can hold" if code == "nul_byte" else "half a character"
            raise Rejected(code, f"{what} holds {held}")
        return value
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value):
        return str(value)
    raise Rejected(reason_code, f"{what} is no text but {shown(value)}")


def milliseconds(value: object, what: str) -> int | None:
    """Take a time in milliseconds, a number or a text with one; missing, null and empty give None.

    Raises Rejected `bad_time` for anything else, and for what no BIGINT holds.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        match = _MILLISECONDS.fullmatch(value)
        if match:
            return int(match[1])
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return int(value)
    raise Rejected("bad_time", f"{what} is no number of milliseconds but {shown(value)}")
