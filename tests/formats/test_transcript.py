from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.formats import document, json_values, transcript
from roomledger.model import Asset, Refusal, Rejected, Transcript, TranscriptSegment, TranscriptWord
from tests.formats.case_files import content_of, read_cases

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

CASES = {
    name: read_cases(f"transcript/{name}.yaml")
    for name in ("loaded", "refused-entries", "refused-values", "refused-subtitles", "rejected")
}
LOADED, ENTRIES, SUBTITLE_BLOCKS = CASES["loaded"], CASES["refused-entries"], CASES["refused-subtitles"]


def row(make: type[Any], ordinal: int, columns: dict[str, Any]) -> Any:
    return make(**(dict.fromkeys(make._fields) | columns | {"ordinal": ordinal}))


@pytest.mark.parametrize("name", LOADED)
def test_every_valid_file_gives_its_rows(name: str) -> None:
    case = LOADED[name]
    segments = [row(TranscriptSegment, ordinal, each) for ordinal, each in enumerate(case.get("segments", []), 1)]
    words = [row(TranscriptWord, ordinal, each) for ordinal, each in enumerate(case.get("words", []), 1)]
    expected = [*segments, *words, row(Transcript, 0, case["transcript"])]
    assert parse(content_of(case), case["declared"]) == expected


@pytest.mark.parametrize("name", ENTRIES)
def test_an_invalid_entry_is_refused_alone(name: str) -> None:
    """Sentences and words have their own numbers; the number of a refusal counts both."""
    entry, reason = ENTRIES[name]["entry"], ENTRIES[name]["reason"]
    sentence, word = {"sentence": "Hello", **SPOKEN}, {"word": "Hello", **SPOKEN}
    found = parse(spoken([entry, sentence], [word, entry, word]))
    loaded = [record for record in found if not isinstance(record, Refusal)]
    assert loaded == [HELLO._replace(ordinal=2), WORD, WORD._replace(ordinal=3), total("json", 1, 2)]
    refusals = [record for record in found if isinstance(record, Refusal)]
    assert [refusal[:2] for refusal in refusals] == [(1, reason.format("segment")), (4, reason.format("word"))]
    assert "Sentence 1" in refusals[0].detail
    assert "Word 2" in refusals[1].detail
    assert [refusal.raw for refusal in refusals] == [json.dumps(entry).encode()] * 2


@pytest.mark.parametrize("name", CASES["refused-values"])
def test_an_entry_is_loaded_without_its_invalid_values(name: str) -> None:
    """The values are kept in `extra`, a refusal names them, and its bytes are those of the entry."""
    case = CASES["refused-values"][name]
    entry = f'{{ "sentence" :"a", "word":"a", {case["members"]}}}'
    found = parse(f'{{"sentences": [{entry}], "words":[ {entry} ]}}'.encode(), "json")
    assert len(found) == 5
    for ordinal, kind, refusal, loaded in ((1, "segment", *found[:2]), (2, "word", *found[2:4])):
        assert isinstance(refusal, Refusal)
        reason = case["reason"].format(kind)
        assert (refusal.ordinal, refusal.reason_code, refusal.raw) == (ordinal, reason, entry.encode())
        assert refusal.record_loaded
        assert isinstance(loaded, TranscriptSegment | TranscriptWord)
        other = {"word": "a"} if kind == "segment" else {"sentence": "a"}
        assert loaded._replace(extra=None) == type(loaded)(1, None, None, None, None, "a")
        assert json.loads(str(loaded.extra)) == json.loads(case.get("kept", f"{{{case['members']}}}")) | other
    assert found[4] == total("json", 1, 1)


def test_a_fraction_among_milliseconds_is_refused_alone() -> None:
    times = [str(n) for n in range(0, 200_000, 10_000)]
    found = parse(spoken([{"sentence": "a", "start_time": one} for one in (*times, "200000.5")]), "json")
    loaded = [record for record in found if isinstance(record, TranscriptSegment)]
    assert [record.start_ms for record in loaded] == [*map(int, times), None]
    assert [record.ordinal for record in found if isinstance(record, Refusal)] == [21]


def test_numbers_of_any_length_are_read() -> None:
    refusal, last = parse(b'{"words": [%s], "sentences": []}' % (b"1" * 5000), "json")
    assert isinstance(refusal, Refusal)
    assert (refusal.reason_code, refusal.raw) == ("bad_word", b"1" * 5000)
    assert last == total("json", 0)


def test_an_entry_that_repeats_a_name_is_refused_alone() -> None:
    entry = b'{ "sentence" :"a","start_time":1,"start_time":2}'
    refusal, good, last = parse(b'{"words":[],"sentences":[' + entry + b', {"sentence": "b"}]}', "json")
    assert isinstance(refusal, Refusal)
    assert (refusal.ordinal, refusal.reason_code, refusal.raw) == (1, "duplicate_key", entry)
    assert (good, last) == (segment(2, "b", None), total("json", 1))


