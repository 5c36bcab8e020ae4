"""The srt and txt forms of a transcript, parsed block by block as a stream, for files of any size.

A block is the lines between blank ones: in srt a counter, `HH:MM:SS,mmm --> HH:MM:SS,mmm` and `<name>: <text>`; in txt
only the last (vendor documentation). A name that contains a colon and a space is cut there: only the json form
separates such a name from the text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from roomledger.formats.text import MAX_RECORD, text_fault
from roomledger.model import Refusal, Rejected, TranscriptSegment

_POINT = rb"(\d{1,4}):(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?"
TIMING = re.compile(rb"[ \t]*" + _POINT + rb"[ \t]*-->[ \t]*" + _POINT + rb"(?:[ \t][^\n]*)?\r?\n?")
"""A line with start and end of a subtitle; hours may have one digit, and a point may replace the comma."""

_TURN = re.compile(r"(\S[^\n]{0,199}?): [^\n]*")


def parse_srt(file: io.BufferedReader) -> Iterator[TranscriptSegment | Refusal]:
    """Yield a segment per subtitle. Times that overlap or run backwards are loaded unchanged."""
    for ordinal, (line, block) in enumerate(_blocks(file), 1):
        for skip, content in enumerate(block[:2], 1):
            match = TIMING.fullmatch(content)
            if match and (skip == 1 or block[0].strip().isdigit()):
                points = match.groups(b"")
                yield _segment(ordinal, line, block, skip, _milliseconds(*points[:4]), _milliseconds(*points[4:]))
                break
        else:
            broken = any(b"-->" in content and not TIMING.fullmatch(content) for content in block[:2])
            code = "bad_time" if broken else "bad_segment"
            detail = f"Line {line} should be a number, before a line such as 00:00:01,010 --> 00:00:12,870."
            yield Refusal(ordinal, code, detail, b"".join(block))


def parse_txt(file: io.BufferedReader) -> Iterator[TranscriptSegment | Refusal]:
    """Yield a segment without times per turn; a block without a name at its start has no speaker."""
    for ordinal, (line, block) in enumerate(_blocks(file), 1):
        yield _segment(ordinal, line, block, 0, None, None)


def speakers(text: str) -> list[str] | None:
    """Return the speaker of every turn of a txt transcript, or None if the text contains anything else."""
    turns = [_TURN.fullmatch(block.strip()) for block in re.split(r"\n[ \t\r]*\n", text) if block.strip()]
    return [turn[1] for turn in turns if turn] if all(turns) else None


def _segment(
    ordinal: int, line: int, block: list[bytes], skip: int, start_ms: int | None, end_ms: int | None
) -> TranscriptSegment | Refusal:
    try:
        text = "\n".join(content.decode().rstrip("\r\n") for content in block[skip:])
    except UnicodeDecodeError:
        detail = f"Lines {line} to {line + len(block) - 1} contain bytes that are not UTF-8."
        return Refusal(ordinal, "invalid_utf8", detail, b"".join(block))
    if text_fault(text):
        detail = f"Lines {line} to {line + len(block) - 1} contain a NUL byte, which a text column cannot store."
        return Refusal(ordinal, "nul_byte", detail, b"".join(block))
    name, colon, rest = text.partition(": ")
    if not colon or "\n" in name:
        return TranscriptSegment(ordinal, None, None, start_ms, end_ms, text)
    return TranscriptSegment(ordinal, name.strip() or None, None, start_ms, end_ms, rest)


def _milliseconds(hours: bytes, minutes: bytes, seconds: bytes, fraction: bytes) -> int:
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction.ljust(3, b"0")[:3])


def _blocks(file: io.BufferedReader) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the blocks with the number of their first line; a second timing line starts a new block."""
    block: list[bytes] = []
    timed, size, number = False, 0, 0
    for number, line in enumerate(iter(lambda: file.readline(MAX_RECORD + 1), b""), 1):
        timing = TIMING.fullmatch(line) is not None
        if block and (not line.strip() or (timing and timed)):
            next_ = [block.pop()] if timing and len(block) > 1 and block[-1].strip().isdigit() else []
            yield number - len(block) - len(next_), block
            block, timed, size = next_, False, sum(map(len, next_))
        if line.strip():
            block.append(line)
            timed, size = timed or timing, size + len(line)
            if size > MAX_RECORD:
                raise Rejected("too_large", f"{MAX_RECORD >> 20} MiB of lines without a blank line between turns.")
    if block:
        yield number - len(block) + 1, block
