"""The time of every parser grows with the size of its input, whatever the input, counted in steps of the program.

A step is an event of a Python program (a line, a call) and does not depend on the machine. What C code does between two
steps, such as a regular expression, is bounded by its processor time, which is generous: a quadratic expression needs
hundreds of times as long.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import process_time
from types import FrameType
from typing import Any

import pytest

from roomledger.formats import PARSERS
from roomledger.formats.object_keys import recognise, recognise_content
from roomledger.model import UNKNOWN, Asset, Observation, Rejected

NOW = datetime(2025, 3, 7, tzinfo=UTC)
HEADER = b"SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message\n"
ROW = b"p-1,Mara,u-1,[],2025-03-07T10:00:01Z,chat,"

# Each gives content of about `size` bytes.
Shape = Callable[[int], bytes]


def repeated(part: bytes, start: bytes = b"", end: bytes = b"") -> Shape:
    return lambda size: start + part * (size // len(part)) + end


SHAPES: dict[str, Shape] = {
    "quotes at the ends of lines": repeated(b'x","y\n', HEADER + b'"a\n'),
    "open quotes": repeated(ROW + b'"open\n', HEADER),
    "an open quote before rows": repeated(ROW + b"hi\n", HEADER + ROW + b'"open\n'),
    "records of two lines with too many cells": repeated(ROW + b'"a\nb",c\n', HEADER),
    "text after closing quotes": repeated(ROW + b'"a" b\n', HEADER),
    "names of two lines": repeated(b'p,"a\nb",u,[],2025-03-07T10:00:01Z,chat,hi\n', HEADER),
    "carriage returns in a table": repeated(b"\r", HEADER),
    "lines with carriage returns": repeated(b"a\rb\n", HEADER),
    "rows of the right width with carriage returns": repeated(b"a,,,,\r,,\n", HEADER),
    "short lines": repeated(b"a\n", HEADER),
    "short records of two lines": repeated(b'"\n"\n', HEADER),
    "short records with bad times": repeated(b'"\n",,,,,,\n', HEADER),
    "doubled quotes": repeated(b'""', HEADER + ROW + b'"'),
    "roles": repeated(b"[ ", HEADER + b'p,n,u,"[', b']",2025-03-07T10:00:01Z,chat,hi\n'),
    "commas": repeated(b","),
    "a header of quotes": repeated(b'"'),
    "invisible marks": repeated(b"\xef\xbb\xbf"),
    "spaces": repeated(b" "),
    "tabs": repeated(b"\t", b"1\n"),
    "spaces before a time": repeated(b" ", b"1\n", b"00:00:01,000"),
    "spaces within a time": repeated(b" ", b"1\n00:00:01,000", b"-->"),
    "spaces after a time": repeated(b" ", b"1\n00:00:01,000 --> 00:00:02,000", b"x"),
    "line ends": repeated(b"\n"),
    "line ends and spaces": repeated(b"\n "),
    "carriage returns": repeated(b"\r"),
    "carriage returns before a line end": repeated(b"\r", b"1", b"\n00:00:01,000 --> 00:00:02,000\nMara: hi\n"),
    "digits": repeated(b"1"),
    "digits in lines": repeated(b"1\n"),
    "times": repeated(b"00:00:01,000 --> 00:00:02,000\n"),
    "turns": repeated(b"A: a\n\n"),
    "colons": repeated(b": "),
    "a turn of many lines": repeated(b"a: b\n"),
    "open brackets": repeated(b"["),
    "open braces": repeated(b'{"a":'),
    "open objects of summaries": repeated(b'{"summary":'),
    "an open text": repeated(b"\\\\", b'{"words": ["'),
    "an open name": repeated(b"a", b'{"'),
    "spaces in JSON": repeated(b" ", b'{"words": [', b"1"),
    "spaces between entries": repeated(b"  ,", b'{"words": [', b"]}"),
    "many members": lambda size: b"{" + b",".join(b'"%d": []' % n for n in range(size // 12)) + b', "words": []}',
    "many lists": repeated(b'"x": [1], ', b"{", b'"words": [{"word": "a"}]}'),
    "repeated names": repeated(b'"a": 1, ', b'{"words": [{', b'"a": 1}]}'),
    "a long number": repeated(b"9", b'{"words": [{"word": "a", "start_time": ', b"}]}"),
    "a long number in text": repeated(b"9", b'{"words": [{"word": "a", "start_time": "', b'"}]}'),
    "a long fraction in text": repeated(b"9", b'{"words": [{"word": "a", "start_time": "1.', b'"}]}'),
    "entries that are not understood": repeated(b'{"a": [{"b": 1}]},', b'{"words": [', b'{"word": "a"}]}'),
    "a deep value that is kept": lambda size: (
        b'{"words": [{"word": "a", "x": ' + b"[" * min(size // 2, 400) + b"]" * min(size // 2, 400) + b"}]}"
    ),
    "markup": repeated(b"<a ", b"<a "),
    "letters before a bracket": repeated(b"a"),
    "spaces before a bracket": repeated(b" ", b"callback"),
    "UTF-16": lambda size: ("\ufeff" + "x" * (size // 2)).encode("utf-16-le"),
}
FORMS = [("chat", None), ("summary", "json"), *(("transcript", mode) for mode in (None, "json", "srt", "txt"))]
SMALL, FACTOR = 16_000, 4


@contextmanager
def counting_steps() -> Iterator[list[int]]:
    """Count lines and calls of our own modules."""
    steps = [0]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if "roomledger" not in frame.f_code.co_filename:
            return None
        steps[0] += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before)


def read(content: bytes, form: tuple[str, str | None]) -> None:
    asset = Asset(uri="s3://a/k", size_bytes=1, modified_at=NOW, asset_type=form[0], output_mode=form[1])
    try:
        for _ in PARSERS[form[0]]([content], asset):
            pass
    except Rejected:
        pass


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form[0]}-{form[1]}")
@pytest.mark.parametrize("shape", SHAPES)
def test_the_time_of_a_parser_is_linear(shape: str, form: tuple[str, str | None]) -> None:
    counts = []
    for size in (SMALL, FACTOR * SMALL):
        with counting_steps() as steps:
            read(SHAPES[shape](size), form)
        counts.append(steps[0])
    assert counts[1] <= 1.5 * FACTOR * counts[0] + 500
    before = process_time()
    read(SHAPES[shape](16 * SMALL), form)
    assert process_time() - before < 5


@pytest.mark.parametrize("shape", SHAPES)
def test_the_time_to_recognise_content_is_linear(shape: str) -> None:
    unknown = Asset(uri="s3://a/k", size_bytes=1, modified_at=NOW, asset_type=UNKNOWN)
    before = process_time()
    recognise_content(SHAPES[shape](64 * 1024), unknown)
    assert process_time() - before < 1


KEYS = ["a", "/", "a/", "20250307/", "a/20250307/", "hls/a/20250307/1741341600250/", "Rec-", "Rec-a-1741341600250", "-"]


@pytest.mark.parametrize("extension", ["csv", "mp4", "webm", "json", "m3u8", "zip", "csv.gz", ""])
@pytest.mark.parametrize("part", KEYS)
def test_the_time_to_recognise_a_key_is_linear(part: str, extension: str) -> None:
    """A key has 1,024 bytes at most."""
    before = process_time()
    for _ in range(20):
        recognise(Observation(f"s3://a/{part * (1024 // len(part))}.{extension}", "v", NOW, 1))
    assert process_time() - before < 1
