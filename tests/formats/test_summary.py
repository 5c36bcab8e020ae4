from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import count

import pytest

from roomledger.formats import summary
from roomledger.model import Asset, Refusal, Rejected, Summary, SummaryPoint, SummarySection
from tests.formats.case_files import content_of, read_cases

ASSET = Asset(uri="s3://a/s", size_bytes=1, modified_at=datetime(2025, 3, 7, tzinfo=UTC), asset_type="summary")

Record = SummarySection | SummaryPoint | Summary | Refusal

AGENDA = {"title": "Agenda", "format": "bullets", "bullets": ["Fractions", "Quiz ✏️"], "paragraph": ""}
SHORT = {"title": "In short", "format": "paragraph", "bullets": [], "paragraph": "=We did\nfractions."}
AGENDA_RECORDS: list[Record] = [
    SummarySection(1, "Agenda", "bullets", None),
    SummaryPoint(1, 1, "Fractions"),
    SummaryPoint(2, 1, "Quiz ✏️"),
]


def parse(content: bytes) -> list[Record]:
    return list(summary.parse([content], ASSET))


LOADED, REFUSED = (read_cases(f"summary/{name}.yaml") for name in ("loaded", "refused-sections"))
REJECTED = read_cases("summary/rejected.yaml") | {
    "nested": {"content": '{"sections": ' + "[" * 10_000 + "]" * 10_000 + "}", "reason": "nested_too_deep"},
}


@pytest.mark.parametrize("name", LOADED)
def test_every_valid_file_gives_its_rows(name: str) -> None:
    expected: list[Record] = []
    points = count(1)
    for ordinal, section in enumerate(LOADED[name]["sections"], 1):
        title, format_, paragraph = (section.get(column) for column in ("title", "format", "paragraph"))
        expected.append(SummarySection(ordinal, title, format_, paragraph, section.get("extra")))
        expected += [SummaryPoint(next(points), ordinal, text) for text in section.get("points", [])]
    assert parse(content_of(LOADED[name])) == [*expected, Summary(ordinal=0, **LOADED[name]["summary"])]


@pytest.mark.parametrize("name", REFUSED)
def test_an_invalid_section_is_refused_alone(name: str) -> None:
    section, reason = REFUSED[name]["section"], REFUSED[name]["reason"]
    found = parse(json.dumps({"sections": [AGENDA, section, SHORT]}).encode())
    assert found[:3] == AGENDA_RECORDS
    refusal = found[3]
    assert isinstance(refusal, Refusal)
    assert (refusal.ordinal, refusal.reason_code) == (2, reason)
    assert "Section 2" in refusal.detail
    assert refusal.raw == json.dumps(section).encode()
    assert found[4:] == [SummarySection(3, "In short", "paragraph", "=We did\nfractions."), Summary(0, 2, 2)]


@pytest.mark.parametrize("name", REJECTED)
def test_an_invalid_file_is_rejected(name: str) -> None:
    with pytest.raises(Rejected) as raised:
        parse(content_of(REJECTED[name]))
    assert raised.value.reason_code == REJECTED[name]["reason"]
