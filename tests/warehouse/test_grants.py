"""Privileges on the views of PostgreSQL are the same after the views are created again."""

from __future__ import annotations

from sqlalchemy import text

from roomledger.ledger.database import Database
from roomledger.warehouse import setup
from roomledger.warehouse.views import VIEWS
from tests.rows import rows

GRANTS = r"""
CREATE ROLE "Ana's 5%\:all"; CREATE ROLE bo; CREATE ROLE cy; CREATE ROLE dee;
GRANT SELECT ON session_overview TO PUBLIC;
GRANT SELECT ON statements TO "Ana's 5%\:all" WITH GRANT OPTION;
GRANT SELECT, INSERT ON statements TO cy;
SET ROLE "Ana's 5%\:all"; GRANT SELECT ON statements TO dee; RESET ROLE;
GRANT SELECT (session_id, text), UPDATE (text) ON statements TO bo;
ALTER VIEW session_timeline SET (security_invoker = true, security_barrier = false);
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bo, dee;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO cy WITH GRANT OPTION
"""
# The grantor is not preserved: afterwards the owner is the grantor of all privileges.
PRIVILEGES = """
SELECT relname, NULL, reloptions, split_part(CAST(item AS text), '/', 1)
FROM pg_class, unnest(COALESCE(relacl, acldefault('r', relowner))) AS item
WHERE relkind = 'v' AND relnamespace = CAST('public' AS regnamespace)
UNION SELECT relname, attname, NULL, CAST(item AS text)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid, unnest(attacl) AS item
WHERE relnamespace = CAST('public' AS regnamespace)
ORDER BY 1, 2, 4
"""


def change(database: Database, statements: str) -> None:
    with database.begin() as tx:
        for statement in statements.split(";"):
            tx.execute(text(statement))


def test_privileges_are_preserved(new_postgres: Database) -> None:
    setup.upgrade(new_postgres)
    change(new_postgres, GRANTS)
    with new_postgres.begin() as tx:
        before = rows(tx, PRIVILEGES)
    change(new_postgres, "COMMENT ON TABLE alembic_version IS NULL")
    setup.upgrade(new_postgres)
    with new_postgres.begin() as tx:
        after = rows(tx, PRIVILEGES)
    assert len(before) == len(VIEWS) + 6
    assert after == before


def test_a_new_view_gets_the_default_privileges(new_postgres: Database) -> None:
    setup.upgrade(new_postgres)
    change(
        new_postgres,
        "CREATE ROLE eve; DROP VIEW session_timeline; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO eve",
    )
    setup.upgrade(new_postgres)
    may = "SELECT relname FROM pg_class WHERE relkind = 'v' AND has_table_privilege('eve', oid, 'SELECT')"
    with new_postgres.begin() as tx:
        assert rows(tx, f"{may} AND relnamespace = CAST('public' AS regnamespace)") == [("session_timeline",)]


def test_the_former_and_the_new_owner_of_a_view_can_read_it(new_postgres: Database) -> None:
    setup.upgrade(new_postgres)
    change(
        new_postgres, "CREATE ROLE flo; ALTER VIEW statements OWNER TO flo; COMMENT ON TABLE alembic_version IS NULL"
    )
    setup.upgrade(new_postgres)
    with new_postgres.begin() as tx:
        readers = "SELECT CAST(grantee AS regrole)::text FROM pg_class, aclexplode(relacl) WHERE relname = 'statements'"
        assert rows(tx, f"{readers} AND privilege_type = 'SELECT' ORDER BY 1") == [("flo",), ("postgres",)]
