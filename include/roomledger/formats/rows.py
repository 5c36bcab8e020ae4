r"""The records of a CSV file with their lines, so that an invalid record is refused alone and with its bytes.

Lines end at `\n` (thus also `\r\n`), or all of them at `\r`; quoting is checked strictly. A file is read in blocks of
whole lines, small enough for files of any size; a block grows only while a record does not fit into it. The ends of
blocks depend on the content alone, never on the pieces of the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from roomledger.formats.text import MAX_RECORD, TextFile, line_end, text_fault
from roomledger.model import Rejected

_BLOCK = 256 * 1024
_STORED_LINE_BYTES = 1024 * 1024
# Messages of the csv module: when the lines end within quotes, and at a line end within an unquoted cell.
_OPEN_QUOTE, _LINE_BREAK = "unexpected end of data", "new-line character seen"
_CR_LINE = re.compile(rb"[^\r]*\r|[^\r]+")
_BREAKS = {
    end: re.compile(rb"[\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]|" + other)
    for end, other in ((b"\n", rb"\r(?!\r{0,2}\n)"), (b"\r", rb"\n"))
}
"""Bytes that break lines besides the end of the file's lines."""


class Block(NamedTuple):
    """Whole lines of a file, with their line ends, as bytes and as text."""

    encoded: list[bytes]
    lines: list[str]
    """Bytes that are not UTF-8 are escaped as surrogates."""
    first_line: int
    """Number of the first line in the file, from 1."""
    clean: bool
    """No line contains NUL bytes or escaped bytes."""
    has_breaks: bool
    """Some line contains a character that breaks lines besides its end."""

    def raw(self, start: int, stop: int) -> bytes:
        """Return the bytes of these lines as they are in the stream."""
        return b"".join(self.encoded[start:stop])

    def end_of(self, at: int) -> str:
        """Return the end of a line, empty if the file ends before it."""
        line = self.lines[at]
        return "\n" if line[-1:] == "\n" and line[-2:-1] != "\r" else line[len(line.rstrip("\r\n")) :]

    def is_cut(self, at: int) -> bool:
        """Whether this line is the last one of the file, and has no end: the rest of it may be missing."""
        return at == len(self.lines) - 1 and not self.end_of(at)

    def where(self, start: int, stop: int) -> str:
        """Name these lines, for a message."""
        first, last = self.first_line + start, self.first_line + stop - 1
        return f"Line {first}" if first == last else f"Lines {first} to {last}"

    def text_fault(self, start: int, stop: int) -> Rejected | None:
        """Return why the warehouse cannot store the text of these lines, or None if it can."""
        code = None if self.clean else text_fault("".join(self.lines[start:stop]))
        if code == "nul_byte":
            return Rejected(code, f"{self.where(start, stop)}: a NUL byte, which a text column cannot store.")
        if code:
            return Rejected("invalid_utf8", f"{self.where(start, stop)}: bytes that are not UTF-8.")
        return None


Row = tuple[list[str], Block, int, int, Rejected | None]
"""Cells, the block, the lines of the record in it (start, stop), and the fault of a refused record."""


