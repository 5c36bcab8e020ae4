"""Webhook events of recorders: start, stop, failure, and one event that names the recorded files.

`location` is a signed URL. In events of the legacy recorder, which have an older version, it is an object's URI
(vendor documentation).
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.dataset.event_fields import (
    Event,
    RecordedJob,
    SessionFields,
    completed_at,
    file_location,
    invented_id,
    invented_uuid,
    moment,
    nanosecond_form,
    seconds,
    signed_url,
)
from sandbox.dataset.workspace import Record


def recorder_events(session: SessionFields, job: RecordedJob) -> Iterator[Event]:
    """Events of the recorder of a job."""
    return _legacy(session, job) if job.kind == "recording" else _recorder(session, job)


def _recorder(session: SessionFields, job: RecordedJob) -> Iterator[Event]:
    """Start, stop and failure of a recorder, and its files."""
    record, is_live = job.record, job.kind == "hls"
    times = {"started_at": record["started_at"], "stopped_at": record["stopped_at"]}
    common = session.started | {
        "beam_id": invented_id("beam", record["id"]),
        "metadata_id": invented_uuid(record["id"]),
        "metadata_timestamp": nanosecond_form(record["started_at"]),
        "max_width": 1280,
        "max_height": 720,
        "meeting_url": record["meeting_url"],
    }
    if not is_live:
        common |= {"peer_id": job.peer_id, "rtmp": [{"url": url} for url in record.get("rtmp_urls", ())]}
    run = common | _requested(job) | {"job_id": invented_id("job", record["id"]), "peer_id": job.peer_id}
    started = run | {"start_delay": seconds(record["created_at"], record["started_at"])}
    stopped = run | {"duration": job.seconds, "reason": "client request" if record["stopped_by"] else "last peer left"}
    if is_live:
        started |= {"url": record["playback"]["url"], "started_at": record["started_at"]}
        stopped |= times
    yield Event(moment(record["started_at"]), f"{job.kind}.started.success", record["id"], started)
    yield Event(moment(record["stopped_at"]), f"{job.kind}.stopped.success", record["id"], stopped)
    if record["status"] == "failed":
        error = {"error_code": 1, "error_type": "UPLOAD_ERROR", "error_message": "upload failed"}
        failed = run | {"duration": job.seconds} | error
        yield Event(moment(record["updated_at"]), f"{job.kind}.failure", record["id"], failed)
    if job.recorded:
        files = _live_stream(job) if is_live else _composite(job)
        files |= file_location("chat_recording", job.asset("chat"))
        recorded = common | times | {"recording_id": job.recording_id} | files
        yield Event(completed_at(job.recorded), f"{job.kind}.recording.success", record["id"], recorded)


def _requested(job: RecordedJob) -> Record:
    """The requested kinds of files."""
    if job.kind != "hls":
        return {"recording_enabled": job.record.get("recording", True)}
    return {
        "recording_single_file_per_layer_enabled": job.record["recording"]["single_file_per_layer"],
        "recording_vod_playlist_enabled": job.record["recording"]["hls_vod"],
    }


def _composite(job: RecordedJob) -> Record:
    """The composite of a browser recording; its path is empty if there is no file."""
    asset = job.asset("room-composite")
    if asset is None:
        return file_location("recording", None)
    fields = {name: asset[name] for name in ("size", "duration", "created_at")}
    return file_location("recording", asset) | fields | {"location": signed_url(asset["path"])}


def _live_stream(job: RecordedJob) -> Record:
    """The VOD with its thumbnails, and one file of each layer."""
    vod = job.asset("room-vod")
    thumbnails = vod["thumbnails"] or () if vod else ()
    return file_location("hls_vod_recording", vod) | {
        "hls_vod_recording_size": vod["size"] if vod else 0,
        "duration": job.seconds,
        "recording_created_at": job.recorded[-1]["created_at"],
        "recording_single_files": [
            {"asset_id": one["id"], "layer": one["metadata"]["layer"], "size": one["size"]}
            | one["metadata"]["resolution"]
            | file_location("recording", one)
            for one in job.assets("room-composite")
        ],
        "recording_thumbnails": [
            {"width": 1280, "height": 720, "offset": 60 * number, "location": uri, "url": signed_url(uri)}
            for number, uri in enumerate(thumbnails, 1)
        ],
    }


def _legacy(session: SessionFields, job: RecordedJob) -> Iterator[Event]:
    """The legacy recorder sends one event at its end, and has no ids."""
    common = session.named | session.stopped
    if job.record["status"] == "failed":
        error = {"error": "INTERNAL_ERROR", "error_type": "CONFIG_ERROR"}
        yield Event(moment(job.record["updated_at"]), "recording.failed", job.record["id"], common | error, "1.0")
    if job.recorded:
        asset = job.asset("room-composite-legacy")
        recorded = common | file_location("recording", asset) | file_location("chat_recording", job.asset("chat"))
        if asset:
            recorded |= {"location": asset["path"], "URL": signed_url(asset["path"])}
            recorded |= {"size": asset["size"], "duration": asset["duration"]}
        yield Event(completed_at(job.recorded), "recording.success", job.record["id"], recorded, "1.0")
