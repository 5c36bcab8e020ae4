"""Who met when in which room: sessions with the people in them, before anything was recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from sandbox.dataset.cast import EVERYWHERE, Cast
from sandbox.dataset.ids import hex_id, uuid_text
from sandbox.dataset.model import Message, Peer, Session

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 14

_FIRST_HOUR = 6
_SLOT = timedelta(hours=2)
_SLOTS = 6
"""Two hours apart, so that sessions of a room never overlap and the last files come before the fortnight ends."""
_BEFORE_MIDNIGHT = timedelta(hours=23, minutes=20)


def hold(customer: str, cast: Cast, count: int, rng: Random) -> list[Session]:
    """Spread `count` sessions evenly over the days; the first has no moderator, the second runs past midnight (UTC)."""
    rooms = _rooms(cast, max(1, count // 8), rng)
    taken: set[tuple[int, int, int]] = set()
    sessions = []
    for index in range(count):
        day, slot, room = index * DAYS // count, rng.randrange(_SLOTS), rng.randrange(len(rooms))
        while (day, slot, room) in taken:
            slot, room = rng.randrange(_SLOTS), rng.randrange(len(rooms))
        taken.add((day, slot, room))
        start = timedelta(hours=_FIRST_HOUR) + slot * _SLOT if index != 1 else _BEFORE_MIDNIGHT
        started_at = FIRST_DAY + timedelta(days=day) + start + timedelta(milliseconds=rng.randrange(20 * 60_000))
        ended_at = started_at + timedelta(milliseconds=rng.randrange(45 * 60_000, 95 * 60_000))
        moderators = rng.sample(cast.moderators, min(index, 1))
        sessions.append(meet(customer, cast, rooms[room], moderators, started_at, ended_at, rng))
    return sessions


def meet(
    customer: str,
    cast: Cast,
    room: tuple[str, str],
    moderators: list[str],
    started_at: datetime,
    ended_at: datetime,
    rng: Random,
) -> Session:
    """One session in a room, given by id and name."""
    return Session(
        id=hex_id(started_at, rng),
        customer=customer,
        room_id=room[0],
        room_name=room[1],
        started_at=started_at,
        ended_at=ended_at,
        peers=_people(cast, moderators, started_at, ended_at, rng),
        jobs=(),
    )


def converse(session: Session, cast: Cast, start: datetime, stop: datetime, rng: Random) -> list[Message]:
    """8 to 60 messages between two moments (whole seconds) by peers who are in the session at the time."""
    lines = cast.chat + EVERYWHERE
    first = start.replace(microsecond=0) + timedelta(seconds=10)
    seconds = int((stop - first).total_seconds()) - 2
    messages = []
    for offset in sorted(rng.randrange(seconds) for _ in range(rng.randint(8, 60))):
        sent_at = first + timedelta(seconds=offset)
        present = [peer for peer in session.peers if peer.joined_at <= sent_at < peer.left_at]
        roles = ("host",) if rng.random() < 0.05 else ()
        messages.append(Message(uuid_text(rng), rng.choice(present), roles, sent_at, rng.choice(lines)))
    return messages


def _rooms(cast: Cast, count: int, rng: Random) -> list[tuple[str, str]]:
    """Ids and names of rooms, made in the first hours of the fortnight."""
    rooms = []
    for number in range(count):
        series, index = divmod(number, len(cast.rooms))
        name = cast.rooms[index] + (f"-{series + 1}" if series else "")
        rooms.append((hex_id(FIRST_DAY + timedelta(seconds=rng.randrange(5 * 3600)), rng), name))
    return rooms


def _people(
    cast: Cast, moderators: list[str], started_at: datetime, ended_at: datetime, rng: Random
) -> tuple[Peer, ...]:
    """A host for the whole time, the moderators, two to six guests; now and then the last leaves and comes back."""
    guests = rng.sample(cast.guests, rng.randint(2, 6))
    people = [_peer(cast, rng.choice(cast.hosts), "host", started_at, ended_at, rng)]
    for name in (*moderators, *guests):
        joined_at = started_at + timedelta(milliseconds=rng.randrange(1_000, 180_000))
        left_at = ended_at - timedelta(milliseconds=rng.randrange(120_000))
        people.append(_peer(cast, name, "guest" if name in guests else "moderator", joined_at, left_at, rng))
    if rng.random() < 0.2:
        stay = people.pop()
        gone_at = started_at + (ended_at - started_at) / 2
        gone_at -= timedelta(microseconds=gone_at.microsecond)
        back_at = gone_at + timedelta(milliseconds=rng.randrange(60_000, 180_000))
        people.append(_peer(cast, stay.name, stay.role, stay.joined_at, gone_at, rng))
        people.append(_peer(cast, stay.name, stay.role, back_at, stay.left_at, rng))
    return tuple(sorted(people, key=lambda peer: peer.joined_at))


def _peer(cast: Cast, name: str, role: str, joined_at: datetime, left_at: datetime, rng: Random) -> Peer:
    """A stay; the user id is the same wherever the person appears, and every fourth guest has none."""
    number = (cast.hosts + cast.moderators + cast.guests).index(name)
    user_id = "" if role == "guest" and number % 4 == 3 else f"u-{1000 + number}"
    return Peer(uuid_text(rng), user_id, name, role, joined_at, left_at)
