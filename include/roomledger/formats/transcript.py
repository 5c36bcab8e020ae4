"""Transcripts: the speech of one recording, as sentences and words (json), subtitles (srt) or turns (txt).

The json form has `words[]` and `sentences[]`, each `{word|sentence, name, peer_id, start_time, end_time}`, times in
milliseconds from the start of the recording, as texts or numbers (vendor documentation). Names that other programs use
for the same are read, too, and whatever is left over is kept in `extra`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from roomledger.formats import json_values
from roomledger.formats.document import Document, Entry, duplicate_key
from roomledger.formats.sniffing import transcript_mode
from roomledger.formats.text import open_text, peek, text_fault
from roomledger.formats.turns import parse_srt, parse_txt
from roomledger.model import Asset, Refusal, Rejected, Transcript, TranscriptSegment, TranscriptWord

Spoken = TranscriptSegment | TranscriptWord


class _Kind(NamedTuple):
    """Sentences or words: the record that each becomes, and the names of its list and of its text."""

    make: Callable[..., Spoken]
    lists: tuple[str, ...]
    texts: tuple[str, ...]
    reason_code: str

    @property
    def documented(self) -> tuple[str, ...]:
        """The vendor's own names of text, name, peer, start and end."""
        return self.texts[0], *(names[0] for names in _OTHERS)


_NAMES, _PEERS = ("name", "speaker", "speaker_name"), ("peer_id", "peerId")
_STARTS, _ENDS = ("start_time", "start", "start_ms"), ("end_time", "end", "end_ms")
_TIMES = (*_STARTS, *_ENDS)
_OTHERS = (_NAMES, _PEERS, _STARTS, _ENDS)
_SENTENCES = _Kind(TranscriptSegment, ("sentences", "segments", "utterances"), ("sentence", "text"), "bad_segment")
_WORDS = _Kind(TranscriptWord, ("words",), ("word", "text"), "bad_word")


def parse(content: Iterable[bytes], asset: Asset) -> Iterator[Spoken | Transcript | Refusal]:
    """Yield the segments, then the words, then the Transcript with their counts; an invalid entry gives a Refusal.

    Segments and words are numbered from 1 each, refused ones included. The number of a refusal counts both, segments
    first: with 3 sentences, the second word is record 5. An entry whose name or time is refused is loaded without it,
    beside the Refusal. An empty srt or txt has no speech. Raises Rejected as `Document` and `transcript_mode` do,
    `unexpected_shape` for other JSON, and `too_large` for text without ends of turns.
    """
    head, file = peek(open_text(content))
    mode = transcript_mode(head, asset.output_mode, asset.uri.removesuffix(".gz"))
    segments = words = 0
    language = extra = None
    if mode == "json":
        read = Document(file)
        sentences, spoken_words, left_over = _lists(read)
        language = _language(left_over)
        extra = json_values.format_extra(left_over)
        entries = _entries(read, sentences, spoken_words)
    else:
        entries = parse_srt(file) if mode == "srt" else parse_txt(file)
    for entry in entries:
        segments += isinstance(entry, TranscriptSegment)
        words += isinstance(entry, TranscriptWord)
        yield entry
    yield Transcript(0, mode, segments, words, language, extra)


def _lists(read: Document) -> tuple[list[Entry], list[Entry], dict[str, Any]]:
    """Return sentences, words and the other members; they may be within a `transcript` object."""
    members = read.members_within("transcript")
    left_over = {name: entry.value for name, entry in members.items()}
    found: list[list[Entry]] = []
    for kind in (_SENTENCES, _WORDS):
        present = [name for name in kind.lists if name in members]
        name = next((name for name in present if members[name].value), present[0] if present else "")
        value = left_over.pop(name, None)
        if value is not None and not isinstance(value, list):
            raise Rejected("unexpected_shape", f"The {name} of a transcript are a list; here they are not.")
        found.append(value or [])
    sentences, words = found
    if not members.keys() & {*_SENTENCES.lists, *_WORDS.lists}:
        raise Rejected("unexpected_shape", 'A transcript is {"words": […], "sentences": […]}; this is other JSON.')
    json_values.require_nothing_unread(left_over, is_empty=not sentences and not words)
    return sentences, words, left_over


def _language(left_over: dict[str, Any]) -> str | None:
    language = left_over.get("language")
    if not isinstance(language, str) or text_fault(language):
        return None
    return str(left_over.pop("language"))


def _entries(read: Document, sentences: list[Entry], words: list[Entry]) -> Iterator[Spoken | Refusal]:
    unit_known = _is_in_milliseconds([entry.value for entry in (*sentences, *words)])
    for kind, entries, before in ((_SENTENCES, sentences, 0), (_WORDS, words, len(sentences))):
        documented = kind.documented
        what = documented[0].capitalize()
        for ordinal, entry in enumerate(entries, 1):
            try:
                spoken, problems = _spoken(kind, documented, ordinal, entry, unit_known=unit_known)
            except Rejected as error:
                detail = f"{what} {ordinal}: {error.detail}."
                yield Refusal(before + ordinal, error.reason_code, detail, read.source(entry))
                continue
            if problems:
                detail = f"{what} {ordinal}: {'; '.join(problem.detail for problem in problems)}; loaded without."
                raw = read.source(entry)
                yield Refusal(before + ordinal, problems[0].reason_code, detail, raw, record_loaded=True)
            yield spoken


def _is_in_milliseconds(entries: list[Any]) -> bool:
    """Whether whole numbers are milliseconds: not beside fractions, unless some are too large for seconds."""
    has_fractions = False
    for value in entries:
        if isinstance(value, dict):
            for name in _TIMES:
                if name in value:
                    if json_values.is_more_than_a_day_of_seconds(value[name]):
                        return True
                    has_fractions |= json_values.is_fraction(value[name])
    return not has_fractions


def _spoken(
    kind: _Kind, names: tuple[str, ...], ordinal: int, entry: Entry, *, unit_known: bool
) -> tuple[Spoken, list[Rejected]]:
    """Return the record of an entry, and what of its values is refused. Raises Rejected without a usable text.

    `names` are the documented ones; only an entry that has others is searched for those.
    """
    value, code = entry.value, kind.reason_code
    if entry.repeated:
        raise duplicate_key("it", entry.repeated)
    if not isinstance(value, dict):
        raise Rejected(code, f"an object was expected, not {json_values.describe(value)}")
    left_over: dict[str, Any] = {}
    if not value.keys() <= {*names}:
        names = tuple(_first(value, several) for several in (kind.texts, *_OTHERS))
        if names[1] != _NAMES[0] and not isinstance(value[names[1]], str):
            names = (names[0], _NAMES[0], *names[2:])  # the number of a speaker is no name
        left_over = {name: one for name, one in value.items() if name not in names}
    said, named, peer, start, end = names
    spoken = json_values.text(value.get(said), said, code)
    if spoken is None:
        raise Rejected(code, f"it has no {kind.texts[0]!r}")
    cells: list[str | int | None] = []
    problems: list[Rejected] = []
    for name in (named, peer, start, end):
        try:
            if name in (named, peer):
                cells.append(json_values.line(json_values.text(value.get(name), name, code), name))
            else:
                cells.append(json_values.milliseconds(value.get(name), name, unit_known=unit_known))
        except Rejected as error:
            cells.append(None)
            problems.append(error)
            left_over[name] = value[name]
    return kind.make(ordinal, *cells, spoken, json_values.format_extra(left_over) if left_over else None), problems


def _first(value: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return the first of these names that has a value; the first of all, the vendor's own, if none has."""
    return next((name for name in names if value.get(name) is not None), names[0])
