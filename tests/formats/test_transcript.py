from __future__ import annotations

import codecs
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.formats import document, transcript
from roomledger.model import Asset, Refusal, Rejected, Transcript, TranscriptSegment, TranscriptWord

NOW = datetime(2025, 3, 7, tzinfo=UTC)
SPOKEN = {"name": "Mara Ilves", "peer_id": "p-1", "start_time": "1010", "end_time": "2450"}

Record = TranscriptSegment | TranscriptWord | Transcript | Refusal


def parse(content: bytes, mode: str | None = None) -> list[Record]:
    asset = Asset(uri="s3://a/t", size_bytes=1, modified_at=NOW, asset_type="transcript", output_mode=mode)
    return list(transcript.parse([content], asset))


def segment(ordinal: int, text: str, name: str | None = "Mara Ilves", start: int | None = None, end: int | None = None,
            peer: str | None = None) -> TranscriptSegment:  # fmt: skip
    return TranscriptSegment(ordinal, name, peer, start, end, text)


def total(mode: str, segments: int, words: int = 0, language: str | None = None) -> Transcript:
    return Transcript(0, mode, segments, words, language)


def spoken(sentences: list[object], words: list[object] | None = None) -> bytes:
    return json.dumps({"words": words or [], "sentences": sentences}).encode()


HELLO = segment(1, "Hello", start=1010, end=2450, peer="p-1")
WORD = TranscriptWord(1, "Mara Ilves", "p-1", 1010, 2450, "Hello")
JSON = spoken([{"sentence": "Hello", **SPOKEN}], [{"word": "Hello", **SPOKEN}])

SRT = "1\n00:00:01,010 --> 00:00:02,450\nMara Ilves: Hello\n\n2\n00:00:03,000 --> 01:00:04,005\nJoão: Oi: tudo?\n"
SUBTITLES = [segment(1, "Hello", start=1010, end=2450), segment(2, "Oi: tudo?", "João", 3000, 3_604_005)]
TXT = "Mara Ilves: Hello\n\nJoão: Oi: tudo?\n\nMara Ilves: Bye\n"
TURNS = [segment(1, "Hello"), segment(2, "Oi: tudo?", "João"), segment(3, "Bye")]

