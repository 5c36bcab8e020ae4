"""Stories by chance: few ids, addresses and moments, so that everything concerns something else.

Workspaces of two customers name the same sessions, jobs, assets and objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from roomledger.model import ASSET_TYPES
from roomledger.settings import BucketSource, Settings, WorkspaceSource
from tests.folders import chat
from tests.payloads import TRANSCRIPT, at, chat_key_at, epoch, event
from tests.stories import Change, CrashedLoad, Json, Listing, Load, Notifications, Records, Replay, Step, Webhooks

BUCKETS = ("acme", "other")
WORKSPACES = ("acme-100ms", "acme-eu-100ms", "other-100ms")
_CHAT, _FILM = chat("hello"), b"film"
OBJECTS: dict[str, tuple[str, bytes]] = {
    f"s3://acme/{chat_key_at('room1', 1)}": ("chat", _CHAT),
    f"s3://acme/room1/20260302/s9/Rec-s9-{epoch(1)}.mp4": ("room-composite-legacy", _FILM),
    "s3://acme/room1/20260302/s1/p1/st1/t1.webm": ("track", _FILM),
    f"s3://acme/hls/room1/20260302/{epoch(1)}/file-recording/Rec-room1-{epoch(1)}-0.mp4": ("room-composite", _FILM),
    "s3://acme/films/1.mp4": ("room-composite", _FILM),
    "s3://acme/x/1.json": ("transcript", TRANSCRIPT),
    "s3://acme/x/1.srt": ("transcript", b"1\n00:00:01,000 --> 00:00:02,500\nNell: Good morning.\n"),
    f"s3://other/{chat_key_at('room1', 1)}": ("chat", _CHAT),
    "s3://other/films/1.mp4": ("room-composite", _FILM),
}
"""The objects in the buckets, by address: the type that the vendor usually names, and their usual content."""
STORED = "s3://100ms-storage/1.csv"
"""Address of a chat that only the vendor stores."""


def settings_in(folder: Path, warehouse_url: str) -> Settings:
    """Create the buckets of the stories as folders; give the settings that name them and the workspaces."""
    for name in BUCKETS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    customers = {name: name.partition("-")[0].capitalize() for name in (*BUCKETS, *WORKSPACES)}
    return Settings(
        warehouse_url=warehouse_url,
        warehouse_memory_mb=128,
        sources=(
            *(BucketSource(name=name, customer=customers[name], url=f"file://{folder / name}") for name in BUCKETS),
            *(WorkspaceSource(name=name, customer=customers[name], url=f"100ms://{name}") for name in WORKSPACES),
        ),
        inbox_url=f"file://{folder}/inbox",
    )


def story(scenes: Sequence[int]) -> list[Step]:
    """The steps of these scenes, each by its number; a scene gives the same steps in every story."""
    return [step for number in scenes for step in _scene(Random(number))]


def _scene(chance: Random) -> list[Step]:
    """A few steps, mostly one."""
    match chance.choices(("report", "observe", "load", "change", "replay", "crash"), (6, 4, 3, 1, 1, 1))[0]:
        case "report":
            return [_report(chance)]
        case "observe":
            return [_change(chance), _observe(chance)]
        case "load":
            return [_load(chance)]
        case "change":
            return [_change(chance)]
        case "replay":
            return [_replay(chance), _load(chance)]
        case _:
            if chance.random() < 0.5:
                return [Load(), Replay(), CrashedLoad()]
            return [Load(), Replay(), CrashedLoad(limit=1, loads=8), Load(minutes=10)]


def _minutes(chance: Random) -> int:
    return chance.choice((0, 0, 10))


def _report(chance: Random) -> Step:
    """Records of the API or webhooks."""
    minutes, source = _minutes(chance), chance.choice(WORKSPACES)
    if chance.random() < 0.5:
        return Records(minutes=minutes, source=source, records=tuple(_record(chance) for _ in range(6)))
    # A quarter is of few events, which come more than once.
    numbers = [chance.randrange(10) if chance.random() < 0.25 else chance.getrandbits(32) for _ in range(8)]
    bodies = [_event(Random(number)) for number in numbers]
    replays: list[Json] = [body | {"is_replay": True} if chance.random() < 0.2 else body for body in bodies]
    return Webhooks(minutes=minutes, source=source, bodies=tuple(replays))


def _observe(chance: Random) -> Step:
    if chance.random() < 0.6:
        return Listing(minutes=_minutes(chance), source=chance.choice((*BUCKETS, BUCKETS[0])))
    return Notifications(minutes=_minutes(chance), addresses=tuple(chance.sample(list(OBJECTS), 4)))


def _change(chance: Random) -> Change:
    """Objects are written, mostly with content that fits their type, and some are deleted.

    No two objects are written in one minute: in which order loads claim them must not depend on where the buckets are.
    """
    written = {}
    for number, address in chance.sample(list(enumerate(OBJECTS)), 5):
        content = chance.choice((*[OBJECTS[address][1]] * 3, chat("two", "messages"), b"\0"))
        written[address] = content, 10 * chance.randrange(3) + number
    return Change(written=written, deleted=tuple(chance.sample(list(OBJECTS), chance.choice((0, 3)))))


def _replay(chance: Random) -> Replay:
    return Replay(minutes=_minutes(chance), address=chance.choice((None, *OBJECTS)))


def _load(chance: Random) -> Load:
    others = (_report, _observe, _change, _replay)
    meanwhile = tuple(chance.choice(others)(chance) for _ in range(chance.choice((0, 0, 0, 1, 2))))
    size = {"batch": chance.choice((1, 3, 1000)), "most": chance.choice((1, None))}
    return Load(minutes=_minutes(chance), meanwhile=meanwhile, **size)


# -- records of the API and webhooks


def _some(chance: Random, **values: Sequence[Any]) -> Json:
    """An object with most of these fields."""
    return {name: chance.choice(some) for name, some in values.items() if chance.random() < 0.7}


_MOMENTS = tuple(at(minutes) for minutes in (0, 1, 2, 30))
_PLACES = {"room_id": ("room1", "room2"), "session_id": ("s1", "s2", "s3", "s9")}
_PEERS = {"role": ("host", "guest"), "joined_at": _MOMENTS, "left_at": _MOMENTS, "user_id": ("u1", "100ms_1")}
_MEDIA = {
    "peer_id": ("p1", "p2"), "user_id": ("u1", "u2"), "stream_id": ("st1", "st2"), "stream_type": ("regular", "screen"),
    "track_id": ("t1", "t2"), "track_type": ("audio", "video"), "max_width": (640,), "max_height": (360,),
}  # fmt: skip
_ASSETS, _IDS = ("1", "2", "3", "4", "5", "6"), ("1", "2", "3", "7")
"""Ids of assets in the API and in webhooks."""
_ADDRESSES = (*OBJECTS, STORED, *[*OBJECTS][:3] * 2)
_TRACK_ADDRESS = [*OBJECTS][2]


def _record(chance: Random) -> tuple[str, Json]:
    """A record of the API with its kind."""
    kind = chance.choice(("session", "recording", "live-stream", "asset", "asset", "asset", "asset"))
    if kind == "session":
        peers = {name: _some(chance, name=("Nell", "Bob"), **_PEERS) for name in chance.sample(("p1", "p2", "p3"), 2)}
        times = dict.fromkeys(("created_at", "updated_at"), _MOMENTS)
        more = _some(chance, room_id=_PLACES["room_id"], active=(True, False), **times)
        return kind, more | {"id": chance.choice(_PLACES["session_id"]), "peers": peers}
    if kind == "asset":
        return kind, _asset(chance)
    times = dict.fromkeys(("created_at", "started_at", "stopped_at", "updated_at"), _MOMENTS)
    more = _some(
        chance, **_PLACES, **times, status=("running", "completed", "failed"), started_by=("p1",), stopped_by=("p2",),
        asset_types=(["chat"], ["room-composite", "chat"]),
    )  # fmt: skip
    return kind, more | {"id": chance.choice(("j1", "j2"))}


def _asset(chance: Random) -> Json:
    """An asset, often without an address."""
    address = chance.choice((*_ADDRESSES, *[_TRACK_ADDRESS] * 3, *[""] * 5))
    usual = OBJECTS[address][0] if address in OBJECTS else "chat"
    metadata = _some(chance, **_MEDIA, layer=("1",), num_layers=(3,), output_mode=("json", "txt"))
    more = _some(
        chance, **_PLACES, job_id=("j1", "j2", "j3"), size=(0, 4, 9), duration=(0, 1.5), created_at=_MOMENTS,
        metadata=(metadata,), thumbnails=(None, [], ["s3://acme/films/1.png"]),
        status=("completed", "completed", "failed", "processing"),
    )  # fmt: skip
    type_ = usual if chance.random() < 0.8 else chance.choice((*ASSET_TYPES, "hologram"))
    return more | {"id": chance.choice(_ASSETS), "type": type_, "path": address}


_SESSION = _PLACES | {
    "session_started_at": _MOMENTS, "session_stopped_at": _MOMENTS, "room_name": ("harbour", "haven"),
}  # fmt: skip
_PEER = _SESSION | _PEERS | {"user_name": ("Nell", "Ann"), "peer_id": ("p1", "p2", "p3")}
_ERROR = {"error_type": ("UPLOAD",), "error_message": (None, "broken off")}
_RECORDER = _PLACES | _ERROR | {
    "beam_id": ("b1", "b2", "b3"), "job_id": ("j1", "x"), "recording_id": ("r1", "r2", "r3"), "started_at": _MOMENTS,
    "stopped_at": _MOMENTS, "recording_enabled": (True, False),
}  # fmt: skip
_FILE = {
    "size": (4, 9), "duration": (1, 2.5), "created_at": _MOMENTS, "max_width": (320,), "max_height": (180,),
    "recording_path": _ADDRESSES,
}  # fmt: skip
_TEXTS = {
    "transcript_json_asset_id": _IDS, "transcript_json_path": (*_ADDRESSES, None), "summary_json_asset_id": _IDS,
    "transcript_txt_asset_id": _IDS, "summary_json_path": (*_ADDRESSES, None), "duration": (3,),
}  # fmt: skip
_TRACK = _PLACES | _MEDIA | _FILE | _ERROR | {"recording_path": (*_ADDRESSES, *[_TRACK_ADDRESS] * 10)}
_EVENTS: dict[str, dict[str, Sequence[Any]]] = {
    "session.open.success": _SESSION,
    "session.close.success": _SESSION,
    "peer.join.success": _PEER,
    "peer.leave.success": _PEER,
    "beam.started.success": _RECORDER,
    "beam.failure": _RECORDER,
    "beam.recording.success": _RECORDER | _FILE | {"chat_recording_path": _ADDRESSES},
    "recording.success": _RECORDER | _FILE,
    "hls.recording.success": _RECORDER | {"hls_vod_recording_path": _ADDRESSES, "recording_created_at": _MOMENTS},
    "transcription.started.success": _RECORDER | _TEXTS,
    "transcription.failure": _RECORDER | _TEXTS,
    "transcription.success": _RECORDER | _TEXTS,
    "track.recording.success": _TRACK,
    "track.recording.failure": _TRACK,
    "stream.recording.success": _TRACK,
    "session.pause": _SESSION,
}
"""Types of events with their fields, and the values of each field."""


def _event(chance: Random) -> Json:
    """The body of a webhook; some have no time."""
    type_ = chance.choice((*_EVENTS, "transcription.success", "hls.recording.success"))
    data = _some(chance, **_EVENTS[type_])
    if type_ == "hls.recording.success":
        layer: dict[str, Sequence[Any]] = {"asset_id": _IDS, "recording_path": _ADDRESSES[-3:], "layer": ("0", "1")}
        data["recording_single_files"] = [_some(chance, **layer, size=(4, 9), width=(1,), height=(2,)) for _ in "12"]
        data["recording_thumbnails"] = [{"location": "s3://acme/films/2.png"}]
        data["num_layers"] = 2
    body = event(type_, chance.choice((1, 2)), **data)
    return body | {"timestamp": None} if chance.random() < 0.2 else body
