"""Roles on PostgreSQL: the loader loads and changes no table; the reader reads the views and nothing raw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import ProgrammingError

from roomledger.ledger.database import Database, WarehouseError
from roomledger.ledger.duckdb import DuckDB
from roomledger.ledger.postgres import PostgreSQL
from roomledger.ledger.tables.columns import metadata
from roomledger.pipeline.vacuum import vacuum
from roomledger.queries import audit
from roomledger.times import utc_now
from roomledger.warehouse import roles, setup
from roomledger.warehouse.transactional import DatabaseFacts
from roomledger.warehouse.views import VIEWS
from tests.folders import chat, chat_key, put, source_of
from tests.pipeline.loading import messages, run
from tests.warehouses import execute, fetch


@pytest.fixture
def owner(ready_postgres: Callable[[], Database]) -> Database:
    """The owner's warehouse, with the roles."""
    made = ready_postgres()
    roles.create(made)
    return made


def as_member_of(owner: Database, role: str) -> PostgreSQL:
    """The same warehouse for a user who is a member of this role."""
    with owner.begin() as tx:
        name = f"{role}_user"
        if not tx.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}).first():
            tx.exec_driver_sql(f"CREATE ROLE {name} LOGIN")
        tx.exec_driver_sql(f"GRANT {role} TO {name}")
    return PostgreSQL(make_url(owner.url).set(username=name).render_as_string(hide_password=False))


def test_the_loader_does_all_that_the_pipeline_does(owner: Database, tmp_path: Path) -> None:
    loader = as_member_of(owner, roles.LOADER)
    for content in ("one", "two"):
        put(tmp_path / "bucket", chat_key(), chat(content), minute=len(content) + ord(content[0]) % 7)
        run(loader, source_of(tmp_path / "bucket"))
    assert messages(loader)
    vacuum(loader, DatabaseFacts(loader, in_ledger=True), history_days=1)
    loader.analyze()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE loads",
        "ALTER TABLE loads ADD COLUMN x INT",
        "TRUNCATE loads",
        "DROP VIEW chat_messages",
        "CREATE TABLE mine (x INT)",
        "CREATE TABLE roomledger_raw.mine (x INT)",
        "CREATE SCHEMA mine",
        "DELETE FROM alembic_version",
        "DELETE FROM roomledger_raw.installation",
        "UPDATE roomledger_raw.installation SET holds = 'facts'",
    ],
)
@pytest.mark.parametrize("role", [roles.LOADER, roles.READER])
def test_only_the_owner_changes_tables(owner: Database, role: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        execute(as_member_of(owner, role), statement)


def test_the_reader_reads_the_views_and_runs_the_audits(owner: Database, tmp_path: Path) -> None:
    put(tmp_path / "bucket", chat_key(), chat("one"))
    run(owner, source_of(tmp_path / "bucket"))
    reader = as_member_of(owner, roles.READER)
    DatabaseFacts(reader, in_ledger=True).require_current()
    assert messages(reader) == ["one"]
    for view in VIEWS:
        names = [column.name for column in view.columns if column.name not in roles.RAW_COLUMNS]
        fetch(reader, f"SELECT {', '.join(names)} FROM {view.name}")
    facts = DatabaseFacts(reader, in_ledger=True)
    period = {"since": "2000-01-01", "until": "2100-01-01"}
    assert audit.run(facts, "user-record", {"user_id": "u", **period})
    for name, parameters in {
        "session-record": {"session_id": "s"},
        "row-origin": {"object_id": "o", "ordinal": 1},
        "completeness": {**period, "now": utc_now()},
    }.items():
        audit.run(facts, name, parameters)


def test_the_reader_sees_nothing_raw_and_writes_nothing(owner: Database) -> None:
    reader = as_member_of(owner, roles.READER)
    hidden = [table.fullname for table in metadata.sorted_tables if table not in roles.READABLE]
    assert len(hidden) > 20
    refused = [f"SELECT * FROM {name}" for name in hidden]
    refused += [f"SELECT {name} FROM refusals" for name in ("raw", "*")]
    refused += [
        f"SELECT {column.name} FROM {view.name}"
        for view in VIEWS
        for column in view.columns
        if column.name in roles.RAW_COLUMNS
    ]
    refused += ["UPDATE loads SET objects = 0", "DELETE FROM object_ledger", "INSERT INTO loads SELECT * FROM loads"]
    for statement in refused:
        with pytest.raises(ProgrammingError, match="permission denied"):
            execute(reader, statement)


def test_init_grants_the_roles_again_after_a_change_of_the_views(owner: Database) -> None:
    execute(owner, "COMMENT ON TABLE alembic_version IS 'another version of the views'")
    setup.upgrade(owner)
    assert messages(as_member_of(owner, roles.READER)) == []


@pytest.mark.parametrize("role", [roles.LOADER, roles.READER])
def test_only_the_owner_grants(owner: Database, role: str) -> None:
    with pytest.raises(WarehouseError, match=r"^the tables belong to postgres: run `roomledger roles` as that user$"):
        roles.create(as_member_of(owner, role))


def test_what_the_owner_may_not_grant_is_left_to_an_administrator(
    owner: Database, new_database: Callable[[], str]
) -> None:
    url = make_url(new_database())
    administrator = PostgreSQL(url.render_as_string(hide_password=False))
    execute(administrator, "CREATE ROLE roles_owner LOGIN")
    execute(administrator, f"REVOKE ALL ON DATABASE {url.database} FROM PUBLIC")
    execute(administrator, f"GRANT ALL ON DATABASE {url.database} TO roles_owner")
    execute(administrator, "REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT ALL ON SCHEMA public TO roles_owner")
    own = PostgreSQL(url.set(username="roles_owner").render_as_string(hide_password=False))
    setup.upgrade(own)
    with pytest.raises(WarehouseError, match="let an administrator run GRANT CONNECT ON DATABASE") as caught:
        roles.create(own)
    statements = str(caught.value).partition(" run ")[2].partition(" in this database")[0]
    assert statements.count("GRANT ") == 5
    execute(administrator, statements)
    roles.create(own)
    assert messages(as_member_of(administrator, roles.READER)) == []


def test_duckdb_has_no_roles(tmp_path: Path) -> None:
    database = DuckDB(f"duckdb:///{tmp_path}/w.duckdb")
    setup.upgrade(database)
    with pytest.raises(WarehouseError, match="has no roles: who can read the file can read everything"):
        roles.create(database)
