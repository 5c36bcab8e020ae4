"""The world put together: sessions are held, recorders run in them, and files of theirs reach the buckets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from demo.world import chat, media, speech, summaries
from demo.world.cast import AURORA, BOREALIS, Cast
from demo.world.ids import hex_id, uuid_text
from demo.world.model import (
    Bucket,
    File,
    Job,
    Message,
    Peer,
    Section,
    Sentence,
    Session,
    Showcase,
    World,
    WorldObject,
    expect,
)
from demo.world.sessions import FIRST_DAY, converse, hold
from demo.world.takes import Take, deal

MINIMUM_SESSIONS = 6
"""Fewer sessions cannot take all the awkward cases."""


def generate(seed: int = 100, sessions: int = 220) -> World:
    """Make the world of this seed; raises ValueError for fewer sessions than `MINIMUM_SESSIONS`."""
    if sessions < MINIMUM_SESSIONS:
        raise ValueError(f"a world needs at least {MINIMUM_SESSIONS} sessions to hold every case, not {sessions}")
    rng = Random(seed)
    buckets = (
        Bucket("aurora-academy", "aurora-s3", hex_id(FIRST_DAY, rng), "s3", "aurora-academy-recordings", "live/eu"),
        Bucket("borealis-clinic", "borealis-gcs", hex_id(FIRST_DAY, rng), "gs", "borealis-clinic-calls", "chat"),
    )
    recorded: list[_Recorded] = []
    objects: list[WorldObject] = []
    for number, (bucket, cast) in enumerate(zip(buckets, (AURORA, BOREALIS), strict=True)):
        held = hold(bucket.customer, cast, (sessions + 1 - number) // 2, rng)
        takes = deal(number, len(held))
        recorded += [_record(bucket, cast, session, take, rng) for session, take in zip(held, takes, strict=True)]
        objects += [_put(bucket, file, FIRST_DAY) for file in media.foreign()]
    for each in recorded:
        objects += each.objects
    objects.sort(key=lambda thing: (thing.written_at, thing.uri))
    held = sorted((each.session for each in recorded), key=lambda session: (session.started_at, session.id))
    return World(buckets, tuple(held), tuple(objects), expect(objects, recorded[0].told))


class _Recorded(NamedTuple):
    session: Session
    objects: list[WorldObject]
    told: Showcase
    """What was written and said in its first take."""


def _record(bucket: Bucket, cast: Cast, session: Session, takes: Sequence[Take], rng: Random) -> _Recorded:
    """Run the takes one after the other through the session."""
    jobs: list[Job] = []
    bots: list[Peer] = []
    objects: list[WorldObject] = []
    told: Showcase | None = None
    share = (session.ended_at - session.started_at) // timedelta(milliseconds=len(takes))
    for number, take in enumerate(takes):
        start = session.started_at + timedelta(milliseconds=number * share + rng.randrange(3_000, 9_000))
        stop = session.started_at + timedelta(milliseconds=(number + 1) * share - rng.randrange(2_000, 5_000))
        present = [peer for peer in session.peers if peer.joined_at < stop and start < peer.left_at]
        messages = converse(session, cast, start, stop, rng)
        said = speech.talk(present, cast, (stop - start) // timedelta(milliseconds=1), rng)
        sections = summaries.sum_up(said, cast, rng)
        told = told or Showcase(session.id, tuple(messages), tuple(said), tuple(sections))
        for delay in (0, 3) if take.twin else (0,):
            job = _job(take, start + timedelta(seconds=delay), stop, rng)
            jobs.append(job)
            if take.style != "sfu":
                bots.append(_bot(job, rng))
            if not take.failed:
                objects += _media_and_chat(bucket, session, job, take, messages, rng)
                objects += _transcribed(bucket, session, job, take, said, sections, rng)
    assert told is not None
    people = sorted((*session.peers, *bots), key=lambda peer: peer.joined_at)
    return _Recorded(replace(session, peers=tuple(people), jobs=tuple(jobs)), objects, told)


def _job(take: Take, start: datetime, stop: datetime, rng: Random) -> Job:
    kind = "live-stream" if take.style.startswith("hls") else "recording"
    planned = (*media.STYLES[take.style], "chat", *(("transcript", "summary") if take.speech else ()))
    return Job(hex_id(start, rng), kind, "failed" if take.failed else "completed", start, stop, planned)


def _bot(job: Job, rng: Random) -> Peer:
    """The recorder, which joins like anybody else under this name and role (vendor documentation)."""
    joined_at, left_at = job.started_at - timedelta(seconds=2), job.stopped_at + timedelta(seconds=1)
    return Peer(uuid_text(rng), f"100ms_{uuid_text(rng)}", "Beam", "__internal_recorder", joined_at, left_at, True)


def _media_and_chat(
    bucket: Bucket, session: Session, job: Job, take: Take, messages: Sequence[Message], rng: Random
) -> Iterator[WorldObject]:
    """They come together: 16 minutes or more after the job, or 1.5 times its length (vendor documentation)."""
    wait = (job.stopped_at - job.started_at) * 1.5 if take.style == "sfu" else timedelta(minutes=16)
    written_at = job.stopped_at + wait + timedelta(seconds=rng.randrange(180))
    files = media.record(take.style, session, job, rng)
    if take.chat is not None:
        key = media.chat_key(session, job)
        files.append(File(key, "chat", take.chat, *chat.write(take.chat, messages)))
    for file in files:
        yield _put(bucket, file, written_at, session, job)


def _transcribed(
    bucket: Bucket,
    session: Session,
    job: Job,
    take: Take,
    said: Sequence[Sentence],
    sections: Sequence[Section],
    rng: Random,
) -> Iterator[WorldObject]:
    """Transcripts and summary, ready after 5 minutes and a fifth of the recording (vendor documentation).

    Where they lie is not documented, so the place is invented.
    """
    for transcript, summary in take.speech:
        asked_at = job.stopped_at + timedelta(seconds=rng.randrange(10, 40))
        folder = f"{session.room_id}/{session.started_at:%Y%m%d}/{hex_id(asked_at, rng)}"
        written_at = asked_at + timedelta(minutes=5) + (job.stopped_at - job.started_at) / 5
        for file in (*speech.write(transcript, said, folder), summaries.write(summary, sections, folder)):
            yield _put(bucket, file, written_at, session, job)


def _put(
    bucket: Bucket, file: File, written_at: datetime, session: Session | None = None, job: Job | None = None
) -> WorldObject:
    key = f"{bucket.prefix}/{file.key}".removeprefix("/")
    return WorldObject(
        customer=bucket.customer,
        source=bucket.source,
        uri=f"{bucket.scheme}://{bucket.name}/{key}",
        key=key,
        content=file.content,
        session_id=session.id if session else None,
        room_id=session.room_id if session else None,
        job_id=job.id if job else None,
        asset_type=file.asset_type,
        written_at=written_at,
        case=file.case,
        outcome=file.outcome,
    )
