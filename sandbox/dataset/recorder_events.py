"""Webhook events of recorders: their life, and the files that one of them makes, named by one event.

`location` is a signed URL or, of the recorder of old, an address in a bucket; and that one speaks an older version
(vendor documentation).
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.dataset.event_parts import (
    Call,
    Job,
    Told,
    invented_id,
    invented_uuid,
    located,
    long_form,
    made_at,
    moment,
    seconds,
    signed_url,
)
from sandbox.dataset.workspace import Record


def of_recorder(call: Call, job: Job) -> Iterator[Told]:
    """Events of the recorder of a job."""
    return _legacy(call, job) if job.kind == "recording" else _recorder(call, job)


def _recorder(call: Call, job: Job) -> Iterator[Told]:
    """The life of a recorder, and what it made."""
    record, is_live = job.record, job.kind == "hls"
    times = {"started_at": record["started_at"], "stopped_at": record["stopped_at"]}
    said = call.begun | {
        "beam_id": invented_id("beam", record["id"]),
        "metadata_id": invented_uuid(record["id"]),
        "metadata_timestamp": long_form(record["started_at"]),
        "max_width": 1280,
        "max_height": 720,
        "meeting_url": record["meeting_url"],
    }
    if not is_live:
        said |= {"peer_id": job.peer_id, "rtmp": [{"url": url} for url in record.get("rtmp_urls", ())]}
    run = said | _wanted(job) | {"job_id": invented_id("job", record["id"]), "peer_id": job.peer_id}
    begun = run | {"start_delay": seconds(record["created_at"], record["started_at"])}
    over = run | {"duration": job.seconds, "reason": "client request" if record["stopped_by"] else "last peer left"}
    if is_live:
        begun |= {"url": record["playback"]["url"], "started_at": record["started_at"]}
        over |= times
    yield Told(moment(record["started_at"]), f"{job.kind}.started.success", record["id"], begun)
    yield Told(moment(record["stopped_at"]), f"{job.kind}.stopped.success", record["id"], over)
    if record["status"] == "failed":
        error = {"error_code": 1, "error_type": "UPLOAD_ERROR", "error_message": "upload failed"}
        broken = run | {"duration": job.seconds} | error
        yield Told(moment(record["updated_at"]), f"{job.kind}.failure", record["id"], broken)
    if job.recorded:
        files = _live_stream(job) if is_live else _composite(job)
        made = said | times | {"recording_id": job.recording_id} | files | located("chat_recording", job.one("chat"))
        yield Told(made_at(job.recorded), f"{job.kind}.recording.success", record["id"], made)


def _wanted(job: Job) -> Record:
    """What it was asked to make."""
    if job.kind != "hls":
        return {"recording_enabled": job.record.get("recording", True)}
    return {
        "recording_single_file_per_layer_enabled": job.record["recording"]["single_file_per_layer"],
        "recording_vod_playlist_enabled": job.record["recording"]["hls_vod"],
    }


def _composite(job: Job) -> Record:
    """What a browser recorded: a path that is empty if it is not there."""
    asset = job.one("room-composite")
    if asset is None:
        return located("recording", None)
    told = {name: asset[name] for name in ("size", "duration", "created_at")}
    return located("recording", asset) | told | {"location": signed_url(asset["path"])}


def _live_stream(job: Job) -> Record:
    """The VOD with its thumbnails, and a file for every layer."""
    vod = job.one("room-vod")
    thumbnails = vod["thumbnails"] or () if vod else ()
    return located("hls_vod_recording", vod) | {
        "hls_vod_recording_size": vod["size"] if vod else 0,
        "duration": job.seconds,
        "recording_created_at": job.recorded[-1]["created_at"],
        "recording_single_files": [
            {"asset_id": one["id"], "layer": one["metadata"]["layer"], "size": one["size"]}
            | one["metadata"]["resolution"]
            | located("recording", one)
            for one in job.of("room-composite")
        ],
        "recording_thumbnails": [
            {"width": 1280, "height": 720, "offset": 60 * number, "location": uri, "url": signed_url(uri)}
            for number, uri in enumerate(thumbnails, 1)
        ],
    }


def _legacy(call: Call, job: Job) -> Iterator[Told]:
    """The recorder of old says nothing until it is done, and has no ids."""
    said = call.named | call.stopped
    if job.record["status"] == "failed":
        error = {"error": "INTERNAL_ERROR", "error_type": "CONFIG_ERROR"}
        yield Told(moment(job.record["updated_at"]), "recording.failed", job.record["id"], said | error, "1.0")
    if job.recorded:
        asset = job.one("room-composite-legacy")
        made = said | located("recording", asset) | located("chat_recording", job.one("chat"))
        if asset:
            made |= {"location": asset["path"], "URL": signed_url(asset["path"])}
            made |= {"size": asset["size"], "duration": asset["duration"]}
        yield Told(made_at(job.recorded), "recording.success", job.record["id"], made, "1.0")
