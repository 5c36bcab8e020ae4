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
from roomledger.hundredms.fields import MAX_INDEXED_BYTES
from roomledger.hundredms.records import AssetRecord, Peer, Recording, Room, Session
from roomledger.ledger.database import Database
from roomledger.ledger.tables.columns import Json, arrow_schema
from roomledger.ledger.tables.vendor_records import (
    asset_records,
    job_records,
    peer_records,
    room_records,
    session_records,
)
from roomledger.model import Rejected

LARGEST_KEY = 2704 - 32
"""Bytes of a PostgreSQL index entry without its header."""
NOW = datetime(2025, 3, 8, tzinfo=UTC)
STORED = {"customer": "acme", "source": "api", "first_seen_at": NOW, "first_seen_by": "api", "read_at": NOW}
TABLES: dict[type[Any], Table] = {
    Room: room_records,
    Session: session_records,
    Peer: peer_records,
    Recording: job_records,
    AssetRecord: asset_records,
}
Rows = list[Any]
READERS: dict[str, Callable[[Any], Rows]] = {
    "room": lambda value: [records.room(value)],
    "session": lambda value: flat(records.session(value)),
    "asset": lambda value: [records.asset(value)],
    **{
        kind: partial(lambda kind, value: flat(records.recording(value, kind)), kind)
        for kind in ("recording", "live-stream", "external-stream")
    },
}
FILES = Path(__file__).parents[1] / "cases" / "hundredms" / "records"
CASES = {kind: json.loads((FILES / f"{kind}.json").read_bytes()) for kind in READERS}
REJECTED, SECRETS = (json.loads((FILES / f"{name}.json").read_bytes()) for name in ("rejected", "secrets"))


def flat(found: tuple[Any, Iterable[Any]]) -> Rows:
    return [found[0], *found[1]]


def plain(row: Any) -> dict[str, Any]:
    """The columns of a row that are not null, without its record; JSON is parsed, times are text."""
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
def test_every_case_gives_its_rows(kind: str, name: str) -> None:
    case = CASES[kind][name]
    row, *others = READERS[kind](case["input"])
    check([row, *others])
    assert plain(row) == known(case["row"])
    assert [plain(other) for other in others] == [known(other) for other in case.get("others", [])]
    if "record" in case:
        assert json.loads(row.record) == case["record"]


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("name", REJECTED)
def test_rejected_values_have_a_reason(kind: str, name: str) -> None:
    with pytest.raises(Rejected) as caught:
        READERS[kind](REJECTED[name]["input"])
    assert caught.value.reason_code == REJECTED[name]["code"]
    assert caught.value.detail


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, {("a", "b"): 1}, "deep"])
def test_a_value_that_is_not_json_is_rejected(value: Any) -> None:
    if value == "deep":
        for _ in range(3000):
            value = [value]
    with pytest.raises(Rejected, match="not_json"):
        records.asset({"id": "a", "metadata": value})


def test_an_asset_of_a_job_gives_the_same_row_as_in_the_list() -> None:
    value = CASES["recording"]["with its assets"]["input"]
    job_fields = {"job_id": value["id"], "room_id": value["room_id"], "session_id": value["session_id"]}
    listed = [records.asset({"session_id": "", **asset, **job_fields}) for asset in value["recording_assets"]]
    for missing in ({}, {"job_id": None, "session_id": ""}):
        job = {**value, "recording_assets": [{**asset, **missing} for asset in value["recording_assets"]]}
        assert records.recording(job, "recording")[1] == listed
    assert len(listed) == 2


def test_a_job_gives_the_same_row_in_the_list_and_alone() -> None:
    value = CASES["recording"]["with its assets"]["input"]
    listed = {name: value for name, value in value.items() if name != "recording_assets"}
    assert records.recording(value, "recording")[0] == records.recording(listed, "recording")[0]


def test_the_record_is_canonical_json() -> None:
    value = {"b": [1, {"d": "ü", "c": None}], "id": "a"}
    row = records.room(value)
    assert row.record == '{"b":[1,{"c":null,"d":"ü"}],"id":"a"}'
    assert row == records.room({"id": "a", "b": [1, {"c": None, "d": "ü"}]})
    assert value == {"b": [1, {"d": "ü", "c": None}], "id": "a"}
    assert row.record_sha256 == "d977e4ff244359fe24b035db4f43619bda4e05e8a879687bb6b43443d454fd7e"


