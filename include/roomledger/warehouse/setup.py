"""`roomledger init`: create the tables and views of a warehouse, or upgrade those of an older version.

A database holds the ledger, the facts, or both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, inspect, text

from roomledger.ledger import migrate
from roomledger.ledger.changes import PUBLISHED
from roomledger.ledger.database import Database
from roomledger.ledger.tables.columns import RAW, metadata
from roomledger.warehouse import grants, views
from roomledger.warehouse.tables import FACTS, appended_loads


@dataclass(frozen=True, slots=True)
class Side:
    """What a database holds."""

    tables: Sequence[Table]
    views: Sequence[Table]


_FACT_TABLES = (*FACTS, appended_loads)
FACTS_SIDE = Side((*_FACT_TABLES, *PUBLISHED), [view for view in views.VIEWS if view not in views.OF_LEDGER])
LEDGER_SIDE = Side(
    [table for table in metadata.sorted_tables if table not in _FACT_TABLES],
    [view for view in views.VIEWS if view not in views.OF_FACTS],
)
BOTH = Side(metadata.sorted_tables, views.VIEWS)


def upgrade(database: Database, side: Side = BOTH) -> tuple[str | None, str]:
    """Create or change the tables and the views in one transaction; return the revision before and after.

    Current views are left unchanged. Otherwise all are created again, with their privileges. Raises WarehouseError, and
    changes nothing, when a newer version created the tables, or when another view depends on one of these.
    """
    newest = migrate.newest_revision()
    with database.begin() as tx:
        before = migrate.revision_of(tx)
        migrate.require_known(database, before)
        if before == newest and _has_views(tx, side):
            return before, before
        access = grants.read(tx)
        views.drop(tx)  # a table cannot change while a view reads it
        tx.execute(text(f"CREATE SCHEMA IF NOT EXISTS {RAW}"))
        migrate.upgrade_tables(tx, side.tables)
        views.create(tx, side.views)
        grants.restore(tx, access)
        tx.execute(text(f"COMMENT ON TABLE alembic_version IS '{_marker(side)}'"))
    return before, newest


def _has_views(tx: Connection, side: Side) -> bool:
    """Whether all views exist and were created from the definitions of this version.

    The comment of `alembic_version` holds the digest of the definitions: a database does not store the text of a view,
    so the views themselves cannot be compared.
    """
    found = inspect(tx)
    exist = {view.name for view in side.views} <= set(found.get_view_names())
    return exist and found.get_table_comment("alembic_version")["text"] == _marker(side)


def _marker(side: Side) -> str:
    digest = views.digest(side.views)
    return f"One row: the revision of the tables. Digest of the view definitions: {digest}."
