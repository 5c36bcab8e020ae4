"""Media objects of one recording job with their keys and API metadata; their bytes are short placeholders.

Keys are relative to the customer's prefix (vendor documentation; `stream` and `hls-vod` are the layout of 2022).
The keys of the playlist and segments of an unzipped VOD are not documented, so they are invented.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from sandbox.dataset.ids import epoch_ms, uuid_text
from sandbox.dataset.model import File, Job, Session, ignored, loaded

_PNG = b"\x89PNG\r\n\x1a\n"
_SEGMENT_SECONDS = 6

_RESOLUTION = {"resolution": {"width": 1280, "height": 720}}

STYLES = {
    "beam": ("room-composite",),
    "rtmp": ("room-composite",),
    "archive": ("room-composite", "track"),
    "sfu": ("room-composite-legacy", "track", "stream"),
    "hls": ("room-composite", "room-vod"),
    "hls-zip": ("room-composite", "room-vod"),
    "hls-zip-2022": ("room-composite", "room-vod"),
}
"""Media asset types of a job by its recording style."""


def media_files(style: str, session: Session, job: Job, rng: Random) -> list[File]:
    """All media objects of a job with this recording style."""
    date, epoch = f"{session.started_at:%Y%m%d}", epoch_ms(job.started_at)
    if style in ("beam", "rtmp"):
        return [_media(beam_key(session, job), "room-composite", "beam", rng, "start", _RESOLUTION)]
    if style == "archive":
        return list(_archive(f"archive/{job.id}", session, rng))
    if style == "sfu":
        return list(_sfu(f"{session.room_id}/{date}/{session.id}", session, epoch, rng))
    return list(_live_stream(style, f"hls/{session.room_id}/{date}/{epoch}", f"Rec-{session.room_id}-{epoch}", rng))


def beam_key(session: Session, job: Job) -> str:
    """Key of the composite of a browser recording."""
    return f"beam/{session.room_id}/{session.started_at:%Y%m%d}/Rec-{session.room_id}-{epoch_ms(job.started_at)}.mp4"


def chat_key(session: Session, job: Job) -> str:
    """Key of the chat file of a job."""
    return f"chat/{session.room_id}/{session.started_at:%Y%m%d}/Rec-{session.room_id}-{epoch_ms(job.started_at)}.csv"


def unrelated_files() -> list[File]:
    """Files that are not recordings, with the empty object that a console creates for a folder."""
    unrelated = ignored("not_a_recording_asset")
    return [
        File("README.md", None, "foreign", b"# Recordings\n\nAsk the archive desk before you delete.\n", unrelated),
        File(".DS_Store", None, "foreign", b"\0\0\0\1Bud1" + bytes(120), unrelated),
        File("notes für später (1)+a%20b.md", None, "awkward_name", b"Nothing to see here.\n", unrelated),
        File("beam/", None, "folder_marker", b"", ignored("folder_marker")),
        File("inventory.csv", None, "foreign_text", b"shelf,boxes\nA,12\nB,7\n", ignored("content_not_recognised")),
        File("uploads/trailer.mp4", None, "foreign_media", b"no recording", ignored("media_of_unknown_layout")),
    ]


def _sfu(folder: str, session: Session, epoch: int, rng: Random) -> Iterator[File]:
    """The composite, an audio and a video track of up to four peers, and the streams of two of them."""
    name = f"{folder}/Rec-{session.id}-{epoch}.mp4"
    yield _media(name, "room-composite-legacy", "legacy_composite", rng, "session")
    people = [peer for peer in session.peers if not peer.is_recorder]
    for number, peer in enumerate(people[:4]):
        stream = uuid_text(rng)
        ids = {"stream_id": stream, "peer_id": peer.id}
        for kind in ("audio", "video"):
            track = uuid_text(rng)
            metadata = {"track_id": track, **ids, "track_type": kind}
            yield _media(f"{folder}/{peer.id}/{stream}/{track}.webm", "track", "track", rng, "session", metadata)
        if number < 2:
            metadata = {**ids, "user_id": peer.user_id, "stream_type": "regular"}
            yield _media(f"{folder}/{peer.id}/{stream}/{stream}.mp4", "stream", "stream", rng, "session", metadata)


def _archive(folder: str, session: Session, rng: Random) -> Iterator[File]:
    """A composite and a track with undocumented keys: only their records in the API identify them."""
    track = {"track_id": uuid_text(rng), "stream_id": uuid_text(rng), "peer_id": session.peers[0].id}
    composite = _media(f"{folder}/video.mp4", "room-composite", "named_media", rng, metadata=_RESOLUTION)
    sound = _media(f"{folder}/sound.webm", "track", "named_media", rng, metadata={**track, "track_type": "audio"})
    for file in (composite, sound):
        yield file._replace(outcome_without_api=ignored("media_of_unknown_layout"))


def _live_stream(style: str, folder: str, name: str, rng: Random) -> Iterator[File]:
    """Two or three layers, thumbnails, and the VOD: a zip, a zip in the layout of 2022, or a playlist and segments."""
    layers = rng.randint(2, 3)
    for layer in range(layers):
        key = f"{folder}/file-recording/{name}-{layer}.mp4"
        layer_metadata = {**_RESOLUTION, "layer": str(layer)}
        yield _media(key, "room-composite", "live_stream_layer", rng, "start", layer_metadata)
    thumbnails = tuple(f"{folder}/thumbnails/{offset}.png" for offset in (60, 120))
    for key in thumbnails:
        yield File(key, None, "thumbnail", _PNG + _placeholder(key, rng), ignored("thumbnail"))
    metadata: dict[str, Any] = {"num_layers": str(layers), "max_width": 1280, "max_height": 720}
    if style == "hls-zip":
        yield _media(f"{folder}/vod/{name}.zip", "room-vod", "vod_zip", rng, "start", metadata, thumbnails)
    elif style == "hls-zip-2022":
        yield _media(f"{folder}/hls-vod/{name}.zip", "room-vod", "vod_zip_2022", rng, "start", metadata, thumbnails)
    else:
        segments = [f"segment-{number:05}.ts" for number in range(rng.randint(20, 36))]
        head = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{_SEGMENT_SECONDS}\n"
        lines = "".join(f"#EXTINF:{_SEGMENT_SECONDS}.0,\n{segment}\n" for segment in segments)
        playlist = f"{head}{lines}#EXT-X-ENDLIST\n".encode()
        key = f"{folder}/vod/master.m3u8"
        yield File(key, "room-vod", "vod_playlist", playlist, loaded(), "start", metadata, thumbnails)
        for segment in segments:
            content = _placeholder(f"{folder} {segment}", rng)
            yield File(f"{folder}/vod/{segment}", None, "vod_segment", content, ignored("vod_segment"))


def _media(
    key: str,
    asset_type: str,
    case: str,
    rng: Random,
    identifies: str = "nothing",
    metadata: dict[str, Any] | None = None,
    thumbnails: Sequence[str] = (),
) -> File:
    return File(key, asset_type, case, _placeholder(key, rng), loaded(), identifies, metadata or {}, tuple(thumbnails))


def _placeholder(what: str, rng: Random) -> bytes:
    """300 to 600 bytes, different for every object."""
    line = f"placeholder of {what}\n".encode()
    return (line * (600 // len(line) + 1))[: rng.randrange(300, 600)]