def test_order_and_shape_of_the_peers_do_not_change_the_session() -> None:
    value = CASES["session"]["ended when the last peer left"]["input"]
    reversed_peers = {**value, "peers": dict(reversed(value["peers"].items()))}
    listed = {**value, "peers": list(value["peers"].values())}
    row, peers = records.session(value)
    for other in (reversed_peers, listed):
        same, others = records.session(other)
        assert (same, sorted(others)) == (row, sorted(peers))


@pytest.mark.parametrize("name", SECRETS)
def test_no_row_holds_a_secret(name: str) -> None:
    rows = READERS[SECRETS[name]["kind"]](SECRETS[name]["input"])
    assert "canary" in json.dumps(SECRETS[name]["input"])
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
def test_completed_and_failed_are_final(status: str | None, final: bool) -> None:
    assert records.is_final(status) is final


def test_both_engines_store_the_rows(database: Database) -> None:
    odd = {
        "numbers": [10**400, 10**300, float("inf"), float("nan"), 0.1, 5e-324, -0.0],
        "texts": ["\0", "\ud800", "\udc00\ud800", "\U0001f600", "\u2028", "\\u0000", "\x1f", '"'],
        "": {"\0": {"\ud800": ""}},
    }
    # Three bytes per character, which PostgreSQL cannot compress.
    longest = {"id": "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(MAX_INDEXED_BYTES // 3))}
    value = [(kind, case["input"] | {"odd": odd}) for kind, cases in CASES.items() for case in cases.values()]
    value.append(("session", longest | {"peers": [longest | {"user_id": longest["id"]}]}))
    rows: dict[Table, dict[tuple[Any, ...], dict[str, Any]]] = {}
    for row in (row for kind, one in value for row in READERS[kind](one)):
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
            selected = tx.execute(select(table)).mappings().all()
            found = {tuple(row[column.name] for column in table.primary_key.columns): row for row in selected}
            assert {key: row["record"] for key, row in found.items()} == {
                key: json.loads(row["record"]) for key, row in stored.items()
            }


def check(rows: Rows) -> None:
    """The warehouse can store these rows: types, bounds and index sizes fit, keys are unique, records are JSON."""
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
                value = json.loads(stored[name], parse_constant=pytest.fail)
                assert "\0" not in "".join(texts(value))
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


SAMPLES = [(kind, case["input"]) for kind, cases in CASES.items() for case in cases.values()]
TEXTS = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(
    ["\0", "\ud800", "a" * 3000, "-1", "1e999", "9" * 19, "0.5", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-12:00"]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([1 << 31, 1 << 63, 1 << 1024, -(1 << 70), 1e300])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.just("id"), inner, max_size=4),
    max_leaves=6,
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    if isinstance(value, (dict, list)):
        for name, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(entry, (*here, name))


def texts(value: Any) -> Iterator[str]:
    """All texts and keys in a JSON value."""
    for path in paths({"": value}):
        inner: Any = {"": value}
        for name in path:
            inner = inner[name]
        yield from (part for part in (*path[-1:], inner) if isinstance(part, str))


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, Any]:
    """A sample with arbitrary values at one to three of its paths."""
    kind, sample = draw(st.sampled_from(SAMPLES))
    value = {"": deepcopy(sample)}
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(list(paths(value))[1:]))
        inner: Any = value
        for name in parents:
            inner = inner[name]
        inner[last] = draw(VALUES)
    return kind, value[""]


def outcome(kind: str, value: Any) -> Rows | Rejected:
    try:
        return READERS[kind](value)
    except Rejected as error:
        return error


@settings(max_examples=400)
@given(broken())
def test_any_value_at_any_path_gives_rows_or_a_reason(sample: tuple[str, Any]) -> None:
    kind, value = sample
    before = repr(value)
    found = outcome(kind, value)
    assert repr(value) == before
    if isinstance(found, Rejected):
        assert found.reason_code in ("not_an_object", "id_missing", "id_too_long", "not_json")
    else:
        check(found)
        assert outcome(kind, json.loads(json.dumps(value))) == found
