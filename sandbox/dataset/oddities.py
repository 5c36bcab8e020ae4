"""Sessions that show what a bucket alone cannot tell: recordings that the vendor's API names, or holds, or knows not.

They come on top of the usual sessions, in rooms of their own, and are the same few however large the world is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import NamedTuple

from sandbox.dataset.cast import Cast
from sandbox.dataset.ids import hex_id
from sandbox.dataset.model import File, Session
from sandbox.dataset.sessions import FIRST_DAY, meet
from sandbox.dataset.takes import Take

ODD_SESSIONS = 4
"""Sessions of a customer that come on top."""

TEXTS = ("chat", "transcript", "summary")


def _only(*asset_types: str, case: str, is_named: bool = True, lost: str | None = None) -> Callable[[File], File]:
    def change(file: File) -> File:
        if file.asset_type not in asset_types:
            return file
        return file._replace(case=case, is_named=is_named, lost=lost)

    return change


def _without_room(file: File) -> File:
    """Move it to where the key says nothing of room and date."""
    if file.asset_type not in ("transcript", "summary"):
        return file
    *_, folder, name = file.key.split("/")
    return file._replace(key=f"exports/{folder}/{name}", case="no_room", tells="nothing", is_named=False)


CASES: dict[str, Callable[[File], File]] = {
    "unlisted": _only("chat", "room-composite", case="unlisted", is_named=False),
    "key_only": _only("room-composite-legacy", "track", "stream", case="key_only", is_named=False),
    "unknown_room": _only("chat", "room-composite", case="unknown_room", is_named=False, lost="no_session_known"),
    "overlapping_sessions": _only("chat", case="overlapping_sessions", is_named=False, lost="several_sessions"),
    "no_room": _without_room,
    "no_start": _only("transcript", "summary", case="no_start", is_named=False),
    "named_twice": _only("room-composite", case="named_twice"),
    "size_differs": _only("room-composite", "room-vod", case="size_differs"),
    "failed_job": _only("chat", case="failed_job"),
    "held_by_vendor": _only(*TEXTS, case="held_by_vendor"),
}
"""What a case does to the files of a job, which are otherwise without any fault.

By name of the case: `unlisted` files have no record, and room and recorder's start tell the session; `key_only` ones
have the session in their key. A room is unknown, sessions overlap, or the key has no room or no recorder's start: of
those nobody can tell the session. An object is `named_twice`, first by a record that failed; the vendor's
`size_differs`; a `failed_job` has a file after all; the vendor holds what no bucket of the customer does.
"""


class Odd(NamedTuple):
    """A session to be recorded."""

    session: Session
    takes: tuple[Take, ...]
    is_known: bool = True
    """The vendor's API knows session and room."""
    is_held: bool = False
    """The room has no storage of the customer: what is recorded stays with the vendor."""


_PLAIN = (("plain", "plain"),)

_LISTED_OR_NOT = (
    Take("beam", "eight_columns", odd="unlisted"),
    Take("beam", "eight_columns", twin=True, odd="unlisted"),
    Take("sfu", "eight_columns", odd="key_only"),
    Take("archive", None),
    Take("beam", "eight_columns", failed="chat", odd="failed_job"),
    Take("beam", None, failed="empty"),
    Take("beam", None, failed="nowhere"),
    Take("beam", "eight_columns", odd="named_twice"),
    Take("hls-zip", None, odd="size_differs"),
    Take("beam", None, _PLAIN, odd="no_start"),
    Take("beam", None, _PLAIN, odd="no_room"),
)


def hold_oddly(customer: str, cast: Cast, rng: Random) -> Sequence[Odd]:
    """The odd sessions of a customer, and one that the vendor does not know; two of one room overlap."""
    rooms = [(hex_id(FIRST_DAY + timedelta(seconds=rng.randrange(5 * 3600)), rng), name) for name in _ROOMS]

    def held(room: int, day: int, hour: float, minutes: int) -> Session:
        start = FIRST_DAY + timedelta(days=day, hours=hour, milliseconds=rng.randrange(60_000))
        end = start + timedelta(minutes=minutes, milliseconds=rng.randrange(60_000))
        return meet(customer, cast, rooms[room], [cast.moderators[0]], start, end, rng)

    usual = Take("beam", "eight_columns")
    return (
        Odd(held(0, 2, 9, 92), _LISTED_OR_NOT),
        Odd(held(1, 4, 11, 50), (Take("beam", "eight_columns", _PLAIN, odd="held_by_vendor"),), is_held=True),
        Odd(held(2, 6, 14, 60), (usual,)),
        Odd(held(2, 6, 14.5, 60), (Take("beam", "eight_columns", odd="overlapping_sessions"),)),
        Odd(held(3, 9, 16, 40), (Take("beam", "eight_columns", odd="unknown_room"),), is_known=False),
    )


_ROOMS = ("test-bench", "room-without-a-bucket", "open-day", "room-of-another-account")
