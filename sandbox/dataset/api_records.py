"""JSON records of rooms, sessions, jobs and assets, as the vendor's API returns them (vendor documentation)."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from sandbox.dataset.ids import creation_time, hex_id
from sandbox.dataset.model import Bucket, File, Job, Session
from sandbox.dataset.workspace import PLAYBACK_CANARY, STREAM_KEY_CANARY, TOKEN_CANARY, Record

_NEVER_UPDATED = "0001-01-01T00:00:00Z"
_SIZE_ERROR = 4096
_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiX19pbnRlcm5hbF9yZWNvcmRlciJ9"


def rfc3339(moment: datetime) -> str:
    """RFC 3339 without trailing zeros in the fraction, as in the API."""
    fraction = f".{moment:%f}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def room_record(session: Session, bucket: Bucket) -> Record:
    """The room of a session, with this bucket as its storage."""
    storage = {"type": bucket.scheme, "location": bucket.name, "prefix": bucket.prefix}
    return {
        "id": session.room_id,
        "name": session.room_name,
        "enabled": True,
        "description": "",
        "customer_id": bucket.account_id,
        "recording_source_template": False,
        "recording_info": {"enabled": True} | ({} if bucket.is_vendor_storage else {"upload_info": storage}),
        "template_id": bucket.account_id[:8] + "7e" * 8,
        "template": f"{bucket.customer}-default",
        "region": "eu",
        "created_at": rfc3339(creation_time(session.room_id)),
        "updated_at": _NEVER_UPDATED,
    }


def session_record(session: Session, bucket: Bucket) -> Record:
    """A session that has ended, with all its peers."""
    return {
        "id": session.id,
        "room_id": session.room_id,
        "customer_id": bucket.account_id,
        "active": False,
        "peers": {
            peer.id: {
                "id": peer.id,
                "session_id": session.id,
                "name": peer.name,
                "role": peer.role,
                "user_id": peer.user_id,
                "joined_at": rfc3339(peer.joined_at),
                "left_at": rfc3339(peer.left_at),
            }
            for peer in session.peers
        },
        "created_at": rfc3339(session.started_at),
        "updated_at": rfc3339(session.ended_at + timedelta(milliseconds=15)),
    }


def job_record(session: Session, job: Job, rng: Random) -> Record:
    """A job of any kind, as in lists of jobs."""
    host = next(peer.id for peer in session.peers if peer.role == "host")
    page = f"{session.customer}.app.example.invalid/preview/{session.room_id}/__internal_recorder"
    token = f"{_TOKEN}.{TOKEN_CANARY}-{rng.getrandbits(32):08x}"
    common = {
        "id": job.id,
        "room_id": session.room_id,
        "session_id": session.id,
        "status": job.status,
        "created_at": rfc3339(job.started_at - timedelta(seconds=3)),
        "started_at": rfc3339(job.started_at),
        "updated_at": rfc3339(job.stopped_at + timedelta(seconds=3)),
        "stopped_at": rfc3339(job.stopped_at),
        "meeting_url": f"https://{page}?auth_token={token}&skip_preview=true",
        "started_by": host,
        "stopped_by": rng.choice(("", host)),
    }
    if job.kind == "recording":
        return common | {"asset_types": [*job.planned]}
    if job.kind == "live-stream":
        playback = f"https://play.example.invalid/{session.room_id}/master.m3u8?token={PLAYBACK_CANARY}"
        return common | {
            "destination": "hls",
            "playback": {"url": playback},
            "recording": {"hls_vod": True, "single_file_per_layer": True},
        }
    return common | {
        "rtmp_urls": [f"rtmp://stream.example.invalid/live/{STREAM_KEY_CANARY}-{rng.getrandbits(32):08x}"],
        "recording": True,
        "resolution": {"width": 1280, "height": 720},
    }


def asset_records(bucket: Bucket, file: File, at: datetime, session: Session, job: Job, rng: Random) -> list[Record]:
    """The records of a file that was written `at` this time: none, one, or two. The ids are a little older."""
    if not file.has_record or file.asset_type is None:
        return []
    fraction = "042" if file.asset_type == "transcript" else ""  # some times have nine digits
    record = _asset(file.asset_type, at - timedelta(seconds=rng.randrange(30)), session, job, rng) | {
        "path": bucket.uri(file.key),
        "thumbnails": [*map(bucket.uri, file.thumbnails)] or None,
        "metadata": {**file.metadata},
        "duration": 0 if file.asset_type == "chat" else int((job.stopped_at - job.started_at).total_seconds()),
        "size": len(file.content) + (_SIZE_ERROR if file.case == "size_differs" else 0),
        "created_at": f"{at:%Y-%m-%dT%H:%M:%S.%f}{fraction}Z" if fraction else rfc3339(at),
    }
    if file.case != "named_twice":
        return [record]
    tried_at = at - timedelta(minutes=4)
    first = {"status": "failed", "duration": 0, "size": 0, "created_at": rfc3339(tried_at), "id": hex_id(tried_at, rng)}
    return [record | first, record]


def failed_asset_record(path: str, session: Session, job: Job, rng: Random) -> Record:
    """The record of a composite that was never written."""
    return _asset("room-composite", job.stopped_at + timedelta(seconds=20), session, job, rng) | {
        "path": path,
        "status": "failed",
    }


def _asset(asset_type: str, created_at: datetime, session: Session, job: Job, rng: Random) -> Record:
    return {
        "id": hex_id(created_at, rng),
        "job_id": job.id,
        "room_id": session.room_id,
        "session_id": session.id,
        "type": asset_type,
        "path": "",
        "thumbnails": None,
        "metadata": {},
        "duration": 0,
        "size": 0,
        "status": "completed",
        "created_at": rfc3339(created_at),
    }
