"""Random rows of all tables, whose few ids let many of them meet, and whose cells are often null or empty."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Table, insert, text

from roomledger.ledger.tables.columns import metadata
from roomledger.ledger.tables.ledger import DISPOSITIONS
from roomledger.ledger.tables.objects import objects
from roomledger.warehouse.tables import FACTS

_ROWS = 60
_START = datetime(2026, 3, 2, 12, tzinfo=UTC)
_TYPES = ("chat", "track", "room-composite", "room-composite-legacy", "transcript", "summary", "hologram")
_VALUES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("asset_type", (*_TYPES, "unknown")),
    ("planned_types", ([], ["chat"], ["track", "hologram", "chat"], [*_TYPES])),
    ("disposition", tuple(DISPOSITIONS)),
    ("status", ("completed", "failed", "processing", "running", "odd")),
    ("kind", ("recording", "live-stream", "exists")),
    ("reason", ("key: of it", "none: of it")),
    ("output_mode", ("json", "srt", "txt")),
    ("customer", ("Red", "Blue")),
    ("source", ("red", "blue")),
    ("by", ("api", "webhook", "listing", "", "peer 1", "peer 2")),
    ("name", ("Ann", "Bob", "Ann ", "")),
    ("role", ("host", "guest")),
    ("uri", tuple(f"s3://red/{folder}/{number}.csv" for folder in "ab" for number in range(5))),
    ("user_id", ("user 1", "user 2", "")),
    ("peer_id", ("peer 1", "peer 2", "peer 3", "")),
    ("message_id", ("message 1", "message 2", "message 3", "")),
    ("section_ordinal", (1, 2)),
    ("ordinal", tuple(range(1, 10))),
    ("segments", (0, 1, 2)),
    ("rows_parsed", (0,)),
    ("rows_loaded", (0,)),
    ("rows_refused", (0,)),
    ("rows_duplicate", (0,)),
    *((f"{name}_id", tuple(f"{name} {number}" for number in range(12))) for name in ("object", "asset", "event")),
    *((f"{name}_id", tuple(f"{name} {number}" for number in range(5))) for name in ("session", "room", "job", "load")),
    *((f"{name}_id", tuple(f"{name} {number}" for number in range(5))) for name in ("recorder", "recording", "beam")),
)
"""Values of columns, by the end of their names; the first that fits counts."""


def insert_random_rows(tx: Connection, seed: int) -> None:
    """Insert some rows into each table; the same seed gives the same rows."""
    random = Random(seed)
    for table in metadata.sorted_tables:
        rows = [{column.name: _cell(random, column) for column in table.columns} for _ in range(_ROWS)]
        if table in FACTS:  # an object is of one type
            rows = [row | {"object_id": f"object {FACTS.index(table) % 4 + 4 * random.randrange(3)}"} for row in rows]
        if table is objects:  # of an object one version is current, and it shows one object version
            rows = _one_current(rows)
        tx.execute(insert(table), list({_key(table, row): row for row in rows}.values()))
    tx.execute(text("UPDATE event_recordings SET planned_types = NULL WHERE stopped_at IS NULL"))


def _one_current(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    uris: set[str] = set()
    versions: set[str] = set()
    for number, row in enumerate(rows):
        is_current = row["uri"] not in uris and row["object_id"] not in versions
        row |= {"publication": 1000 + number, "is_current": is_current}
        if is_current:
            uris.add(row["uri"])
            versions.add(row["object_id"])
    return rows


def _key(table: Table, row: dict[str, Any]) -> Any:
    if table in FACTS:
        return row["object_id"], row["ordinal"]
    return tuple(row[column.name] for column in table.primary_key.columns) or id(row)


def _cell(random: Random, column: Column[Any]) -> Any:
    if column.nullable and random.random() < 0.25 and not isinstance(column.type, sa.JSON):  # it would be JSON's null
        return None
    values = next((values for end, values in _VALUES if column.name.endswith(end)), None)
    return random.choice(values) if values else _any(random, column)


def _any(random: Random, column: Column[Any]) -> Any:
    """A value of the column's type."""
    match column.type:
        case sa.Boolean():
            return random.random() < 0.5
        case sa.Integer():
            return random.randrange(5000)
        case sa.Double():
            return random.randrange(10_000) / 8
        case sa.Date():
            return date(2026, 3, random.randrange(1, 28))
        case sa.DateTime():
            fraction = random.choice((0, 0, 500_000, random.randrange(1_000_000)))
            return _START + timedelta(seconds=random.randrange(3 * 86400), microseconds=fraction)
        case sa.JSON():
            return {"an": "object"}
        case sa.LargeBinary():
            return b"\x00\xff"
    return random.choice(("x", "y", ""))
