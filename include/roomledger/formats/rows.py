r"""The records of a CSV file with their lines, so that an invalid record is refused alone and with its bytes.

Lines end at `\n` (thus also `\r\n`); quoting is checked strictly. A file is read in blocks of whole lines, small enough
for files of any size; a block grows only while a record does not fit into it. The ends of blocks depend on the content
alone, never on the pieces of the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterator
from typing import NamedTuple

from roomledger.formats.text import MAX_RECORD, text_fault
from roomledger.model import Rejected

_BLOCK = 256 * 1024
_STORED_LINE_BYTES = 1024 * 1024
_OPEN_QUOTE = "unexpected end of data"  # Message of the csv module when the lines end within quotes.


class Block(NamedTuple):
    """Whole lines of a file, with their line ends, as bytes and as text."""

    encoded: list[bytes]
    lines: list[str]
    """Bytes that are not UTF-8 are escaped as surrogates."""
    first_line: int
    """Number of the first line in the file, from 1."""
    clean: bool
    """No line contains NUL bytes or escaped bytes."""

    def raw(self, start: int, stop: int) -> bytes:
        """Return the bytes of these lines as they are in the file."""
        return b"".join(self.encoded[start:stop])

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


def rows(file: io.BufferedReader) -> Iterator[Row]:
    """Yield every record but blank lines; all must have as many cells as the first one.

    If a quote is never closed, only the first line of its record is refused and the next line starts a new record, so
    that the valid records after the quote are read. The time is linear in the size of the file.
    """
    if csv.field_size_limit() < MAX_RECORD:
        csv.field_size_limit(MAX_RECORD)  # A setting of the whole process: only ever increase it.
    buffer, line, width, target, ended = b"", 1, -1, _BLOCK, False
    while not ended:
        buffer += file.read(target - len(buffer))
        ended = len(buffer) < target
        cut = len(buffer) if ended else buffer.rfind(b"\n") + 1
        block = _block(buffer[:cut], line)
        lines_read, width = yield from _records(block, width, ended)
        if not lines_read and len(buffer) >= MAX_RECORD:
            lines_read = 1
            if cut:
                yield [], block, 0, 1, _unclosed(block, 0)
            else:
                cut, size = len(buffer), len(buffer) + _skip_line(file)
                block = _block(buffer[:_STORED_LINE_BYTES], line)
                detail = f"Line {line} has {size} bytes without a line end; the first {_STORED_LINE_BYTES} are stored."
                yield [], block, 0, 1, Rejected("line_too_long", detail)
        buffer = block.raw(lines_read, len(block.lines)) + buffer[cut:]
        line += lines_read
        target = min(max(_BLOCK, 2 * len(buffer)), MAX_RECORD)


def _block(content: bytes, first_line: int) -> Block:
    encoded = io.BytesIO(content).readlines()
    try:
        # Line by line: in a single text, one wide character would make all others four times as large.
        return Block(encoded, [line.decode() for line in encoded], first_line, b"\0" not in content)
    except UnicodeDecodeError:
        return Block(encoded, [line.decode("utf-8", "surrogateescape") for line in encoded], first_line, False)


def _records(block: Block, width: int, ended: bool) -> Generator[Row, None, tuple[int, int]]:
    """Yield the records of a block; an incomplete last one only if the file has ended.

    Returns the number of lines read, and the number of cells of the first record (`width`, -1 before it).
    """
    lines, start = block.lines, 0
    while start < len(lines):
        first = start
        reader = csv.reader(map(lines.__getitem__, range(first, len(lines))), strict=True)
        try:
            for cells in reader:
                stop = first + reader.line_num
                if len(cells) == width:
                    yield cells, block, start, stop, None
                elif not "".join(lines[start:stop]).strip():
                    pass
                elif width < 0:
                    width = len(cells)
                    yield cells, block, start, stop, None
                elif any(_starts_record(lines, at, width) for at in range(start + 1, stop)):
                    yield [], block, start, start + 1, _unclosed(block, start)
                    start += 1
                    break
                else:
                    code = "too_few_cells" if len(cells) < width else "too_many_cells"
                    detail = f"{block.where(start, stop)}: {len(cells)} cells, but the header has {width}."
                    yield [], block, start, stop, Rejected(code, detail)
                start = stop
        except csv.Error as error:
            if str(error) == _OPEN_QUOTE and not ended:
                break
            if str(error) == _OPEN_QUOTE or first + reader.line_num > start + 1:
                yield [], block, start, start + 1, _unclosed(block, start)
            else:
                detail = f"{block.where(start, start + 1)} is not CSV: {error}."
                yield [], block, start, start + 1, Rejected("bad_quoting", detail)
            start += 1
    return start, width


def _unclosed(block: Block, start: int) -> Rejected:
    detail = f"{block.where(start, start + 1)} opens a quote that is not closed properly on a later line."
    return Rejected("unclosed_quote", detail)


def _starts_record(lines: list[str], at: int, width: int) -> bool:
    try:
        return len(next(csv.reader(map(lines.__getitem__, range(at, len(lines))), strict=True), [])) == width
    except csv.Error:
        return False


def _skip_line(file: io.BufferedReader) -> int:
    skipped = 0
    while part := file.readline(_BLOCK):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped
