"""What the vendor's API says of rooms, sessions, jobs and assets: the JSON records of a workspace.

Shapes are those of the vendor documentation.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from sandbox.dataset.ids import hex_id, made_at
from sandbox.dataset.model import Bucket, File, Job, Session
from sandbox.dataset.workspace import PLAYBACK_CANARY, STREAM_KEY_CANARY, TOKEN_CANARY, Record

_NEVER = "0001-01-01T00:00:00Z"
_OFF_BY = 4096
_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiX19pbnRlcm5hbF9yZWNvcmRlciJ9"


def stamp(moment: datetime) -> str:
    """RFC 3339 without zeros at the end of the fraction, as the vendor writes it."""
    fraction = f".{moment:%f}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def room(session: Session, bucket: Bucket) -> Record:
    """The room of a session, whose recordings go to this bucket."""
    storage = {"type": bucket.scheme, "location": bucket.name, "prefix": bucket.prefix}
    return {
        "id": session.room_id,
        "name": session.room_name,
        "enabled": True,
        "description": "",
        "customer_id": bucket.account_id,
        "recording_source_template": False,
        "recording_info": {"enabled": True} | ({} if bucket.is_vendors else {"upload_info": storage}),
        "template_id": bucket.account_id[:8] + "7e" * 8,
        "template": f"{bucket.customer}-default",
        "region": "eu",
        "created_at": stamp(made_at(session.room_id)),
        "updated_at": _NEVER,
    }


def session(held: Session, bucket: Bucket) -> Record:
    """A session that has ended, with everybody who was there."""
    return {
        "id": held.id,
        "room_id": held.room_id,
        "customer_id": bucket.account_id,
        "active": False,
        "peers": {
            peer.id: {
                "id": peer.id,
                "session_id": held.id,
                "name": peer.name,
                "role": peer.role,
                "user_id": peer.user_id,
                "joined_at": stamp(peer.joined_at),
                "left_at": stamp(peer.left_at),
            }
            for peer in held.peers
        },
        "created_at": stamp(held.started_at),
        "updated_at": stamp(held.ended_at + timedelta(milliseconds=15)),
    }


def job(held: Session, done: Job, rng: Random) -> Record:
    """A job of any kind, as lists of jobs have it."""
    host = next(peer.id for peer in held.peers if peer.role == "host")
    place = f"{held.customer}.app.example.invalid/preview/{held.room_id}/__internal_recorder"
    token = f"{_TOKEN}.{TOKEN_CANARY}-{rng.getrandbits(32):08x}"
    common = {
        "id": done.id,
        "room_id": held.room_id,
        "session_id": held.id,
        "status": done.status,
        "created_at": stamp(done.started_at - timedelta(seconds=3)),
        "started_at": stamp(done.started_at),
        "updated_at": stamp(done.stopped_at + timedelta(seconds=3)),
        "stopped_at": stamp(done.stopped_at),
        "meeting_url": f"https://{place}?auth_token={token}&skip_preview=true",
        "started_by": host,
        "stopped_by": rng.choice(("", host)),
    }
    if done.kind == "recording":
        return common | {"asset_types": [*done.planned]}
    if done.kind == "live-stream":
        playback = f"https://play.example.invalid/{held.room_id}/master.m3u8?token={PLAYBACK_CANARY}"
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


def assets(bucket: Bucket, file: File, made: datetime, held: Session, done: Job, rng: Random) -> list[Record]:
    """The records of one file of a job: none, one, or two; the id was given out a little before the file was there."""
    if not file.is_named or file.asset_type is None:
        return []
    fraction = "042" if file.asset_type == "transcript" else ""  # some times have nine digits
    record = _asset(file.asset_type, made - timedelta(seconds=rng.randrange(30)), held, done, rng) | {
        "path": bucket.uri(file.key),
        "thumbnails": [*map(bucket.uri, file.thumbnails)] or None,
        "metadata": {**file.metadata},
        "duration": 0 if file.asset_type == "chat" else int((done.stopped_at - done.started_at).total_seconds()),
        "size": len(file.content) + (_OFF_BY if file.case == "size_differs" else 0),
        "created_at": f"{made:%Y-%m-%dT%H:%M:%S.%f}{fraction}Z" if fraction else stamp(made),
    }
    if file.case != "named_twice":
        return [record]
    tried_at = made - timedelta(minutes=4)
    vain = {"status": "failed", "duration": 0, "size": 0, "created_at": stamp(tried_at), "id": hex_id(tried_at, rng)}
    return [record | vain, record]


def failed(path: str, held: Session, done: Job, rng: Random) -> Record:
    """The record of a composite that never came."""
    return _asset("room-composite", done.stopped_at + timedelta(seconds=20), held, done, rng) | {
        "path": path,
        "status": "failed",
    }


def _asset(asset_type: str, made: datetime, held: Session, done: Job, rng: Random) -> Record:
    return {
        "id": hex_id(made, rng),
        "job_id": done.id,
        "room_id": held.room_id,
        "session_id": held.id,
        "type": asset_type,
        "path": "",
        "thumbnails": None,
        "metadata": {},
        "duration": 0,
        "size": 0,
        "status": "completed",
        "created_at": stamp(made),
    }
