"""A JSON document of the vendor, with the source of each of its entries.

The document is read by RFC 8259, more strictly than by Python's json module: `NaN` and `Infinity` are no numbers, and
an object that repeats a name is refused, because its readers would not agree on its content.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from roomledger.formats.text import TextFile
from roomledger.model import Rejected

MAX_DOCUMENT = 256 * 1024 * 1024
"""Bytes of the largest document; a transcript of 100 000 words has about 15 million."""

_SPACE, _COMMA = re.compile(r"[ \t\n\r]*"), re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_LONGEST_INTEGER = 300
_FLOAT_DIGITS = 15
"""Digits that every float keeps."""


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
