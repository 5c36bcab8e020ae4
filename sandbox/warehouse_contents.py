"""The contents of a warehouse in a comparable form: the same objects must give the same rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, select, text

from roomledger.ledger.database import Database
from roomledger.ledger.tables.ledger import object_ledger, refusals
from roomledger.ledger.tables.vendor_events import EVENT_SUMMARIES, WEBHOOK_EVENTS
from roomledger.ledger.tables.vendor_records import VENDOR_RECORDS, vendor_cursors
from roomledger.warehouse.fact_views import FACT_VIEWS
from roomledger.warehouse.views import object_assets, peers, recording_assets, recordings, rooms, sessions

_VIEWS = (rooms, sessions, peers, recordings, recording_assets)
_VARYING = {"load_id", "rows_load_id", "first_load_id", "loaded_at", "refused_at", "resolved_at", "retry_at"}
_VARYING |= {"first_seen_at", "read_at", "poll_at", "received_at", "ingested_at", "first_ingested_at", "attempts"}
"""Columns that depend on the time and number of runs."""
_FIRST_OBSERVER = {view.c.first_seen_by for view in _VIEWS}
_COMPARED_AS_NULL = {"loaded_at", "rows_load_id", "first_load_id", "resolved_at", "retry_at"}
"""Nullable columns whose value depends on the run: only whether it is null is compared."""
_IS_CURRENT = """
    disposition NOT IN ('superseded', 'ignored') OR NOT EXISTS (
        SELECT 1 FROM object_ledger AS newer
        WHERE newer.uri = object_ledger.uri AND newer.disposition <> 'superseded'
          AND (newer.modified_at, newer.first_seen_at) > (object_ledger.modified_at, object_ledger.first_seen_at)
    )
"""


class Rows(NamedTuple):
    """Unordered rows of one table or view."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


def contents(database: Database, *, past: bool = True, but: Collection[str] = ()) -> Mapping[str, Rows]:
    """Read all tables and views without the columns `but` and without columns that differ between runs.

    Those are load ids, times and numbers of attempts; for nullable ones there is a column that says whether it has a
    value. Without `past`, superseded and ignored versions that have a newer version are left out, and so are resolved
    refusals: whether they exist depends on the time of the runs.
    """
    found = {}
    with database.begin(read_only=True) as tx:
        for table in (
            object_assets,
            *FACT_VIEWS.values(),
            *VENDOR_RECORDS,
            *WEBHOOK_EVENTS,
            *EVENT_SUMMARIES,
            *_VIEWS,
            refusals,
            object_ledger,
            vendor_cursors,
        ):
            varying = {*_VARYING, *but}
            columns: list[Column[Any]] = [
                column for column in table.columns if column.name not in varying and column not in _FIRST_OBSERVER
            ]
            nullable = [column for column in table.columns if column.name in _COMPARED_AS_NULL]
            query = select(*columns, *(column.is_not(None) for column in nullable))
            if not past and table is object_ledger:
                query = query.where(text(_IS_CURRENT))
            if not past and table is refusals:
                query = query.where(refusals.c.resolved_at.is_(None))
            names = (*(column.name for column in columns), *(f"has {column.name}" for column in nullable))
            found[table.name] = Rows(names, [tuple(row) for row in tx.execute(query)])
    return found
