"""Text files as one stream of UTF-8 bytes, whatever their pieces and byte order mark, for all text parsers.

This module also finds text that the warehouse cannot store (NUL bytes, unpaired surrogates).
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_RECORD = 16 * 1024 * 1024
"""Bytes of the largest record; a longer one results from a missing line end or quote, and would fill the memory."""

HEAD = 64 * 1024
"""Bytes at the start of a file that are enough to recognise its format."""

LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""A character at which some program starts a new line."""

_LINE_END = re.compile(rb"\r{0,2}\n|\r")
_LINE = re.compile(rb"[^\r\n]*(?:\r{0,2}\n|\r)|[^\r\n]+")
_MARKS = re.compile(rb"(?:\xef\xbb\xbf)*")
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class _PieceReader(io.RawIOBase):
    """An iterable of bytes as a raw stream for `io.BufferedReader`."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        target = memoryview(buffer)
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class TextFile(io.BufferedReader):
    """A text file as one stream of UTF-8 without byte order marks; UTF-16 with a mark is transcoded."""

    def __init__(self, pieces: Iterable[bytes], encoding: str = "utf-8", cut: list[bytes] | None = None) -> None:
        """`encoding`: that of the file, from which `pieces` were transcoded; `cut` gets half a character at its end."""
        super().__init__(_PieceReader(pieces))
        self.encoding = encoding
        self.cut = [] if cut is None else cut

    def original(self, content: bytes) -> bytes:
        """Give bytes of the stream as they stand in the file."""
        if self.encoding == "utf-8":
            return content
        whole = content.removesuffix(_CUT)
        # A record of which only a part is stored may end within a character.
        text = codecs.getincrementaldecoder("utf-8")("surrogatepass").decode(whole)
        rest = b"".join(self.cut) if len(whole) < len(content) else b""
        return text.encode(self.encoding, "surrogatepass") + rest


_CUT = b"\xff"
"""End of a UTF-16 file that ends in the middle of a character: not UTF-8, so that the check of the text finds it."""


def open_text(content: Iterable[bytes]) -> TextFile:
    """Open the pieces of a file as text, without its byte order marks: some files have several."""
    pieces = iter(content)
    head = b""
    while len(head) < 3 and (piece := next(pieces, None)) is not None:
        head += piece
    pieces = chain((head,), pieces)
    encoding = _UTF16.get(head[:2])
    if encoding is None:
        return TextFile(_without_marks(pieces))
    cut: list[bytes] = []
    return TextFile(_without_marks(_transcode(pieces, encoding, cut)), encoding, cut)


def _without_marks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    pieces, head = iter(pieces), b""
    for piece in pieces:
        marks = _MARKS.match(head + piece)
        head = (head + piece)[marks.end() if marks else 0 :]
        if not codecs.BOM_UTF8.startswith(head):  # else more of a mark may follow
            break
    yield head
    yield from pieces


def _transcode(pieces: Iterable[bytes], encoding: str, cut: list[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    if rest := decoder.getstate()[0]:
        cut.append(rest)
        yield _CUT


def peek(file: TextFile, size: int = HEAD) -> tuple[bytes, TextFile]:
    """Read the first `size` bytes; return them and a stream that starts with them again."""
    head = file.read(size)
    return head, TextFile(chain((head,), iter(lambda: file.read(HEAD), b"")), file.encoding, file.cut)


def line_end(content: bytes) -> bytes:
    r"""Return the byte that ends the lines of a file, by the first line end in its content: `\r` or `\n`."""
    found = _LINE_END.search(content)
    return b"\r" if found and found[0] == b"\r" else b"\n"


def lines(file: TextFile) -> Iterator[bytes]:
    r"""Yield the lines with their ends, which may be `\n`, `\r\n`, `\r\r\n` or `\r`.

    A line of more than MAX_RECORD bytes is yielded in parts, each also larger than that.
    """
    rest = b""
    while line := file.readline(MAX_RECORD + 1):
        if not rest and b"\r" not in line:
            yield line
            continue
        parts = _LINE.findall(rest + line)
        rest = b"" if line.endswith(b"\n") or len(parts[-1]) > MAX_RECORD else parts.pop()
        yield from parts
    if rest:
        yield rest


def text_fault(text: str) -> str | None:
    """Return the reason code why the warehouse cannot store this text, or None if it can."""
    if "\0" in text:
        return "nul_byte"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "bad_text"
    return None
