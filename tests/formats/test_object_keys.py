from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.formats.object_keys import MAX_UNKNOWN_TEXT, recognise, recognise_content
from roomledger.model import ASSET_TYPES, UNKNOWN, Asset, Ignored, Observation
from tests.formats.case_files import content_of, read_cases

MODIFIED = datetime(2025, 3, 7, 12, tzinfo=UTC)
DAY = date(2025, 3, 7)
STARTED = datetime(2025, 3, 7, 10, 0, 0, 250_000, tzinfo=UTC)
ROOM, PEER = "67aa00000000000000000001", "aaaaaaaa-0000-4000-8000-000000000001"

RECORDING = f"{ROOM}/20250307/Rec-{ROOM}-1741341600250"
PREFIXES = [
    *("chat", "beam", "hls", "transcripts/2024", "chat/beam/hls", f"hls/{ROOM}/20250307/1741341600250/vod"),
    f"{ROOM}/20250307/67cac1e0000000000000000a/{PEER}/bbbbbbbb-0000-4000-8000-000000000002",
]

DOCUMENTED, UNDOCUMENTED = (
    {case["key"]: case["asset"] for case in read_cases(f"object_keys/{name}.yaml")}
    for name in ("documented", "undocumented")
)
IGNORED = {case["key"]: case["reason"] for case in read_cases("object_keys/ignored.yaml")}


def observed(key: str, size: int = 100) -> Observation:
    return Observation(f"s3://acme-rooms/{key}", "tag", MODIFIED, size)


def asset(key: str, fields: dict[str, Any]) -> Asset:
    return Asset(uri=f"s3://acme-rooms/{key}", size_bytes=100, modified_at=MODIFIED, **fields)


@pytest.mark.parametrize("key", DOCUMENTED | UNDOCUMENTED)
def test_every_key_gives_its_asset(key: str) -> None:
    assert recognise(observed(key)) == asset(key, (DOCUMENTED | UNDOCUMENTED)[key])


def test_every_asset_type_has_a_key() -> None:
    assert {fields["asset_type"] for fields in (DOCUMENTED | UNDOCUMENTED).values()} == {*ASSET_TYPES, UNKNOWN}


@pytest.mark.parametrize("key", IGNORED)
def test_every_ignored_key_gives_its_reason(key: str) -> None:
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
def test_no_prefix_changes_the_asset_of_a_documented_key(prefix: str, key: str) -> None:
    whole = f"{prefix}/{key}"
    assert recognise(observed(whole)) == asset(whole, DOCUMENTED[key])


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("key", DOCUMENTED)
def test_prefixes_named_like_folders_of_recordings_change_nothing(prefix: str, key: str) -> None:
    whole = f"{prefix}/{key}"
    assert recognise(observed(whole)) == asset(whole, DOCUMENTED[key])


@given(
    st.lists(segments, max_size=8).map("/".join),
    st.sampled_from(["", ".mp4", ".webm", ".csv", ".json", ".txt", ".srt", ".m3u8", ".zip", ".ts", ".png", ".CSV"]),
)
def test_any_key_is_an_asset_or_ignored(key: str, extension: str) -> None:
    found = recognise(observed(key + extension))
    assert isinstance(found, Asset | Ignored)
    assert isinstance(found, Ignored) or found.asset_type in {*ASSET_TYPES, UNKNOWN}


@given(st.text())
def test_any_uri_is_an_asset_or_ignored(uri: str) -> None:
    assert isinstance(recognise(replace(observed("x"), uri=uri)), Asset | Ignored)


@pytest.mark.parametrize("scheme", ["s3://chat/", "gs://chat/", "oss://chat/", "azure://chat/"])
def test_the_bucket_is_not_part_of_the_key(scheme: str) -> None:
    """A bucket named `chat` does not make its objects chat."""
    found = recognise(replace(observed(""), uri=f"{scheme}{RECORDING}.csv"))
    assert isinstance(found, Asset)
    assert found.asset_type == UNKNOWN


def test_the_key_of_a_local_file_is_its_path() -> None:
    found = recognise(replace(observed(""), uri=f"file:///srv/recordings/chat/{RECORDING}.csv"))
    assert isinstance(found, Asset)
    assert (found.asset_type, found.room_id) == ("chat", ROOM)


@pytest.mark.parametrize("digits", ["1741341600", "1741341600000", "1741341600000000", "1741341600000000000"])
def test_epochs_of_every_unit_are_read(digits: str) -> None:
    found = recognise(observed(f"chat/{ROOM}/20250307/Rec-{ROOM}-{digits}.csv"))
    assert isinstance(found, Asset)
    assert found.recorder_started_at == datetime(2025, 3, 7, 10, tzinfo=UTC)


def test_an_epoch_of_unknown_unit_gives_no_start() -> None:
    found = recognise(observed(f"chat/{ROOM}/20250307/Rec-{ROOM}-17413416000.csv"))
    assert isinstance(found, Asset)
    assert (found.asset_type, found.recorder_started_at) == ("chat", None)


def test_only_small_unknown_text_is_inspected() -> None:
    assert isinstance(recognise(observed("notes.json", MAX_UNKNOWN_TEXT)), Asset)
    assert recognise(observed("notes.json", MAX_UNKNOWN_TEXT + 1)) == Ignored("text_too_large")
    assert isinstance(recognise(observed("transcript.json", MAX_UNKNOWN_TEXT + 1)), Asset)


CONTENTS = read_cases("object_keys/contents.yaml") | {
    "txt truncated within a character": {
        "content": "Mara: hi\n\n" * 6553 + "Maria\xc3",
        "encoding": "latin-1",
        "asset_type": None,
    },
    "deep JSON": {"content": '{"summary":' * 6000, "asset_type": None},
    "bytes": {"content": "".join(map(chr, range(256))), "encoding": "latin-1", "asset_type": None},
}


@pytest.mark.parametrize("name", CONTENTS)
def test_content_is_recognised_by_its_first_bytes(name: str) -> None:
    case = CONTENTS[name]
    unknown = asset(
        "notes.txt", {"asset_type": UNKNOWN, "room_id": ROOM, "session_date": DAY, "recorder_started_at": STARTED}
    )
    found = recognise_content(content_of(case)[: 64 * 1024], unknown)
    if case["asset_type"] is None:
        assert found == Ignored("content_not_recognised")
    else:
        assert found == replace(unknown, asset_type=case["asset_type"], output_mode=case["output_mode"])
