from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.formats.object_keys import MAX_UNKNOWN_TEXT, recognise, recognise_content
from roomledger.model import ASSET_TYPES, UNKNOWN, Asset, Ignored, Observation

MODIFIED = datetime(2025, 3, 7, 12, tzinfo=UTC)
DAY = date(2025, 3, 7)
STARTED = datetime(2025, 3, 7, 10, 0, 0, 250_000, tzinfo=UTC)
ROOM, SESSION = "67aa00000000000000000001", "67cac1e0000000000000000a"
PEER, STREAM = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
TRACK = "cccccccc-0000-4000-8000-000000000003"

BEAM = f"{ROOM}/20250307/Rec-{ROOM}-1741341600250"
LIVE = f"hls/{ROOM}/20250307/1741341600250"
PEERS = f"{ROOM}/20250307/{SESSION}/{PEER}/{STREAM}"
IN_ROOM = {"room_id": ROOM, "session_date": DAY}
RECORDED = {**IN_ROOM, "recorder_started_at": STARTED}
SPOKEN = {**IN_ROOM, "session_id": SESSION, "peer_id": PEER, "stream_id": STREAM}

DOCUMENTED = {
    f"beam/{BEAM}.mp4": ("room-composite", RECORDED),
    f"{LIVE}/file-recording/Rec-{ROOM}-1741341600250-0.mp4": ("room-composite", {**RECORDED, "layer": "0"}),
    f"{ROOM}/20250307/{SESSION}/Rec-{SESSION}-1741341600250.mp4": (
        "room-composite-legacy",
        {**RECORDED, "session_id": SESSION},
    ),
    f"{LIVE}/vod/Rec-{ROOM}-1741341600250.zip": ("room-vod", RECORDED),
    f"{LIVE}/hls-vod/Rec-{ROOM}-1741341600250.zip": ("room-vod", RECORDED),
    f"chat/{BEAM}.csv": ("chat", RECORDED),
    f"{PEERS}/{TRACK}.webm": ("track", {**SPOKEN, "track_id": TRACK}),
    f"{PEERS}/{STREAM}.mp4": ("stream", SPOKEN),
}

UNDOCUMENTED = {
    f"{LIVE}/vod/master.m3u8": ("room-vod", RECORDED),
    f"{LIVE}/vod/index.m3u8": ("room-vod", RECORDED),
    f"{LIVE}/vod/Rec-{ROOM}-1741341600250.m3u8": ("room-vod", RECORDED),
    f"{LIVE}/vod/Rec-{ROOM}/master.m3u8": ("room-vod", RECORDED),
    "vods/master.m3u8": ("room-vod", {}),
    f"vods/{ROOM}/20250307/master.m3u8": ("room-vod", IN_ROOM),
    f"{PEERS}/camera.mp4": ("stream", SPOKEN),
    f"{PEERS}/regular/camera.mp4": ("stream", SPOKEN),
    f"{PEERS}/audio/{TRACK}.webm": ("track", {**SPOKEN, "track_id": TRACK}),
    f"transcripts/{ROOM}/20250307/67cad000000000000000000b/transcript.json": (
        "transcript",
        {**IN_ROOM, "output_mode": "json"},
    ),
    f"transcripts/{BEAM}.srt": ("transcript", {**RECORDED, "output_mode": "srt"}),
    "transcript.txt": ("transcript", {"output_mode": "txt"}),
    "a/b/Rec-x-transcription_EN.TXT": ("transcript", {"output_mode": "txt"}),
    "transcripts/lesson.json": ("transcript", {"output_mode": "json"}),
    "transcripts/summaries/lesson.json": ("summary", {"output_mode": "json"}),
    "summaries/transcripts/lesson.json": ("transcript", {"output_mode": "json"}),
    "subtitles/lesson.srt": ("transcript", {"output_mode": "srt"}),
    f"transcripts/{ROOM}/20250307/summary.json": ("summary", {**IN_ROOM, "output_mode": "json"}),
    "summary-final.json": ("summary", {"output_mode": "json"}),
    "notes.json": (UNKNOWN, {}),
    "notes.txt": (UNKNOWN, {}),
    "transcripts/attendance.csv": (UNKNOWN, {}),
    f"{ROOM}/20250307/{SESSION}/notes.txt": (UNKNOWN, IN_ROOM),
    "recordings/20250307/notes.txt": (UNKNOWN, {}),
    f"chat/{ROOM}/20250307/Rec-other-1741341600250.csv": (UNKNOWN, RECORDED),
    f"chat/{ROOM}/20251307/Rec-{ROOM}-1741341600250.csv": (UNKNOWN, {}),
}