@pytest.mark.parametrize(
    "timing",
    ["00:75:00,000 --> 00:00:01,000", "00:00:01,000 --> 00:00:60,000", "99:00:00,000 --> 99:00:01,000"],
)
def test_a_subtitle_with_an_impossible_time_is_loaded_without_it(timing: str) -> None:
    block = f"1\n{timing}\nMara Ilves: Hello\n"
    refusal, *loaded = parse((block + "\n" + SRT).encode(), "srt")
    assert isinstance(refusal, Refusal)
    assert (refusal.ordinal, refusal.reason_code, refusal.raw) == (1, "bad_time", block.encode())
    assert refusal.record_loaded
    first = loaded[0]
    assert isinstance(first, TranscriptSegment)
    assert (first.speaker_name, first.text, json.loads(str(first.extra))) == ("Mara Ilves", "Hello", {"timing": timing})
    assert (first.start_ms, first.end_ms) == (
        (None, 1000) if timing.startswith("00:75") else (1000, None) if timing.startswith("00:00") else (None, None)
    )


@pytest.mark.parametrize("name", SUBTITLE_BLOCKS)
def test_an_invalid_subtitle_is_refused_alone(name: str) -> None:
    block, reason = content_of(SUBTITLE_BLOCKS[name]), SUBTITLE_BLOCKS[name]["reason"]
    found = parse(SRT.encode() + b"\n" + block + b"\r\n\r\n" + SRT.encode(), "srt")
    assert found[:2] == SUBTITLES
    refusal = found[2]
    assert isinstance(refusal, Refusal)
    assert (refusal.ordinal, refusal.reason_code, refusal.raw) == (3, reason, block + b"\r\n")
    assert refusal.detail.startswith(("Line 9 ", "Lines 9 to "))
    assert found[3:] == [SUBTITLES[0]._replace(ordinal=4), SUBTITLES[1]._replace(ordinal=5), total("srt", 4)]


@pytest.mark.parametrize(("bad", "reason"), [(b"\xff", "invalid_utf8"), (b"\0", "nul_byte")])
def test_an_invalid_turn_is_refused_alone(bad: bytes, reason: str) -> None:
    found = parse(b"A: a\n\nB: " + bad + b"\nb\n\nC: c", "txt")
    assert found[::2] == [segment(1, "a", "A"), segment(3, "c", "C")]
    refusal = found[1]
    assert isinstance(refusal, Refusal)
    assert (refusal.ordinal, refusal.reason_code, refusal.raw) == (2, reason, b"B: " + bad + b"\nb\n")
    assert found[3] == total("txt", 2)


REJECTED = CASES["rejected"] | {
    "nested": {"content": '{"words": ' + "[" * 10_000 + "]" * 10_000 + "}", "reason": "nested_too_deep"},
}


@pytest.mark.parametrize("name", REJECTED)
def test_an_invalid_file_is_rejected(name: str) -> None:
    with pytest.raises(Rejected) as raised:
        parse(content_of(REJECTED[name]), REJECTED[name].get("declared", "json"))
    assert raised.value.reason_code == REJECTED[name]["reason"]


def test_a_document_larger_than_the_limit_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_DOCUMENT", len(JSON))
    assert parse(JSON)[-1] == total("json", 1, 1)
    with pytest.raises(Rejected, match="too_large"):
        parse(JSON + b" ")


@pytest.mark.parametrize("line", [b"A: x", b"A: x\n"], ids=["a line without end", "a turn without end"])
def test_text_without_ends_of_turns_is_rejected(line: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield line * ((1 << 20) // len(line))

    asset = Asset(uri="s3://a/t", size_bytes=1, modified_at=NOW, asset_type="transcript", output_mode="txt")
    with pytest.raises(Rejected, match="too_large"):
        list(transcript.parse(pieces(), asset))


def test_a_hundred_thousand_words_need_little_memory() -> None:
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


def test_subtitles_are_streamed() -> None:
    tracemalloc.start()
    asset = Asset(uri="s3://a/t", size_bytes=1, modified_at=NOW, asset_type="transcript", output_mode="srt")
    block = b"1\n00:00:01,000 --> 00:00:02,000\nMara: " + b"x" * 4_000 + b"\n\n"
    count = sum(1 for _ in transcript.parse([block * 250] * 20, asset))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5_001
    assert peak < 4 << 20


# Without the characters that start a page, JSON or a program instead of a turn.
letters = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="[]{}()<>=/")
name = st.text(letters, min_size=1, max_size=9)
text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
milliseconds = st.integers(0, json_values.MAX_OFFSET_MS)


@given(st.lists(st.tuples(name, text, milliseconds, milliseconds)))
def test_written_srt_is_read_back(spoken: list[tuple[str, str, int, int]]) -> None:
    def point(ms: int) -> str:
        return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    blocks = (f"{point(start)} --> {point(end)}\n{name}: {text}\n" for name, text, start, end in spoken)
    content = "\n".join(f"{at}\n{block}" for at, block in enumerate(blocks, 1))
    expected = [segment(at, text, name, start, end) for at, (name, text, start, end) in enumerate(spoken, 1)]
    assert parse(content.encode(), "srt") == [*expected, total("srt", len(expected))]


@given(st.lists(st.tuples(name, text)))
def test_written_txt_is_read_back(spoken: list[tuple[str, str]]) -> None:
    content = "\n\n".join(f"{name}: {text}" for name, text in spoken)
    expected = [segment(at, text, name) for at, (name, text) in enumerate(spoken, 1)]
    assert parse(content.encode(), "txt") == [*expected, total("txt", len(expected))]
