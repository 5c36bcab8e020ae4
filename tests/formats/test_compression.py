"""Content that gzip packed is unpacked, in pieces of any size; damaged content and bombs are rejected."""

from __future__ import annotations

import gzip
import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.formats import compression
from roomledger.formats.compression import unpack
from roomledger.model import Rejected

TEXT = b"SentAt,Message\n" + b"2025-03-07T10:00:01Z,hello\n" * 500


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


@given(st.binary(max_size=300), st.integers(1, 400), st.integers(0, 2))
def test_packed_content_is_unpacked_and_other_content_passes(content: bytes, size: int, layers: int) -> None:
    packed = content
    for _ in range(layers):
        packed = gzip.compress(packed)
    if not content.startswith(b"\x1f\x8b\x08"):
        assert b"".join(unpack(iter(pieces(packed, size)))) == content


def test_members_after_each_other_and_padding_are_read() -> None:
    packed = gzip.compress(TEXT) + gzip.compress(b"more") + b"\0" * 100
    for size in (1, 7, len(packed)):
        assert b"".join(unpack(iter(pieces(packed, size)))) == TEXT + b"more"


def test_content_larger_than_a_buffer_is_unpacked_whole() -> None:
    content = bytes(range(256)) * (3 << 12) + b"end"
    assert b"".join(unpack(iter([gzip.compress(content)]))) == content
    assert b"".join(unpack(iter([gzip.compress(b"\0" * (1 << 21))]))) == b"\0" * (1 << 21)


@pytest.mark.parametrize("cut", [1, 9, 40])
def test_truncated_content_is_rejected(cut: int) -> None:
    with pytest.raises(Rejected, match="bad_gzip: The gzip data ends too early"):
        list(unpack(iter([gzip.compress(TEXT)[:-cut]])))


@pytest.mark.parametrize("damaged", [gzip.compress(TEXT) + b"garbage", b"\x1f\x8b\x08" + b"\xff" * 50])
def test_damaged_content_is_rejected(damaged: bytes) -> None:
    with pytest.raises(Rejected, match="bad_gzip: The gzip data is damaged"):
        list(unpack(iter([damaged])))


def bomb(megabytes: int) -> bytes:
    file, packer = io.BytesIO(), zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(megabytes):
        file.write(packer.compress(b"\0" * (1 << 20)))
    return file.getvalue() + packer.flush()


@pytest.mark.parametrize("layers", [0, 1])
def test_a_bomb_is_rejected_before_it_fills_the_memory(layers: int) -> None:
    content = bomb(200)
    for _ in range(layers):
        content = gzip.compress(content)
    sizes: list[int] = []
    with pytest.raises(Rejected, match="gzip_bomb"):
        sizes.extend(map(len, unpack(iter([content]))))
    assert max(sizes) <= 1 << 20
    assert sum(sizes) <= compression.FREE_BYTES
