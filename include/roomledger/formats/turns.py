"""The srt and txt forms of a transcript, parsed block by block as a stream, for files of any size.

A block is the lines between blank ones: in srt a counter, `HH:MM:SS,mmm --> HH:MM:SS,mmm` and `<name>: <text>`; in txt
only the last (vendor documentation). A name that contains a colon and a space is cut there: only the json form
separates such a name from the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from roomledger.formats.json_values import MAX_OFFSET_MS
from roomledger.formats.text import LINE_BREAK, MAX_RECORD, TextFile, lines, text_fault
from roomledger.model import Refusal, Rejected, TranscriptSegment

_POINT = rb"(\d{1,4}):(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?"
TIMING = re.compile(rb"[ \t]*" + _POINT + rb"[ \t]*-->[ \t]*" + _POINT + rb"(?:[ \t]([^\r\n]*))?[\r\n]*")
"""A line with start and end of a subtitle; hours may have one digit, and a point may replace the comma."""
_POSITION = re.compile(rb"(?:[XY][12]:[ \t]*\d+[ \t]*)*")
"""Where some programs show a subtitle on the screen, after its timing: `X1:40 X2:600 Y1:20 Y2:50`."""
_LONGEST_NAME = 200

_TURN_LINE = re.compile(rb"\w[^\r\n:]{0,59}: ")
_TURN = re.compile(rf"(\S[^\n]{{0,{_LONGEST_NAME - 1}}}?): ")


class _Block(NamedTuple):
    """Lines between blank ones, with the number of the first."""

    number: int
    lines: list[bytes]

    @property
    def where(self) -> str:
        last = self.number + len(self.lines) - 1
        return f"Line {self.number}" if len(self.lines) == 1 else f"Lines {self.number} to {last}"


def parse_srt(file: TextFile) -> Iterator[TranscriptSegment | Refusal]:
    """Yield a segment per subtitle. Times that overlap or run backwards are loaded unchanged.

    A subtitle with a time that no recording can have is loaded without its times, beside a Refusal.
    """
    for ordinal, block in enumerate(_blocks(file), 1):
        for skip, content in enumerate(block.lines[:2], 1):
            match = TIMING.fullmatch(content)
            if match and (skip == 1 or block.lines[0].strip().isdigit()):
                *points, rest = match.groups(b"")
                # Words on the line of the timing are text, too.
                text = block.lines[skip:] if _POSITION.fullmatch(rest) else [rest, *block.lines[skip:]]
                yield from _subtitle(ordinal, block, file, text, content, points)
                break
        else:
            broken = any(b"-->" in content and not TIMING.fullmatch(content) for content in block.lines[:2])
            code = "bad_time" if broken else "bad_segment"
            detail = f"{block.where} should start with a number, then a line such as 00:00:01,010 --> 00:00:12,870."
            yield Refusal(ordinal, code, detail, file.original(b"".join(block.lines)))


def parse_txt(file: TextFile) -> Iterator[TranscriptSegment | Refusal]:
    """Yield a segment without times per turn; a block without a name at its start has no speaker."""
    for ordinal, block in enumerate(chain.from_iterable(map(_turns, _blocks(file))), 1):
        yield _segment(ordinal, block, file, block.lines)


def _turns(block: _Block) -> Iterable[_Block]:
    """Split a block in which each line has a name into turns: some programs leave out the blank lines between them."""
    if len(block.lines) > 1 and all(map(_TURN_LINE.match, block.lines)):
        return [_Block(block.number + at, [line]) for at, line in enumerate(block.lines)]
    return [block]


def speakers(text: str) -> tuple[list[str], int]:
    """Return the speaker of every turn of a txt transcript, and the number of its blocks, also of those without one."""
    text = re.sub("\r{0,2}\n|\r", "\n", text)
    blocks = [block.lstrip() for block in re.split(r"\n[ \t]*\n", text) if block.strip()]
    turns = [_TURN.match(block) for block in blocks]
    return [turn[1] for turn in turns if turn], len(blocks)


def _subtitle(
    ordinal: int, block: _Block, file: TextFile, text: list[bytes], timing: bytes, points: list[bytes]
) -> Iterator[TranscriptSegment | Refusal]:
    start_ms, end_ms = _milliseconds(*points[:4]), _milliseconds(*points[4:])
    segment = _segment(ordinal, block, file, text, start_ms, end_ms)
    if isinstance(segment, TranscriptSegment) and (start_ms is None or end_ms is None):
        shown = timing.decode("utf-8", "replace").strip()
        detail = f"{block.where}: {shown[:80]!r} is no time within a recording; loaded without it."
        yield Refusal(ordinal, "bad_time", detail, file.original(b"".join(block.lines)), record_loaded=True)
        segment = segment._replace(extra=json.dumps({"timing": shown}, ensure_ascii=False))
    yield segment


def _segment(
    ordinal: int,
    block: _Block,
    file: TextFile,
    lines: list[bytes],
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> TranscriptSegment | Refusal:
    try:
        text = "\n".join(content.decode().rstrip("\r\n") for content in lines)
    except UnicodeDecodeError:
        detail = f"{block.where} contain bytes that are not UTF-8."
        return Refusal(ordinal, "invalid_utf8", detail, file.original(b"".join(block.lines)))
    if text_fault(text):
        detail = f"{block.where} contain a NUL byte, which a text column cannot store."
        return Refusal(ordinal, "nul_byte", detail, file.original(b"".join(block.lines)))
    name, colon, rest = text.partition(": ")
    if not colon or len(name) > _LONGEST_NAME or name.startswith("<") or LINE_BREAK.search(name):
        return TranscriptSegment(ordinal, None, None, start_ms, end_ms, text)
    return TranscriptSegment(ordinal, name.strip() or None, None, start_ms, end_ms, rest)


def _milliseconds(hours: bytes, minutes: bytes, seconds: bytes, fraction: bytes) -> int | None:
    """Return an offset; None for one that no clock shows, or that is within no recording."""
    if int(minutes) > 59 or int(seconds) > 59:
        return None
    offset = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction.ljust(3, b"0")[:3])
    return offset if offset <= MAX_OFFSET_MS else None


def _blocks(file: TextFile) -> Iterator[_Block]:
    """Yield the blocks; a second timing line starts a new block, with the counter before it, if there is one."""
    block: list[bytes] = []
    timed, size, number = False, 0, 0
    for number, line in enumerate(lines(file), 1):
        timing = TIMING.fullmatch(line) is not None
        if block and (not line.strip() or (timing and timed)):
            # A number before a time is its counter, unless it is all that a subtitle without a counter has.
            counted = timing and len(block) > 1 and block[-1].strip().isdigit()
            counted = counted and (len(block) > 2 or block[0].strip().isdigit())
            next_ = [block.pop()] if counted else []
            yield _Block(number - len(block) - len(next_), block)
            block, timed, size = next_, False, sum(map(len, next_))
        if line.strip():
            block.append(line)
            timed, size = timed or timing, size + len(line)
            if size > MAX_RECORD:
                raise Rejected("too_large", f"{MAX_RECORD >> 20} MiB of lines without a blank line between turns.")
    if block:
        yield _Block(number - len(block) + 1, block)
