"""Transcript files of one recording in three formats, and their edge cases and faults.

`json` has words and sentences with times in milliseconds, as strings; `srt` and `txt` put `<name>: ` before the text
(vendor documentation). A case gets the sentences and returns the one file that differs from the plain set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from random import Random
from typing import Any

from sandbox.dataset.model import File, Outcome, Peer, Sentence, loaded, refused
from sandbox.dataset.sample_texts import SampleTexts

Case = Callable[[Sequence[Sentence]], tuple[str, bytes, Outcome]]

_JSON, _SRT, _TXT = (f"transcripts/{{}}/transcript.{mode}" for mode in ("json", "srt", "txt"))
_NAMELESS = "exports/{}/0001.json"
"""A key that does not show the asset type."""

DEPTH = 20_000
"""Deeper than any parser may nest."""


def generate_sentences(peers: Sequence[Peer], texts: SampleTexts, milliseconds: int, rng: Random) -> list[Sentence]:
    """20 to 60 sentences, as many as fit into the recording; every peer speaks once, then random peers."""
    count = rng.randint(20, 60)
    speakers = [*islice(cycle(peers), len(peers)), *(rng.choice(peers) for _ in range(count))]
    sentences: list[Sentence] = []
    start = rng.randrange(500, 3_000)
    for speaker in speakers[:count]:
        text = rng.choice(texts.speech)
        end = start + len(text.split()) * rng.randrange(250, 450)
        if end > milliseconds:
            break
        sentences.append(Sentence(speaker, start, end, text))
        start = end + rng.randrange(200, 2_500)
    return sentences


def write(case: str, sentences: Sequence[Sentence], folder: str) -> list[File]:
    """Write the three files of a recording, one of them as this case defines; `folder` is room, date and id."""
    files = {
        _JSON: ("plain_transcript", to_json(sentences), _counted(sentences, words=True)),
        _SRT: ("plain_transcript", to_srt(sentences), _counted(sentences)),
        _TXT: ("plain_transcript", to_txt(sentences), _counted(sentences)),
    }
    if case == "nameless_json":
        del files[_JSON]
    if case != "plain":
        key, content, outcome = CASES[case](sentences)
        files[key] = (case, content, outcome)
    return [
        File(key.format(folder), "transcript", *file, "room", {"output_mode": _mode(key, file[0])})
        for key, file in files.items()
    ]


def _mode(key: str, case: str) -> str:
    """The `output_mode` in the API's record, which is always the real format."""
    return "srt" if case == "srt_named_json" else key.rpartition(".")[2]


def to_json(sentences: Sequence[Sentence], time: Callable[[int], Any] = str) -> bytes:
    """The json format; `time` formats milliseconds."""
    word_rows, sentence_rows = [], []
    for speaker, start, end, text in sentences:
        who = {"name": speaker.name, "peer_id": speaker.id}
        sentence_rows.append({"sentence": text, **who, "start_time": time(start), "end_time": time(end)})
        step = (end - start) // len(text.split())
        for number, word in enumerate(text.split()):
            word_start = start + number * step
            word_rows.append({"word": word, **who, "start_time": time(word_start), "end_time": time(word_start + step)})
    return json.dumps({"words": word_rows, "sentences": sentence_rows}, ensure_ascii=False).encode()


def to_srt(sentences: Sequence[Sentence], end_of_line: str = "\n", hours: str = "02") -> bytes:
    """The srt format."""
    blocks = [
        f"{number}\n{_srt_time(start, hours)} --> {_srt_time(end, hours)}\n{speaker.name}: {text}\n"
        for number, (speaker, start, end, text) in enumerate(sentences, 1)
    ]
    return "\n".join(blocks).replace("\n", end_of_line).encode()


def to_txt(sentences: Sequence[Sentence]) -> bytes:
    """The txt format."""
    return "\n".join(f"{speaker.name}: {text}\n" for speaker, _, _, text in sentences).encode()


def _srt_time(milliseconds: int, hours: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:{hours}}:{seconds // 60 % 60:02}:{seconds % 60:02},{rest:03}"


def _counted(sentences: Sequence[Sentence], *, words: bool = False) -> Outcome:
    counted = sum(len(sentence.text.split()) for sentence in sentences) if words else 0
    return loaded(transcripts=1, transcript_segments=len(sentences), transcript_words=counted)


def _overlapping(sentences: Sequence[Sentence]) -> list[Sentence]:
    """The second sentence starts inside the first, and the third ends before it starts."""
    first, second, third, *rest = sentences
    middle = (first.start_ms + first.end_ms) // 2
    return [
        first,
        second._replace(start_ms=middle),
        third._replace(start_ms=third.end_ms, end_ms=third.start_ms),
        *rest,
    ]


def _colons(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Sentences of speakers with a colon in their name."""
    return [sentence for sentence in sentences if ":" in sentence.speaker.name]


def _truncated(sentences: Sequence[Sentence]) -> bytes:
    whole = to_json(sentences)
    return whole[: whole.rindex(b",", 0, len(whole) * 2 // 3)]  # not inside a character: only the JSON is invalid


CASES: dict[str, Case] = {
    "blank_srt": lambda sentences: (_SRT, b"", _counted([])),
    "white_srt": lambda sentences: (_SRT, b"\r\n\n", _counted([])),
    "crlf_srt": lambda sentences: (_SRT, to_srt(sentences, "\r\n"), _counted(sentences)),
    "one_digit_hours": lambda sentences: (_SRT, to_srt(sentences, hours="01"), _counted(sentences)),
    "tangled_srt": lambda sentences: (_SRT, to_srt(_overlapping(sentences)), _counted(sentences)),
    "tangled_json": lambda sentences: (_JSON, to_json(_overlapping(sentences)), _counted(sentences, words=True)),
    "colon_names_srt": lambda sentences: (_SRT, to_srt(_colons(sentences)), _counted(_colons(sentences))),
    "colon_names_txt": lambda sentences: (_TXT, to_txt(_colons(sentences)), _counted(_colons(sentences))),
    "number_times": lambda sentences: (_JSON, to_json(sentences, int), _counted(sentences, words=True)),
    "srt_named_json": lambda sentences: (_JSON, to_srt(sentences), _counted(sentences)),
    "nameless_json": lambda sentences: (_NAMELESS, to_json(sentences), _counted(sentences, words=True)),
    "bad_json": lambda sentences: (_JSON, _truncated(sentences), refused("bad_json")),
    "unexpected_shape": lambda sentences: (_JSON, b'{"captions": [{"cue": "Hello"}]}', refused("unexpected_shape")),
    "nested_too_deep": lambda sentences: (
        _JSON,
        b'{"words": ' + b"[" * DEPTH + b"]" * DEPTH + b', "sentences": []}',
        refused("nested_too_deep"),
    ),
}
"""Key, content and outcome of the file, by name of the case."""

DIRTY = tuple(CASES)
