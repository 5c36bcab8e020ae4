"""Records of the vendor's API in the ledger: new or changed ones, and what they mean for objects.

One transaction writes records and resolves the session of every object that they concern. A record that is the same as
before changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, Table, text

from roomledger.hundredms.records import AssetRecord, Peer, Recording, Room, Session
from roomledger.ledger import session_evidence
from roomledger.ledger.database import Database, Staged, stage_query
from roomledger.ledger.recorder_jobs import match_recorders
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.tables.columns import Json, arrow_schema
from roomledger.ledger.tables.vendor_records import (
    VENDOR_RECORDS,
    asset_records,
    job_records,
    peer_records,
    rooms,
    session_records,
)
from roomledger.settings import Source

Record = Room | Session | Peer | Recording | AssetRecord

_TABLES: Mapping[type[tuple[Any, ...]], Table] = {
    Room: rooms,
    Session: session_records,
    Peer: peer_records,
    Recording: job_records,
    AssetRecord: asset_records,
}

_REFERENCES = {asset_records: ("uri",), session_records: ("room_id",)}
"""Columns by which objects are concerned: those that the value before concerned are concerned, too."""


class Ingested(NamedTuple):
    """What came of new records or events."""

    counts: Counter[str]
    """`rekeyed` objects, `new_seen` for those that are read again as another type, and per kind of input:
    `vendor_records` new or changed, `events` not known before."""
    changes: Staged | None
    """Objects whose session changed, for `facts.rekey_rows`; None when nothing was new."""


def upsert_records(
    tx: Connection, database: Database, source: Source, records: Iterable[Record], *, now: datetime
) -> Ingested:
    """Write the records of a workspace that are new or have changed."""
    database.hold_evidence(tx, change=True)
    by_table = _by_table(records)
    staged = {table: _stage(tx, database, source, table, by_table.get(table, {}), now) for table in VENDOR_RECORDS}
    news = {table: _news(tx, table, rows) for table, rows in staged.items()}
    written = sum(_write(tx, table, rows) for table, rows in news.items())
    # A room is polled again by how long ago it was last read, changed or not.
    tx.execute(
        text(f"UPDATE rooms SET read_at = :now WHERE room_id IN (SELECT room_id FROM {staged[rooms]})"), {"now": now}
    )
    match_recorders(tx, stage_query(tx, _RECORDERS.format(**_names(news)), "recorders"))
    concerned = stage_query(tx, _CONCERNED.format(**_names(news)), "concerned")
    changes = session_evidence.resolve(tx, database, concerned)
    rekeyed = session_evidence.record_changes(tx, changes, changed_by="api", now=now)
    unnamed = session_evidence.unnamed(tx, changes)
    requeued = requeue_retyped(tx, database, concerned, unnamed=unnamed, now=now)
    tx.execute(text(_KNOWN_AFTER_ALL.format(**_names(staged))), {"source": source.name})
    counts = Counter({"vendor_records": written, "rekeyed": rekeyed, "new_seen": len(requeued)})
    return Ingested(counts, changes)


def _by_table(records: Iterable[Record]) -> dict[Table, dict[tuple[Any, ...], Any]]:
    """Sort by table and key; of records with the same key the later one counts."""
    rows: dict[Table, dict[tuple[Any, ...], Any]] = {}
    for record in records:
        table = _TABLES[type(record)]
        key = tuple(getattr(record, column.name) for column in table.primary_key.columns)
        rows.setdefault(table, {})[key] = record
    return rows


def _names(staged: Mapping[Table, Staged]) -> dict[str, Staged]:
    return {table.name: rows for table, rows in staged.items()}


def _stage(
    tx: Connection, database: Database, source: Source, table: Table, rows: Mapping[Any, Any], now: datetime
) -> Staged:
    common: dict[str, Any] = {"customer": source.customer, "source": source.name}
    common |= {"first_seen_at": now, "first_seen_by": "api", "read_at": now}
    cells = [row._asdict() | common for row in rows.values()]
    return database.stage(tx, pa.Table.from_pylist(cells, schema=arrow_schema(table)), table.name)


def _news(tx: Connection, table: Table, staged: Staged) -> Staged:
    """Keep the staged records that are new or differ, with `<reference>_before` where objects are concerned by it."""
    keys = [column.name for column in table.primary_key.columns]
    same = " AND ".join(f"known.{key} = staged.{key}" for key in keys)
    compared = [
        column.name
        for column in table.columns
        if column.name not in {*_kept(table), "read_at"} and column.type is not Json
    ]
    differs = " OR ".join(f"known.{name} IS DISTINCT FROM staged.{name}" for name in compared)
    query = f"""
        SELECT staged.*{"".join(f", known.{name} AS {name}_before" for name in _REFERENCES.get(table, ()))}
        FROM {staged} AS staged LEFT JOIN {table.name} AS known ON {same}
        WHERE known.{keys[0]} IS NULL OR {differs}
    """
    return stage_query(tx, query, f"new_{table.name}")


def _write(tx: Connection, table: Table, news: Staged) -> int:
    keys = [column.name for column in table.primary_key.columns]
    names = table.columns.keys()
    cells = ", ".join(f"CAST({name} AS JSON)" if table.columns[name].type is Json else name for name in names)
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in _kept(table))
    written = tx.execute(
        text(f"""
            INSERT INTO {table.name} ({", ".join(names)}) SELECT {cells} FROM {news}
            ON CONFLICT ({", ".join(keys)}) DO UPDATE SET {changed}
            RETURNING {keys[0]}
        """)
    )
    return len(written.all())


def _kept(table: Table) -> set[str]:
    """Name the columns that a changed record leaves alone."""
    return {*(column.name for column in table.primary_key.columns), "first_seen_at", "first_seen_by", "poll_at"}


# Ids that the vendor did not know before and does now.
_KNOWN_AFTER_ALL = """
DELETE FROM vendor_unknown_ids WHERE source = :source AND id IN (
    SELECT job_id FROM {job_records}
    UNION SELECT session_id FROM {session_records}
    UNION SELECT room_id FROM {rooms}
)
"""

# Recorders that webhooks report and that may be another job of the API's now.
_RECORDERS = """
SELECT recorder_id FROM event_assets WHERE uri IN (
    SELECT uri FROM {asset_records} UNION SELECT uri_before FROM {asset_records}
)
UNION
SELECT recorder_id FROM event_recordings WHERE job_id IN (SELECT job_id FROM {job_records})
"""

# Objects whose session may be another now: those with an address that a record names or no longer names, those of a
# room of which a session is new or has changed (by the API's or a webhook's room), and those of a changed recording.
_CONCERNED = """
SELECT object_id FROM object_ledger WHERE uri IN (
    SELECT uri FROM {asset_records} UNION SELECT uri_before FROM {asset_records}
)
UNION
SELECT object_id FROM object_ledger
WHERE session_evidence IN ('time_window', 'none') AND key_room_id IN (
    SELECT room_id FROM {session_records} UNION SELECT room_id_before FROM {session_records}
    UNION SELECT room_id FROM event_sessions WHERE session_id IN (SELECT session_id FROM {session_records})
)
UNION
SELECT object_id FROM object_ledger WHERE job_id IN (SELECT job_id FROM {job_records})
"""
