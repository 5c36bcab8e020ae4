"""Create the tables of this version from the schema, or upgrade those of an older version by Alembic's revisions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

from sqlalchemy import Connection, Table, make_url, text

from roomledger.ledger import installation
from roomledger.ledger.database import Database, WarehouseError, has_table
from roomledger.ledger.installation import BOTH
from roomledger.ledger.tables.columns import metadata


def revision_of(tx: Connection) -> str | None:
    """Give the revision of the tables; None without tables."""
    if not has_table(tx, "alembic_version"):
        return None
    found = tx.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def revisions() -> list[str]:
    """Give the revisions that this version knows, oldest first.

    They are read as text: Alembic takes a while to import, and only `init` needs it.
    """
    following = {}
    for file in resources.files(__package__).joinpath("migrations", "versions").iterdir():
        names = dict(_REVISION.findall(file.read_text("utf-8"))) if file.name.endswith(".py") else {}
        if "revision" in names:
            following[names["down_revision"] or None] = names["revision"]
    ordered: list[str] = []
    while (last := ordered[-1] if ordered else None) in following:
        ordered.append(following[last])
    return ordered


_REVISION = re.compile(r"""^(revision|down_revision)\b[^=\n]*= *(?:None|["'](\w+)["'])""", re.M)


def newest_revision() -> str:
    """Give the revision of this version's tables."""
    return revisions()[-1]


def upgrade_tables(tx: Connection, tables: Sequence[Table]) -> None:
    """Create these tables in an empty database, else run the missing revisions."""
    from alembic import command  # takes a while, and only `init` needs it
    from alembic.config import Config

    config = Config(attributes={"connection": tx})
    config.set_main_option("script_location", "roomledger.ledger:migrations")
    config.set_main_option("path_separator", "os")
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
    if revision not in {None, *revisions()}:
        raise WarehouseError(
            f"the warehouse at {shown_url(database)} has tables of revision {revision}, which this version does not "
            "know: created by a newer Roomledger (upgrade this one) or by one from before the first release (load into "
            "a new warehouse)"
        )


def shown_url(database: Database) -> str:
    """Give the URL of a database for messages, without its password."""
    return make_url(database.url).render_as_string(hide_password=True)
