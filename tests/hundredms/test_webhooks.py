"""The rows of webhooks of every event type; any body gives rows or a reason, and no row holds a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table

from roomledger.hundredms import webhooks
from roomledger.hundredms.events import Event, NamedAsset
from roomledger.hundredms.fields import INT32, MAX_BYTES, MAX_INDEXED_BYTES
from roomledger.hundredms.redact import redact
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.vendor_events import event_assets, vendor_events
from roomledger.model import Rejected

FILES = Path(__file__).parents[1] / "cases" / "hundredms"
CASES = {
    f"{file.stem}: {name}": case
    for file in sorted((FILES / "webhooks").glob("*.json"))
    for name, case in json.loads(file.read_bytes()).items()
}
DOCUMENTED = {
    *("session.open.success", "session.close.success", "room.end.success", "room.end.failure"),
    *("peer.join.success", "peer.join.failure", "peer.leave.success", "peer.leave.failure"),
    *("role.change.success", "role.change.failure"),
    *("beam.started.success", "beam.stopped.success", "beam.recording.success", "beam.failure"),
    *("recording.success", "recording.failed"),
    *("hls.started.success", "hls.stopped.success", "hls.recording.success", "hls.failure"),
    *("transcription.started.success", "transcription.success", "transcription.failure", "transcription.failed"),
    *("track.recording.started.success", "track.recording.success", "track.recording.failure"),
    *("stream.recording.success", "stream.recording.failure"),
}
ENVELOPE = {
    "version": "2.0",
    "id": "5b2f7c1e-0d9a-4e63-8f47-c6a1b2d3e4f5",
    "account_id": "6700aa00000000000000ac01",
    "app_id": "6700aa00000000000000a901",
    "timestamp": "2024-11-05T16:20:31Z",
}
FROM_ENVELOPE = {
    "event_id": ENVELOPE["id"],
    "occurred_at": "2024-11-05T16:20:31+00:00",
    "is_replay": False,
    "account_id": ENVELOPE["account_id"],
    "app_id": ENVELOPE["app_id"],
}
EVENT_FIELDS = ("event_id", "room_id", "session_id", "recording_id", "job_id", "beam_id", "transcription_id")
RECORDER_FIELDS = ("started_at", "stopped_at")

Rows = tuple[Event, list[NamedAsset]]


def decode(value: Any) -> Rows:
    """Decode a body as the pipeline does, after the endpoint has redacted it."""
    return webhooks.decode(redact(value))


def body(case: dict[str, Any]) -> dict[str, Any]:
    return {**ENVELOPE, "type": case["type"], "data": case["data"], **case.get("envelope", {})}


def plain(row: Event | NamedAsset) -> dict[str, Any]:
    """The columns of a row that are not null, without its record; JSON is parsed, times are text."""
    cells = {name: value for name, value in row._asdict().items() if value is not None}
    for name in ("planned_types", "thumbnails"):
        if name in cells:
            cells[name] = json.loads(cells[name])
    for name in ("record", "record_sha256"):
        cells.pop(name, None)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in cells.items()}


@pytest.mark.parametrize(
    ("row_type", "table", "added"),
    [
        (Event, vendor_events, {"customer", "source", "received_at", "ingested_at"}),
        (NamedAsset, event_assets, {"customer", "source", "recorder_id", "occurred_at", "ingested_at"}),
    ],
)
def test_fields_are_the_columns_of_the_table(row_type: type[Any], table: Table, added: set[str]) -> None:
    columns = {column.name: column for column in table.columns if column.name not in added}
    assert list(row_type._fields) == list(columns)
    hints = get_type_hints(row_type)
    assert {name for name, column in columns.items() if column.nullable} == {
        name for name in columns if isinstance(None, hints[name])
    }


@pytest.mark.parametrize("name", CASES)
def test_every_case_gives_its_rows(name: str) -> None:
    case = CASES[name]
    expected = {**FROM_ENVELOPE, "type": case["type"], **case["event"]}
    expected = {column: value for column, value in expected.items() if value is not None}
    shared = {column: expected[column] for column in (*EVENT_FIELDS, *RECORDER_FIELDS) if column in expected}
    rows = decode(body(case))
    check(rows)
    for row, table in ((rows[0], vendor_events), *((asset, event_assets) for asset in rows[1])):
        pa.Table.from_pylist([row._asdict()], schema=arrow_schema(table)).select(row._fields).validate(full=True)
    assert plain(rows[0]) == expected
    assert [plain(asset) for asset in rows[1]] == [
        {**shared, "ordinal": ordinal, **asset} for ordinal, asset in enumerate(case.get("assets", []), 1)
    ]


def test_every_documented_type_is_among_the_cases() -> None:
    assert {case["type"] for case in CASES.values()} >= DOCUMENTED


GOOD = body({"type": "session.open.success", "data": {}})


REJECTED: dict[str, tuple[Any, str]] = {
    name: (GOOD | case["changes"] if "changes" in case else case["input"], case["code"])
    for name, case in json.loads((FILES / "rejected-webhooks.json").read_bytes()).items()
} | {
    "id too long": (GOOD | {"id": "ü" * MAX_INDEXED_BYTES}, "id_too_long"),
    "type too long": (GOOD | {"type": "ü" * MAX_INDEXED_BYTES}, "type_missing"),
    "bytes": (GOOD | {"data": {"room_id": b"r"}}, "not_json"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_body_that_is_not_an_event_is_rejected_with_a_reason(name: str) -> None:
    value, code = REJECTED[name]
    with pytest.raises(Rejected) as caught:
        decode(value)
    assert caught.value.reason_code == code
    assert caught.value.detail


def test_a_body_nested_too_deep_is_rejected() -> None:
    deep: Any = "r"
    for _ in range(3000):
        deep = [deep]
    with pytest.raises(Rejected, match="not_json"):
        decode(GOOD | {"data": {"room_id": deep}})


def test_the_record_is_the_whole_redacted_event() -> None:
    value = body(CASES["beam: started"])
    before = deepcopy(value)
    row, _ = decode(value)
    redacted = deepcopy(value)
    redacted["data"] |= {"meeting_url": "https://harbour.app.100ms.live/preview/abc", "rtmp": [{"url": "[redacted]"}]}
    assert json.loads(row.record) == redacted
    assert value == before
    assert row == decode(dict(reversed(value.items())))[0]
    assert row.record.startswith('{"account_id":"6700aa00000000000000ac01","app_id":')


@pytest.mark.parametrize(
    "uri",
    ["s3://acme/a b/x.mp4", "gs://acme/ü+%20.mp4", "oss://acme/x.mp4", "azure://acme/x.mp4", "s3://acme/token=1.mp4"],
)
def test_a_uri_of_an_object_in_a_bucket_is_unchanged(uri: str) -> None:
    value = body({"type": "beam.recording.success", "data": {"recording_path": uri, "chat_recording_path": uri}})
    assert [asset.uri for asset in decode(value)[1]] == [uri, uri]


@pytest.mark.parametrize(
    "path",
    [
        *("https://acme.example/x.mp4", " HTTP://acme.example/x.mp4", "rtmp://live.example/app/key"),
        *("[redacted]", "s3://acme/x y rtmp://live.example/key", "s3://acme/x\0.mp4", "s3://acme/\ud800.mp4"),
        *("s3://acme/x y https://acme.example/?token=7", "s3://acme/" + "x" * MAX_INDEXED_BYTES),
    ],
)
@pytest.mark.parametrize("received", [lambda value: value, redact], ids=["raw", "redacted before"])
def test_other_uris_give_null(path: str, received: Callable[[Any], Any]) -> None:
    files = [{"asset_id": "a", "recording_path": path}]
    thumbnails = [{"location": path}, "s3://acme/1.png", {"location": "s3://acme/2.png"}]
    live = {"hls_vod_recording_path": path, "recording_single_files": files, "recording_thumbnails": thumbnails}
    vod, layer = decode(received(body({"type": "hls.recording.success", "data": live})))[1]
    assert (vod.uri, vod.thumbnails, layer.uri) == (None, '["s3://acme/2.png"]', None)
    assert (vod.asset_type, layer.asset_type) == ("room-vod", "room-composite")
    partial = {"transcript_srt_path": path}
    (transcript,) = decode(received(body({"type": "transcription.failure", "data": partial})))[1]
    assert (transcript.uri, transcript.status) == (None, "completed")


@pytest.mark.parametrize("name", ["beam: recorded", "hls: recorded", "stream: recorded", "track: recorded"])
def test_an_id_too_long_for_an_index_gives_null(name: str) -> None:
    value = body(CASES[name])
    long = "ü" * MAX_INDEXED_BYTES
    for path in list(paths(value)):
        if path and str(path[-1]).endswith("_id"):
            put(value, path, long)
    absent = ("account_id", "app_id", "job_id", "transcription_id", "transcript_srt_asset_id")
    value["data"] |= dict.fromkeys(absent, long)
    row, assets = decode(value)
    check((row, assets))
    assert not any(long in plain(one).values() for one in (row, *assets))
    assert decode(value | {"type": "transcription.failure"})[1] == []


def check(rows: Rows) -> None:
    """A warehouse can store these rows, and their keys are unique."""
    row, assets = rows
    assert [(asset.event_id, asset.ordinal) for asset in assets] == [
        (row.event_id, ordinal) for ordinal in range(1, len(assets) + 1)
    ]
    assert row.outcome in ("started", "ended", "succeeded", "failed", None)
    assert {asset.status for asset in assets} <= {"completed", "failed", "processing"}
    assert all(asset.status == "failed" or not (asset.error_type or asset.error_message) for asset in assets)
    assert row.record_sha256 == sha256(row.record.encode()).hexdigest()
    for one in (row, *assets):
        hints = get_type_hints(type(one))
        for name, value in one._asdict().items():
            assert isinstance(value, hints[name]), name
            assert value == value, name  # no NaN
            if isinstance(value, str):
                assert "\0" not in value
                assert len(value.encode()) <= MAX_INDEXED_BYTES or not name.endswith(("_id", "uri")), name
            if isinstance(value, int):
                assert 0 <= value <= (MAX_BYTES if name == "size_bytes" else INT32), name
            if isinstance(value, float):
                assert 0 <= value < float("inf"), name
            if isinstance(value, datetime):
                assert value.utcoffset() == timedelta(0), name
            if name in ("record", "planned_types", "thumbnails") and value is not None:
                assert isinstance(json.loads(value, parse_constant=pytest.fail), dict if name == "record" else list)


SAMPLES = [body(case) for case in CASES.values()]
TEXTS = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(
    ["\0", "\ud800", "a" * 3000, "-1", "9" * 19, "0.5", "0000-00-00T00:00:00Z", "recording.success", "s3://b/k", "."]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([1 << 31, 1 << 63, 1 << 1024, -(1 << 70), 1e300])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.just("asset_id"), inner, max_size=4),
    max_leaves=6,
)

CANARY = "c4n4ry"
SECRET_TEXTS = [
    f"https://bucket.s3.amazonaws.com/x.mp4?X-Amz-Signature={CANARY}",
    f"https://storage.googleapis.com/b/x.csv?X-Goog-Signature={CANARY}&more=1",
    f"rtmp://live.example/app/{CANARY}",
    f"rtmps://live.example/app?key={CANARY}",
    f"https://{CANARY}@files.example/x.mp4",
    f"Authorization: Bearer {CANARY}",
    f"eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}",
    f"s3://bucket/x.mp4 https://files.example/?token={CANARY}",
]
SECRET_FIELDS = {
    "meeting_url": f"https://acme.app.100ms.live/preview/r?whatever={CANARY}",
    "rtmp": [{"url": f"rtmp://live.example/app/{CANARY}", "key": CANARY}, CANARY],
    "rtmp_urls": [CANARY],
    "stream_key": CANARY,
    "url": f"https://cdn.example/{CANARY}.m3u8",
    "URL": f"https://files.example/{CANARY}",
    "location": f"https://files.example/{CANARY}.mp4",
    "recording_presigned_url": f"https://files.example/{CANARY}",
    "chat_recording_presigned_url": CANARY,
    "hls_vod_recording_presigned_url": [CANARY],
    "transcript_txt_presigned_url": {"for": {"once": CANARY}},
    "auth_token": CANARY,
}


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    if isinstance(value, (dict, list)):
        for name, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(entry, (*here, name))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


def put(tree: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    *parents, last = path
    at(tree, tuple(parents))[last] = value


def objects(value: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [path for path in paths(value) if isinstance(at(value, path), dict)]


@st.composite
def broken(draw: st.DrawFn) -> Any:
    """A sample with arbitrary values at one to three of its paths."""
    value = {"": deepcopy(draw(st.sampled_from(SAMPLES)))}
    for _ in range(draw(st.integers(1, 3))):
        put(value, draw(st.sampled_from(list(paths(value))[1:])), draw(VALUES))
    return value[""]


@st.composite
def leaky(draw: st.DrawFn) -> dict[str, Any]:
    """A sample with one to three secrets: instead of values, or in fields for secrets."""
    value = deepcopy(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            targets = [path for path in paths(value) if path and path != ("data",)]
            put(value, draw(st.sampled_from(targets)), draw(st.sampled_from(SECRET_TEXTS)))
        else:
            name, secret = draw(st.sampled_from(list(SECRET_FIELDS.items())))
            at(value, draw(st.sampled_from(objects(value))))[name] = deepcopy(secret)
    return value


def outcome(value: Any) -> Rows | str:
    try:
        return decode(value)
    except Rejected as error:
        return str(error)


@settings(max_examples=400, deadline=None)
@given(broken() | VALUES)
def test_any_json_gives_rows_or_a_reason(value: Any) -> None:
    before = repr(value)
    found = outcome(value)
    assert repr(value) == before
    if isinstance(found, str):
        codes = ("not_an_object", "id_missing", "id_too_long", "type_missing", "data_missing", "not_json")
        assert found.startswith(codes)
    else:
        check(found)
        assert outcome(json.loads(json.dumps(value))) == found


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_unknown_fields_change_only_the_record(data: st.DataObject) -> None:
    value = deepcopy(data.draw(st.sampled_from(SAMPLES)))
    row, assets = decode(value)
    for _ in range(data.draw(st.integers(1, 3))):
        unknown = "x_" + data.draw(TEXTS)
        at(value, data.draw(st.sampled_from(objects(value))))[unknown] = data.draw(VALUES)
    changed, same_assets = decode(value)
    assert changed.record != row.record
    assert changed._replace(record=row.record, record_sha256=row.record_sha256) == row
    assert same_assets == assets


@settings(max_examples=400, deadline=None)
@given(leaky())
def test_no_row_holds_a_secret_from_any_path(value: dict[str, Any]) -> None:
    assert CANARY in json.dumps(value)
    assert CANARY not in repr(outcome(value))


@settings(max_examples=400, deadline=None)
@given(leaky())
def test_a_body_redacted_before_gives_the_same_rows(value: dict[str, Any]) -> None:
    assert outcome(redact(value)) == outcome(value)