class Rows:
    """Every record of a file but blank lines; all must have as many cells as the first one.

    After a quote that is broken or never closed, nobody can tell which lines are text within quotes. Only the first
    line of its record is refused, and each later line is read as a record of its own. The time is linear in the size of
    the file.
    """

    def __init__(self, file: TextFile) -> None:
        """Read from this file."""
        if csv.field_size_limit() < MAX_RECORD:
            csv.field_size_limit(MAX_RECORD)  # A setting of the whole process: only ever increase it.
        self._file = file
        self._width = -1
        self._is_lost = False  # after a broken quote

    def __iter__(self) -> Iterator[Row]:
        """Yield the records."""
        buffer, number, target, ended, end = b"", 1, _BLOCK, False, b""
        while not ended:
            buffer += self._file.read(target - len(buffer))
            ended = len(buffer) < target
            end = end or line_end(buffer)
            cut = len(buffer) if ended else buffer.rfind(end) + 1
            block = _block(buffer[:cut], end, number)
            lines_read = yield from self._records(block, ended)
            rest = buffer[cut:]
            if not lines_read and len(buffer) >= MAX_RECORD:
                lines_read = 1
                if cut:
                    yield [], block, 0, 1, self._unclosed(block, 0)
                else:
                    block = _block(buffer[:_STORED_LINE_BYTES], end, number)
                    skipped, rest = self._skip_line(end)
                    size = len(buffer) + skipped
                    detail = (
                        f"Line {number} has {size} bytes without a line end; the first {_STORED_LINE_BYTES} are stored."
                    )
                    yield [], block, 0, 1, Rejected("line_too_long", detail)
            buffer = block.raw(lines_read, len(block.lines)) + rest
            number += lines_read
            target = min(max(_BLOCK, 2 * len(buffer)), MAX_RECORD)

    def _records(self, block: Block, ended: bool) -> Generator[Row, None, int]:
        """Yield the records of a block, an incomplete last one only if the file has ended; return the lines read."""
        lines, start = block.lines, 0
        while start < len(lines) and not self._is_lost:
            first = start
            reader = csv.reader(map(lines.__getitem__, range(first, len(lines))), strict=True)
            try:
                for cells in reader:
                    stop = first + reader.line_num
                    if len(cells) == self._width:
                        yield cells, block, start, stop, None
                    elif not "".join(lines[start:stop]).strip():
                        pass
                    elif self._width < 0:
                        self._width = len(cells)
                        yield cells, block, start, stop, None
                    else:
                        yield [], block, start, stop, self._wrong_width(cells, block, start, stop)
                    start = stop
            except csv.Error as error:
                stop = first + reader.line_num
                if str(error) == _OPEN_QUOTE and not ended:
                    break
                if str(error).startswith(_LINE_BREAK):
                    detail = f"{block.where(start, stop)}: a line break outside of quotes, unlike the ends of lines."
                    yield [], block, start, stop, Rejected("bad_quoting", detail)
                    start = stop
                elif str(error) == _OPEN_QUOTE or stop > start + 1:
                    yield [], block, start, start + 1, self._unclosed(block, start)
                    start += 1
                else:
                    self._is_lost = True
                    detail = f"{block.where(start, stop)}: text after a closing quote."
                    yield [], block, start, stop, Rejected("bad_quoting", detail)
                    start = stop
        if self._is_lost:
            yield from self._lines_as_records(block, start)
            start = len(lines)
        return start

    def _lines_as_records(self, block: Block, start: int) -> Iterator[Row]:
        for at in range(start, len(block.lines)):
            line = block.lines[at]
            if not line.strip():
                continue
            try:
                cells = next(csv.reader([line], strict=True))
            except csv.Error:
                yield [], block, at, at + 1, self._unclosed(block, at)
                continue
            fault = None if len(cells) == self._width else self._wrong_width(cells, block, at, at + 1)
            yield cells if fault is None else [], block, at, at + 1, fault

    def _unclosed(self, block: Block, start: int) -> Rejected:
        if not self._is_lost and block.is_cut(start):
            return Rejected("truncated_record", f"{block.where(start, start + 1)}: the file ends within quotes.")
        self._is_lost = True
        detail = f"{block.where(start, start + 1)} opens a quote that is not closed properly, there or on a later line."
        return Rejected("unclosed_quote", detail)

    def _wrong_width(self, cells: list[str], block: Block, start: int, stop: int) -> Rejected:
        counts = f"{len(cells)} cells, but the header has {self._width}"
        if len(cells) > self._width:
            return Rejected("too_many_cells", f"{block.where(start, stop)}: {counts}.")
        if not self._is_lost and block.is_cut(stop - 1):
            return Rejected("truncated_record", f"{block.where(start, stop)}: {counts}, and the file ends there.")
        return Rejected("too_few_cells", f"{block.where(start, stop)}: {counts}.")

    def _skip_line(self, end: bytes) -> tuple[int, bytes]:
        """Read to the end of a line; return the number of its bytes, and what was read after it."""
        skipped = 0
        while part := self._file.read(_BLOCK):
            at = part.find(end) + 1
            if at:
                return skipped + at, part[at:]
            skipped += len(part)
        return skipped, b""


def _block(content: bytes, end: bytes, first_line: int) -> Block:
    encoded = io.BytesIO(content).readlines() if end == b"\n" else _CR_LINE.findall(content)
    has_breaks = _BREAKS[end].search(content) is not None
    try:
        # Line by line: in a single text, one wide character would make all others four times as large.
        return Block(encoded, [line.decode() for line in encoded], first_line, b"\0" not in content, has_breaks)
    except UnicodeDecodeError:
        lines = [line.decode("utf-8", "surrogateescape") for line in encoded]
        return Block(encoded, lines, first_line, False, has_breaks)
