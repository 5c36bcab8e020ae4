"""What the vendor said, on its way into the warehouse: new or changed records, and what they mean for objects.

One transaction writes records, finds the session of every object that they concern anew, and moves its rows. A record
that says the same as before changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Table, text

from roomledger.hundredms.records import AssetRecord, Peer, Recording, Room, Session
from roomledger.ledger import session_evidence
from roomledger.ledger.database import Database
from roomledger.ledger.recorder_jobs import match_recorders
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.tables.columns import Json, arrow_schema
from roomledger.ledger.tables.vendor_records import (
    SAID,
    asset_records,
    job_records,
    peer_records,
    rooms,
    session_records,
)
from roomledger.settings import Source

_TABLES: Mapping[type[tuple[Any, ...]], Table] = {
    Room: rooms,
    Session: session_records,
    Peer: peer_records,
    Recording: job_records,
    AssetRecord: asset_records,
}

_MOVING = {asset_records: ("uri",), session_records: ("room_id",)}
"""Columns by which objects are concerned; what they held before is news, too."""

Said = Room | Session | Peer | Recording | AssetRecord


@dataclass(slots=True)
class Told:
    """What came of it."""

    news: Counter[str] = field(default_factory=Counter)
    """Records that are new or have changed, by table."""
    moved: int = 0
    """Objects whose rows changed their session."""
    woken: int = 0
    """Objects that the vendor named otherwise than they were taken, and that are read again."""


def tell(
    tx: Connection,
    database: Database,
    source: Source,
    said: Iterable[Said],
    *,
    now: datetime,
) -> Told:
    """Write down what the vendor said."""
    told = Told()
    database.hold_evidence(tx, change=True)
    rows = _by_table(said)
    for table in SAID:
        told.news[table.name] = _write(tx, database, source, table, rows.get(table, {}), now)
    tx.execute(text(_ROOMS_ASKED), {"now": now})
    match_recorders(tx, _NAMED_ALIKE)
    session_evidence.place(tx, database, _CONCERNED)
    told.moved = session_evidence.move(tx, changed_by="api", now=now)
    told.woken = len(requeue_retyped(tx, database, _CONCERNED, now=now))
    tx.execute(text(_KNOWN_AFTER_ALL), {"source": source.name})
    return told


def _by_table(said: Iterable[Said]) -> dict[Table, dict[tuple[Any, ...], Any]]:
    """Sort by table; of what was said twice the later counts."""
    rows: dict[Table, dict[tuple[Any, ...], Any]] = {}
    for one in said:
        table = _TABLES[type(one)]
        key = tuple(getattr(one, column.name) for column in table.primary_key.columns)
        rows.setdefault(table, {})[key] = one
    return rows


def _write(
    tx: Connection,
    database: Database,
    source: Source,
    table: Table,
    rows: Mapping[tuple[Any, ...], Any],
    now: datetime,
) -> int:
    """Write what is new or has changed, and leave in `news_<table>` what that was; give the count."""
    common = {
        "customer": source.customer,
        "source": source.name,
        "first_seen_at": now,
        "first_seen_by": "api",
        "read_at": now,
    }
    staged = pa.Table.from_pylist([row._asdict() | common for row in rows.values()], schema=arrow_schema(table))
    database.stage(tx, f"said_{table.name}", staged)
    keys = [column.name for column in table.primary_key.columns]
    same = " AND ".join(f"known.{key} = said.{key}" for key in keys)
    kept = {*keys, "first_seen_at", "first_seen_by", "check_at"}
    telling = [column.name for column in table.columns if column.name not in kept and column.type is not Json]
    telling.remove("read_at")
    differs = " OR ".join(f"known.{name} IS DISTINCT FROM said.{name}" for name in telling)
    tx.execute(
        text(f"""
            CREATE TEMPORARY TABLE news_{table.name} AS
            SELECT said.*{"".join(f", known.{name} AS {name}_before" for name in _MOVING.get(table, ()))}
            FROM said_{table.name} AS said LEFT JOIN {table.name} AS known ON {same}
            WHERE known.{keys[0]} IS NULL OR {differs}
        """)
    )
    names = table.columns.keys()
    cells = ", ".join(f"CAST({name} AS JSON)" if table.columns[name].type is Json else name for name in names)
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in kept)
    written = tx.execute(
        text(f"""
            INSERT INTO {table.name} ({", ".join(names)}) SELECT {cells} FROM news_{table.name}
            ON CONFLICT ({", ".join(keys)}) DO UPDATE SET {changed}
            RETURNING {keys[0]}
        """)
    )
    return len(written.all())


# A room is asked for again by how long ago it was told of, changed or not.
_ROOMS_ASKED = "UPDATE rooms SET read_at = :now WHERE room_id IN (SELECT room_id FROM said_rooms)"

_KNOWN_AFTER_ALL = """
DELETE FROM vendor_unknown WHERE source = :source AND id IN (
    SELECT job_id FROM said_job_records
    UNION SELECT session_id FROM said_session_records
    UNION SELECT room_id FROM said_rooms
)
"""

# Recorders of webhooks that may be another job of the API's now.
_NAMED_ALIKE = """
SELECT recorder_id FROM event_assets WHERE uri IN (
    SELECT uri FROM news_asset_records UNION SELECT uri_before FROM news_asset_records
)
UNION
SELECT recorder_id FROM event_recordings WHERE job_id IN (SELECT job_id FROM news_job_records)
"""

# Objects whose session may be another now: those with an address that was named or is named no longer, those of a room
# of which a session is news or was, by whoever's word, and those of a recording that is.
_CONCERNED = """
SELECT object_id FROM object_ledger WHERE uri IN (
    SELECT uri FROM news_asset_records UNION SELECT uri_before FROM news_asset_records
)
UNION
SELECT object_id FROM object_ledger
WHERE session_evidence IN ('time_window', 'none') AND key_room_id IN (
    SELECT room_id FROM news_session_records UNION SELECT room_id_before FROM news_session_records
    UNION SELECT room_id FROM event_sessions WHERE session_id IN (SELECT session_id FROM news_session_records)
)
UNION
SELECT object_id FROM object_ledger WHERE job_id IN (SELECT job_id FROM news_job_records)
"""
