"""Summary files of one recording: sections with bullets or a paragraph.

The documentation shows the sections below `summary`; files in the field have them at the top (vendor documentation, and
what its consumers read).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

from sandbox.dataset.cast import Cast
from sandbox.dataset.model import File, Section, Sentence, loaded, refused

DIRTY = ("top_level_summary", "bad_json_summary")


def sum_up(said: Sequence[Sentence], cast: Cast, rng: Random) -> list[Section]:
    """What a summary of this talk says."""
    speakers = dict.fromkeys(sentence.speaker.name for sentence in said)
    return [
        Section("Who spoke", tuple(speakers)),
        Section("What it was about", tuple(rng.sample(cast.bullets, rng.randint(2, 4)))),
        Section("Open questions", tuple(rng.sample(cast.bullets, rng.randint(0, 1)))),
        Section("In short", (), rng.choice(cast.paragraphs)),
    ]


def write(case: str, sections: Sequence[Section], folder: str) -> File:
    """Write these sections as the file of this case: `plain` or one of `DIRTY`."""
    document: dict[str, object] = {
        "sections": [
            {
                "title": section.title,
                "format": "paragraph" if section.paragraph else "bullets",
                "bullets": section.bullets,
                "paragraph": section.paragraph,
            }
            for section in sections
        ]
    }
    if case != "top_level_summary":
        document = {"summary": document}
    content = json.dumps(document, ensure_ascii=False, indent=2).encode()
    outcome = loaded(
        summaries=1, summary_sections=len(sections), summary_points=sum(len(section.bullets) for section in sections)
    )
    if case == "bad_json_summary":
        content, outcome = content[: content.rindex(b",")], refused("bad_json")
    name = case if case in DIRTY else "plain_summary"
    said = {"output_mode": "json"}
    return File(f"transcripts/{folder}/summary.json", "summary", name, content, outcome, "room", said)
