"""What is recorded in which session: every awkward case is dealt to a session, so that none hangs on chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TypeVar

from sandbox.dataset import chat, speech, summaries

Case = TypeVar("Case")

STYLES = ("beam", "hls", "sfu", "beam", "hls-zip", "beam", "hls", "hls-zip-2022", "beam", "hls", "sfu", "rtmp")
"""How one job after the other records."""

_SPEECH = (*((case, "plain") for case in speech.DIRTY), *(("plain", case) for case in summaries.DIRTY))


@dataclass(frozen=True, slots=True)
class Take:
    """One stretch of a session that is recorded."""

    style: str
    """One of `media.STYLES`."""
    chat: str | None
    """Case of its chat file; None when no file ever came."""
    speech: tuple[tuple[str, str], ...] = ()
    """Cases of transcript and summary, one pair for every time it was transcribed."""
    twin: bool = False
    """A second recorder runs at the same time and writes the same messages."""
    failed: str = ""
    """The job failed, and its asset has an `empty` path or one that leads `nowhere`; or yet the `chat` came."""
    odd: str = ""
    """What is odd about the files of its job, the twin's if it has one: a name in `oddities.CASES`."""


def deal(customer: int, sessions: int) -> list[list[Take]]:
    """Takes for every session of customer 0 or 1; the first session has no awkward case.

    A small world deals half of the cases to either customer, a large one all of them to both.
    """
    chats: list[list[str]] = [[] for _ in range(sessions)]
    talks: list[list[tuple[str, str]]] = [[] for _ in range(sessions)]
    for index, case in _spread(chat.DIRTY, customer, sessions):
        chats[index].append(case)
    for index, pair in _spread(_SPEECH, customer, sessions):
        talks[index].append(pair)
    for index in range(0, sessions, 3):
        talks[index].append(("plain", "top_level_summary" if index % 2 else "plain"))
    styles = cycle(STYLES)
    takes = []
    for index, (cases, pairs) in enumerate(zip(chats, talks, strict=True)):
        files: list[str | None] = [*cases] or [None if index % 12 == 7 else "eight_columns"]
        files += ["eight_columns"] * (index % 10 == 4)
        count = len(files)
        session = [
            Take(style, file, tuple(pairs[number::count]))
            for number, (style, file) in enumerate(zip(islice(styles, count), files, strict=True))
        ]
        if index % 20 == 2:
            session.append(Take("beam", "eight_columns", twin=True))
        if index % 40 == 2:
            session.append(Take("beam", "eight_columns", failed="empty"))
        takes.append(session)
    return takes


def _spread(cases: Sequence[Case], customer: int, sessions: int) -> list[tuple[int, Case]]:
    """Deal the customer's share of the cases evenly over its sessions but the first."""
    mine = [*cases[customer::2]]
    if sessions >= 2 * len(cases):
        mine += cases[1 - customer :: 2]
    return [(1 + number * (sessions - 1) // len(mine), case) for number, case in enumerate(mine)]