LOADED: dict[str, tuple[str | None, bytes, list[Record]]] = {
    "json": ("json", JSON, [HELLO, WORD, total("json", 1, 1)]),
    "json with a byte order mark": ("json", codecs.BOM_UTF8 + JSON, [HELLO, WORD, total("json", 1, 1)]),
    "json in UTF-16": (
        "json",
        codecs.BOM_UTF16_BE + JSON.decode().encode("utf-16-be"),
        [HELLO, WORD, total("json", 1, 1)],
    ),
    "json in an object": ("json", b'{"transcript": %s}' % JSON, [HELLO, WORD, total("json", 1, 1)]),
    "json that names its language": ("json", b'{"language": "en", "words": []}', [total("json", 0, 0, "en")]),
    "json without speech": ("json", b'{"words": null, "sentences": []}', [total("json", 0)]),
    "json with numbers": (
        "json",
        spoken([{"sentence": 42, "name": 7, "peer_id": 1.5, "start_time": 1010.9, "end_time": 2450}]),
        [TranscriptSegment(1, "7", "1.5", 1010, 2450, "42"), total("json", 1)],
    ),
    "json times with fractions, before the start, none": (
        "json",
        spoken([{"sentence": "a", "start_time": "1010.9", "end_time": ""}, {"sentence": "b", "start_time": "-5"}]),
        [segment(1, "a", None, 1010), segment(2, "b", None, -5), total("json", 2)],
    ),
    "json without names": (
        "json",
        spoken([{"sentence": "", "name": "", "peer_id": None}]),
        [segment(1, "", None), total("json", 1)],
    ),
    "srt": ("srt", SRT.encode(), [*SUBTITLES, total("srt", 2)]),
    "srt with CRLF": ("srt", SRT.replace("\n", "\r\n").encode(), [*SUBTITLES, total("srt", 2)]),
    "srt with a byte order mark": ("srt", codecs.BOM_UTF8 + SRT.encode(), [*SUBTITLES, total("srt", 2)]),
    "srt in UTF-16": ("srt", codecs.BOM_UTF16_LE + SRT.encode("utf-16-le"), [*SUBTITLES, total("srt", 2)]),
    "srt without speech": ("srt", b"", [total("srt", 0)]),
    "srt of blank lines": ("srt", b"\r\n \n", [total("srt", 0)]),
    "srt with one-digit hours and points": (
        "srt",
        b"1\n0:00:01.5 --> 0:0:2.4509 X1:0\nMara Ilves: Hello",
        [segment(1, "Hello", start=1500, end=2450), total("srt", 1)],
    ),
    "srt without fractions": (
        "srt",
        b"1\n00:00:01-->00:00:02\nMara Ilves: Hello",
        [segment(1, "Hello", start=1000, end=2000), total("srt", 1)],
    ),
    "srt with times that overlap and run backwards": (
        "srt",
        b"1\n00:00:05,000 --> 00:00:09,000\nA: a\n\n2\n00:00:04,000 --> 00:00:01,000\nB: b\n",
        [segment(1, "a", "A", 5000, 9000), segment(2, "b", "B", 4000, 1000), total("srt", 2)],
    ),
    "srt with many lines, no name, no text": (
        "srt",
        b"1\n00:00:01,000 --> 00:00:02,000\nA: a\n b: c \n\n2\n00:00:01,000 --> 00:00:02,000\nnobody\nA: a\n\n"
        b"3\n00:00:01,000 --> 00:00:02,000\n\n",
        [
            segment(1, "a\n b: c ", "A", 1000, 2000),
            segment(2, "nobody\nA: a", None, 1000, 2000),
            segment(3, "", None, 1000, 2000),
            total("srt", 3),
        ],
    ),
    "srt without counters and blank lines": (
        "srt",
        b"00:00:01,000 --> 00:00:02,000\nA: a\n7\n00:00:03,000 --> 00:00:04,000\nB: b\n"
        b"00:00:05,000 --> 00:00:06,000\nC: c",
        [
            segment(1, "a", "A", 1000, 2000),
            segment(2, "b", "B", 3000, 4000),
            segment(3, "c", "C", 5000, 6000),
            total("srt", 3),
        ],
    ),
    "txt": ("txt", TXT.encode(), [*TURNS, total("txt", 3)]),
    "txt with CRLF": ("txt", TXT.replace("\n", "\r\n").encode(), [*TURNS, total("txt", 3)]),
    "txt in UTF-16": ("txt", codecs.BOM_UTF16_LE + TXT.encode("utf-16-le"), [*TURNS, total("txt", 3)]),
    "txt without speech": ("txt", b"", [total("txt", 0)]),
    "txt with colons in names and no names": (
        "txt",
        "a:b: c\n\nno name here\n\n: x\n\nأحمد: مرحبا\u200f\n\nDr: Ana: hi".encode(),
        [
            segment(1, "c", "a:b"),
            segment(2, "no name here", None),
            segment(3, "x", None),
            segment(4, "مرحبا\u200f", "أحمد"),
            segment(5, "Ana: hi", "Dr"),
            total("txt", 5),
        ],
    ),
    "a blank transcript of no form": (None, b"", [total("txt", 0)]),
    "srt called json": ("json", SRT.encode(), [*SUBTITLES, total("srt", 2)]),
    "srt called txt": ("txt", SRT.encode(), [*SUBTITLES, total("srt", 2)]),
    "srt of no form": (None, SRT.encode(), [*SUBTITLES, total("srt", 2)]),
    "txt called json": ("json", TXT.encode(), [*TURNS, total("txt", 3)]),
    "txt called srt": ("srt", TXT.encode(), [*TURNS, total("txt", 3)]),
    "txt of no form": (None, TXT.encode(), [*TURNS, total("txt", 3)]),
    "json called srt": ("srt", JSON, [HELLO, WORD, total("json", 1, 1)]),
    "json called txt": ("txt", JSON, [HELLO, WORD, total("json", 1, 1)]),
    "json of no form": (None, JSON, [HELLO, WORD, total("json", 1, 1)]),
}


@pytest.mark.parametrize("name", LOADED)
def test_loaded(name: str) -> None:
    mode, content, expected = LOADED[name]
    assert parse(content, mode) == expected


