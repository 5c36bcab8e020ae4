"""The recordings of each session: every edge case is assigned to a session, so that none depends on chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TypeVar

from sandbox.dataset import chat, summaries, transcripts

Case = TypeVar("Case")

STYLES = ("beam", "hls", "sfu", "beam", "hls-zip", "beam", "hls", "hls-zip-2022", "beam", "hls", "sfu", "rtmp")
"""Recording styles of successive jobs."""

_TRANSCRIPTIONS = (*((case, "plain") for case in transcripts.DIRTY), *(("plain", case) for case in summaries.DIRTY))


@dataclass(frozen=True, slots=True)
class Recording:
    """A planned recording of one part of a session."""

    style: str
    """One of `media.STYLES`."""
    chat: str | None
    """Case of its chat file; None for no file."""
    transcriptions: tuple[tuple[str, str], ...] = ()
    """Cases of transcript and summary, one pair for each transcription."""
    second_recorder: bool = False
    """A second recorder runs at the same time and writes the same messages."""
    failed: str = ""
    """The job failed: its asset has an `empty` path or a path to `nowhere`, or only its `chat` was written."""
    edge_case: str = ""
    """Edge case of the job's files, or of the second recorder's if there is one: a name in `edge_cases.CASES`."""


def plan_recordings(customer: int, sessions: int) -> list[list[Recording]]:
    """Plan the recordings of every session of customer 0 or 1; the first session has no edge case.

    In a small dataset each customer gets half of the cases, in a large one all of them.
    """
    chats: list[list[str]] = [[] for _ in range(sessions)]
    transcriptions: list[list[tuple[str, str]]] = [[] for _ in range(sessions)]
    for index, case in _spread(chat.DIRTY, customer, sessions):
        chats[index].append(case)
    for index, pair in _spread(_TRANSCRIPTIONS, customer, sessions):
        transcriptions[index].append(pair)
    for index in range(0, sessions, 3):
        transcriptions[index].append(("plain", "top_level_summary" if index % 2 else "plain"))
    styles = cycle(STYLES)
    plans = []
    for index, (cases, pairs) in enumerate(zip(chats, transcriptions, strict=True)):
        files: list[str | None] = [*cases] or [None if index % 12 == 7 else "eight_columns"]
        files += ["eight_columns"] * (index % 10 == 4)
        count = len(files)
        session = [
            Recording(style, file, tuple(pairs[number::count]))
            for number, (style, file) in enumerate(zip(islice(styles, count), files, strict=True))
        ]
        if index % 20 == 2:
            session.append(Recording("beam", "eight_columns", second_recorder=True))
        if index % 40 == 2:
            session.append(Recording("beam", "eight_columns", failed="empty"))
        plans.append(session)
    return plans


def _spread(cases: Sequence[Case], customer: int, sessions: int) -> list[tuple[int, Case]]:
    """Spread the customer's share of the cases evenly over all its sessions except the first."""
    mine = [*cases[customer::2]]
    if sessions >= 2 * len(cases):
        mine += cases[1 - customer :: 2]
    return [(1 + number * (sessions - 1) // len(mine), case) for number, case in enumerate(mine)]
