"""Errors end as one sentence that says what to do next, with an exit code."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import duckdb
import psycopg
import pytest
from sqlalchemy import URL, make_url

from roomledger.ledger import migrate
from roomledger.ledger.database import Database
from roomledger.ledger.postgres import PostgreSQL
from roomledger.warehouse import roles, setup
from tests.cli.program import roomledger
from tests.folders import chat, chat_key, put


def one_sentence(*words: str, config: Path, code: int = 2, **environ: str) -> str:
    """Run the command; return what it says."""
    done = roomledger(*words, config=config, **environ)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def with_url(config: Path, url: str) -> Path:
    """Replace the URL of the warehouse."""
    config.write_text(re.sub(r"url = \"(duckdb|postgres).*\"", lambda _: f'url = "{url}"', config.read_text(), count=1))
    return config


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("duckdb:///", "names no file: use duckdb:///roomledger.duckdb"),
        ("duckdb:///folder/", "names no file"),
        ("duckdb:///:memory:", "has to be a plain file"),
        ("duckdb:///w.duckdb?access_mode=read_only", "has to be a plain file, without options"),
        (
            "postgresql+psycopg://x:notaport/db",
            "the host or the port cannot be read: use postgresql+psycopg://user@host",
        ),
        ("postgresql+psycopg://x:99999/db", "the host or the port cannot be read"),
        ("postgresql+psycopg://[::1/db", "the host or the port cannot be read"),
        ("postgresql+psycopg://u:secret/word@x/db", "special characters of user and password as in %40"),
        ("postgresql+psycopg://nohost.invalid/db", "does not answer: "),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/db", "does not answer: "),
        ("mysql://x/y", "unsupported engine 'mysql'"),
    ],
)
def test_a_bad_url_of_the_warehouse(config: Path, url: str, sentence: str) -> None:
    said = one_sentence("status", config=with_url(config, url))
    assert sentence in said
    assert "secret" not in said


def test_a_file_of_duckdb_that_cannot_be_opened(config: Path) -> None:
    folder = config.parent
    (folder / "text.duckdb").write_text("not a database")
    cases = {
        "text.duckdb": "it is not a DuckDB database: name another file in the url of [warehouse]",
        "nowhere/w.duckdb": f"there is no folder {folder}/nowhere: create it, or correct the url of [warehouse]",
        "bucket": "it is a folder: add the name of a file to the url of [warehouse]",
    }
    for file, sentence in cases.items():
        assert sentence in one_sentence("init", config=with_url(config, f"duckdb:///{file}"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe[warehouse]", "is not UTF-8 text, at byte 0: save it as UTF-8"),
        (b"[warehouse\n", "cannot be read as TOML: "),
    ],
)
def test_unreadable_settings(config: Path, content: bytes, sentence: str) -> None:
    config.write_bytes(content)
    assert sentence in one_sentence("status", config=config)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_settings_without_permission(config: Path) -> None:
    config.chmod(0)
    assert "cannot be read: Permission denied: check its path and permissions" in one_sentence("status", config=config)


def test_a_folder_instead_of_settings(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory: check its path" in one_sentence("status", config=tmp_path)


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        ('endpoint = "not a url"', "source cloud: the endpoint is not the address of a server: use one such as https"),
        ('endpoint = "http://localhost:notaport"', "source cloud: the endpoint is not the address"),
        ('endpoint = "ftp://host"', "source cloud: the endpoint is not the address"),
        ('endpoint = "localhost:9000"', "source cloud: the endpoint is not the address"),
        ('region = "us east"', "source cloud: region = 'us east': use the code of a region, such as eu-central-1"),
    ],
)
def test_a_server_that_cannot_be(ready_config: Path, server: str, sentence: str) -> None:
    with ready_config.open("a") as file:
        file.write(f'[[source]]\nname = "cloud"\ncustomer = "Acme"\nurl = "s3://bucket/prefix"\n{server}\n')
    assert sentence in one_sentence("collect", config=ready_config)


def test_a_region_of_the_environment_that_cannot_be(ready_config: Path) -> None:
    with ready_config.open("a") as file:
        file.write('[[source]]\nname = "cloud"\ncustomer = "Acme"\nurl = "s3://bucket/prefix"\n')
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us east"}
    said = one_sentence("load", config=ready_config, code=1, **keys)
    assert "s3://bucket/prefix cannot be opened: " in said
    assert "check endpoint and region" in said


@pytest.mark.parametrize("query", ["", ";", "/* nothing */"])
def test_no_query(ready_config: Path, query: str) -> None:
    assert "give one query, such as SELECT" in one_sentence("sql", query, config=ready_config)


@pytest.mark.parametrize("limit", ["nan", "inf", "0", "1e300"])
def test_a_time_limit_that_cannot_be(ready_config: Path, limit: str) -> None:
    done = roomledger("sql", "SELECT 1", "--time-limit", limit, config=ready_config)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--time-limit" in done.stderr


@pytest.mark.parametrize(
    "made", ["TABLE chat_messages (x int)", "VIEW sessions AS SELECT 1 AS x", "TABLE loads (x int)"]
)
def test_init_leaves_tables_and_views_of_others_alone(config: Path, made: str) -> None:
    name = made.split()[1]
    with duckdb.connect(config.parent / "warehouse.duckdb") as other:
        other.execute(f"CREATE {made}")
    said = one_sentence("init", config=config)
    assert f"already has {name}, which Roomledger did not create: rename or drop it" in said
    with duckdb.connect(config.parent / "warehouse.duckdb") as other:
        assert other.execute("SELECT count(*) FROM duckdb_columns() WHERE column_name = 'x'").fetchone() == (1,)


def test_an_unexpected_error_is_one_sentence_and_with_verbose_its_traceback(ready_config: Path) -> None:
    with duckdb.connect(ready_config.parent / "warehouse.duckdb") as other:
        other.execute("ALTER TABLE object_ledger RENAME COLUMN reason TO because")
    said = one_sentence("status", config=ready_config)
    assert "the tables are not as this version makes them: run `roomledger init`" in said
    loud = roomledger("--verbose", "status", config=ready_config)
    assert (loud.returncode, "Traceback" in loud.stderr) == (2, True)
    assert loud.stderr.endswith(said)


@pytest.fixture
def on_postgres(config: Path, ready_postgres: Callable[[], Database]) -> tuple[Path, URL]:
    """The settings with a PostgreSQL warehouse, and its URL."""
    url = make_url(ready_postgres().url)
    return with_url(config, url.render_as_string(hide_password=False)), url


def as_user(config: Path, url: URL, name: str) -> Path:
    """Create a user, and connect as this one."""
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as owner:
        owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    return with_url(config, url.set(username=name, password="x").render_as_string(hide_password=False))


def test_a_user_without_rights(on_postgres: tuple[Path, URL]) -> None:
    config = as_user(*on_postgres, name="cli_stranger")
    for words in (["status"], ["run"], ["audit", "completeness"], ["where", "s3://a/b"]):
        said = one_sentence(*words, config=config)
        assert "the database reports: permission denied for " in said
        assert "members of roomledger_loader may load" in said


def test_the_time_limit_holds_where_the_database_does_not_stop(
    ready_config: Path, ready_postgres: Callable[[], Database]
) -> None:
    began = time.monotonic()
    limit = ("--time-limit", "0.5")
    slow = "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000)) AS n"
    assert "it took longer than 0.5 s: select less" in one_sentence("sql", slow, *limit, config=ready_config)
    url = make_url(ready_postgres().url)
    config = with_url(ready_config, url.render_as_string(hide_password=False))
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as other:
        other.execute("LOCK TABLE alembic_version")
        for words in (["sql", "SELECT 1"], ["audit", "completeness"]):
            said = one_sentence(*words, *limit, config=config)
            assert "it took longer than 0.5 s: select less" in said
    assert time.monotonic() - began < 60


def test_a_query_needs_no_control_database(config: Path) -> None:
    with config.open("a") as file:
        file.write('[control]\nurl = "duckdb:///control.duckdb"\n')
    assert roomledger("init", config=config).returncode == 0
    config.write_text(config.read_text().replace("duckdb:///control.duckdb", "postgresql+psycopg://u:x@127.0.0.1:1/db"))
    for words in (["sql", "SELECT count(*) AS n FROM chat_messages"], ["audit", "completeness"]):
        done = roomledger(*words, config=config)
        assert (done.returncode, done.stderr) == (0, "")
    assert "does not answer: " in one_sentence("status", config=config)


@pytest.mark.parametrize("role", [roles.LOADER, roles.READER, None])
def test_what_a_user_may_not_do(config: Path, new_database: Callable[[], str], role: str | None) -> None:
    url = make_url(new_database())
    database = PostgreSQL(url.render_as_string(hide_password=False))
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    name = f"cli_{role or 'nobody'}"
    config = as_user(config, url, name)
    refused = [one_sentence("init", config=config)]  # may not create
    setup.upgrade(database)
    roles.create(database)
    with psycopg.connect(plain, autocommit=True) as owner:
        if role:
            owner.execute(f"GRANT {role} TO {name}")
        put(config.parent / "bucket", chat_key(1), chat("one"))
        if role == roles.LOADER:
            assert roomledger("run", config=config).returncode == 0
        else:
            refused += [one_sentence(*words, config=config) for words in (["collect"], ["load"], ["run"], ["status"])]
        owner.execute("COMMENT ON TABLE alembic_version IS 'other views'")
        refused.append(one_sentence("init", config=config))
        owner.execute(f"UPDATE alembic_version SET version_num = '{migrate.revisions()[-2]}'")
        refused.append(one_sentence("init", config=config))
        for said in refused:
            assert re.match("the database reports: (permission denied for|must be owner of) ", said)
            assert "only the owner may run `roomledger init`" in said
        owner.execute(f"REVOKE CONNECT ON DATABASE {url.database} FROM PUBLIC, {roles.LOADER}, {roles.READER}")
        assert "may not connect to" in one_sentence("sql", "SELECT 1", config=config)


def test_a_server_that_ends_the_connection(on_postgres: tuple[Path, URL]) -> None:
    config, url = on_postgres
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)

    def end() -> None:
        with psycopg.connect(plain, autocommit=True) as other:
            for _ in range(600):
                query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'roomledger' "
                if other.execute(query + "AND state = 'active' AND query LIKE '%generate_series%'").fetchall():
                    return
                other.execute("SELECT pg_sleep(0.05)")

    timer = Timer(0, end)
    timer.start()
    said = one_sentence("sql", "SELECT count(*) FROM generate_series(1, 100000000000)", config=config, code=1)
    timer.join()
    assert "the database closed the connection: " in said
    assert "run it again" in said
