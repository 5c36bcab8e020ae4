from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, select, text

from roomledger.hundredms import records
from roomledger.hundredms.records import AssetRecord, Peer, Recording, Room, Session
from roomledger.ledger.database import Database
from roomledger.ledger.tables.columns import Json, arrow_schema
from roomledger.ledger.tables.vendor_records import (
    asset_records,
    job_records,
    peer_records,
    rooms,
    session_records,
)
from roomledger.model import Rejected

LARGEST_KEY = 2704 - 32
"""Bytes that an entry of a PostgreSQL index takes, less what it needs for itself."""
NOW = datetime(2025, 3, 8, tzinfo=UTC)
STORED = {"customer": "acme", "source": "api", "first_seen_at": NOW, "first_seen_by": "api", "read_at": NOW}
TABLES: dict[type[Any], Table] = {
    Room: rooms,
    Session: session_records,
    Peer: peer_records,
    Recording: job_records,
    AssetRecord: asset_records,
}
Rows = list[Any]
READERS: dict[str, Callable[[Any], Rows]] = {
    "room": lambda said: [records.room(said)],
    "session": lambda said: flat(records.session(said)),
    "asset": lambda said: [records.asset(said)],
    **{
        kind: partial(lambda kind, said: flat(records.recording(said, kind)), kind)
        for kind in ("recording", "live-stream", "external-stream")
    },
}
FILES = Path(__file__).parents[1] / "cases" / "hundredms" / "records"
CASES = {kind: json.loads((FILES / f"{kind}.json").read_bytes()) for kind in READERS}
BAD = json.loads((FILES / "bad.json").read_bytes())


def flat(found: tuple[Any, Iterable[Any]]) -> Rows:
    return [found[0], *found[1]]


def plain(row: Any) -> dict[str, Any]:
    """What a row says, without what is null and without its record; JSON is read, times are as text."""
    cells = {name: value for name, value in row._asdict().items() if value is not None}
    for name in ("planned_types", "metadata", "thumbnails"):
        if name in cells:
            cells[name] = json.loads(cells[name])
    for name in ("record", "record_sha256"):
        del cells[name]
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in cells.items()}


def known(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize("row_type", TABLES, ids=lambda row_type: row_type.__name__)
def test_fields_are_the_columns_of_the_table(row_type: type[Any]) -> None:
    added = {*STORED, "poll_at"}
    assert list(row_type._fields) == [name for name in TABLES[row_type].columns.keys() if name not in added]  # noqa: SIM118


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in CASES for name in CASES[kind]])
def test_rows(kind: str, name: str) -> None:
    case = CASES[kind][name]
    row, *others = READERS[kind](case["said"])
    check([row, *others])
    assert plain(row) == known(case["row"])
    assert [plain(other) for other in others] == [known(other) for other in case.get("others", [])]
    if "record" in case:
        assert json.loads(row.record) == case["record"]


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_says_why(kind: str, name: str) -> None:
    with pytest.raises(Rejected) as caught:
        READERS[kind](BAD[name]["said"])
    assert caught.value.reason_code == BAD[name]["code"]
    assert caught.value.detail


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, {("a", "b"): 1}, "deep"])
def test_what_is_no_json_says_so(value: Any) -> None:
    if value == "deep":
        for _ in range(3000):
            value = [value]
    with pytest.raises(Rejected, match="not_json"):
        records.asset({"id": "a", "metadata": value})


def test_an_asset_of_a_job_is_the_row_of_the_list() -> None:
    said = CASES["recording"]["with its assets"]["said"]
    place = {"job_id": said["id"], "room_id": said["room_id"], "session_id": said["session_id"]}
    listed = [records.asset({"session_id": "", **asset, **place}) for asset in said["recording_assets"]]
    for lack in ({}, {"job_id": None, "session_id": ""}):
        job = {**said, "recording_assets": [{**asset, **lack} for asset in said["recording_assets"]]}
        assert records.recording(job, "recording")[1] == listed
    assert len(listed) == 2


def test_a_job_is_the_same_row_in_the_list_and_alone() -> None:
    said = CASES["recording"]["with its assets"]["said"]
    listed = {name: value for name, value in said.items() if name != "recording_assets"}
    assert records.recording(said, "recording")[0] == records.recording(listed, "recording")[0]


