r"""The records of a CSV file with the lines they stood on, so that a broken one is refused with its bytes and alone.

Lines end at `\n` only (`\r\n` among them); quoting is checked strictly. A file is cut into blocks of whole lines, small
enough for a file of any size; a block only grows while one record does not fit into it. Where blocks end depends on
the content alone, never on the pieces it comes in.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterator
from typing import NamedTuple

from roomledger.formats.text import MAX_RECORD, fault
from roomledger.model import Rejected

_BLOCK = 256 * 1024
_KEPT_OF_A_LINE = 1024 * 1024
_OPEN_QUOTE = "unexpected end of data"  # What the csv module says when the lines end within quotes.


class Block(NamedTuple):
    """Some whole lines of a file, with their line ends, and what they are as text."""

    encoded: list[bytes]
    lines: list[str]
    """Bytes that are no UTF-8 are escaped as surrogates."""
    first_line: int
    """Number of the first line in the file, from 1."""
    clean: bool
    """No line holds NUL bytes or escaped bytes."""

    def raw(self, start: int, stop: int) -> bytes:
        """Give the bytes of these lines as they stood in the file."""
        return b"".join(self.encoded[start:stop])

    def where(self, start: int, stop: int) -> str:
        """Name these lines for a person."""
        first, last = self.first_line + start, self.first_line + stop - 1
        return f"Line {first}" if first == last else f"Lines {first} to {last}"

    def text_fault(self, start: int, stop: int) -> Rejected | None:
        """Say why the warehouse cannot hold the text of these lines, or None when it can."""
        code = None if self.clean else fault("".join(self.lines[start:stop]))
        if code == "nul_byte":
            return Rejected(code, f"{self.where(start, stop)}: a NUL byte, which no text column can hold.")
        if code:
            return Rejected("invalid_utf8", f"{self.where(start, stop)}: bytes that are not UTF-8.")
        return None


Row = tuple[list[str], Block, int, int, Rejected | None]
"""Cells, the block and which of its lines they stood on (start, stop), and the fault of a record that is refused."""


def rows(file: io.BufferedReader) -> Iterator[Row]:
    """Give every record but blank lines; the first one's number of cells is the number that all others must have.

    Of a record whose quote is never closed only the first line is refused, and the next one starts a record again: the
    good ones that the quote would have swallowed are read. A file of any size takes time in proportion to it.
    """
    if csv.field_size_limit() < MAX_RECORD:
        csv.field_size_limit(MAX_RECORD)  # A setting of the whole process: it is only ever raised.
    held, line, width, want, ended = b"", 1, -1, _BLOCK, False
    while not ended:
        held += file.read(want - len(held))
        ended = len(held) < want
        cut = len(held) if ended else held.rfind(b"\n") + 1
        block = _block(held[:cut], line)
        done, width = yield from _records(block, width, ended)
        if not done and len(held) >= MAX_RECORD:
            done = 1
            if cut:
                yield [], block, 0, 1, _unclosed(block, 0)
            else:
                cut, size = len(held), len(held) + _skip_line(file)
                block = _block(held[:_KEPT_OF_A_LINE], line)
                detail = f"Line {line} has {size} bytes without a line end; its first {_KEPT_OF_A_LINE} are kept."
                yield [], block, 0, 1, Rejected("line_too_long", detail)
        held = block.raw(done, len(block.lines)) + held[cut:]
        line += done
        want = min(max(_BLOCK, 2 * len(held)), MAX_RECORD)


def _block(content: bytes, first_line: int) -> Block:
    encoded = io.BytesIO(content).readlines()
    try:
        # Line by line: in one piece, one wide character would make all of the text four times as large.
        return Block(encoded, [line.decode() for line in encoded], first_line, b"\0" not in content)
    except UnicodeDecodeError:
        return Block(encoded, [line.decode("utf-8", "surrogateescape") for line in encoded], first_line, False)


def _records(block: Block, width: int, ended: bool) -> Generator[Row, None, tuple[int, int]]:
    """Give the records of a block; the last one, when it is open, only if the file has ended.

    Returns how many lines were used up, and the number of cells of the first record (`width`, -1 before it).
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
