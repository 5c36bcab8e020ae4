"""Sessions whose recordings a bucket alone cannot explain: with API records that differ, or without any record.

Every dataset has the same few of them, in rooms of their own, in addition to the regular sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import NamedTuple

from sandbox.dataset.ids import hex_id
from sandbox.dataset.model import File, Session
from sandbox.dataset.recording_plan import Recording
from sandbox.dataset.sample_texts import SampleTexts
from sandbox.dataset.sessions import FIRST_DAY, new_session

EDGE_CASE_SESSIONS = 4
"""Additional sessions of a customer that the API knows."""

TEXTS = ("chat", "transcript", "summary")


def _change(*asset_types: str, case: str, has_record: bool = True, unresolved: str = "") -> Callable[[File], File]:
    def apply(file: File) -> File:
        if file.asset_type not in asset_types:
            return file
        return file._replace(case=case, has_record=has_record and not unresolved, unresolved_reason=unresolved or None)

    return apply


def _without_room(file: File) -> File:
    """Give the file a key without room and date."""
    if file.asset_type not in ("transcript", "summary"):
        return file
    *_, folder, name = file.key.split("/")
    return file._replace(key=f"exports/{folder}/{name}", case="no_room", key_identifies="nothing", has_record=False)


CASES: dict[str, Callable[[File], File]] = {
    "unlisted": _change("chat", "room-composite", case="unlisted", has_record=False),
    "key_only": _change("room-composite-legacy", "track", "stream", case="key_only", has_record=False),
    "unknown_room": _change("chat", "room-composite", case="unknown_room", unresolved="no_session_known"),
    "overlapping_sessions": _change("chat", case="overlapping_sessions", unresolved="several_sessions"),
    "no_room": _without_room,
    "no_start": _change("transcript", "summary", case="no_start", has_record=False),
    "named_twice": _change("room-composite", case="named_twice"),
    "size_differs": _change("room-composite", "room-vod", case="size_differs"),
    "failed_job": _change("chat", case="failed_job"),
    "stored_by_vendor": _change(*TEXTS, case="stored_by_vendor"),
}
"""How a case changes the files of a job, which otherwise have no errors.

`unlisted` and `key_only` files have no record: the room and the recorder's start, or the key, identify the session. The
session stays unresolved if the room is unknown, sessions overlap, or the key has no room or no recorder's start.
`named_twice`: two records name one object, and the first one failed. `size_differs`: the size in the record is wrong.
`failed_job`: a failed job has a file. `stored_by_vendor`: only 100ms stores the file.
"""


class EdgeCaseSession(NamedTuple):
    """A session with its planned recordings."""

    session: Session
    plan: tuple[Recording, ...]
    in_api: bool = True
    """The API has records of the session and its room."""
    is_stored_by_vendor: bool = False
    """The room has no customer storage: only 100ms stores its recordings."""


_PLAIN = (("plain", "plain"),)

_RECORDS_DIFFER = (
    Recording("beam", "eight_columns", edge_case="unlisted"),
    Recording("beam", "eight_columns", second_recorder=True, edge_case="unlisted"),
    Recording("sfu", "eight_columns", edge_case="key_only"),
    Recording("archive", None),
    Recording("beam", "eight_columns", failed="chat", edge_case="failed_job"),
    Recording("beam", None, failed="empty"),
    Recording("beam", None, failed="nowhere"),
    Recording("beam", "eight_columns", edge_case="named_twice"),
    Recording("hls-zip", None, edge_case="size_differs"),
    Recording("beam", None, _PLAIN, edge_case="no_start"),
    Recording("beam", None, _PLAIN, edge_case="no_room"),
)


def edge_case_sessions(customer: str, texts: SampleTexts, rng: Random) -> Sequence[EdgeCaseSession]:
    """The edge-case sessions of a customer; two of one room overlap, and the API does not know the last one."""
    rooms = [(hex_id(FIRST_DAY + timedelta(seconds=rng.randrange(5 * 3600)), rng), name) for name in _ROOMS]

    def session(room: int, day: int, hour: float, minutes: int) -> Session:
        start = FIRST_DAY + timedelta(days=day, hours=hour, milliseconds=rng.randrange(60_000))
        end = start + timedelta(minutes=minutes, milliseconds=rng.randrange(60_000))
        return new_session(customer, texts, rooms[room], [texts.moderators[0]], start, end, rng)

    def beam(edge_case: str = "", *transcriptions: tuple[str, str]) -> tuple[Recording]:
        return (Recording("beam", "eight_columns", transcriptions, edge_case=edge_case),)

    return (
        EdgeCaseSession(session(0, 2, 9, 92), _RECORDS_DIFFER),
        EdgeCaseSession(session(1, 4, 11, 50), beam("stored_by_vendor", *_PLAIN), is_stored_by_vendor=True),
        EdgeCaseSession(session(2, 6, 14, 60), beam()),
        EdgeCaseSession(session(2, 6, 14.5, 60), beam("overlapping_sessions")),
        EdgeCaseSession(session(3, 9, 16, 40), beam("unknown_room"), in_api=False),
    )


_ROOMS = ("test-bench", "room-without-a-bucket", "open-day", "room-of-another-account")