ENTRIES = {
    "no object": ("Hello", "bad_{}"),
    "null": (None, "bad_{}"),
    "no text": (SPOKEN, "bad_{}"),
    "a text that is a list": ({"sentence": ["a"], "word": ["a"]}, "bad_{}"),
    "a text that is true": ({"sentence": True, "word": True}, "bad_{}"),
    "a name that is an object": ({"sentence": "a", "word": "a", "name": {}}, "bad_{}"),
    "NUL": ({"sentence": "a\0", "word": "a\0"}, "nul_byte"),
    "NUL in a name": ({"sentence": "a", "word": "a", "name": "\0"}, "nul_byte"),
    "half a character": ({"sentence": "\ud800é", "word": "\ud800é"}, "bad_text"),
    "words for a time": ({"sentence": "a", "word": "a", "start_time": "soon"}, "bad_time"),
    "a time of day": ({"sentence": "a", "word": "a", "end_time": "00:00:01"}, "bad_time"),
    "a time that is a list": ({"sentence": "a", "word": "a", "end_time": []}, "bad_time"),
    "a time that is true": ({"sentence": "a", "word": "a", "end_time": True}, "bad_time"),
    "a time too large": ({"sentence": "a", "word": "a", "end_time": 1 << 63}, "bad_time"),
    "a time too large for a text": ({"sentence": "a", "word": "a", "end_time": "9" * 30}, "bad_time"),
    "an endless time": ({"sentence": "a", "word": "a", "end_time": float("inf")}, "bad_time"),
    "no number": ({"sentence": "a", "word": "a", "end_time": float("nan")}, "bad_time"),
    "no number for a text": ({"sentence": float("nan"), "word": float("nan")}, "bad_{}"),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_refused_entries(name: str) -> None:
    """Sentences and words are numbered on their own; the number of a refusal runs over both."""
    entry, reason = ENTRIES[name]
    good = {"sentence": "Hello", "word": "Hello", **SPOKEN}
    found = parse(spoken([entry, good], [good, entry, good]))
    loaded = [record for record in found if not isinstance(record, Refusal)]
    assert loaded == [HELLO._replace(ordinal=2), WORD, WORD._replace(ordinal=3), total("json", 1, 2)]
    refusals = [record for record in found if isinstance(record, Refusal)]
    assert [refusal[:2] for refusal in refusals] == [(1, reason.format("segment")), (4, reason.format("word"))]
    assert "Sentence 1" in refusals[0].detail
    assert "Word 2" in refusals[1].detail
    assert all(repr(json.loads(refusal.raw)) == repr(entry) for refusal in refusals)
    assert ("é" in repr(entry)) == ("é".encode() in refusals[0].raw or b"\\u00e9" in refusals[0].raw)


BLOCKS = {
    "no timing": (b"3\nMara: hello", "bad_segment"),
    "a counter alone": (b"3", "bad_segment"),
    "text before the timing": (b"three\n00:00:01,000 --> 00:00:02,000\nA: a", "bad_segment"),
    "a broken time": (b"3\n00:00:xx,000 --> 00:00:02,000\nA: a", "bad_time"),
    "half a timing": (b"3\n00:00:01,000 -->\nA: a", "bad_time"),
    "invalid UTF-8": (b"3\n00:00:01,000 --> 00:00:02,000\nA: \xff", "invalid_utf8"),
    "NUL": (b"3\n00:00:01,000 --> 00:00:02,000\nA: \0", "nul_byte"),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_refused_subtitles(name: str) -> None:
    block, reason = BLOCKS[name]
    found = parse(SRT.encode() + b"\n" + block + b"\r\n\r\n" + SRT.encode(), "srt")
    assert found[:2] == SUBTITLES
    refusal = found[2]
    assert isinstance(refusal, Refusal)
    assert (refusal.ordinal, refusal.reason_code, refusal.raw) == (3, reason, block + b"\r\n")
    assert refusal.detail.startswith(("Line 9 ", "Lines 9 to "))
    assert found[3:] == [SUBTITLES[0]._replace(ordinal=4), SUBTITLES[1]._replace(ordinal=5), total("srt", 4)]


@pytest.mark.parametrize(("bad", "reason"), [(b"\xff", "invalid_utf8"), (b"\0", "nul_byte")])
def test_refused_turns(bad: bytes, reason: str) -> None:
    found = parse(b"A: a\n\nB: " + bad + b"\nb\n\nC: c", "txt")
    assert found[::2] == [segment(1, "a", "A"), segment(3, "c", "C")]
    assert found[1][:2] + found[1][3:] == (2, reason, b"B: " + bad + b"\nb\n")
    assert found[3] == total("txt", 2)


UNREADABLE = {
    "0 bytes": ("json", b"", "empty_file"),
    "white space": ("json", b" \n", "empty_file"),
    "a byte order mark alone": ("json", codecs.BOM_UTF8, "empty_file"),
    "cut": ("json", JSON[:-20], "bad_json"),
    "prose": ("json", b"Dear all", "bad_json"),
    "two documents": ("json", JSON + JSON, "bad_json"),
    "a number too long to read": ("json", b'{"words": [%s]}' % (b"1" * 5000), "bad_json"),
    "not UTF-8": ("json", JSON.replace(b"Mara", b"\xff"), "invalid_utf8"),
    "half a pair in UTF-16": ("json", codecs.BOM_UTF16_LE + b"{\0\x00\xd8}\0", "invalid_utf8"),
    "a list": ("json", b"[%s]" % JSON, "unexpected_shape"),
    "a text": ("json", b'"words"', "unexpected_shape"),
    "no JSON at all": ("json", b"{words: []}", "bad_json"),
    "an error": ("txt", b'{"error": "not found"}', "unexpected_shape"),
    "an empty object": ("srt", b"{}", "unexpected_shape"),
    "words that are no list": ("json", b'{"words": "a b"}', "unexpected_shape"),
    "sentences that are false": ("json", b'{"sentences": false}', "unexpected_shape"),
    "nested": ("json", b'{"words": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested_too_deep"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable(name: str) -> None:
    mode, content, reason = UNREADABLE[name]
    with pytest.raises(Rejected) as raised:
        parse(content, mode)
    assert raised.value.reason_code == reason


def test_a_document_larger_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_DOCUMENT", len(JSON))
    assert parse(JSON)[-1] == total("json", 1, 1)
    with pytest.raises(Rejected, match="too_large"):
        parse(JSON + b" ")


@pytest.mark.parametrize("line", [b"x", b"A: x\n"], ids=["a line without end", "a turn without end"])
def test_text_that_never_ends(line: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield line * ((1 << 20) // len(line))

    asset = Asset(uri="s3://a/t", size_bytes=1, modified_at=NOW, asset_type="transcript", output_mode="txt")
    with pytest.raises(Rejected, match="too_large"):
        list(transcript.parse(pieces(), asset))


def test_a_hundred_thousand_words_take_little_memory() -> None:
    word = b'{"word": "Hello", "name": "Mara Ilves", "peer_id": "p-1", "start_time": "%d", "end_time": "%d"},'
    words = b"".join(word % (at, at + 1) for at in range(100_000))
    content = b'{"sentences": [], "words": [' + words.rstrip(b",") + b"]}"
    asset = Asset(uri="s3://a/t", size_bytes=1, modified_at=NOW, asset_type="transcript")
    tracemalloc.start()
    count = sum(1 for _ in transcript.parse([content], asset))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100_001
    assert peak < 250 << 20


def test_subtitles_stream() -> None:
    tracemalloc.start()
    asset = Asset(uri="s3://a/t", size_bytes=1, modified_at=NOW, asset_type="transcript", output_mode="srt")
    block = b"1\n00:00:01,000 --> 00:00:02,000\nMara: " + b"x" * 4_000 + b"\n\n"
    count = sum(1 for _ in transcript.parse([block * 250] * 20, asset))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5_001
    assert peak < 4 << 20


name = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=9)
said = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
milliseconds = st.integers(0, 3_600_000 * 100)


@given(st.lists(st.tuples(name, said, milliseconds, milliseconds)))
def test_what_is_written_as_srt_is_read(spoken: list[tuple[str, str, int, int]]) -> None:
    def point(ms: int) -> str:
        return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    blocks = (f"{point(start)} --> {point(end)}\n{name}: {text}\n" for name, text, start, end in spoken)
    content = "\n".join(f"{at}\n{block}" for at, block in enumerate(blocks, 1))
    expected = [segment(at, text, name, start, end) for at, (name, text, start, end) in enumerate(spoken, 1)]
    assert parse(content.encode(), "srt") == [*expected, total("srt", len(expected))]


@given(st.lists(st.tuples(name, said)))
def test_what_is_written_as_txt_is_read(spoken: list[tuple[str, str]]) -> None:
    content = "\n\n".join(f"{name}: {text}" for name, text in spoken)
    expected = [segment(at, text, name) for at, (name, text) in enumerate(spoken, 1)]
    assert parse(content.encode(), "txt") == [*expected, total("txt", len(expected))]
