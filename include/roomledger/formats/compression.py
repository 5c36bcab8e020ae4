"""Content that gzip packed, by its first bytes: `.csv.gz`, and objects stored with `Content-Encoding: gzip`."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import chain

from roomledger.model import Rejected

MAX_LAYERS = 2
"""A packed file may also be stored with `Content-Encoding: gzip`."""
FREE_BYTES, MAX_RATIO = 64 << 20, 200
"""A file that unpacks to more than FREE_BYTES and to more than MAX_RATIO times its size is no text of a recording."""

_MAGIC = b"\x1f\x8b\x08"
_PIECE, _SMALL = 1 << 20, 1 << 14


def unpack(content: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the content, unpacked if gzip packed it. Raises Rejected: `bad_gzip`, `gzip_bomb`."""
    for _ in range(MAX_LAYERS):
        head = b""
        while len(head) < len(_MAGIC) and (piece := next(content, None)) is not None:
            head += piece
        content = chain((head,), content)
        if not head.startswith(_MAGIC):
            break
        content = _unpack(content)
    yield from content


def _small(content: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the content in small pieces: at each end of a member the rest of a piece is copied."""
    for piece in content:
        for at in range(0, len(piece), _SMALL):
            yield piece[at : at + _SMALL]


def _unpack(content: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    read = written = 0
    for piece in _small(content):
        read += len(piece)
        is_full = False  # the last output filled its buffer, so that there may be more of it
        while piece or is_full:
            if member.eof:
                piece = piece.lstrip(b"\0")  # some programs pad the end
                if not piece:
                    break
                member = zlib.decompressobj(wbits=31)
            try:
                unpacked = member.decompress(piece, _PIECE)
            except zlib.error:
                raise Rejected("bad_gzip", f"The gzip data is damaged in its first {read} bytes.") from None
            piece = member.unused_data if member.eof else member.unconsumed_tail
            is_full = len(unpacked) == _PIECE and not member.eof
            written += len(unpacked)
            if written > FREE_BYTES and written > MAX_RATIO * read:
                raise Rejected("gzip_bomb", f"The first {read} bytes of gzip data hold more than {written}.")
            if unpacked:
                yield unpacked
    if not member.eof:
        raise Rejected("bad_gzip", f"The gzip data ends too early, after {read} bytes.")
