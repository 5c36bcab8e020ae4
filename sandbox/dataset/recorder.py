"""Recorders run through a session: they write files into a bucket, and the API gets records of jobs and assets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from sandbox.dataset import api_records, chat, edge_cases, media, summaries, transcripts
from sandbox.dataset.expected import Conversation
from sandbox.dataset.ids import hex_id, uuid_text
from sandbox.dataset.model import Bucket, DatasetObject, File, Job, Peer, Session
from sandbox.dataset.recording_plan import Recording
from sandbox.dataset.sample_texts import SampleTexts
from sandbox.dataset.sessions import generate_messages
from sandbox.dataset.workspace import Record

_KINDS = {"hls": "live-stream", "hls-zip": "live-stream", "hls-zip-2022": "live-stream", "rtmp": "external-stream"}


@dataclass(slots=True)
class RecordedSession:
    """A session with its jobs, objects and API records."""

    session: Session
    objects: list[DatasetObject] = field(default_factory=list)
    jobs: list[tuple[Job, Record]] = field(default_factory=list)
    assets: list[Record] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    """Bytes that only 100ms stores, by asset id."""
    showcase: Conversation | None = None
    """Messages, sentences and summary of its first recording."""


def record_session(
    bucket: Bucket, texts: SampleTexts, session: Session, plan: Sequence[Recording], rng: Random
) -> RecordedSession:
    """Run the planned recordings one after the other through the session."""
    recorded = RecordedSession(session)
    bots: list[Peer] = []
    share = (session.ended_at - session.started_at) // timedelta(milliseconds=len(plan))
    for number, planned in enumerate(plan):
        start = session.started_at + timedelta(milliseconds=number * share + rng.randrange(3_000, 9_000))
        stop = session.started_at + timedelta(milliseconds=(number + 1) * share - rng.randrange(2_000, 5_000))
        present = [peer for peer in session.peers if peer.joined_at < stop and start < peer.left_at]
        messages = generate_messages(session, texts, start, stop, rng)
        sentences = transcripts.generate_sentences(present, texts, (stop - start) // timedelta(milliseconds=1), rng)
        sections = summaries.generate_sections(sentences, texts, rng)
        conversation = Conversation(session.id, tuple(messages), tuple(sentences), tuple(sections))
        recorded.showcase = recorded.showcase or conversation
        recorders = [replace(planned, edge_case=""), planned] if planned.second_recorder else [planned]
        for delay, recording in enumerate(recorders):
            job = _job(recording, start + timedelta(seconds=3 * delay), stop, rng)
            recorded.jobs.append((job, api_records.job_record(session, job, rng)))
            if recording.style != "sfu":
                bots.append(_bot(job, rng))
            if recording.failed:
                path = bucket.uri(media.beam_key(session, job)) if recording.failed == "nowhere" else ""
                recorded.assets.append(api_records.failed_asset_record(path, session, job, rng))
            for file, written_at in _files(session, job, recording, conversation, rng):
                changed = edge_cases.CASES[recording.edge_case](file) if recording.edge_case else file
                _store(recorded, bucket, changed, written_at, job, rng)
    people = sorted((*session.peers, *bots), key=lambda peer: peer.joined_at)
    recorded.session = replace(session, peers=tuple(people), jobs=tuple(job for job, _ in recorded.jobs))
    return recorded


def to_object(
    bucket: Bucket, file: File, written_at: datetime, made_by: tuple[Session, Job] | None = None
) -> DatasetObject:
    """The file as an object in a bucket."""
    evidence, unresolved_reason = _evidence(file)
    return DatasetObject(
        customer=bucket.customer,
        source=bucket.source,
        uri=bucket.uri(file.key),
        key=bucket.full_key(file.key),
        content=file.content,
        session_id=made_by[0].id if made_by else None,
        room_id=made_by[0].room_id if made_by else None,
        job_id=made_by[1].id if made_by else None,
        asset_type=file.asset_type,
        written_at=written_at,
        case=file.case,
        outcome=file.outcome,
        evidence=evidence,
        unresolved_reason=unresolved_reason,
        outcome_without_api=None if bucket.is_vendor_storage else file.outcome_without_api or file.outcome,
        key_identifies=file.key_identifies,
    )


def _store(recorded: RecordedSession, bucket: Bucket, file: File, written_at: datetime, job: Job, rng: Random) -> None:
    """Store a file in its bucket with its records; media that only 100ms stores have only records."""
    assets = api_records.asset_records(bucket, file, written_at, recorded.session, job, rng)
    recorded.assets += assets
    if not bucket.is_vendor_storage or file.asset_type in edge_cases.TEXTS:
        recorded.objects.append(to_object(bucket, file, written_at, (recorded.session, job)))
    if bucket.is_vendor_storage and file.asset_type in edge_cases.TEXTS:
        recorded.contents |= {asset["id"]: file.content for asset in assets}


def _evidence(file: File) -> tuple[str, str | None]:
    """Final session evidence of the file, or the reason why there is none."""
    if file.outcome.disposition == "ignored":
        return "none", None
    if file.has_record:
        return "asset_record", None
    if file.key_identifies == "session":
        return "key", None
    if file.key_identifies == "start":
        return ("none", file.unresolved_reason) if file.unresolved_reason else ("time_window", None)
    return "none", "no_recorder_start" if file.key_identifies == "room" else "no_room_in_key"


def _job(recording: Recording, start: datetime, stop: datetime, rng: Random) -> Job:
    texts = ("transcript", "summary") if recording.transcriptions else ()
    planned = (*media.STYLES[recording.style], "chat", *texts)
    kind, status = _KINDS.get(recording.style, "recording"), "failed" if recording.failed else "completed"
    return Job(hex_id(start, rng), kind, status, start, stop, planned)


def _bot(job: Job, rng: Random) -> Peer:
    """The recorder, which joins as a peer with this name and role (vendor documentation)."""
    joined_at, left_at = job.started_at - timedelta(seconds=2), job.stopped_at + timedelta(seconds=1)
    return Peer(uuid_text(rng), f"100ms_{uuid_text(rng)}", "Beam", "__internal_recorder", joined_at, left_at, True)


def _files(
    session: Session, job: Job, recording: Recording, conversation: Conversation, rng: Random
) -> Iterator[tuple[File, datetime]]:
    """The files of a job and the times when they are written; a failed job has at most a chat file."""
    # Media and chat are written together, 16 minutes after the job, or 1.5 times its length (vendor documentation).
    wait = (job.stopped_at - job.started_at) * 1.5 if recording.style == "sfu" else timedelta(minutes=16)
    written_at = job.stopped_at + wait + timedelta(seconds=rng.randrange(180))
    files = [] if recording.failed else media.media_files(recording.style, session, job, rng)
    if recording.chat is not None and recording.failed in ("", "chat"):
        chat_file = chat.write(recording.chat, conversation.chat)
        files.append(File(media.chat_key(session, job), "chat", recording.chat, *chat_file, key_identifies="start"))
    for file in files:
        yield file, written_at
    if not recording.failed:
        yield from _transcriptions(session, job, recording, conversation, rng)


def _transcriptions(
    session: Session, job: Job, recording: Recording, conversation: Conversation, rng: Random
) -> Iterator[tuple[File, datetime]]:
    """Transcripts and summaries, written after 5 minutes and a fifth of the recording (vendor documentation).

    Their keys are not documented, so they are invented.
    """
    for transcript, summary in recording.transcriptions:
        requested_at = job.stopped_at + timedelta(seconds=rng.randrange(10, 40))
        folder = f"{session.room_id}/{session.started_at:%Y%m%d}/{hex_id(requested_at, rng)}"
        written_at = requested_at + timedelta(minutes=5) + (job.stopped_at - job.started_at) / 5
        files = transcripts.write(transcript, conversation.transcript, folder)
        for file in (*files, summaries.write(summary, conversation.summary, folder)):
            yield file, written_at
