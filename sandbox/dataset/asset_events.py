"""Webhook events of tracks, streams, transcripts and summaries, which tell of one file or of one transcription each.

A track that failed says that it succeeded, a track's duration is a string, and a stream's kind stands under two names
(vendor documentation).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import zip_longest

from sandbox.dataset.event_parts import Call, Job, Told, invented_id, invented_uuid, located, made_at, moment
from sandbox.dataset.workspace import Record

_FAILED_BEFORE = timedelta(minutes=4)
_TRANSCRIBED_AFTER = timedelta(seconds=10)


def of_assets(call: Call, job: Job) -> Iterator[Told]:
    """Events of the files of a job that its recorder does not tell of."""
    yield from _tracks(call, job)
    yield from _streams(call, job)
    yield from _transcriptions(call, job)


def _tracks(call: Call, job: Job) -> Iterator[Told]:
    """Tracks; the first of a job fails before it is made, in an event whose type says that it succeeded."""
    for number, asset in enumerate(job.of("track")):
        data = call.place | asset["metadata"]
        yield Told(moment(job.record["started_at"]), "track.recording.started.success", asset["id"], data)
        data = data | {"recording_id": job.recording_id}
        if number == 0:
            error = {"recording_path": asset["path"], "size": 0, "error_message": "INTERNAL_ERROR"}
            failed_at, about = made_at([asset]) - _FAILED_BEFORE, f"{asset['id']}, in vain"
            yield Told(failed_at, "track.recording.success", about, data | error)
        made = {"size": asset["size"], "duration": str(asset["duration"])} | located("recording", asset)
        yield Told(made_at([asset]), "track.recording.success", asset["id"], data | made)


def _streams(call: Call, job: Job) -> Iterator[Told]:
    """Streams, whose kind stands under the one name and the other by turns."""
    for number, asset in enumerate(job.of("stream")):
        told = {**asset["metadata"]}
        told["type" if number % 2 else "stream_type"] = told.pop("stream_type")
        made = {"size": asset["size"], "duration": asset["duration"]} | located("recording", asset)
        data = call.place | told | {"recording_id": job.recording_id} | made
        yield Told(made_at([asset]), "stream.recording.success", asset["id"], data)


def _transcriptions(call: Call, job: Job) -> Iterator[Told]:
    """Transcripts and summaries, whose asset ids are known before there are files."""
    asked_at = moment(job.record["stopped_at"]) + _TRANSCRIBED_AFTER
    for about, forms in _transcribed(job).items():
        asked = {
            **call.place,
            **call.app,
            "room_name": call.named["room_name"],
            "metadata_id": invented_uuid(about),
            "metadata_timestamp": f"{asked_at:%Y-%m-%dT%H:%M:%S.%f}Z",
            "recording_id": job.recording_id,
            "transcription_id": invented_id("transcription", about),
            "duration": job.seconds,
        }
        made: Record = {}
        for form, asset in forms.items():
            asked[f"{form}_asset_id"] = asset["id"]
            made |= located(form, asset)
        yield Told(asked_at, "transcription.started.success", about, asked)
        yield Told(made_at(forms.values()), "transcription.success", about, asked | made)


def _transcribed(job: Job) -> dict[str, dict[str, Record]]:
    """Files by the transcription that made them, and by form, which metadata tell and not the extension."""
    folders: dict[str, dict[str, list[Record]]] = {}
    for asset in (*job.of("transcript"), *job.of("summary")):
        forms = folders.setdefault(asset["path"].split("/")[-2], {})
        forms.setdefault(f"{asset['type']}_{asset['metadata']['output_mode']}", []).append(asset)
    # An event names one file of each form: a second one must be another transcription's.
    return {
        f"{job.record['id']}/{folder}/{number}": {
            form: asset for form, asset in zip(forms, row, strict=True) if asset is not None
        }
        for folder, forms in folders.items()
        for number, row in enumerate(zip_longest(*forms.values()))
    }
