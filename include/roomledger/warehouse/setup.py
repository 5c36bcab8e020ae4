"""`roomledger init`: create the tables and views of a warehouse, or upgrade those of an older version.

A database holds the ledger, the facts, or both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, inspect, text

from roomledger.ledger import installation, migrate
from roomledger.ledger.changes import PUBLISHED, newest_publication
from roomledger.ledger.database import Database, WarehouseError
from roomledger.ledger.tables.columns import RAW, metadata
from roomledger.ledger.tables.objects import installation as installation_table
from roomledger.warehouse import grants, roles, views
from roomledger.warehouse.engine import Facts
from roomledger.warehouse.tables import FACTS, appended_loads


@dataclass(frozen=True, slots=True)
class Side:
    """What a database holds."""

    name: str
    tables: Sequence[Table]
    views: Sequence[Table]


_FACT_TABLES = (*FACTS, appended_loads)
FACTS_SIDE = Side(
    installation.FACTS,
    (*_FACT_TABLES, *PUBLISHED, installation_table),
    [view for view in views.VIEWS if view not in views.OF_LEDGER],
)
LEDGER_SIDE = Side(
    installation.LEDGER,
    [table for table in metadata.sorted_tables if table not in _FACT_TABLES],
    [view for view in views.VIEWS if view not in views.OF_FACTS],
)
BOTH = Side(installation.BOTH, metadata.sorted_tables, views.VIEWS)


def initialise(database: Database, facts: Facts) -> tuple[str | None, str]:
    """Create or upgrade the ledger and the facts side; return the ledger's revision before and after.

    Raises WarehouseError as `upgrade` does, and when the facts side is empty although the ledger has published.
    """
    before, after = upgrade(database, BOTH if facts.in_ledger else LEDGER_SIDE)
    if not facts.in_ledger:
        installation_id = migrate.require_current(database, installation.LEDGER)
        with database.begin(read_only=True) as tx:
            published = newest_publication(tx)
        facts.ensure(installation_id, published)
    return before, after


def upgrade(
    database: Database, side: Side = BOTH, installation_id: str | None = None, published: int = 0
) -> tuple[str | None, str]:
    """Create or change the tables and the views in one transaction; return the revision before and after.

    Current views are left unchanged. Otherwise all are created again, with their privileges. Raises WarehouseError, and
    changes nothing, when a newer version created the tables, when the database holds another side or belongs to another
    installation, when it is empty and should have publications, when it has tables or views of others with the same
    names, or when another view depends on one of these.
    """
    newest = migrate.newest_revision()
    with database.begin() as tx:
        before = migrate.revision_of(tx)
        migrate.require_known(database, before)
        installation.require(tx, side.name, installation_id, where=migrate.shown_url(database))
        if before is None and published:
            raise WarehouseError(
                f"the warehouse at {migrate.shown_url(database)} is empty, but its ledger has published "
                f"{published} times: restore it from a backup, or load all again with an empty [control] database, too"
            )
        if before == newest and _has_views(tx, side):
            return before, before
        if before is None:
            _require_free_names(tx, side, where=migrate.shown_url(database))
        access = grants.read(tx)
        views.drop(tx)  # a table cannot change while a view reads it
        tx.execute(text(f"CREATE SCHEMA IF NOT EXISTS {RAW}"))
        migrate.upgrade_tables(tx, side.tables)
        installation.record(tx, side.name, installation_id)
        views.create(tx, side.views)
        grants.restore(tx, access)
        if roles.exist(tx):
            roles.grant(tx)
        tx.execute(text(f"COMMENT ON TABLE alembic_version IS '{_marker(side)}'"))
    return before, newest


def _require_free_names(tx: Connection, side: Side, *, where: str) -> None:
    """Raise WarehouseError if a new database has tables or views with the names of ours: others made them."""
    found = inspect(tx)
    schemas: dict[str | None, set[str]] = {None: {*found.get_table_names(), *found.get_view_names()}}
    schemas[RAW] = {*found.get_table_names(schema=RAW)} if RAW in found.get_schema_names() else set()
    taken = sorted(one.fullname for one in (*side.tables, *side.views) if one.name in schemas[one.schema])
    if taken:
        raise WarehouseError(
            f"the database at {where} already has {', '.join(taken)}, which Roomledger did not create: rename or drop "
            f"{'it' if len(taken) == 1 else 'them'}, or name another database; nothing was changed"
        )


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
