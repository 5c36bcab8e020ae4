from __future__ import annotations

import codecs
import json
from datetime import UTC, datetime

import pytest

from roomledger.formats import summary
from roomledger.model import Asset, Refusal, Rejected, Summary, SummaryPoint, SummarySection

ASSET = Asset(uri="s3://a/s", size_bytes=1, modified_at=datetime(2025, 3, 7, tzinfo=UTC), asset_type="summary")

Record = SummarySection | SummaryPoint | Summary | Refusal

AGENDA = {"title": "Agenda", "format": "bullets", "bullets": ["Fractions", "Quiz ✏️"], "paragraph": ""}
SHORT = {"title": "In short", "format": "paragraph", "bullets": [], "paragraph": "=We did\nfractions."}
BOTH = json.dumps({"sections": [AGENDA, SHORT]}, ensure_ascii=False)
RECORDS: list[Record] = [
    SummarySection(1, "Agenda", "bullets", None),
    SummaryPoint(1, 1, "Fractions"),
    SummaryPoint(2, 1, "Quiz ✏️"),
    SummarySection(2, "In short", "paragraph", "=We did\nfractions."),
    Summary(0, 2, 2),
]


def parse(content: bytes) -> list[Record]:
    return list(summary.parse([content], ASSET))


@pytest.mark.parametrize(
    "content",
    [
        BOTH.encode(),
        f'{{"summary": {BOTH}}}'.encode(),
        codecs.BOM_UTF8 + BOTH.encode(),
        codecs.BOM_UTF16_LE + BOTH.encode("utf-16-le"),
        json.dumps(json.loads(BOTH), indent=2).replace("\n", "\r\n").encode(),
    ],
    ids=["top level", "wrapped", "byte order mark", "UTF-16", "escapes and CRLF"],
)
def test_loaded(content: bytes) -> None:
    assert parse(content) == RECORDS


SECTIONS: dict[str, tuple[object, list[Record]]] = {
    "no bullets": ({"title": "a", "bullets": None}, [SummarySection(1, "a", None, None)]),
    "an unknown format": ({"title": "a", "format": "table"}, [SummarySection(1, "a", "table", None)]),
    "a number for a title": ({"title": 7}, [SummarySection(1, "7", None, None)]),
    "bullets of any kind": (
        {"bullets": ["a", 1, 2.5, True, None, {"b": "é"}, []]},
        [
            SummarySection(1, None, None, None),
            *(
                SummaryPoint(at, 1, text)
                for at, text in enumerate(["a", "1", "2.5", "true", "", '{"b": "é"}', "[]"], 1)
            ),
        ],
    ),
    "one bullet without a list": ({"bullets": "a"}, [SummarySection(1, None, None, None), SummaryPoint(1, 1, "a")]),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_lenient(name: str) -> None:
    section, expected = SECTIONS[name]
    points = sum(isinstance(record, SummaryPoint) for record in expected)
    assert parse(json.dumps({"sections": [section]}).encode()) == [*expected, Summary(0, 1, points)]


REFUSED = {
    "a text": ("Agenda", "bad_section"),
    "null": (None, "bad_section"),
    "an empty object": ({}, "bad_section"),
    "an object of another kind": ({"heading": "Agenda", "items": ["a"]}, "bad_section"),
    "a title that is a list": ({"title": ["a"]}, "bad_section"),
    "a paragraph that is an object": ({"paragraph": {}}, "bad_section"),
    "no number": ({"bullets": [float("nan")]}, "bad_section"),
    "NUL in a bullet": ({"bullets": ["a", "\0"]}, "nul_byte"),
    "half a character in a title": ({"title": "\udc00é"}, "bad_text"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_sections(name: str) -> None:
    section, reason = REFUSED[name]
    found = parse(json.dumps({"sections": [AGENDA, section, SHORT]}).encode())
    assert found[:3] == RECORDS[:3]
    refusal = found[3]
    assert isinstance(refusal, Refusal)
    assert (refusal.ordinal, refusal.reason_code) == (2, reason)
    assert "Section 2" in refusal.detail
    assert repr(json.loads(refusal.raw)) == repr(section)
    assert found[4:] == [SummarySection(3, "In short", "paragraph", "=We did\nfractions."), Summary(0, 2, 2)]


@pytest.mark.parametrize("content", [b'{"sections": []}', b'{"sections": null}', b'{"summary": {"sections": []}}'])
def test_a_summary_without_sections(content: bytes) -> None:
    assert parse(content) == [Summary(0, 0, 0)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty_file"),
        (BOTH.encode()[:-9], "bad_json"),
        (b"Agenda: fractions", "bad_json"),
        (BOTH.encode().replace(b"Agenda", b"\xff"), "invalid_utf8"),
        (b"[]", "unexpected_shape"),
        (b"{}", "unexpected_shape"),
        (b'{"summary": "short"}', "unexpected_shape"),
        (b'{"summary": {"text": "short"}}', "unexpected_shape"),
        (b'{"sections": {"title": "a"}}', "unexpected_shape"),
        (b'{"sections": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested_too_deep"),
    ],
)
def test_unreadable(content: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as raised:
        parse(content)
    assert raised.value.reason_code == reason
