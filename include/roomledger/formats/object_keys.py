"""Object keys in a customer's bucket: the asset type, room, session and recorder start that a key names.

All keys have a prefix that the customer chooses; it may be nested, empty, or itself be called `chat` or `beam`. So keys
are matched from the right: the last segments decide, whatever precedes them. Ids are not checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple

from roomledger.formats.sniffing import sniff
from roomledger.model import UNKNOWN, Asset, Ignored, Observation
from roomledger.times import parse_epoch

MAX_UNKNOWN_TEXT = 64 * 1024 * 1024
"""Bytes of the largest text file whose content is inspected because its key does not name its type."""

_ROOM, _SESSION, _PEER, _STREAM, _TRACK, _LAYER = (
    rf"(?P<{name}>[^/]+)" for name in ("room_id", "session_id", "peer_id", "stream_id", "track_id", "layer")
)
_DATE, _EPOCH = r"(?P<date>\d{8})", r"(?P<epoch>\d+)"
_HLS = rf"hls/{_ROOM}/{_DATE}/\d+"

# Documented layouts, by file extension (`hls-vod` is the name of `vod` in 2022; the layout of streams is that of 2022,
# today's is not documented). The name repeats the folder's id: this distinguishes a legacy composite from other files.
_DOCUMENTED = {
    extension: [(asset_type, re.compile(rf"(?:^|/){key}\Z", re.ASCII)) for asset_type, key in keys]
    for extension, keys in {
        "csv": [("chat", rf"chat/{_ROOM}/{_DATE}/Rec-(?P=room_id)-{_EPOCH}")],
        "mp4": [
            ("room-composite", rf"beam/{_ROOM}/{_DATE}/Rec-(?P=room_id)-{_EPOCH}"),
            ("room-composite", rf"{_HLS}/file-recording/Rec-(?P=room_id)-{_EPOCH}-{_LAYER}"),
            ("room-composite-legacy", rf"{_ROOM}/{_DATE}/{_SESSION}/Rec-(?P=session_id)-{_EPOCH}"),
            ("stream", rf"{_ROOM}/{_DATE}/{_SESSION}/{_PEER}/{_STREAM}/(?P=stream_id)"),
        ],
        "webm": [("track", rf"{_ROOM}/{_DATE}/{_SESSION}/{_PEER}/{_STREAM}/{_TRACK}")],
        "zip": [("room-vod", rf"{_HLS}/(?:hls-)?vod/Rec-(?P=room_id)-{_EPOCH}")],
    }.items()
}

_SEGMENTS = {"ts", "m4s", "aac"}
_IMAGES = {"png", "jpg", "jpeg"}
_MEDIA = {"mp4", "webm", "mkv", "mov", "m4a", "m4v", "mp3", "ogg", "opus", "wav", "flv", "zip"}
_TEXTS = {"json", "txt", "csv", "srt"}

_PROSE = re.compile(r"read[-_]?me|licen[cs]e|change[-_]?log|manifest|todo")
"""Names of files that describe a folder: they are none of its recordings."""

_VOD = {"vod", "hls-vod"}
_TYPE_NAMES = (
    ("summary", re.compile(r"(?:^|[^a-z])summar(?:y|ies)")),
    ("transcript", re.compile(r"(?:^|[^a-z])transcript")),
)
_FORMS = {"summary": ("json",), "transcript": ("json", "txt")}
_ROOM_ID = re.compile(r"[0-9a-fA-F]{24}")
_STARTED = re.compile(r"Rec-.*-(\d{13})(?!\d).*", re.ASCII | re.DOTALL)

Recognised = tuple[str, Mapping[str, Any]]
"""An asset type, and the other fields of `Asset` that the key gives."""


def recognise(seen: Observation, named_type: str | None = None) -> Asset | Ignored:
    """Recognise an object by its key; never raises. `named_type`, the type that the vendor names, overrides the key's.

    Documented keys give all their fields. In other layouts, a transcript or summary is recognised by its name, any srt
    is a transcript, an mp4 or webm below `<room>/<date>/<session>/<peer>/<stream>/` is a stream or track, and other
    small text is `UNKNOWN`: see `recognise_content`. The extension `gz` after that of a text is left out. Reasons to
    ignore an object: `folder_marker`, `thumbnail`, `vod_segment`, `vod_variant_playlist`, `text_too_large`,
    `not_a_recording_asset`, and `media_of_unknown_layout` for media in a layout of no known recording, whose type only
    the vendor's API or a webhook can name.
    """
    found = _recognise(seen)
    if not named_type:
        return found
    if isinstance(found, Ignored):
        return Asset(uri=seen.uri, size_bytes=seen.size_bytes, modified_at=seen.modified_at, asset_type=named_type)
    return replace(found, asset_type=named_type)


def _recognise(seen: Observation) -> Asset | Ignored:
    key = (seen.uri.partition("://")[2] or seen.uri).partition("/")[2]
    if key.endswith(("/", "_$folder$")):
        return Ignored("folder_marker")
    path, dot, extension = key.rpartition(".")
    extension = extension.lower() if dot else ""
    if extension == "gz":
        path, _, extension = path.rpartition(".")
        extension = extension.lower() if extension.lower() in _TEXTS else ""
    found = _documented(path, extension) or _undocumented(path.split("/"), extension)
    if isinstance(found, Ignored):
        return found
    asset_type, fields = found
    if asset_type == UNKNOWN and seen.size_bytes > MAX_UNKNOWN_TEXT:
        return Ignored("text_too_large")
    return Asset(
        uri=seen.uri, size_bytes=seen.size_bytes, modified_at=seen.modified_at, asset_type=asset_type, **fields
    )


def recognise_content(head: bytes, asset: Asset) -> Asset | Ignored:
    """Recognise an `UNKNOWN` asset by the first 64 KiB of its content (or all of a shorter one).

    The fields from the key stay. A text that is not a chat, transcript or summary is ignored: `content_not_recognised`.
    An asset whose type the vendor named keeps its type and only gets its output mode.
    """
    found = sniff(head)
    if asset.asset_type != UNKNOWN:
        return replace(asset, output_mode=found[1] if found else None)
    if found is None:
        return Ignored("content_not_recognised")
    return replace(asset, asset_type=found[0], output_mode=found[1])


def _documented(path: str, extension: str) -> Recognised | None:
    for asset_type, pattern in _DOCUMENTED.get(extension, ()):
        match = pattern.search(path)
        if match:
            fields: dict[str, Any] = match.groupdict()
            fields["session_date"] = _date(fields.pop("date"))
            fields["recorder_started_at"] = parse_epoch(fields.pop("epoch", ""))
            if fields["session_date"]:
                return asset_type, fields
    return None


def _undocumented(parts: Sequence[str], extension: str) -> Recognised | Ignored:
    """Recognise by the segments of a key, the last one without its extension."""
    if extension in _IMAGES:
        return Ignored("thumbnail")
    if extension in _SEGMENTS:
        return Ignored("vod_segment")
    if extension == "m3u8":
        return _playlist(parts[-1].lower(), _dated(parts))
    if extension in _MEDIA:
        return _media(extension, _dated(parts))
    if extension in _TEXTS:
        return _text(parts, extension, _dated(parts))
    return Ignored("not_a_recording_asset")


class _Dated(NamedTuple):
    """A key split at its last segment that is a date: `…/<room>/<date>/<below…>`."""

    room_id: str
    day: date
    below: Sequence[str]
    live: bool
    """Below `hls/<room>/<date>/<epoch>/`, the folder of the recordings of a live stream."""

    def fields(self) -> dict[str, Any]:
        """Return room, date and recorder start if the layout is known or the room looks like an id of the vendor."""
        if not self.live and not _ROOM_ID.fullmatch(self.room_id):
            return {}
        match = _STARTED.fullmatch(self.below[-1])
        started = self.below[0] if self.live else match[1] if match else ""
        return {"room_id": self.room_id, "session_date": self.day, "recorder_started_at": parse_epoch(started)}


def _dated(parts: Sequence[str]) -> _Dated | None:
    for at in range(len(parts) - 2, 0, -1):
        day = _date(parts[at])
        if day and parts[at - 1]:
            below = parts[at + 1 :]
            live = at > 1 and parts[at - 2] == "hls" and len(below) > 1 and parse_epoch(below[0]) is not None
            return _Dated(parts[at - 1], day, below, live)
    return None


def _playlist(name: str, dated: _Dated | None) -> Recognised | Ignored:
    """A VOD is one asset, recognised by its master playlist; playlists of layers have a number or are nested deeper."""
    is_master = name.startswith(("master", "rec-"))
    if dated and dated.live:
        beside_vod = len(dated.below) == 3 and dated.below[1] in _VOD and not re.search(r"\d", name)
        return ("room-vod", dated.fields()) if is_master or beside_vod else Ignored("vod_variant_playlist")
    return ("room-vod", dated.fields() if dated else {}) if is_master else Ignored("media_of_unknown_layout")


def _media(extension: str, dated: _Dated | None) -> Recognised | Ignored:
    if dated and dated.live and dated.below[1] in _VOD:
        return Ignored("vod_segment")
    if not dated or dated.live or len(dated.below) < 4 or extension not in ("mp4", "webm"):
        return Ignored("media_of_unknown_layout")
    session_id, peer_id, stream_id, *_, name = dated.below
    fields = {"room_id": dated.room_id, "session_date": dated.day, "session_id": session_id}
    fields |= {"peer_id": peer_id, "stream_id": stream_id}
    return ("track", fields | {"track_id": name}) if extension == "webm" else ("stream", fields)


def _text(parts: Sequence[str], extension: str, dated: _Dated | None) -> Recognised:
    """The name decides, then the nearest folder that names a type: `transcripts/…/summary.json` is a summary."""
    fields = dated.fields() if dated else {}
    if extension == "srt":
        return "transcript", fields | {"output_mode": "srt"}
    if _PROSE.fullmatch(parts[-1].lower()):
        return UNKNOWN, fields
    for part in reversed(parts):
        for asset_type, pattern in _TYPE_NAMES:
            if extension in _FORMS[asset_type] and pattern.search(part.lower()):
                return asset_type, fields | {"output_mode": extension}
    return UNKNOWN, fields


def _date(digits: str) -> date | None:
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
