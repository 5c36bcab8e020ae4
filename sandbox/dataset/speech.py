"""Transcript files of one recording in their three forms, and every way in which they go wrong.

`json` has words and sentences with times in milliseconds, as strings; `srt` and `txt` put `<name>: ` before the text
(vendor documentation). A case takes what was said and gives the files that differ from the clean set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from random import Random
from typing import Any

from sandbox.dataset.cast import Cast
from sandbox.dataset.model import File, Outcome, Peer, Sentence, loaded, refused

Case = Callable[[Sequence[Sentence]], tuple[str, bytes, Outcome]]

_JSON, _SRT, _TXT = (f"transcripts/{{}}/transcript.{mode}" for mode in ("json", "srt", "txt"))
_NAMELESS = "exports/{}/0001.json"
"""A place and name that do not say what it is."""

DEPTH = 20_000
"""Nested deeper than any reader may go."""


def talk(peers: Sequence[Peer], cast: Cast, milliseconds: int, rng: Random) -> list[Sentence]:
    """20 to 60 sentences one after the other, as many as fit; everybody speaks once, then anybody."""
    count = rng.randint(20, 60)
    speakers = [*islice(cycle(peers), len(peers)), *(rng.choice(peers) for _ in range(count))]
    sentences: list[Sentence] = []
    start = rng.randrange(500, 3_000)
    for speaker in speakers[:count]:
        text = rng.choice(cast.speech)
        end = start + len(text.split()) * rng.randrange(250, 450)
        if end > milliseconds:
            break
        sentences.append(Sentence(speaker, start, end, text))
        start = end + rng.randrange(200, 2_500)
    return sentences


def write(case: str, said: Sequence[Sentence], folder: str) -> list[File]:
    """Write the three files of a recording, one of them as this case has it; `folder` names room, date and id."""
    files = {
        _JSON: ("plain_transcript", to_json(said), _counted(said, words=True)),
        _SRT: ("plain_transcript", to_srt(said), _counted(said)),
        _TXT: ("plain_transcript", to_txt(said), _counted(said)),
    }
    if case == "nameless_json":
        del files[_JSON]
    if case != "plain":
        key, content, outcome = CASES[case](said)
        files[key] = (case, content, outcome)
    return [
        File(key.format(folder), "transcript", *file, tells="room", metadata={"output_mode": _mode(key, file[0])})
        for key, file in files.items()
    ]


def _mode(key: str, case: str) -> str:
    """The form that the vendor's record gives, which is the true one."""
    return "srt" if case == "srt_named_json" else key.rpartition(".")[2]


def to_json(said: Sequence[Sentence], time: Callable[[int], Any] = str) -> bytes:
    """The json form; `time` writes milliseconds."""
    words, sentences = [], []
    for speaker, start, end, text in said:
        who = {"name": speaker.name, "peer_id": speaker.id}
        sentences.append({"sentence": text, **who, "start_time": time(start), "end_time": time(end)})
        step = (end - start) // len(text.split())
        for number, word in enumerate(text.split()):
            begin = start + number * step
            words.append({"word": word, **who, "start_time": time(begin), "end_time": time(begin + step)})
    return json.dumps({"words": words, "sentences": sentences}, ensure_ascii=False).encode()


def to_srt(said: Sequence[Sentence], end_of_line: str = "\n", hours: str = "02") -> bytes:
    """The srt form."""
    blocks = [
        f"{number}\n{_stamp(start, hours)} --> {_stamp(end, hours)}\n{speaker.name}: {text}\n"
        for number, (speaker, start, end, text) in enumerate(said, 1)
    ]
    return "\n".join(blocks).replace("\n", end_of_line).encode()


def to_txt(said: Sequence[Sentence]) -> bytes:
    """The txt form."""
    return "\n".join(f"{speaker.name}: {text}\n" for speaker, _, _, text in said).encode()


def _stamp(milliseconds: int, hours: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:{hours}}:{seconds // 60 % 60:02}:{seconds % 60:02},{rest:03}"


def _counted(said: Sequence[Sentence], *, words: bool = False) -> Outcome:
    counted = sum(len(sentence.text.split()) for sentence in said) if words else 0
    return loaded(transcripts=1, transcript_segments=len(said), transcript_words=counted)


def _tangled(said: Sequence[Sentence]) -> list[Sentence]:
    """The second sentence opens inside the first, and the third ends before it starts."""
    first, second, third, *rest = said
    middle = (first.start_ms + first.end_ms) // 2
    return [
        first,
        second._replace(start_ms=middle),
        third._replace(start_ms=third.end_ms, end_ms=third.start_ms),
        *rest,
    ]


def _colons(said: Sequence[Sentence]) -> list[Sentence]:
    """What people with a colon in their name said."""
    return [sentence for sentence in said if ":" in sentence.speaker.name]


def _truncated(said: Sequence[Sentence]) -> bytes:
    whole = to_json(said)
    return whole[: whole.rindex(b",", 0, len(whole) * 2 // 3)]  # not inside a character: the fault is the form


CASES: dict[str, Case] = {
    "blank_srt": lambda said: (_SRT, b"", _counted([])),
    "white_srt": lambda said: (_SRT, b"\r\n\n", _counted([])),
    "crlf_srt": lambda said: (_SRT, to_srt(said, "\r\n"), _counted(said)),
    "one_digit_hours": lambda said: (_SRT, to_srt(said, hours="01"), _counted(said)),
    "tangled_srt": lambda said: (_SRT, to_srt(_tangled(said)), _counted(said)),
    "tangled_json": lambda said: (_JSON, to_json(_tangled(said)), _counted(said, words=True)),
    "colon_names_srt": lambda said: (_SRT, to_srt(_colons(said)), _counted(_colons(said))),
    "colon_names_txt": lambda said: (_TXT, to_txt(_colons(said)), _counted(_colons(said))),
    "number_times": lambda said: (_JSON, to_json(said, int), _counted(said, words=True)),
    "srt_named_json": lambda said: (_JSON, to_srt(said), _counted(said)),
    "nameless_json": lambda said: (_NAMELESS, to_json(said), _counted(said, words=True)),
    "bad_json": lambda said: (_JSON, _truncated(said), refused("bad_json")),
    "unexpected_shape": lambda said: (_JSON, b'{"captions": [{"cue": "Hello"}]}', refused("unexpected_shape")),
    "nested_too_deep": lambda said: (
        _JSON,
        b'{"words": ' + b"[" * DEPTH + b"]" * DEPTH + b', "sentences": []}',
        refused("nested_too_deep"),
    ),
}
"""Name of the file, content and outcome, by name of the case."""

DIRTY = tuple(CASES)
