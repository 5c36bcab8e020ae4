"""Create the tables of this version from the schema, or upgrade those of an older version by Alembic's revisions."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import command
from alembic.config import Config
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, make_url

from roomledger.ledger import installation
from roomledger.ledger.database import Database, WarehouseError
from roomledger.ledger.installation import BOTH
from roomledger.ledger.tables.columns import metadata


class DuckDBImpl(PostgresqlImpl):
    """DuckDB accepts the PostgreSQL DDL of the migrations; Alembic finds this class by its dialect."""

    __dialect__ = "duckdb"


def revision_of(tx: Connection) -> str | None:
    """Give the revision of the tables; None without tables."""
    return MigrationContext.configure(tx).get_current_revision()


def newest_revision() -> str:
    """Give the revision of this version's tables."""
    return str(_scripts().get_current_head())


def upgrade_tables(tx: Connection, tables: Sequence[Table]) -> None:
    """Create these tables in an empty database, else run the missing revisions."""
    config = _config(connection=tx)
    if revision_of(tx) is None:
        metadata.create_all(tx, tables=tables)
        command.stamp(config, "head")
    else:
        command.upgrade(config, "head")


def require_current(database: Database, holds: str = BOTH, installation_id: str | None = None) -> str:
    """Raise WarehouseError unless the tables have the revision of this version, and hold this; return the installation.

    `installation_id`: they also belong to this installation.
    """
    with database.begin(read_only=True) as tx:
        revision = revision_of(tx)
        found = installation.read(tx)
        installation.require(tx, holds, installation_id, where=shown_url(database))
    if revision is None:
        raise WarehouseError(f"the warehouse at {shown_url(database)} has no tables yet: run `roomledger init`")
    require_known(database, revision)
    if revision != newest_revision():
        raise WarehouseError(
            f"the warehouse at {shown_url(database)} has the tables of an older version ({revision}): run `roomledger "
            "init`, which keeps all rows"
        )
    return found.installation_id if found else ""


def require_known(database: Database, revision: str | None) -> None:
    """Raise WarehouseError for a revision that this version does not know."""
    if revision not in {None, *(script.revision for script in _scripts().walk_revisions())}:
        raise WarehouseError(
            f"the warehouse at {shown_url(database)} has tables of revision {revision}, which this version does not "
            "know: created by a newer Roomledger (upgrade this one) or by one from before the first release (load into "
            "a new warehouse)"
        )


def shown_url(database: Database) -> str:
    """Give the URL of a database for messages, without its password."""
    return make_url(database.url).render_as_string(hide_password=True)


def _config(**attributes: Connection) -> Config:
    config = Config(attributes=attributes)
    config.set_main_option("script_location", "roomledger.ledger:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
