"""The UTF-8 bytes of a text file, whatever its pieces and its byte order mark: what every text parser reads.

Text that the warehouse cannot hold (NUL bytes, halves of surrogate pairs) is found here, too.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_RECORD = 16 * 1024 * 1024
"""Bytes of the largest record: what is longer comes of a missing line end or quote, and would fill the memory."""

HEAD = 64 * 1024
"""Bytes at the start of a file that are enough to see what it holds."""

_MARKS = ((codecs.BOM_UTF8, None), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class _Pieces(io.RawIOBase):
    """Lets the standard library's buffered reader read from an iterable of bytes."""

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


def opened(content: Iterable[bytes]) -> io.BufferedReader:
    """Open the pieces of a file as one stream of UTF-8 without a byte order mark; UTF-16 with one is transcoded.

    Broken UTF-16 comes out as bytes that are no UTF-8, so that the check for UTF-8 finds it.
    """
    pieces = iter(content)
    head = b""
    while len(head) < 3 and (piece := next(pieces, None)) is not None:
        head += piece
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            pieces = chain((head[len(mark) :],), pieces)
            return io.BufferedReader(_Pieces(_transcoded(pieces, encoding) if encoding else pieces))
    return io.BufferedReader(_Pieces(chain((head,), pieces)))


def _transcoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        yield b"\xff"  # The file ends within a character.


def peeked(file: io.BufferedReader, size: int = HEAD) -> tuple[bytes, io.BufferedReader]:
    """Read the first `size` bytes and give them with a stream that starts with them again."""
    head = file.read(size)
    return head, io.BufferedReader(_Pieces(chain((head,), iter(lambda: file.read(HEAD), b""))))


def fault(text: str) -> str | None:
    """Say by a reason code why the warehouse cannot hold this text, or None when it can."""
    if "\0" in text:
        return "nul_byte"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "bad_text"
    return None
