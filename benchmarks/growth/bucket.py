"""An invented bucket of any size, without files: its listing, the contents of its texts, and the vendor's records.

Objects have numbers. Ten in a row are the recordings of one session: chat, composite, transcript, summary and six
tracks; the objects from MEDIA_ONLY on are tracks alone. A room has ten sessions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import md5
from itertools import chain, islice

from roomledger.hundredms import records
from roomledger.ledger.vendor_records import Record
from roomledger.model import Observation
from roomledger.settings import BucketSource, WorkspaceSource
from roomledger.stores import PAGE_OBJECTS

SOURCE = BucketSource(name="growth", customer="Growth", url="s3://growth-recordings/live/eu")
OTHER = BucketSource(name="growth-other", customer="Growth", url="s3://growth-other/live/eu")
WORKSPACE = WorkspaceSource(name="growth-100ms", customer="Growth", url="100ms://growth")
MEDIA_ONLY = 1_000_000_000
"""Number of the first object in the part of the bucket that has no texts."""

_PER_SESSION = 10
_START = datetime(2026, 1, 1, 9, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_WORDS = ["Good", "morning", "to", "all", "of", "you"]


class Bucket:
    """A store of numbered objects: listing, contents and nothing else of `Store`."""

    def __init__(self, *numbers: range, url: str = SOURCE.url) -> None:
        self.url = url
        self._numbers = numbers

    def list(self) -> Iterator[list[Observation]]:
        """See `Store.list`."""
        objects = (observation(number, self.url) for number in chain(*self._numbers))
        while page := list(islice(objects, PAGE_OBJECTS)):
            yield page

    def stat(self, uri: str) -> Observation | None:
        """See `Store.stat`; no step that is measured asks for it, and a new one that does must not measure nothing."""
        raise NotImplementedError

    def read(self, seen: Observation) -> Iterator[bytes]:
        """See `Store.read`; media are not read."""
        yield _content(seen.uri)


def observation(number: int, url: str = SOURCE.url) -> Observation:
    """What a listing shows of this object."""
    session, place = divmod(number, _PER_SESSION)
    room, day, epoch, session_id, ended = _recorded(session)
    match place if number < MEDIA_ONLY else None:
        case 0:
            key = f"chat/{room}/{day}/Rec-{room}-{epoch}.csv"
        case 1:
            key = f"beam/{room}/{day}/Rec-{room}-{epoch}.mp4"
        case 2:
            key = f"transcripts/{room}/{day}/{session}/transcript.json"
        case 3:
            key = f"transcripts/{room}/{day}/{session}/summary.json"
        case _:
            key = f"{room}/{day}/{session_id}/p{place:023x}/s{place:023x}/t{number:023x}.webm"
    tag = md5(number.to_bytes(8, "big"), usedforsecurity=False).hexdigest()
    return Observation(f"{url}/{key}", tag, ended + place * _SECOND, 100 + number % 1000, tag)


@lru_cache(maxsize=1)
def _recorded(session: int) -> tuple[str, str, str, str, datetime]:
    """Room, date and start in the keys of a session, its id, and when its objects were written."""
    began = _began(session)
    epoch = f"{began.timestamp() * 1000:.0f}"
    return _room(session), f"{began:%Y%m%d}", epoch, _session(session), began + timedelta(minutes=45)


def _content(uri: str) -> bytes:
    name = uri.rpartition("/")[2]
    if name == "transcript.json":
        who = {"name": "Nell", "peer_id": "p-nell"}
        sentences = [
            {"sentence": " ".join(_WORDS), **who, "start_time": str(1000 * n), "end_time": str(1000 * n + 900)}
            for n in range(3)
        ]
        words = [
            {"word": word, **who, "start_time": str(1000 * n + 100 * m), "end_time": str(1000 * n + 100 * m + 90)}
            for n in range(3)
            for m, word in enumerate(_WORDS)
        ]
        return json.dumps({"words": words, "sentences": sentences}).encode()
    if name == "summary.json":
        section = {"title": "In short", "format": "bullets", "bullets": ["The first point.", "The second point."]}
        return json.dumps({"summary": {"sections": [section]}}).encode()
    rows = (
        f"p{n},Nell Brook,u-{n},[],2026-01-01T09:00:{n:02}Z,chat,Message {n} of {name},{name}-{n}" for n in range(4)
    )
    return "\n".join(("SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID", *rows)).encode()


def vendor_records(numbers: Iterable[int]) -> Iterator[Record]:
    """Give the vendor's record of each of these objects, and before the first of a session the session and its job."""
    known = -1
    for number in numbers:
        session = number // _PER_SESSION
        if session != known:
            yield from _session_records(session)
            known = session
        yield asset_record(number, _session(session))


def _session_records(session: int) -> Iterator[Record]:
    began, ended = _text(_began(session)), _text(_began(session) + timedelta(minutes=40))
    common = {"room_id": _room(session), "created_at": began, "updated_at": ended}
    yield records.session({"id": _session(session), "active": False, "peers": {}} | common)[0]
    job = {"id": _job(session), "session_id": _session(session), "status": "completed", "asset_types": ["chat"]}
    yield records.recording(job | common | {"started_at": began, "stopped_at": ended}, "recording")[0]


def asset_record(number: int, session_id: str) -> Record:
    """Give the vendor's record that assigns this object to a session."""
    seen = observation(number)
    session, place = divmod(number, _PER_SESSION)
    return records.asset(
        {
            "id": f"a{number:023x}",
            "job_id": _job(session),
            "room_id": _room(session),
            "session_id": session_id,
            "type": ("chat", "room-composite", "transcript", "summary", *["track"] * 6)[place],
            "path": seen.uri,
            "thumbnails": None,
            "metadata": {},
            "duration": 2400,
            "size": seen.size_bytes,
            "status": "completed",
            "created_at": _text(seen.modified_at),
        }
    )


def chats(objects: int, most: int) -> Sequence[int]:
    """Give the numbers of at most so many chats, evenly spread over the first `objects` objects."""
    numbers = range(0, objects, _PER_SESSION)
    return numbers[:: max(1, len(numbers) // most)][:most]


def _began(session: int) -> datetime:
    return _START + timedelta(minutes=session % 500_000)


def _room(session: int) -> str:
    return f"6{session // 10:023x}"


def _session(session: int) -> str:
    return f"7{session:023x}"


def _job(session: int) -> str:
    return f"8{session:023x}"


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
