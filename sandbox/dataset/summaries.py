"""Summary files of one recording: sections with bullets or a paragraph.

The vendor documentation shows the sections below `summary`; published consumers read them at the top level.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

from sandbox.dataset.model import File, Section, Sentence, loaded, refused
from sandbox.dataset.sample_texts import SampleTexts

DIRTY = ("top_level_summary", "bad_json_summary")


def generate_sections(sentences: Sequence[Sentence], texts: SampleTexts, rng: Random) -> list[Section]:
    """Sections of a summary of these sentences."""
    speakers = dict.fromkeys(sentence.speaker.name for sentence in sentences)
    return [
        Section("Who spoke", tuple(speakers)),
        Section("What it was about", tuple(rng.sample(texts.bullets, rng.randint(2, 4)))),
        Section("Open questions", tuple(rng.sample(texts.bullets, rng.randint(0, 1)))),
        Section("In short", (), rng.choice(texts.paragraphs)),
    ]


def write(case: str, sections: Sequence[Section], folder: str) -> File:
    """Write these sections as the file of this case, which is `plain` or one of `DIRTY`."""
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
    metadata = {"output_mode": "json"}
    return File(f"transcripts/{folder}/summary.json", "summary", name, content, outcome, "room", metadata)
