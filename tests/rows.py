"""Rows inserted directly into the tables, for tests of queries: a case names only the cells that it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, text

from roomledger.ledger.tables.columns import metadata

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
    "origin": "object",
    "observed_by": "listing",
    "from_evidence": "none", "to_evidence": "asset_record", "raw": b"", "detail": "odd", "reason_code": "odd",
    "refused_at": NOON,
}  # fmt: skip
_NO_DEFAULT = {("asset_records", "size_bytes"), ("asset_records", "created_at"), ("asset_records", "output_mode")}
"""Columns that stay empty unless a case fills them."""


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def put(tx: Connection, table: str, **cells: Any) -> None:
    """Insert a row; columns that the case does not name have a default."""
    known = metadata.tables[table]
    plain = {
        name: value
        for name, value in _DEFAULTS.items()
        if name in known.columns
        and (table, name) not in _NO_DEFAULT
        and not (name == "started_by" and table != "loads")
    }
    tx.execute(insert(known).values(**(plain | cells)))


def put_object(tx: Connection, object_id: str, **cells: Any) -> None:
    """Insert a ledger row, at an address of its own unless the case names one; other dispositions may have no load."""
    plain: dict[str, Any] = {"object_id": object_id, "uri": f"s3://acme/{object_id}"}
    if cells.get("disposition", "loaded") in ("seen", "claimed", "refused", "ignored", "unchanged"):
        plain["loaded_at"] = None
    put(tx, "object_ledger", **(plain | cells))


def rows(tx: Connection, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return [tuple(row) for row in tx.execute(text(query), parameters)]