def test_record_is_canonical() -> None:
    said = {"b": [1, {"d": "ü", "c": None}], "id": "a"}
    row = records.room(said)
    assert row.record == '{"b":[1,{"c":null,"d":"ü"}],"id":"a"}'
    assert row == records.room({"id": "a", "b": [1, {"c": None, "d": "ü"}]})
    assert said == {"b": [1, {"d": "ü", "c": None}], "id": "a"}
    assert row.record_sha256 == "d977e4ff244359fe24b035db4f43619bda4e05e8a879687bb6b43443d454fd7e"


def test_session_is_the_same_whatever_the_order_and_shape_of_peers() -> None:
    said = CASES["session"]["ended when the last peer left"]["said"]
    turned = {**said, "peers": dict(reversed(said["peers"].items()))}
    listed = {**said, "peers": list(said["peers"].values())}
    row, peers = records.session(said)
    for other in (turned, listed):
        same, others = records.session(other)
        assert (same, sorted(others)) == (row, sorted(peers))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("recording", {"id": "j", "meeting_url": "https://acme.example/preview/r?auth_token=canary-1"}),
        ("external-stream", {"id": "j", "rtmp_urls": ["rtmp://live.example/app/canary-2"]}),
        ("live-stream", {"id": "j", "playback": {"url": "https://cdn.example/canary-3/master.m3u8?token=canary-4"}}),
        ("asset", {"id": "a", "path": "https://b.example/a.csv?X-Amz-Signature=canary-5"}),
        ("asset", {"id": "a", "thumbnails": ["https://b.example/a.png?X-Amz-Signature=canary-6"]}),
        ("asset", {"id": "a", "metadata": {"url": "https://b.example/a.png?X-Amz-Signature=canary-7"}}),
        ("room", {"id": "r", "recording_info": {"upload_info": {"credentials": {"secret": "canary-8"}}}}),
        ("room", {"id": "r", "recording_info": {"upload_info": {"credentials": {"key": "canary-9"}}}}),
        ("recording", {"id": "j", "recording_assets": [{"url": "https://b.example/?X-Amz-Signature=canary-9"}]}),
        ("session", {"id": "s", "peers": [{"url": "https://b.example/?X-Amz-Signature=canary-9"}]}),
    ],
)
def test_no_row_holds_a_secret(kind: str, said: dict[str, Any]) -> None:
    rows = READERS[kind](said)
    assert "canary" in json.dumps(said)
    assert "canary" not in repr(rows)


@pytest.mark.parametrize(
    ("status", "final"),
    [
        ("completed", True),
        ("failed", True),
        ("processing", False),
        ("post_processing", False),
        ("new", False),
        (None, False),
    ],
)
def test_what_is_final(status: str | None, final: bool) -> None:
    assert records.final_asset(status) is final
    assert records.final_job(status) is final