IGNORED = {
    "": "not_a_recording_asset",
    "beam/": "folder_marker",
    "beam_$folder$": "folder_marker",
    f"{LIVE}/thumbnails/60.png": "thumbnail",
    f"{LIVE}/vod/0/seg00001.ts": "vod_segment",
    f"{LIVE}/vod/0/seg00001.m4s": "vod_segment",
    f"{LIVE}/vod/0/init.mp4": "vod_segment",
    f"{LIVE}/vod/audio/part.aac": "vod_segment",
    f"{LIVE}/vod/720p.m3u8": "vod_variant_playlist",
    f"{LIVE}/vod/0/index.m3u8": "vod_variant_playlist",
    f"{LIVE}/file-recording/draft.mp4": "media_of_unknown_layout",
    "shows/playlist.m3u8": "media_of_unknown_layout",
    "trailer.mp4": "media_of_unknown_layout",
    f"beam/{ROOM}/20250230/Rec-{ROOM}-1741341600250.mp4": "media_of_unknown_layout",
    f"{ROOM}/20250307/{SESSION}/Rec-{ROOM}-1741341600250.mp4": "media_of_unknown_layout",
    "backup.zip": "media_of_unknown_layout",
    "lesson.mkv": "media_of_unknown_layout",
    ".DS_Store": "not_a_recording_asset",
    "_SUCCESS": "not_a_recording_asset",
    f"chat/{BEAM}.csv.tmp": "not_a_recording_asset",
}


def observed(key: str, size: int = 100) -> Observation:
    return Observation(f"s3://acme-rooms/{key}", "tag", MODIFIED, size)


def asset(key: str, asset_type: str, fields: dict[str, object]) -> Asset:
    about = {"uri": f"s3://acme-rooms/{key}", "size_bytes": 100, "modified_at": MODIFIED}
    return Asset(**{**about, "asset_type": asset_type, **fields})


@pytest.mark.parametrize("key", DOCUMENTED | UNDOCUMENTED)
def test_recognised(key: str) -> None:
    assert recognise(observed(key)) == asset(key, *(DOCUMENTED | UNDOCUMENTED)[key])


def test_every_asset_type_has_a_key() -> None:
    assert {asset_type for asset_type, _ in (DOCUMENTED | UNDOCUMENTED).values()} == {*ASSET_TYPES, UNKNOWN}


@pytest.mark.parametrize("key", IGNORED)
def test_ignored(key: str) -> None:
    assert recognise(observed(key)) == Ignored(IGNORED[key])


segments = st.sampled_from(
    [
        "chat",
        "beam",
        "hls",
        "vod",
        "Rec-x",
        "20250307",
        "transcripts",
        ROOM,
        PEER,
        "1741341600250",
        "a b",
        "ünï",
        "..",
        "?",
    ]
) | st.text(max_size=5).filter(lambda text: "/" not in text)


@given(st.lists(segments, min_size=1, max_size=7).map("/".join), st.sampled_from(sorted(DOCUMENTED)))
def test_no_prefix_changes_what_a_documented_key_says(prefix: str, key: str) -> None:
    whole = f"{prefix}/{key}"
    assert recognise(observed(whole)) == asset(whole, *DOCUMENTED[key])


@pytest.mark.parametrize("prefix", ["chat", "beam", "hls", "transcripts/2024", f"{LIVE}/vod", PEERS, "chat/beam/hls"])
@pytest.mark.parametrize("key", DOCUMENTED)
def test_prefixes_named_like_places_of_recordings(prefix: str, key: str) -> None:
    whole = f"{prefix}/{key}"
    assert recognise(observed(whole)) == asset(whole, *DOCUMENTED[key])


@given(
    st.lists(segments, max_size=8).map("/".join),
    st.sampled_from(["", ".mp4", ".webm", ".csv", ".json", ".txt", ".srt", ".m3u8", ".zip", ".ts", ".png", ".CSV"]),
)
def test_any_key_is_an_asset_or_ignored(key: str, extension: str) -> None:
    found = recognise(observed(key + extension))
    assert isinstance(found, Asset | Ignored)
    assert isinstance(found, Ignored) or found.asset_type in {*ASSET_TYPES, UNKNOWN}


@given(st.text())
def test_any_address_is_an_asset_or_ignored(uri: str) -> None:
    assert isinstance(recognise(replace(observed("x"), uri=uri)), Asset | Ignored)


