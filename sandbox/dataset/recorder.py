"""Recorders run through a session; what they write reaches a bucket, and the vendor's API has a record of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from sandbox.dataset import chat, media, oddities, records, speech, summaries
from sandbox.dataset.cast import Cast
from sandbox.dataset.expected import Showcase
from sandbox.dataset.ids import hex_id, uuid_text
from sandbox.dataset.model import Bucket, File, Job, Message, Peer, Section, Sentence, Session, WorldObject
from sandbox.dataset.sessions import converse
from sandbox.dataset.takes import Take
from sandbox.dataset.workspace import Record

_KINDS = {"hls": "live-stream", "hls-zip": "live-stream", "hls-zip-2022": "live-stream", "rtmp": "external-stream"}


@dataclass(slots=True)
class Recorded:
    """What came of one session."""

    session: Session
    objects: list[WorldObject] = field(default_factory=list)
    jobs: list[tuple[Job, Record]] = field(default_factory=list)
    assets: list[Record] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    """Bytes of what the vendor holds, by asset id."""
    told: Showcase | None = None
    """What was written and said in its first take."""


def record(bucket: Bucket, cast: Cast, session: Session, takes: Sequence[Take], rng: Random) -> Recorded:
    """Run the takes one after the other through the session."""
    found = Recorded(session)
    bots: list[Peer] = []
    share = (session.ended_at - session.started_at) // timedelta(milliseconds=len(takes))
    for number, take in enumerate(takes):
        start = session.started_at + timedelta(milliseconds=number * share + rng.randrange(3_000, 9_000))
        stop = session.started_at + timedelta(milliseconds=(number + 1) * share - rng.randrange(2_000, 5_000))
        present = [peer for peer in session.peers if peer.joined_at < stop and start < peer.left_at]
        messages = converse(session, cast, start, stop, rng)
        said = speech.talk(present, cast, (stop - start) // timedelta(milliseconds=1), rng)
        sections = summaries.sum_up(said, cast, rng)
        found.told = found.told or Showcase(session.id, tuple(messages), tuple(said), tuple(sections))
        twins = [replace(take, odd=""), take] if take.twin else [take]
        for delay, one in enumerate(twins):
            job = _job(one, start + timedelta(seconds=3 * delay), stop, rng)
            found.jobs.append((job, records.job(session, job, rng)))
            if one.style != "sfu":
                bots.append(_bot(job, rng))
            if one.failed:
                path = bucket.uri(media.beam_key(session, job)) if one.failed == "nowhere" else ""
                found.assets.append(records.failed(path, session, job, rng))
            for file, written_at in _written(session, job, one, messages, said, sections, rng):
                changed = oddities.CASES[one.odd](file) if one.odd else file
                _put(found, bucket, changed, written_at, job, rng)
    people = sorted((*session.peers, *bots), key=lambda peer: peer.joined_at)
    found.session = replace(session, peers=tuple(people), jobs=tuple(job for job, _ in found.jobs))
    return found


def put(bucket: Bucket, file: File, written_at: datetime, of: tuple[Session, Job] | None = None) -> WorldObject:
    """Put a file into a bucket."""
    evidence, reason = _evidence(file)
    return WorldObject(
        customer=bucket.customer,
        source=bucket.source,
        uri=bucket.uri(file.key),
        key=bucket.place(file.key),
        content=file.content,
        session_id=of[0].id if of else None,
        room_id=of[0].room_id if of else None,
        job_id=of[1].id if of else None,
        asset_type=file.asset_type,
        written_at=written_at,
        case=file.case,
        outcome=file.outcome,
        evidence=evidence,
        reason=reason,
        alone=None if bucket.is_vendors else file.alone or file.outcome,
        tells=file.tells,
    )


def _put(found: Recorded, bucket: Bucket, file: File, written_at: datetime, job: Job, rng: Random) -> None:
    """Put a file where it belongs; of media that the vendor holds there is only the record."""
    named = records.assets(bucket, file, written_at, found.session, job, rng)
    found.assets += named
    if not bucket.is_vendors or file.asset_type in oddities.TEXTS:
        found.objects.append(put(bucket, file, written_at, (found.session, job)))
    if bucket.is_vendors and file.asset_type in oddities.TEXTS:
        found.contents |= {asset["id"]: file.content for asset in named}


def _evidence(file: File) -> tuple[str, str | None]:
    """What tells the session once everything was read, and why nothing does."""
    if file.outcome.disposition == "ignored":
        return "none", None
    if file.is_named:
        return "asset_record", None
    if file.tells == "session":
        return "key", None
    if file.tells == "start":
        return ("none", file.lost) if file.lost else ("time_window", None)
    return "none", "no_recorder_start" if file.tells == "room" else "no_room_in_key"


def _job(take: Take, start: datetime, stop: datetime, rng: Random) -> Job:
    planned = (*media.STYLES[take.style], "chat", *(("transcript", "summary") if take.speech else ()))
    kind, status = _KINDS.get(take.style, "recording"), "failed" if take.failed else "completed"
    return Job(hex_id(start, rng), kind, status, start, stop, planned)


def _bot(job: Job, rng: Random) -> Peer:
    """The recorder, which joins like anybody else under this name and role (vendor documentation)."""
    joined_at, left_at = job.started_at - timedelta(seconds=2), job.stopped_at + timedelta(seconds=1)
    return Peer(uuid_text(rng), f"100ms_{uuid_text(rng)}", "Beam", "__internal_recorder", joined_at, left_at, True)


def _written(
    session: Session,
    job: Job,
    take: Take,
    messages: Sequence[Message],
    said: Sequence[Sentence],
    sections: Sequence[Section],
    rng: Random,
) -> Iterator[tuple[File, datetime]]:
    """The files of a job, and when they are there; of a failed one at most the chat."""
    # Media and chat come together: 16 minutes or more after the job, or 1.5 times its length (vendor documentation).
    wait = (job.stopped_at - job.started_at) * 1.5 if take.style == "sfu" else timedelta(minutes=16)
    written_at = job.stopped_at + wait + timedelta(seconds=rng.randrange(180))
    files = [] if take.failed else media.record(take.style, session, job, rng)
    if take.chat is not None and take.failed in ("", "chat"):
        written = chat.write(take.chat, messages)
        files.append(File(media.chat_key(session, job), "chat", take.chat, *written, tells="start"))
    for file in files:
        yield file, written_at
    if not take.failed:
        yield from _transcribed(session, job, take, said, sections, rng)


def _transcribed(
    session: Session, job: Job, take: Take, said: Sequence[Sentence], sections: Sequence[Section], rng: Random
) -> Iterator[tuple[File, datetime]]:
    """Transcripts and summary, ready after 5 minutes and a fifth of the recording (vendor documentation).

    Where they lie is not documented, so the place is invented.
    """
    for transcript, summary in take.speech:
        asked_at = job.stopped_at + timedelta(seconds=rng.randrange(10, 40))
        folder = f"{session.room_id}/{session.started_at:%Y%m%d}/{hex_id(asked_at, rng)}"
        written_at = asked_at + timedelta(minutes=5) + (job.stopped_at - job.started_at) / 5
        for file in (*speech.write(transcript, said, folder), summaries.write(summary, sections, folder)):
            yield file, written_at
