"""`roomledger init`: create the tables and views of a warehouse, or upgrade those of an older version."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from roomledger.ledger import migrate
from roomledger.ledger.database import Database
from roomledger.ledger.tables.columns import RAW, metadata
from roomledger.warehouse import grants, views


def upgrade(database: Database) -> tuple[str | None, str]:
    """Create or change the tables and the views in one transaction; return the revision before and after.

    Current views are left unchanged. Otherwise all are created again, with their privileges. Raises WarehouseError, and
    changes nothing, when a newer version created the tables, or when another view depends on one of these.
    """
    newest = migrate.newest_revision()
    with database.begin() as tx:
        before = migrate.revision_of(tx)
        migrate.require_known(database, before)
        if before == newest and _has_views(tx):
            return before, before
        access = grants.read(tx)
        views.drop(tx)  # a table cannot change while a view reads it
        tx.execute(text(f"CREATE SCHEMA IF NOT EXISTS {RAW}"))
        migrate.upgrade_tables(tx, metadata)
        views.create(tx)
        grants.restore(tx, access)
        tx.execute(text(f"COMMENT ON TABLE alembic_version IS '{_marker()}'"))
    return before, newest


def _has_views(tx: Connection) -> bool:
    """Whether all views exist and were created from the definitions of this version.

    The comment of `alembic_version` holds the digest of the definitions: a database does not store the text of a view,
    so the views themselves cannot be compared.
    """
    found = inspect(tx)
    exist = {view.name for view in views.VIEWS} <= set(found.get_view_names())
    return exist and found.get_table_comment("alembic_version")["text"] == _marker()


def _marker() -> str:
    return f"One row: the revision of the tables. Digest of the view definitions: {views.digest()}."
