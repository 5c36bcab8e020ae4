"""Bringing a warehouse to the tables and views of this version, by Alembic, on every engine alike."""

from __future__ import annotations

from datetime import UTC, datetime

from alembic import command
from alembic.config import Config
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, make_url, text

from roomledger.ledger import session_evidence
from roomledger.ledger.database import Database, WarehouseError
from roomledger.warehouse import grants, views


class DuckDBImpl(PostgresqlImpl):
    """DuckDB speaks PostgreSQL's DDL as far as the migrations go; Alembic finds this class by its dialect."""

    __dialect__ = "duckdb"


def upgrade(database: Database) -> tuple[str | None, str]:
    """Create or change the tables and the views; give the revision before and after.

    Views that are as they must be are left alone. Else all are made anew. Raises WarehouseError when a newer version
    made the tables, and when somebody's own view reads one of ours: PostgreSQL keeps that one, so all stays as it was.
    """
    with database.begin() as tx:
        before = MigrationContext.configure(tx).get_current_revision()
    _require_known(database, before)
    if before and database.alters_before_writing:
        _all_but_the_last(database, before)
    with database.begin() as tx:
        if before == _head() and _has_views(tx):
            return before, before
        access = grants.held(tx)
        views.drop(tx)  # a table cannot change while a view reads it
        command.upgrade(_config(connection=tx), "head")
        views.create(tx)
        grants.restore(tx, access)
        tx.execute(text(f"COMMENT ON TABLE alembic_version IS '{_made_of()}'"))
        if before != _head():  # a new version may judge the evidence anew
            session_evidence.place(tx, database, "SELECT object_id FROM object_ledger")
            session_evidence.move(tx, changed_by="upgrade", now=datetime.now(UTC))
    return before, _head()


def _all_but_the_last(database: Database, before: str) -> None:
    """Run each migration after `before` in a transaction of its own: what the next one alters, this one has written to.

    Who is stopped between them leaves the tables of an older version, and goes on from there the next time.
    """
    for script in list(_scripts().iterate_revisions(_head(), before))[:0:-1]:
        with database.begin() as tx:
            views.drop(tx)
            command.upgrade(_config(connection=tx), script.revision)


def _has_views(tx: Connection) -> bool:
    """Tell whether all views are there and were made from the definitions of this version.

    The table that says which revision the tables have says in its comment which definitions the views have: a database
    keeps no view as it was written, so that the views themselves cannot be compared.
    """
    found = inspect(tx)
    is_there = {view.name for view in views.VIEWS} <= set(found.get_view_names())
    return is_there and found.get_table_comment("alembic_version")["text"] == _made_of()


def _made_of() -> str:
    return f"One row: the revision of the tables. The views were made from definitions with digest {views.digest()}."


def require_current(database: Database) -> None:
    """Raise WarehouseError unless the tables are those of this version."""
    with database.begin(read_only=True) as tx:
        have = MigrationContext.configure(tx).get_current_revision()
    if have is None:
        raise WarehouseError(f"the warehouse at {_shown(database)} has no tables yet: run `roomledger init`")
    _require_known(database, have)
    if have != _head():
        raise WarehouseError(
            f"the warehouse at {_shown(database)} has the tables of an older version ({have}): run `roomledger init`, "
            "which keeps all rows"
        )


def _require_known(database: Database, revision: str | None) -> None:
    if revision not in {None, *(script.revision for script in _scripts().walk_revisions())}:
        raise WarehouseError(
            f"the warehouse at {_shown(database)} was made by a newer Roomledger (tables {revision}): upgrade this one"
        )


def _shown(database: Database) -> str:
    return make_url(database.url).render_as_string(hide_password=True)


def _config(**attributes: Connection) -> Config:
    config = Config(attributes=attributes)
    config.set_main_option("script_location", "roomledger.ledger:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _head() -> str:
    return str(_scripts().get_current_head())
