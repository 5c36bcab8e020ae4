"""Whoever may read the views of PostgreSQL may do so after they are made anew, and nobody else."""

from __future__ import annotations

from sqlalchemy import text

from roomledger.ledger.database import Database
from roomledger.warehouse import setup
from roomledger.warehouse.views import VIEWS
from tests.rows import rows

GIVEN = r"""
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
# Who gave a privilege is not kept: all are given by the owner then.
HELD = """
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


def test_privileges_are_as_they_were(new_postgres: Database) -> None:
    setup.upgrade(new_postgres)
    change(new_postgres, GIVEN)
    with new_postgres.begin() as tx:
        before = rows(tx, HELD)
    change(new_postgres, "COMMENT ON TABLE alembic_version IS NULL")
    setup.upgrade(new_postgres)
    with new_postgres.begin() as tx:
        after = rows(tx, HELD)
    assert len(before) == len(VIEWS) + 6
    assert after == before


def test_a_view_that_is_new_has_the_privileges_that_are_given_by_default(new_postgres: Database) -> None:
    setup.upgrade(new_postgres)
    change(
        new_postgres,
        "CREATE ROLE eve; DROP VIEW session_timeline; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO eve",
    )
    setup.upgrade(new_postgres)
    may = "SELECT relname FROM pg_class WHERE relkind = 'v' AND has_table_privilege('eve', oid, 'SELECT')"
    with new_postgres.begin() as tx:
        assert rows(tx, f"{may} AND relnamespace = CAST('public' AS regnamespace)") == [("session_timeline",)]


def test_who_owned_a_view_may_read_it_still_and_so_may_who_owns_it_now(new_postgres: Database) -> None:
    setup.upgrade(new_postgres)
    change(
        new_postgres, "CREATE ROLE flo; ALTER VIEW statements OWNER TO flo; COMMENT ON TABLE alembic_version IS NULL"
    )
    setup.upgrade(new_postgres)
    with new_postgres.begin() as tx:
        readers = "SELECT CAST(grantee AS regrole)::text FROM pg_class, aclexplode(relacl) WHERE relname = 'statements'"
        assert rows(tx, f"{readers} AND privilege_type = 'SELECT' ORDER BY 1") == [("flo",), ("postgres",)]
