"""Rows inserted directly into the tables, for tests of queries: a case names only the cells that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pyarrow as pa
from sqlalchemy import Connection, insert, select, text, update

from roomledger.ledger.asset_reports import add_reports
from roomledger.ledger.database import Row, Staged, fetch_rows, stage_query
from roomledger.ledger.objects import add_objects
from roomledger.ledger.publications import Publication
from roomledger.ledger.resolved import add_peers, add_recordings, add_rooms, add_sessions
from roomledger.ledger.tables.columns import RAW, metadata
from roomledger.ledger.tables.ledger import object_ledger
from roomledger.queries import audit

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
_DEFAULTS: dict[str, Any] = {
    "customer": "Acme", "source": "bucket", "session_evidence": "key", "load_id": "load", "first_seen_at": NOON,
    "first_seen_by": "listing", "read_at": NOON, "modified_at": NOON, "created_at": NOON, "record": {},
    "record_sha256": "0", "version": "v", "size_bytes": 100, "disposition": "loaded", "reason": "loaded: all of it",
    "attempts": 1, "rows_parsed": 0, "rows_loaded": 0, "rows_refused": 0, "rows_duplicate": 0, "ordinal": 1,
    "is_recorder": False, "roles": [], "text": "hello", "message": "hello", "segments": 1, "words": 0,
    "asset_type": "chat", "kind": "recording", "planned_types": [], "output_mode": "json", "status": "completed",
    "loaded_at": NOON, "committed_at": NOON, "claimed_at": NOON, "objects": 1, "objects_loaded": 1,
    "objects_refused": 0, "parser_version": "7", "started_by": "cli", "changed_at": NOON, "changed_by": "api",
    "origin": "object", "publication": 1,
    "observed_by": "listing",
    "from_evidence": "none", "to_evidence": "asset_record", "raw": b"", "detail": "odd", "reason_code": "odd",
    "refused_at": NOON,
}  # fmt: skip
_NO_DEFAULT = {("asset_records", "size_bytes"), ("asset_records", "created_at"), ("asset_records", "output_mode")}
"""Columns that stay empty unless a case fills them."""
_PLACE = {"customer", "source", "room_id", "session_id", "session_evidence", "job_id", "recording_started_at"}
_PLACE |= {"uri", "load_id"}
"""Cells of a record that belong to its object."""


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def put(tx: Connection, table: str, **cells: Any) -> None:
    """Insert a row; columns that the case does not name have a default.

    A row of a table of records counts: its object is shown, in the session that the cells name.
    """
    table = {"rooms": "room_records"}.get(table, table)
    known = metadata.tables.get(table)
    if known is None:
        known = metadata.tables[f"{RAW}.{table}"]
        own = {name: value for name, value in cells.items() if name in _PLACE}
        found = object_ledger.c.object_id == cells["object_id"]
        if not tx.execute(select(object_ledger.c.uri).where(found)).first():
            # An unknown asset type keeps the object itself out of `recording_assets`.
            put_object(tx, cells["object_id"], asset_type="unknown", **own)
        elif own:
            tx.execute(update(object_ledger).where(found).values(**own))
            show(tx, tx.execute(select(object_ledger.c.uri).where(found)).scalar_one())
        cells = {name: value for name, value in cells.items() if name in known.columns}
    plain = {
        name: value
        for name, value in _DEFAULTS.items()
        if name in known.columns
        and (table, name) not in _NO_DEFAULT
        and not (name == "started_by" and table != "loads")
    }
    tx.execute(insert(known).values(**(plain | cells)))
    resolve(tx, table, cells)


def resolve(tx: Connection, table: str, cells: Mapping[str, Any]) -> None:
    """Publish what a record or event says, as the ledger does when it ingests one."""
    made = _publication(tx)
    keys = ("session_id", "peer_id", "room_id", "uri", "asset_id", "recorder_id", "job_id", "api_job_id")
    mine = _stage(tx, {name: cells.get(name) for name in keys})
    match table:
        case "room_records":
            add_rooms(made, mine)
        case "session_records" | "event_sessions":
            add_sessions(made, mine)
        case "peer_records" | "event_peers":
            add_peers(made, mine)
        case "job_records" | "event_recordings":
            jobs = f"SELECT job_id, recorder_id FROM {mine} UNION SELECT api_job_id, recorder_id FROM {mine}"
            jobs += (
                f" UNION SELECT NULL, recorder_id FROM event_recordings WHERE api_job_id IN (SELECT job_id FROM {mine})"
            )
            add_recordings(made, stage_query(tx, jobs, "jobs"))
        case "asset_records" | "event_assets":
            add_reports(made, mine)


def _stage(tx: Connection, cells: Mapping[str, str | None]) -> Staged:
    """Stage one row of texts."""
    staged = stage_query(tx, "SELECT " + ", ".join(f"CAST(NULL AS TEXT) AS {name}" for name in cells), "cells")
    if tx.dialect.name == "postgresql":
        columns = ", ".join(f"{name} = :{name}" for name in cells)
        tx.execute(text(f"UPDATE {staged} SET {columns}"), cells)
    else:
        driver: Any = tx.connection.driver_connection
        driver.register(staged.name, pa.table({name: pa.array([value], pa.string()) for name, value in cells.items()}))
    return staged


def _publication(tx: Connection) -> Publication:
    number = tx.execute(text("SELECT COALESCE(max(publication), 0) + 1 FROM roomledger_raw.objects")).scalar_one()
    return Publication(tx, cast("Any", None), number, "load", NOON)


def put_object(tx: Connection, object_id: str, **cells: Any) -> None:
    """Insert a ledger row, at an address of its own unless the case names one; other dispositions may have no load."""
    plain: dict[str, Any] = {"object_id": object_id, "uri": f"s3://acme/{object_id}"}
    if cells.get("disposition", "loaded") in ("seen", "claimed", "refused", "ignored", "unchanged"):
        plain["loaded_at"] = None
    plain |= {"rows_load_id": cells.get("load_id", "load"), "loaded_asset_type": cells.get("asset_type", "chat")}
    put(tx, "object_ledger", **(plain | cells))
    show(tx, str((plain | cells)["uri"]))


def show(tx: Connection, uri: str) -> None:
    """Publish an object, as every change of the ledger does."""
    add_objects(_publication(tx), _stage(tx, {"uri": uri}))


def rows(tx: Connection, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return [tuple(row) for row in tx.execute(text(query), parameters)]


def run_audit(tx: Connection, name: str, params: Mapping[str, Any]) -> list[Row]:
    """The rows of an audit, in this transaction."""
    return fetch_rows(tx, *audit.prepare(name, params))
