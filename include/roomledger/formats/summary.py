"""Summaries: the sections that the vendor generates for one recording, each with bullets or a paragraph.

`{"summary": {"sections": […]}}` in the vendor documentation, `{"sections": […]}` as its consumers read it; a section is
`{"title", "format": "bullets|paragraph", "bullets": […], "paragraph": ""}` with the customer's own titles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from roomledger.formats import document
from roomledger.formats.text import open_text
from roomledger.model import Asset, Refusal, Rejected, Summary, SummaryPoint, SummarySection

_MEMBERS = {"title", "format", "bullets", "paragraph"}


def parse(content: Iterable[bytes], asset: Asset) -> Iterator[SummarySection | SummaryPoint | Summary | Refusal]:
    """Yield each section followed by its points, then a Summary with their counts; a bad section gives a Refusal.

    Sections are numbered from 1, refused ones included; points from 1 over the whole file. Raises Rejected as
    `document.read` does, and `unexpected_shape` for other JSON.
    """
    sections = points = 0
    for ordinal, entry in enumerate(_sections(document.read(open_text(content))), 1):
        try:
            section, bullets = _section(ordinal, entry)
        except Rejected as error:
            yield Refusal(ordinal, error.reason_code, f"Section {ordinal}: {error.detail}.", document.encode(entry))
            continue
        yield section
        sections += 1
        for bullet in bullets:
            points += 1
            yield SummaryPoint(points, ordinal, bullet)
    yield Summary(0, sections, points)


def _sections(content: Any) -> list[Any]:
    if isinstance(content, dict) and isinstance(content.get("summary"), dict):
        content = content["summary"]
    if isinstance(content, dict) and "sections" in content:
        sections = content["sections"] if content["sections"] is not None else []
        if isinstance(sections, list):
            return sections
    raise Rejected("unexpected_shape", 'A summary is {"sections": […]}, alone or within "summary"; this is other JSON.')


def _section(ordinal: int, entry: Any) -> tuple[SummarySection, list[str]]:
    if not isinstance(entry, dict):
        raise Rejected("bad_section", f"an object was expected, not {document.describe(entry)}")
    if not entry.keys() & _MEMBERS:
        raise Rejected("bad_section", "it has no title, format, bullets or paragraph")
    bullets = entry.get("bullets")
    if not isinstance(bullets, list):
        bullets = [] if bullets is None or bullets == "" else [bullets]
    section = SummarySection(
        ordinal,
        document.text(entry.get("title"), "title", "bad_section") or None,
        document.text(entry.get("format"), "format", "bad_section") or None,
        document.text(entry.get("paragraph"), "paragraph", "bad_section") or None,
    )
    return section, [_point(bullet) for bullet in bullets]


def _point(bullet: Any) -> str:
    """The text of a bullet; other values are formatted as JSON, null is empty."""
    if isinstance(bullet, (list, dict, bool)):
        bullet = document.encode(bullet).decode()
    return document.text(bullet, "a bullet", "bad_section") or ""
