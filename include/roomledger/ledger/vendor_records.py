"""Records of the vendor's API in the ledger: new or changed ones, and their effect on objects.

One transaction writes records and resolves the session of every object that they concern. An unchanged record changes
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Table, text

from roomledger.hundredms.records import AssetRecord, Peer, Recording, Room, Session
from roomledger.ledger import session_evidence
from roomledger.ledger.asset_reports import add_reports
from roomledger.ledger.database import Database, Staged, count_rows, stage_query
from roomledger.ledger.objects import add_objects, uris_of
from roomledger.ledger.publications import Publication, publication
from roomledger.ledger.recorder_jobs import match_recorders
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.resolved import add_peers, add_recordings, add_rooms, add_sessions
from roomledger.ledger.tables.columns import Json, arrow_schema
from roomledger.ledger.tables.vendor_records import (
    VENDOR_RECORDS,
    asset_records,
    job_records,
    peer_records,
    room_records,
    session_records,
)
from roomledger.settings import Source

Record = Room | Session | Peer | Recording | AssetRecord

_TABLES: Mapping[type[tuple[Any, ...]], Table] = {
    Room: room_records,
    Session: session_records,
    Peer: peer_records,
    Recording: job_records,
    AssetRecord: asset_records,
}

_REFERENCES = {asset_records: ("uri",), session_records: ("room_id",)}
"""Columns that refer to objects: the objects of the previous value are concerned too."""


def upsert_records(
    tx: Connection, database: Database, source: Source, records: Iterable[Record], *, now: datetime
) -> Counter[str]:
    """Write the new and changed records of a workspace.

    Gives the counts `vendor_records` (new or changed), `rekeyed` (objects) and `new_seen` (objects that are read again
    as another type).
    """
    database.hold_evidence(tx, change=True)
    by_table = _by_table(records)
    staged = {table.name: _stage(tx, database, source, table, by_table.get(table, {}), now) for table in VENDOR_RECORDS}
    news = {table.name: _news(tx, table, staged[table.name]) for table in VENDOR_RECORDS}
    for table in VENDOR_RECORDS:
        write_rows(tx, table, select_staged(table, news[table.name]))
    # The next poll of a room depends on when it was last read, changed or not.
    read = f"room_id IN (SELECT room_id FROM {staged['room_records']})"
    tx.execute(text(f"UPDATE room_records SET read_at = :now WHERE {read}"), {"now": now})
    with publication(tx, database, changed_by="api", now=now) as changes:
        _publish(changes, news)
        concerned = stage_query(tx, _CONCERNED.format(**news), "concerned")
        rekeyed = session_evidence.rekey(tx, resolved := session_evidence.resolve(tx, database, concerned))
        unnamed = session_evidence.unnamed(tx, resolved)
        requeued = requeue_retyped(tx, database, concerned, unnamed=unnamed, now=now)
        add_objects(changes, uris_of(tx, concerned))
    tx.execute(text(_NOW_KNOWN.format(**staged)), {"source": source.name})
    written = sum(count_rows(tx, new) for new in news.values())
    return Counter({"vendor_records": written, "rekeyed": rekeyed, "new_seen": len(requeued)})


def _publish(changes: Publication, news: Mapping[str, Staged]) -> None:
    """Publish what these new or changed records say."""
    tx = changes.tx
    add_rooms(changes, news["room_records"])
    add_sessions(changes, news["session_records"])
    add_peers(changes, news["peer_records"])
    recorders = stage_query(tx, _RECORDERS.format(**news), "recorders")
    jobs = stage_query(tx, f"SELECT job_id FROM {news['job_records']}", "jobs")
    add_recordings(changes, match_recorders(tx, recorders, jobs))
    add_reports(changes, stage_query(tx, _NAMED.format(**news), "named"))


def write_rows(tx: Connection, table: Table, query: str) -> None:
    """Insert the rows of a SELECT with the columns of the table; known ones change, except their _KEPT columns."""
    keys = table.primary_key.columns.keys()
    names = table.columns.keys()
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in {*keys, *_KEPT})
    tx.execute(
        text(f"""
            INSERT INTO {table.name} ({", ".join(names)}) {query}
            ON CONFLICT ({", ".join(keys)}) DO UPDATE SET {changed}
        """)
    )


_KEPT = ("first_seen_at", "first_seen_by", "poll_at", "api_job_id")
"""Columns that a changed record or summary does not overwrite."""


def select_staged(table: Table, staged: Staged) -> str:
    """Build the SELECT of staged rows with the columns of the table."""
    cells = (f"CAST({one.name} AS JSON)" if one.type is Json else one.name for one in table.columns)
    return f"SELECT {', '.join(cells)} FROM {staged}"


def _by_table(records: Iterable[Record]) -> dict[Table, dict[tuple[Any, ...], Any]]:
    """Group by table and key; of records with the same key the last one counts."""
    rows: dict[Table, dict[tuple[Any, ...], Any]] = {}
    for record in records:
        table = _TABLES[type(record)]
        key = tuple(getattr(record, one.name) for one in table.primary_key.columns)
        rows.setdefault(table, {})[key] = record
    return rows


def _stage(
    tx: Connection, database: Database, source: Source, table: Table, rows: Mapping[Any, Any], now: datetime
) -> Staged:
    common: dict[str, Any] = {"customer": source.customer, "source": source.name}
    common |= {"first_seen_at": now, "first_seen_by": "api", "read_at": now}
    cells = [row._asdict() | common for row in rows.values()]
    return database.stage(tx, pa.Table.from_pylist(cells, schema=arrow_schema(table)), table.name)


def _news(tx: Connection, table: Table, staged: Staged) -> Staged:
    """Select the staged records that are new or differ, with their references before as `<reference>_before`."""
    keys = table.primary_key.columns.keys()
    same = " AND ".join(f"known.{key} = staged.{key}" for key in keys)
    ignored = {*keys, *_KEPT, "read_at"}
    compared = [one.name for one in table.columns if one.name not in ignored and one.type is not Json]
    differs = " OR ".join(f"known.{name} IS DISTINCT FROM staged.{name}" for name in compared)
    query = f"""
        SELECT staged.*{"".join(f", known.{name} AS {name}_before" for name in _REFERENCES.get(table, ()))}
        FROM {staged} AS staged LEFT JOIN {table.name} AS known ON {same}
        WHERE known.{keys[0]} IS NULL OR {differs}
    """
    return stage_query(tx, query, f"new_{table.name}")


# Ids that the vendor did not know earlier and knows now.
_NOW_KNOWN = """
DELETE FROM vendor_unknown_ids WHERE source = :source AND id IN (
    SELECT job_id FROM {job_records}
    UNION SELECT session_id FROM {session_records}
    UNION SELECT room_id FROM {room_records}
)
"""

# Addresses and assets of which something else may be reported now.
_NAMED = """
SELECT uri, asset_id FROM {asset_records}
UNION SELECT uri_before, asset_id FROM {asset_records}
"""

# Recorders in webhooks that may match another job now.
_RECORDERS = """
SELECT recorder_id FROM event_assets WHERE uri IN (
    SELECT uri FROM {asset_records} UNION SELECT uri_before FROM {asset_records}
)
UNION
SELECT recorder_id FROM event_recordings WHERE job_id IN (SELECT job_id FROM {job_records})
"""

# Objects whose session may change: those whose address a record names or no longer names, those in a room with a new or
# changed session (by the room in the API or in a webhook), and those of a changed recording.
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
