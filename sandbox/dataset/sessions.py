"""Sessions with their peers and chat messages, before anything is recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from sandbox.dataset.ids import hex_id, uuid_text
from sandbox.dataset.model import Message, Peer, Session
from sandbox.dataset.sample_texts import SHARED_CHAT, SampleTexts

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 14

_FIRST_HOUR = 6
_SLOT = timedelta(hours=2)
_SLOTS = 6
"""Two hours apart: sessions of a room never overlap, and the last files are written before the two weeks end."""
_BEFORE_MIDNIGHT = timedelta(hours=23, minutes=20)


def generate_sessions(customer: str, texts: SampleTexts, count: int, rng: Random) -> list[Session]:
    """Spread `count` sessions evenly over the days. The first has no moderator, the second runs past midnight (UTC)."""
    rooms = _rooms(texts, max(1, count // 8), rng)
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
        moderators = rng.sample(texts.moderators, min(index, 1))
        sessions.append(new_session(customer, texts, rooms[room], moderators, started_at, ended_at, rng))
    return sessions


def new_session(
    customer: str,
    texts: SampleTexts,
    room: tuple[str, str],
    moderators: list[str],
    started_at: datetime,
    ended_at: datetime,
    rng: Random,
) -> Session:
    """One session in a room; `room` is its id and name."""
    return Session(
        id=hex_id(started_at, rng),
        customer=customer,
        room_id=room[0],
        room_name=room[1],
        started_at=started_at,
        ended_at=ended_at,
        peers=_people(texts, moderators, started_at, ended_at, rng),
        jobs=(),
    )


def generate_messages(
    session: Session, texts: SampleTexts, start: datetime, stop: datetime, rng: Random
) -> list[Message]:
    """8 to 60 messages between `start` and `stop`, in whole seconds, by peers who are in the session at that time."""
    lines = texts.chat + SHARED_CHAT
    first = start.replace(microsecond=0) + timedelta(seconds=10)
    seconds = int((stop - first).total_seconds()) - 2
    messages = []
    for offset in sorted(rng.randrange(seconds) for _ in range(rng.randint(8, 60))):
        sent_at = first + timedelta(seconds=offset)
        present = [peer for peer in session.peers if peer.joined_at <= sent_at < peer.left_at]
        roles = ("host",) if rng.random() < 0.05 else ()
        messages.append(Message(uuid_text(rng), rng.choice(present), roles, sent_at, rng.choice(lines)))
    return messages


def _rooms(texts: SampleTexts, count: int, rng: Random) -> list[tuple[str, str]]:
    """Ids and names of rooms that were created in the first hours of the first day."""
    rooms = []
    for number in range(count):
        repetition, index = divmod(number, len(texts.rooms))
        name = texts.rooms[index] + (f"-{repetition + 1}" if repetition else "")
        rooms.append((hex_id(FIRST_DAY + timedelta(seconds=rng.randrange(5 * 3600)), rng), name))
    return rooms


def _people(
    texts: SampleTexts, moderators: list[str], started_at: datetime, ended_at: datetime, rng: Random
) -> tuple[Peer, ...]:
    """A host for the whole time, the moderators, two to six guests; sometimes the last one leaves and joins again."""
    guests = rng.sample(texts.guests, rng.randint(2, 6))
    people = [_peer(texts, rng.choice(texts.hosts), "host", started_at, ended_at, rng)]
    for name in (*moderators, *guests):
        joined_at = started_at + timedelta(milliseconds=rng.randrange(1_000, 180_000))
        left_at = ended_at - timedelta(milliseconds=rng.randrange(120_000))
        people.append(_peer(texts, name, "guest" if name in guests else "moderator", joined_at, left_at, rng))
    if rng.random() < 0.2:
        stay = people.pop()
        left_at = started_at + (ended_at - started_at) / 2
        left_at -= timedelta(microseconds=left_at.microsecond)
        rejoined_at = left_at + timedelta(milliseconds=rng.randrange(60_000, 180_000))
        people.append(_peer(texts, stay.name, stay.role, stay.joined_at, left_at, rng))
        people.append(_peer(texts, stay.name, stay.role, rejoined_at, stay.left_at, rng))
    return tuple(sorted(people, key=lambda peer: peer.joined_at))


def _peer(texts: SampleTexts, name: str, role: str, joined_at: datetime, left_at: datetime, rng: Random) -> Peer:
    """A stay. A person has the same user id in all sessions; every fourth guest has none."""
    number = (texts.hosts + texts.moderators + texts.guests).index(name)
    user_id = "" if role == "guest" and number % 4 == 3 else f"u-{1000 + number}"
    return Peer(uuid_text(rng), user_id, name, role, joined_at, left_at)
