"""Transcripts: the speech of one recording, as sentences and words (json), subtitles (srt) or turns (txt).

The json form has `words[]` and `sentences[]`, each `{word|sentence, name, peer_id, start_time, end_time}`, times in
milliseconds from the start of the recording, as texts or numbers (vendor documentation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from roomledger.formats import document
from roomledger.formats.sniffing import transcript_mode
from roomledger.formats.text import open_text, peek, text_fault
from roomledger.formats.turns import parse_srt, parse_txt
from roomledger.model import Asset, Refusal, Rejected, Transcript, TranscriptSegment, TranscriptWord

Spoken = TranscriptSegment | TranscriptWord


def parse(content: Iterable[bytes], asset: Asset) -> Iterator[Spoken | Transcript | Refusal]:
    """Yield the segments, then the words, then the Transcript with their counts; an invalid entry gives a Refusal.

    Segments and words are numbered from 1 each, refused ones included. The number of a refusal counts both, segments
    first: with 3 sentences, the second word is record 5. An empty srt or txt has no speech. The content decides on the
    form if the name is wrong. Raises Rejected as `document.read` does, `unexpected_shape` for other JSON, and
    `too_large` for text without ends of turns.
    """
    head, file = peek(open_text(content))
    mode = transcript_mode(head, asset.output_mode)
    segments = words = 0
    language = None
    if mode == "json":
        sentences, spoken_words, language = _lists(document.read(file))
        entries = _entries(sentences, spoken_words)
    else:
        entries = parse_srt(file) if mode == "srt" else parse_txt(file)
    for entry in entries:
        segments += isinstance(entry, TranscriptSegment)
        words += isinstance(entry, TranscriptWord)
        yield entry
    yield Transcript(0, mode, segments, words, language)


def _lists(content: Any) -> tuple[list[Any], list[Any], str | None]:
    """Return sentences, words and the language, if any; they may be within a `transcript` object."""
    if isinstance(content, dict) and isinstance(content.get("transcript"), dict):
        content = content["transcript"]
    if not isinstance(content, dict) or not content.keys() & {"words", "sentences"}:
        raise Rejected("unexpected_shape", 'A transcript is {"words": […], "sentences": […]}; this is other JSON.')
    sentences, words = (content[name] if content.get(name) is not None else [] for name in ("sentences", "words"))
    if not isinstance(sentences, list) or not isinstance(words, list):
        raise Rejected("unexpected_shape", "The words and the sentences of a transcript are lists; here one is not.")
    language = content.get("language")
    return sentences, words, language if isinstance(language, str) and not text_fault(language) else None


def _entries(sentences: list[Any], words: list[Any]) -> Iterator[Spoken | Refusal]:
    for ordinal, entry in enumerate(sentences, 1):
        yield _entry(TranscriptSegment, "sentence", "bad_segment", ordinal, entry)
    for ordinal, entry in enumerate(words, 1):
        spoken = _entry(TranscriptWord, "word", "bad_word", ordinal, entry)
        yield spoken._replace(ordinal=len(sentences) + ordinal) if isinstance(spoken, Refusal) else spoken


def _entry(make: Callable[..., Spoken], key: str, reason_code: str, ordinal: int, entry: Any) -> Spoken | Refusal:
    try:
        if not isinstance(entry, dict):
            raise Rejected(reason_code, f"an object was expected, not {document.describe(entry)}")
        text = document.text(entry.get(key), key, reason_code)
        if text is None:
            raise Rejected(reason_code, f"it has no {key!r}")
        return make(
            ordinal,
            document.text(entry.get("name"), "name", reason_code) or None,
            document.text(entry.get("peer_id"), "peer_id", reason_code) or None,
            document.milliseconds(entry.get("start_time"), "start_time"),
            document.milliseconds(entry.get("end_time"), "end_time"),
            text,
        )
    except Rejected as error:
        detail = f"{key.capitalize()} {ordinal}: {error.detail}."
        return Refusal(ordinal, error.reason_code, detail, document.encode(entry))