def test_both_engines_hold_the_rows(database: Database) -> None:
    odd = {
        "numbers": [10**400, 10**300, float("inf"), float("nan"), 0.1, 5e-324, -0.0],
        "texts": ["\0", "\ud800", "\udc00\ud800", "\U0001f600", "\u2028", "\\u0000", "\x1f", '"'],
        "": {"\0": {"\ud800": ""}},
    }
    # Three bytes each, and nothing in them that PostgreSQL could compress.
    longest = {"id": "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(records.MAX_INDEXED_BYTES // 3))}
    said = [(kind, case["said"] | {"odd": odd}) for kind, cases in CASES.items() for case in cases.values()]
    said.append(("session", longest | {"peers": [longest | {"user_id": longest["id"]}]}))
    rows: dict[Table, dict[tuple[Any, ...], dict[str, Any]]] = {}
    for row in (row for kind, one in said for row in READERS[kind](one)):
        table = TABLES[type(row)]
        key = tuple(getattr(row, column.name) for column in table.primary_key.columns)
        rows.setdefault(table, {})[key] = {**row._asdict(), **STORED}
    assert set(rows) == set(TABLES.values())
    with database.begin() as tx:
        for table, stored in rows.items():
            table.create(tx)
            staged = pa.Table.from_pylist([*stored.values()], schema=arrow_schema(table))
            rows_of = database.stage(tx, staged, table.name)
            cells = ", ".join(f"CAST({c.name} AS JSON)" if c.type is Json else c.name for c in table.columns)
            tx.execute(text(f"INSERT INTO {table.name} SELECT {cells} FROM {rows_of}"))
            kept = tx.execute(select(table)).mappings().all()
            found = {tuple(row[column.name] for column in table.primary_key.columns): row for row in kept}
            assert {key: row["record"] for key, row in found.items()} == {
                key: json.loads(row["record"]) for key, row in stored.items()
            }


def check(rows: Rows) -> None:
    """The warehouse takes these rows: Arrow and PostgreSQL can hold them, keys are there once, records are JSON."""
    keys = []
    for row in rows:
        table = TABLES[type(row)]
        stored = {**row._asdict(), **STORED}
        for column in table.columns:
            value = stored.get(column.name)
            assert value is None or type(value) is _python(column.type), column.name
            assert value is not None or column.nullable, column.name
            if isinstance(value, str):
                assert "\0" not in value
                assert value.encode()
            if isinstance(column.type, Integer) and value is not None:
                assert 0 <= value < 1 << (63 if isinstance(column.type, BigInteger) else 31), column.name
            if isinstance(value, datetime):
                assert value.utcoffset() == timedelta(0)
        pa.Table.from_pylist([stored], schema=arrow_schema(table)).validate(full=True)
        for name in ("record", "metadata", "thumbnails", "planned_types"):
            if stored.get(name) is not None:
                held = json.loads(stored[name], parse_constant=pytest.fail)
                assert "\0" not in "".join(texts(held))
        assert row.record_sha256 == sha256(row.record.encode()).hexdigest()
        for index in (table.primary_key, *table.indexes):
            names = [column.name for column in index.columns]
            assert sum(len((stored[name] or "").encode()) for name in names) <= LARGEST_KEY, names
        keys.append((table.name, *(stored[column.name] for column in table.primary_key.columns)))
    assert len(set(keys)) == len(keys)


def _python(type_: Any) -> type[Any]:
    arrow = arrow_schema(Table("t", MetaData(), Column("c", type_))).field("c").type
    if pa.types.is_timestamp(arrow):
        return datetime
    return {pa.string(): str, pa.bool_(): bool, pa.int64(): int, pa.float64(): float}[arrow]


SAMPLES = [(kind, case["said"]) for kind, cases in CASES.items() for case in cases.values()]
TEXTS = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(
    ["\0", "\ud800", "a" * 3000, "-1", "1e999", "9" * 19, "0.5", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-12:00"]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([1 << 31, 1 << 63, 1 << 1024, -(1 << 70), 1e300])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.just("id"), inner, max_size=4),
    max_leaves=6,
)


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    if isinstance(value, (dict, list)):
        for name, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(entry, (*here, name))


def texts(value: Any) -> Iterator[str]:
    """All texts and keys of a JSON value."""
    for place in places({"": value}):
        inner: Any = {"": value}
        for name in place:
            inner = inner[name]
        yield from (part for part in (*place[-1:], inner) if isinstance(part, str))


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, Any]:
    """A sample with any value at any of its places, perhaps at several."""
    kind, sample = draw(st.sampled_from(SAMPLES))
    said = {"": deepcopy(sample)}
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places(said))[1:]))
        inner: Any = said
        for name in way:
            inner = inner[name]
        inner[last] = draw(VALUES)
    return kind, said[""]


def outcome(kind: str, said: Any) -> Rows | Rejected:
    try:
        return READERS[kind](said)
    except Rejected as error:
        return error


@settings(max_examples=400)
@given(broken())
def test_any_value_at_any_place_gives_rows_or_a_reason(given: tuple[str, Any]) -> None:
    kind, said = given
    before = repr(said)
    found = outcome(kind, said)
    assert repr(said) == before
    if isinstance(found, Rejected):
        assert found.reason_code in ("not_an_object", "id_missing", "id_too_long", "not_json")
    else:
        check(found)
        assert outcome(kind, json.loads(json.dumps(said))) == found