@pytest.mark.parametrize("scheme", ["s3://chat/", "gs://chat/", "oss://chat/", "azure://chat/"])
def test_the_bucket_is_no_part_of_the_key(scheme: str) -> None:
    """A bucket named `chat` turns nothing into chat."""
    found = recognise(replace(observed(""), uri=f"{scheme}{BEAM}.csv"))
    assert isinstance(found, Asset)
    assert found.asset_type == UNKNOWN


def test_files_have_a_path_for_a_key() -> None:
    found = recognise(replace(observed(""), uri=f"file:///srv/recordings/chat/{BEAM}.csv"))
    assert isinstance(found, Asset)
    assert (found.asset_type, found.room_id) == ("chat", ROOM)


@pytest.mark.parametrize("digits", ["1741341600", "1741341600000", "1741341600000000", "1741341600000000000"])
def test_epochs_of_any_unit(digits: str) -> None:
    found = recognise(observed(f"chat/{ROOM}/20250307/Rec-{ROOM}-{digits}.csv"))
    assert isinstance(found, Asset)
    assert found.recorder_started_at == datetime(2025, 3, 7, 10, tzinfo=UTC)


def test_an_epoch_of_no_unit_leaves_the_chat_a_chat() -> None:
    found = recognise(observed(f"chat/{ROOM}/20250307/Rec-{ROOM}-17413416000.csv"))
    assert isinstance(found, Asset)
    assert (found.asset_type, found.recorder_started_at) == ("chat", None)


def test_only_small_text_is_looked_into() -> None:
    assert isinstance(recognise(observed("notes.json", MAX_UNKNOWN_TEXT)), Asset)
    assert recognise(observed("notes.json", MAX_UNKNOWN_TEXT + 1)) == Ignored("text_too_large")
    assert isinstance(recognise(observed("transcript.json", MAX_UNKNOWN_TEXT + 1)), Asset)


CONTENT = {
    "transcript with words first": (b'{"words": [{"word": "Hi"', ("transcript", "json")),
    "transcript with sentences after other members": (b'{"id": 7, "sentences": []}', ("transcript", "json")),
    "wrapped transcript": (b'{"transcript": {"words": []}}', ("transcript", "json")),
    "summary": (b'{"sections": [\n {"title"', ("summary", "json")),
    "wrapped summary": (b'{"id": "s", "summary": {"sections": [{', ("summary", "json")),
    "chat": (b"SenderName,SentAt,Message\n", ("chat", None)),
    "chat with a byte order mark and other columns": (b"\xef\xbb\xbfMessage,Mood,SentAt\r\n", ("chat", None)),
    "chat in UTF-16": ("SentAt,Message\n".encode("utf-16"), ("chat", None)),
    "srt": (b"1\n00:00:01,000 --> 00:00:02,000\nMara: hi\n", ("transcript", "srt")),
    "srt without a counter": (b"\r\n0:00:01.5 --> 0:00:02.5\r\nhi", ("transcript", "srt")),
    "txt": ("Mara: hi\n\nJoão: oi\n\nMara: bye\n".encode(), ("transcript", "txt")),
    "txt cut within a character": (b"Mara: hi\n\n" * 6553 + b"Maria\xc3", ("transcript", "txt")),
    "nothing": (b"", None),
    "white space": (b" \n\n", None),
    "JSON of another shape": (b'{"rows": [{"word": 1}]}', None),
    "words that are a vocabulary": (b'{"words": ["a", "b"]}', None),
    "a summary that is a text": (b'{"summary": "short"}', None),
    "a summary that holds words": (b'{"summary": {"words": [{', None),
    "a JSON list": (b'[{"words": []}]', None),
    "cut JSON": (b'{"wor', None),
    "deep JSON": (b'{"summary":' * 6000, None),
    "another CSV": (b"name,score\nMara,3\n", None),
    "a sheet with SentAt alone": (b"SentAt,Subject\n", None),
    "a chat header with an open quote": (b'SentAt,"Message\n', None),
    "prose": (b"Dear all,\n\nplease note: no class today.\n", None),
    "a list of settings": (b"host: a\n\nport: b\n", None),
    "one turn": (b"Mara: hi\n", None),
    "turns with a line between": (b"Mara: hi\n\nMara: bye\n\nThe end\n", None),
    "bytes": (bytes(range(256)), None),
}


@pytest.mark.parametrize("name", CONTENT)
def test_content(name: str) -> None:
    head, expected = CONTENT[name]
    unknown = asset("notes.txt", UNKNOWN, dict(RECORDED))
    found = recognise_content(head[: 64 * 1024], unknown)
    if expected is None:
        assert found == Ignored("content_not_recognised")
    else:
        assert found == replace(unknown, asset_type=expected[0], output_mode=expected[1])
