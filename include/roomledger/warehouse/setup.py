"""`roomledger init`: create the tables and views of a warehouse, or bring those of an older version up to date."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from roomledger.ledger import migrate
from roomledger.ledger.database import Database
from roomledger.warehouse import grants, views
from roomledger.warehouse.tables import metadata


def upgrade(database: Database) -> tuple[str | None, str]:
    """Create or change the tables and the views in one transaction; give the revision before and after.

    Views that are as they must be are left alone. Else all are created again, with the privileges that they had. Raises
    WarehouseError when a newer version made the tables, and when a view of yours reads one of ours: PostgreSQL keeps
    that one, so everything stays as it was.
    """
    newest = migrate.newest_revision()
    with database.begin() as tx:
        before = migrate.revision_of(tx)
        migrate.require_known(database, before)
        if before == newest and _has_views(tx):
            return before, before
        access = grants.read(tx)
        views.drop(tx)  # a table cannot change while a view reads it
        migrate.upgrade_tables(tx, metadata)
        views.create(tx)
        grants.restore(tx, access)
        tx.execute(text(f"COMMENT ON TABLE alembic_version IS '{_marker()}'"))
    return before, newest


def _has_views(tx: Connection) -> bool:
    """Whether all views are there and were made from the definitions of this version.

    The comment of the table that holds the revision says which definitions the views have: a database keeps no view as
    it was written, so the views themselves cannot be compared.
    """
    found = inspect(tx)
    are_there = {view.name for view in views.VIEWS} <= set(found.get_view_names())
    return are_there and found.get_table_comment("alembic_version")["text"] == _marker()


def _marker() -> str:
    return f"One row: the revision of the tables. The views were made from definitions with digest {views.digest()}."
