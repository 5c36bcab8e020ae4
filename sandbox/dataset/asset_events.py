"""Webhook events of tracks, streams, transcripts and summaries: each reports one file or one transcription.

The event type of a failed track is `success`, the duration of a track is a string, and the kind of a stream has two
field names (vendor documentation).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import zip_longest

from sandbox.dataset.event_fields import (
    Event,
    RecordedJob,
    SessionFields,
    completed_at,
    file_location,
    invented_id,
    invented_uuid,
    moment,
)
from sandbox.dataset.workspace import Record

_FAILED_BEFORE = timedelta(minutes=4)
_REQUESTED_AFTER = timedelta(seconds=10)


def asset_events(session: SessionFields, job: RecordedJob) -> Iterator[Event]:
    """Events of the assets of a job that the recorder's events do not report."""
    yield from _tracks(session, job)
    yield from _streams(session, job)
    yield from _transcriptions(session, job)


def _tracks(session: SessionFields, job: RecordedJob) -> Iterator[Event]:
    """Tracks; the first track of a job fails once before it succeeds, in an event of type `success`."""
    for number, asset in enumerate(job.assets("track")):
        data = session.ids | asset["metadata"]
        yield Event(moment(job.record["started_at"]), "track.recording.started.success", asset["id"], data)
        data = data | {"recording_id": job.recording_id}
        if number == 0:
            error = {"recording_path": asset["path"], "size": 0, "error_message": "INTERNAL_ERROR"}
            failed_at, subject = completed_at([asset]) - _FAILED_BEFORE, f"{asset['id']}, in vain"
            yield Event(failed_at, "track.recording.success", subject, data | error)
        completed = {"size": asset["size"], "duration": str(asset["duration"])} | file_location("recording", asset)
        yield Event(completed_at([asset]), "track.recording.success", asset["id"], data | completed)


def _streams(session: SessionFields, job: RecordedJob) -> Iterator[Event]:
    """Streams; the field name of the kind alternates."""
    for number, asset in enumerate(job.assets("stream")):
        metadata = {**asset["metadata"]}
        metadata["type" if number % 2 else "stream_type"] = metadata.pop("stream_type")
        completed = {"size": asset["size"], "duration": asset["duration"]} | file_location("recording", asset)
        data = session.ids | metadata | {"recording_id": job.recording_id} | completed
        yield Event(completed_at([asset]), "stream.recording.success", asset["id"], data)


def _transcriptions(session: SessionFields, job: RecordedJob) -> Iterator[Event]:
    """Transcripts and summaries; the first event has their asset ids before the files exist."""
    requested_at = moment(job.record["stopped_at"]) + _REQUESTED_AFTER
    for subject, assets in _by_transcription(job).items():
        requested = {
            **session.ids,
            **session.app,
            "room_name": session.named["room_name"],
            "metadata_id": invented_uuid(subject),
            "metadata_timestamp": f"{requested_at:%Y-%m-%dT%H:%M:%S.%f}Z",
            "recording_id": job.recording_id,
            "transcription_id": invented_id("transcription", subject),
            "duration": job.seconds,
        }
        completed: Record = {}
        for name, asset in assets.items():
            requested[f"{name}_asset_id"] = asset["id"]
            completed |= file_location(name, asset)
        yield Event(requested_at, "transcription.started.success", subject, requested)
        yield Event(completed_at(assets.values()), "transcription.success", subject, requested | completed)


def _by_transcription(job: RecordedJob) -> dict[str, dict[str, Record]]:
    """Assets by transcription, then by `type_mode`; the mode is in the metadata, not in the file extension."""
    folders: dict[str, dict[str, list[Record]]] = {}
    for asset in (*job.assets("transcript"), *job.assets("summary")):
        assets = folders.setdefault(asset["path"].split("/")[-2], {})
        assets.setdefault(f"{asset['type']}_{asset['metadata']['output_mode']}", []).append(asset)
    # An event names one file of each format: a second one belongs to another transcription.
    return {
        f"{job.record['id']}/{folder}/{number}": {
            name: asset for name, asset in zip(assets, row, strict=True) if asset is not None
        }
        for folder, assets in folders.items()
        for number, row in enumerate(zip_longest(*assets.values()))
    }
