"""Summaries: the sections that the vendor generates for one recording, each with bullets or a paragraph.

`{"summary": {"sections": […]}}` in the vendor documentation, `{"sections": […]}` as its consumers read it; a section is
`{"title", "format": "bullets|paragraph", "bullets": […], "paragraph": ""}` with the customer's own titles. What else
there is, such as sections within a section, is kept in `extra`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from roomledger.formats import json_values
from roomledger.formats.document import Document, Entry, duplicate_key
from roomledger.formats.text import open_text
from roomledger.model import Asset, Refusal, Rejected, Summary, SummaryPoint, SummarySection

_BULLETS = ("bullets", "points", "point")
"""Names of the bullets: the vendor's, and those of other programs."""
_MEMBERS = {"title", "format", "paragraph", *_BULLETS}


def parse(content: Iterable[bytes], asset: Asset) -> Iterator[SummarySection | SummaryPoint | Summary | Refusal]:
    """Yield each section followed by its points, then a Summary with their counts; a bad section gives a Refusal.

    Sections are numbered from 1, refused ones included; points from 1 over the whole file. Raises Rejected as
    `Document` does, and `unexpected_shape` for other JSON.
    """
    read = Document(open_text(content))
    entries, left_over = _sections(read)
    sections = points = 0
    for ordinal, entry in enumerate(entries, 1):
        try:
            section, bullets = _section(ordinal, entry)
        except Rejected as error:
            yield Refusal(ordinal, error.reason_code, f"Section {ordinal}: {error.detail}.", read.source(entry))
            continue
        yield section
        sections += 1
        for bullet in bullets:
            points += 1
            yield SummaryPoint(points, ordinal, bullet)
    yield Summary(0, sections, points, json_values.format_extra(left_over))


def _sections(read: Document) -> tuple[list[Entry], dict[str, Any]]:
    """Return the sections and the other members; they may be within a `summary` object."""
    left_over = {name: entry.value for name, entry in read.members_within("summary").items()}
    if "sections" in left_over:
        sections = left_over.pop("sections")
        if sections is None or isinstance(sections, list):
            json_values.require_nothing_unread(left_over, is_empty=not sections)
            return sections or [], left_over
    raise Rejected("unexpected_shape", 'A summary is {"sections": […]}, alone or within "summary"; this is other JSON.')


def _section(ordinal: int, entry: Entry) -> tuple[SummarySection, list[str]]:
    value = entry.value
    if entry.repeated:
        raise duplicate_key("it", entry.repeated)
    if not isinstance(value, dict):
        raise Rejected("bad_section", f"an object was expected, not {json_values.describe(value)}")
    if not value.keys() & _MEMBERS:
        raise Rejected("bad_section", "it has no title, format, bullets or paragraph")
    named = next((name for name in _BULLETS if json_values.has_content(value.get(name))), _BULLETS[0])
    bullets = value.get(named)
    if not isinstance(bullets, list):
        bullets = [] if bullets is None or bullets == "" else [bullets]
    left_over = {name: one for name, one in value.items() if name not in ("title", "format", "paragraph", named)}
    left_over[named] = [one for one in bullets if isinstance(one, (list, dict, bool)) and json_values.has_content(one)]
    plain = (one for one in bullets if not isinstance(one, (list, dict, bool)))
    points = (json_values.text(one, "a bullet", "bad_section") for one in plain)
    section = SummarySection(
        ordinal,
        json_values.text(value.get("title"), "title", "bad_section") or None,
        json_values.text(value.get("format"), "format", "bad_section") or None,
        json_values.text(value.get("paragraph"), "paragraph", "bad_section") or None,
        json_values.format_extra(left_over),
    )
    return section, [point for point in points if point is not None]
