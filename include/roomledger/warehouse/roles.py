"""Roles on PostgreSQL: the owner changes tables, the loader writes rows, the reader reads the views.

The owner is the user that runs `roomledger init`. The loader cannot create, change or drop anything. The reader sees no
table of raw rows, no refused bytes and no record of the vendor.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Table, inspect, text
from sqlalchemy.exc import ProgrammingError

from roomledger.ledger.database import Database, WarehouseError
from roomledger.ledger.migrate import shown_url
from roomledger.ledger.tables.columns import RAW, metadata
from roomledger.ledger.tables.ledger import loads, object_ledger, observations, refusals
from roomledger.ledger.tables.objects import installation
from roomledger.warehouse.views import VIEWS

LOADER, READER = "roomledger_loader", "roomledger_reader"
"""Group roles without login: grant them to the users that log in."""
READABLE = (object_ledger, observations, loads, refusals, installation, *VIEWS)
"""What the reader may read, except RAW_COLUMNS."""
RAW_COLUMNS = frozenset({"record", "metadata", "raw"})
"""Columns that the reader may not read: the vendor's records as received, and refused bytes."""


def exist(tx: Connection) -> bool:
    """Whether both roles exist."""
    if tx.dialect.name != "postgresql":
        return False
    query = text("SELECT count(*) FROM pg_roles WHERE rolname IN (:loader, :reader)")
    return bool(tx.execute(query, {"loader": LOADER, "reader": READER}).scalar_one() == 2)


def create(database: Database) -> None:
    """Create the roles that do not exist, and grant them what they need. Raises WarehouseError."""
    with database.begin() as tx:
        if tx.dialect.name != "postgresql":
            raise WarehouseError(
                f"{shown_url(database)} is a DuckDB file, which has no roles: who can read the file can read everything"
            )
        _require_owner(tx)
        try:
            known = set(tx.execute(text("SELECT rolname FROM pg_roles")).scalars())
            for role in (LOADER, READER):
                if role not in known:
                    tx.exec_driver_sql(f"CREATE ROLE {role} NOLOGIN")
            grant(tx)
        except ProgrammingError as error:
            raise WarehouseError(
                f"the roles cannot be created: {str(error.orig).partition(chr(10))[0]}: run this as the owner of the "
                f"tables; if that user may not create roles, let an administrator run CREATE ROLE {LOADER}; CREATE "
                f"ROLE {READER}; first"
            ) from error
        _require_granted(tx)


def _require_owner(tx: Connection) -> None:
    """Raise WarehouseError for a user who does not own the tables: PostgreSQL would only warn."""
    query = "SELECT pg_get_userbyid(relowner), pg_has_role(relowner, 'USAGE') FROM pg_class"
    [[owner, is_owner]] = tx.execute(text(f"{query} WHERE oid = CAST('alembic_version' AS regclass)"))
    if not is_owner:
        raise WarehouseError(f"the tables belong to {owner}: run `roomledger roles` as that user")


_NOT_GRANTED = text("""
SELECT format('GRANT %s ON DATABASE %I TO %I', kind, current_database(), role)
FROM (VALUES ('CONNECT', :loader), ('TEMPORARY', :loader), ('CONNECT', :reader)) AS needed (kind, role)
WHERE NOT has_database_privilege(role, current_database(), kind)
UNION ALL
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', name, role)
FROM (VALUES (current_schema()), (:raw)) AS schemas (name), (VALUES (:loader), (:reader)) AS roles (role)
WHERE NOT has_schema_privilege(role, name, 'USAGE')
""")


def _require_granted(tx: Connection) -> None:
    """Raise WarehouseError for what the owner of the tables could not grant: database and schema may be another's."""
    found = tx.execute(_NOT_GRANTED, {"loader": LOADER, "reader": READER, "raw": RAW}).scalars().all()
    if found:
        raise WarehouseError(
            f"this user may not grant all that the roles need: let an administrator run {'; '.join(found)}; in this "
            "database, then run `roomledger roles` again"
        )


def grant(tx: Connection) -> None:
    """Grant both roles what they need on the tables and views of this database, and nothing else on them."""
    for statement in _statements(tx):
        tx.exec_driver_sql(statement)


def _statements(tx: Connection) -> Iterator[str]:
    """Give the statements of `grant`, for the tables and views that this database has."""
    found = inspect(tx)
    existing = {None: {*found.get_table_names(), *found.get_view_names()}, RAW: {*found.get_table_names(schema=RAW)}}

    def exists(one: Table) -> bool:
        return one.name in existing[one.schema]

    [[database, schema, version]] = tx.execute(
        text("SELECT current_database(), current_schema(), current_setting('server_version_num')::int")
    )
    tables = [one.fullname for one in metadata.sorted_tables if exists(one)]
    loaded = [name for name in tables if name != installation.fullname]
    views = [one.name for one in VIEWS if exists(one)]
    quoted = tx.dialect.identifier_preparer.quote
    yield f"REVOKE ALL ON {', '.join([*tables, *views, 'alembic_version'])} FROM {LOADER}, {READER}"
    yield f"GRANT USAGE ON SCHEMA {quoted(schema)}, {RAW} TO {LOADER}, {READER}"
    yield f"GRANT CONNECT ON DATABASE {quoted(database)} TO {LOADER}, {READER}"
    yield f"GRANT TEMPORARY ON DATABASE {quoted(database)} TO {LOADER}"
    # ANALYZE after bulk writes; before PostgreSQL 17 only the owner may.
    maintain = ", MAINTAIN" if version >= 170_000 else ""
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE{maintain} ON {', '.join(loaded)} TO {LOADER}"
    yield f"GRANT SELECT ON {', '.join([*views, 'alembic_version', installation.fullname])} TO {LOADER}"
    yield f"GRANT SELECT ON alembic_version TO {READER}"
    for one in filter(exists, READABLE):
        names = [column.name for column in one.columns if column.name not in RAW_COLUMNS]
        columns = "" if len(names) == len(one.columns) else f" ({', '.join(names)})"
        yield f"GRANT SELECT{columns} ON {one.fullname} TO {READER}"
