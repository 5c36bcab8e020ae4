"""Properties of every parser: any bytes, in pieces of any size, give the same records and refusals, or Rejected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.formats import PARSERS, chat, rows, sniffing, summary, text, transcript
from roomledger.formats.object_keys import recognise_content
from roomledger.model import TEXT_TYPES, UNKNOWN, Asset, Ignored, Rejected

NOW = datetime(2025, 3, 7, tzinfo=UTC)
FORMS = [("chat", None), ("summary", "json"), *(("transcript", mode) for mode in (None, "json", "srt", "txt"))]


def asset(asset_type: str, mode: str | None = None) -> Asset:
    return Asset(uri="s3://a/k", size_bytes=7, modified_at=NOW, asset_type=asset_type, output_mode=mode)


def outcome(pieces: Iterable[bytes], form: tuple[str, str | None]) -> Sequence[tuple[object, ...]]:
    """Return all records, or the rejection; fail on values that the warehouse cannot store and on other exceptions."""
    try:
        found: list[tuple[object, ...]] = list(PARSERS[form[0]](pieces, asset(*form)))
    except Rejected as error:
        found = [(error.reason_code, error.detail)]
    for cell in chain.from_iterable(found):
        assert not isinstance(cell, str) or "\0" not in cell
        assert not isinstance(cell, str) or cell.encode().decode() == cell
    return found


fragments = st.sampled_from(
    [
        *(
            b'"',
            b'""',
            b",",
            b"\n",
            b"\r\n",
            b"\n\n",
            b": ",
            b"\0",
            b"\xff",
            b"\xed\xa0\x80",
            "é😀\u2028".encode(),
            b"a",
        ),
        *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\\ud800", b"\\u0000", b"NaN", b"1e999", b"null", b"[]", b"{}"),
        *(b"SenderName,SentAt,Message\n", b"x,2025-03-07T10:00:01Z,hi\n", b'x,2025-03-07T10:00:01Z,"hi\nyou"\n'),
        *(b'x,2025-03-07T10:00:01Z,"open\n', b"1\n00:00:01,000 --> 00:00:02,000\n", b"Mara: hello", b"--> "),
        *(b'{"', b'{"words": [', b'{"word": "a", "start_time": "1"},', b'{"sentence": "b"}', b"]}", b"[" * 3000),
        *(b'{"sections": [', b'{"title": "a", "bullets": ["b", 1, null]}', b'{"summary": ', b'{"transcript": '),
    ]
)
files = st.lists(fragments, max_size=12).map(b"".join) | st.binary(max_size=60)
files |= files.map(lambda content: content.decode("latin-1").encode("utf-16"))
files |= files.map(lambda content: b"SenderName,SentAt,Message\n" + content)


@given(files, st.sampled_from(FORMS), st.integers(1, 9))
def test_the_size_of_pieces_does_not_change_the_outcome(
    content: bytes, form: tuple[str, str | None], size: int
) -> None:
    expected = outcome([content], form)
    assert outcome([content[at : at + size] for at in range(0, len(content), size)], form) == expected
    assert outcome([b"", content[:size], b"", content[size:], b""], form) == expected


@pytest.mark.parametrize("block", [16, 64])
def test_the_ends_of_blocks_do_not_change_the_records(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of any size give the same records, if a record fits into a block."""
    line = b'x,2025-03-07T10:00:01Z,"hi\nyou, ""there"" ' + "é😀".encode() * 5 + b'"\n'
    content = b"SenderName,SentAt,Message\n" + line + b"too,few\n\n" + line * 3 + b"\xff,,\n" + line
    expected = outcome([content], ("chat", None))
    assert len(expected) == 7
    monkeypatch.setattr(rows, "_BLOCK", block)
    assert outcome([content], ("chat", None)) == expected


@given(files)
def test_any_head_is_recognised_or_ignored(head: bytes) -> None:
    found = recognise_content(head, asset(UNKNOWN))
    if isinstance(found, Asset):
        assert found.asset_type in ("chat", "transcript", "summary")
        assert (found.output_mode is None) == (found.asset_type == "chat")
    else:
        assert found == Ignored("content_not_recognised")


def test_every_asset_type_has_a_parser() -> None:
    assert {
        "chat": chat.parse,
        "transcript": transcript.parse,
        "summary": summary.parse,
    } == PARSERS
    assert set(PARSERS) == set(TEXT_TYPES)


@pytest.mark.parametrize("form", FORMS)
def test_errors_of_the_store_are_passed_on(form: tuple[str, str | None]) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"SentAt,Message\n"
        raise ConnectionError("the store went away")

    with pytest.raises(ConnectionError, match="went away"):
        list(PARSERS[form[0]](pieces(), asset(*form)))


def test_sniffing_and_transcripts_use_the_same_head() -> None:
    assert sniffing.HEAD == text.HEAD == 64 * 1024
