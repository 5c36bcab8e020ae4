"""Text files as one stream of UTF-8 bytes, whatever their pieces and byte order mark, for all text parsers.

This module also finds text that the warehouse cannot store (NUL bytes, unpaired surrogates).
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
"""Bytes of the largest record; a longer one results from a missing line end or quote, and would fill the memory."""

HEAD = 64 * 1024
"""Bytes at the start of a file that are enough to recognise its format."""

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, None), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


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


def open_text(content: Iterable[bytes]) -> io.BufferedReader:
    """Open the pieces of a file as one stream of UTF-8 without a byte order mark; UTF-16 with one is transcoded.

    Broken UTF-16 gives bytes that are not UTF-8, so that the UTF-8 check finds it.
    """
    pieces = iter(content)
    head = b""
    while len(head) < 3 and (piece := next(pieces, None)) is not None:
        head += piece
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            pieces = chain((head[len(mark) :],), pieces)
            return io.BufferedReader(_PieceReader(_transcode(pieces, encoding) if encoding else pieces))
    return io.BufferedReader(_PieceReader(chain((head,), pieces)))


def _transcode(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        yield b"\xff"  # The file ends in the middle of a character.


def peek(file: io.BufferedReader, size: int = HEAD) -> tuple[bytes, io.BufferedReader]:
    """Read the first `size` bytes; return them and a stream that starts with them again."""
    head = file.read(size)
    return head, io.BufferedReader(_PieceReader(chain((head,), iter(lambda: file.read(HEAD), b""))))


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
