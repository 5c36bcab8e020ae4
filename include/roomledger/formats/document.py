"""A JSON document of the vendor with the source of each of its entries, and its values as the types of the tables.

The document is read by RFC 8259, more strictly than by Python's json module: `NaN` and `Infinity` are no numbers, and
an object that repeats a name is refused, because its readers would not agree on its content.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from roomledger.formats.text import LINE_BREAK, TextFile, text_fault
from roomledger.model import Rejected

MAX_DOCUMENT = 256 * 1024 * 1024
"""Bytes of the largest document; a transcript of 100 000 words has about 15 million."""
MAX_OFFSET_MS = 24 * 3600 * 1000
"""End of the longest recording, in milliseconds from its start: twice the longest session of the vendor."""

_SPACE, _COMMA = re.compile(r"[ \t\n\r]*"), re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_WHOLE = re.compile(r"\d{1,18}(?:\.0{1,18})?", re.ASCII)
_FRACTION = re.compile(r"\d{1,18}\.\d{1,18}", re.ASCII)
_LONGEST_INTEGER = 300
_FLOAT_DIGITS = 15
"""Digits that every float keeps."""
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class NotANumber:
    """What stands in the place of a number and is none that a program keeps: `NaN`, `1e999`, thousands of digits."""

    source: str

    def __repr__(self) -> str:
        """Give the source, for messages and `extra`."""
        return self.source


class Entry(NamedTuple):
    """A value with its place in the text."""

    value: Any
    """Of a list that is a member of the document: its entries."""
    start: int
    end: int
    repeated: str | None
    """A name that occurs twice in an object of it, at any depth."""


class Document:
    """One JSON document."""

    def __init__(self, file: TextFile) -> None:
        """Read a file. Raises Rejected: `empty_file`, `too_large`, `invalid_utf8`."""
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
            self.text = content.decode()
        except UnicodeDecodeError as error:
            raise Rejected("invalid_utf8", f"Byte {error.start} is not UTF-8.") from None
        self._file = file
        self._repeated: str | None = None
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=NotANumber, parse_int=_integer, parse_float=_float
        )

    def members(self) -> dict[str, Entry]:
        """Return the members of the document, which is an object; the value of a list is its entries.

        Raises Rejected: `bad_json`, `nested_too_deep`, `duplicate_key`, `unexpected_shape` for another value.
        """
        start = self._skip(0)
        if not self.text.startswith("{", start):
            _, end, _ = self._value(start)
            self._require_end(end)
            raise Rejected("unexpected_shape", "The file is JSON, but not an object.")
        found, end = self._members(start)
        self._require_end(end)
        return found

    def members_within(self, wrapper: str) -> dict[str, Entry]:
        """Return the members of the object `wrapper` of the document, if it has that, and the document's other members.

        Of two members with one name, the outer one gets another name. Raises Rejected as `members` does.
        """
        outer = self.members()
        if wrapper not in outer or not isinstance(outer[wrapper].value, dict):
            return outer
        inner = self._members(outer.pop(wrapper).start)[0]
        named = {f"{name} (outside of {wrapper})" if name in inner else name: entry for name, entry in outer.items()}
        return inner | named

    def source(self, entry: Entry) -> bytes:
        """Return the bytes of an entry as they stand in the file."""
        return self._file.original(self.text[entry.start : entry.end].encode("utf-8", "surrogatepass"))

    def _members(self, at: int) -> tuple[dict[str, Entry], int]:
        found: dict[str, Entry] = {}
        at = self._skip(at + 1)
        if self.text.startswith("}", at):
            return found, at + 1
        while True:
            if not self.text.startswith('"', at):
                raise self._bad(at)
            name, at, _ = self._value(at)
            at = self._skip(at)
            if not self.text.startswith(":", at):
                raise self._bad(at)
            start = self._skip(at + 1)
            if self.text.startswith("[", start):
                entries, at = self._entries(start)
                entry = Entry(entries, start, at, None)
            else:
                value, at, repeated = self._value(start)
                entry = Entry(value, start, at, repeated)
            if name in found or entry.repeated:
                raise duplicate_key("The file", entry.repeated or name, ".")
            found[name] = entry
            at = self._skip(at)
            if self.text.startswith("}", at):
                return found, at + 1
            if not self.text.startswith(",", at):
                raise self._bad(at)
            at = self._skip(at + 1)

    def _entries(self, at: int) -> tuple[list[Entry], int]:
        found: list[Entry] = []
        text = self.text
        at = self._skip(at + 1)
        if text.startswith("]", at):
            return found, at + 1
        while True:
            value, end, repeated = self._value(at)
            found.append(Entry(value, at, end, repeated))
            if comma := _COMMA.match(text, end):
                at = comma.end()
                continue
            at = self._skip(end)
            if text.startswith("]", at):
                return found, at + 1
            raise self._bad(at)

    def _value(self, at: int) -> tuple[Any, int, str | None]:
        self._repeated = None
        try:
            value, end = self._decoder.raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            raise self._bad(error.pos) from None
        except RecursionError:
            raise Rejected("nested_too_deep", "The JSON is nested too deep.") from None
        return value, end, self._repeated

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            self._repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        return found

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def _require_end(self, at: int) -> None:
        at = self._skip(at)
        if at < len(self.text):
            raise self._bad(at)

    def _bad(self, at: int) -> Rejected:
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        problem = "the file ends too early" if at >= len(self.text) else "something else was expected there"
        return Rejected("bad_json", f"The file is not JSON: line {line}, character {column}: {problem}.")


def duplicate_key(where: str, name: str, end: str = "") -> Rejected:
    """Return the fault of an object that repeats a name; `end` ends the sentence."""
    return Rejected("duplicate_key", f"{where} has the name {name[:80]!r} twice in one object{end}")


def _integer(source: str) -> int | NotANumber:
    return int(source) if len(source) <= _LONGEST_INTEGER else NotANumber(source)


def _float(source: str) -> float | NotANumber:
    """Return a number only if it says all that its digits say."""
    value = float(source)
    digits = source.lower().partition("e")[0].replace(".", "").strip("-0")
    is_exact = isfinite(value) and len(digits) <= _FLOAT_DIGITS and (value != 0 or not digits)
    return value if is_exact else NotANumber(source)


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


def require_nothing_unread(left_over: Mapping[str, Any], *, is_empty: bool) -> None:
    """Raise Rejected `unexpected_shape` for a document without entries that has words under a name not understood."""
    unread = [name for name, value in left_over.items() if is_empty and _has_words(_plain(value))]
    if unread:
        raise Rejected("unexpected_shape", f"The file has no entries, but {unread[0][:80]!r}, which is not understood.")


def _has_words(value: Any) -> bool:
    """Whether a value is a text of several words, a list with content, or an object with any text."""
    if isinstance(value, str):
        return len(value.split()) > 1
    if isinstance(value, dict):
        return any(isinstance(one, str) or _has_words(one) for one in value.values() if one)
    return isinstance(value, list) and bool(value)


def _is_deep(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deep(one, levels - 1) for one in inner)
