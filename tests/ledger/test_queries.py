"""A query of a user reads: it changes no table, no file, no setting and no other session, however it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import reduce
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from roomledger.ledger import database as contract
from roomledger.ledger.database import Database, QueryError
from roomledger.ledger.postgres import PostgreSQL
from tests.rows import put
from tests.warehouses import contents

WAYS_OUT = (
    "ROLLBACK; DELETE FROM loads; COMMIT",
    "COMMIT; DROP TABLE loads",
    "SELECT 1; DELETE FROM loads",
    "SELECT 1;; UPDATE loads SET objects = 0;",
    "DELETE FROM loads",
    "DELETE FROM loads RETURNING *",
    "UPDATE loads SET objects = 0",
    "INSERT INTO loads SELECT * FROM loads",
    "TRUNCATE loads",
    "DROP VIEW chat_messages",
    "DROP TABLE loads CASCADE",
    "ALTER TABLE loads ADD COLUMN x INT",
    "CREATE TABLE mine AS SELECT 1 AS x",
    "CREATE VIEW mine AS SELECT 1 AS x",
    "CREATE SCHEMA mine",
    "WITH gone AS (DELETE FROM loads RETURNING *) SELECT * FROM gone",
    "EXPLAIN ANALYZE DELETE FROM loads",
    "explain (analyze) insert into loads select * from loads",
    "EXPLAIN ANALYZE CREATE TABLE mine AS SELECT 1 AS x",
    "SELECT * INTO mine FROM loads",
    "SELECT * FROM loads FOR UPDATE; DELETE FROM loads",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SET TRANSACTION READ WRITE",
    "RESET ALL",
    "PREPARE gone AS DELETE FROM loads",
    "EXECUTE gone",
    "COPY (SELECT 1) TO '{file}'",
    "COPY loads TO '{file}'",
    "COPY loads FROM '{file}'",
    "/* a /* b */ SELECT */ COPY (SELECT 1) TO '{file}'",
    "-- SELECT\nDELETE FROM loads",
    "CALL nothing()",
    "GRANT ALL ON loads TO PUBLIC",
    "ANALYZE",
    "VACUUM",
    "CHECKPOINT",
    "",
    ";",
    "-- nothing",
)
"""On both engines; `{file}` is in an empty folder."""
OF_DUCKDB = (
    "EXPORT DATABASE '{file}'",
    "IMPORT DATABASE '{folder}'",
    "ATTACH '{file}' AS other",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM read_blob('{folder}/*')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM parquet_metadata('{secret}')",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "PRAGMA enable_external_access = true",
    "SET memory_limit = '10GB'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SELECT * FROM WAYS_OUT",
    "FROM rows",
    "CREATE TEMP TABLE mine AS SELECT 1 AS x",
    "CREATE SECRET mine (TYPE s3)",
    "USE memory",
    "DETACH warehouse",
    "SELECT * FROM query('DELETE FROM loads')",
)
OF_POSTGRESQL = (
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT \"set_config\"('statement_timeout', '0', false)",
    "SELECT pg_catalog . set_config /* x */ ('role', 'none', true)",
    "SELECT U&\"set\\005fconfig\"('role', 'none', true)",
    "SELECT SET_CONFIG('role', 'none', true)",
    "SELECT pg_read_file('{secret}')",
    "SELECT pg_read_binary_file('{secret}')",
    "SELECT * FROM pg_ls_dir('/')",
    "SELECT * FROM pg_stat_file('{secret}')",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT lo_import('{secret}')",
    "SELECT lo_creat(1)",
    "SELECT lo_export(1, '{file}')",
    "COPY (SELECT 1) TO PROGRAM 'touch {file}'",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_xact_lock_shared(7)",
    "SELECT query_to_xml('DELETE FROM loads', true, true, '')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
    "SELECT pg_cancel_backend(1)",
    "SELECT pg_reload_conf()",
    "SELECT nextval('anything')",
    "SELECT pg_notify('a', 'b')",
    "SELECT pg_sleep(1)",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_physical_replication_slot('mine')",
    "SELECT pg_export_snapshot()",
    "NOTIFY a",
    "LISTEN a",
    "LOCK TABLE loads",
    "SELECT * FROM loads FOR UPDATE",
    "DO $$ BEGIN DELETE FROM loads; END $$",
    "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION DEFAULT",
    "DISCARD ALL",
    "DEALLOCATE ALL",
    "LOAD 'auto_explain'",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "CREATE TEMP TABLE mine AS SELECT 1 AS x",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "REFRESH MATERIALIZED VIEW mine",
    "REINDEX TABLE loads",
    "COMMENT ON TABLE loads IS 'x'",
    "EXPLAIN /* a /* b */ */ ANALYZE CREATE UNLOGGED TABLE mine AS SELECT 1 AS x",
    "EXPLAIN -- why\n ANALYSE CREATE MATERIALIZED VIEW mine AS SELECT 1 AS x",
    'explain (costs off, "analyze" true) CREATE TABLE mine AS SELECT 1 AS x',
    "EXPLAIN (ANALYZE) SELECT 1 AS x INTO mine",
)
HIDDEN_CALLS = (
    "SELECT pg_notify/* x */ -- y\n ('a', 'b')",
    "SELECT pg_catalog . pg_notify('a', 'b')",
    "SELECT pg_catalog.\"pg_notify\"('a', 'b')",
    "SELECT PG_Notify('a', 'b')",
    "SELECT '€'::text, '€' || pg_notify('a', 'b')::text",
    r"SELECT E'\'', pg_notify('a', 'b'), E'\''",
    r"SELECT e'''\\', pg_notify('a', 'b')",
    "SELECT E'a' -- x\n 'b\\'', pg_notify('a', 'b'), E'\\''",
    "SELECT 'a'\n'b\\', pg_notify('a', 'b')",
    r"SELECT 'a\', pg_notify('a', 'b'), '\'",
    "SELECT $$'$$, pg_notify('a', 'b'), $$'$$",
    "SELECT $€$ $$ ' $€$, pg_notify('a', 'b'), $€$'$€$",
    "SELECT $a$ $b$a$, pg_notify('a', 'b'), $a$ $a$",
    "SELECT '/*', pg_notify('a', 'b'), '*/'",
    "SELECT '--', pg_notify('a', 'b')",
    "SELECT /* '/* ' */ ' */ pg_notify('a', 'b') --'",
    "SELECT -- '\r pg_notify('a', 'b')",
    "SELECT 1 AS a$$, pg_notify('a', 'b') AS b$$",
    "SELECT 1 AS é$$, pg_notify('a', 'b') AS b$$",
    "SELECT 1 AS \"a''\"\"\", pg_notify('a', 'b'), ''",
    "SELECT 2 */* x */ 3, pg_notify('a', 'b')",
    "SELECT 2 +-- x\n 3, pg_notify('a', 'b')",
    r"SELECT B'1', X'1F', N'x', U&'\0061', pg_notify('a', 'b')",
    "SELECT date '2000-01-01', v.e, pg_notify('a', 'b') FROM (VALUES ('1')) AS v (e)",
    "SELECT * FROM pg_notify('a', 'b')",
    "SELECT * FROM ROWS FROM (pg_notify('a', 'b'))",
    "SELECT (7::bigint).pg_advisory_lock",
    "SELECT (v.x).pg_sleep FROM (VALUES (0.1::float8)) AS v (x)",
    "TABLE pg_hba_file_rules",
    "VALUES (pg_notify('a', 'b'))",
    "EXPLAIN SELECT pg_notify('a', 'b')",
    "SELECT pg_notify(VARIADIC ARRAY['a', 'b'])",
)
"""Calls that PostgreSQL finds."""
NO_CALLS = (
    "SELECT message FROM chat_messages WHERE message ILIKE '%system%' OR message = 'pg_notify(1)'",
    r"""SELECT 1 AS lastval, 2 AS "nextval", $$pg_notify('a', 'b')$$ AS x, E'\'pg_notify(' AS y""",
    "SELECT * FROM loads TABLESAMPLE SYSTEM (10)",
    "SELECT prosrc FROM pg_proc WHERE proname = 'pg_notify' -- pg_notify('a', 'b')",
    "SELECT /* /* pg_notify('a', 'b') */ pg_notify('a', 'b') */ 1 AS one",
    "SELECT random() AS x, 'u&\"x\"' AS y",
    "EXPLAIN SELECT 'analyze' AS x",
    "(SELECT 1 AS one)",
)


@pytest.fixture
def filled(ready: Database) -> Database:
    """A warehouse with a load and a refusal, which a way out could change."""
    with ready.begin() as tx:
        put(tx, "loads", load_id="one")
        put(tx, "refusals", object_id="o", uri="file:///b/o")
    return ready


def snapshot(database: Database, folder: Path) -> tuple[object, Mapping[str, str]]:
    """Everything that a way out could change: the rows of all tables, and the files beside the warehouse."""
    rows = contents(database)
    with database.begin(read_only=True) as tx:
        names = tx.execute(
            text("SELECT table_schema, table_name FROM information_schema.tables ORDER BY table_schema, table_name")
        ).all()
    files = {str(one): sha256(one.read_bytes()).hexdigest() for one in sorted(folder.rglob("*")) if one.is_file()}
    return (rows, names), files


def test_no_way_out(filled: Database, tmp_path: Path) -> None:
    folder = tmp_path / "beside"
    folder.mkdir()
    secret = folder / "secret.csv"
    secret.write_text("hush,hush\n1,2\n")
    places = {"file": folder / "made", "folder": folder, "secret": secret}
    before = snapshot(filled, tmp_path)
    ways = (*WAYS_OUT, *(OF_POSTGRESQL if isinstance(filled, PostgreSQL) else OF_DUCKDB))
    for way in ways:
        query = reduce(lambda made, name: made.replace(f"{{{name}}}", str(places[name])), places, way)
        with pytest.raises(QueryError) as caught:
            filled.query(query)
        assert "hush" not in str(caught.value)
        assert "Traceback" not in str(caught.value)
        assert snapshot(filled, tmp_path) == before, query


@pytest.fixture
def on_postgres(ready_postgres: Callable[[], Database]) -> Database:
    return ready_postgres()


@pytest.mark.parametrize("parameters", [None, {}, {"x": "'; DELETE FROM loads; --"}])
def test_no_way_out_with_parameters(filled: Database, parameters: dict[str, str] | None, tmp_path: Path) -> None:
    before = snapshot(filled, tmp_path)
    ways = [*WAYS_OUT[:12], "SELECT 1 AS x; DELETE FROM loads; COMMIT"]
    if isinstance(filled, PostgreSQL):
        ways += ["SELECT pg_notify('a', 'b')", "EXPLAIN ANALYZE CREATE TABLE mine AS SELECT 1 AS x"]
    for way in ways:
        with pytest.raises(QueryError):
            filled.query(way, parameters)
        assert snapshot(filled, tmp_path) == before, way


def test_every_call_is_found(on_postgres: Database) -> None:
    found = []
    for query in HIDDEN_CALLS:
        with pytest.raises(QueryError) as caught:
            on_postgres.query(query)
        found.append((query, str(caught.value)))
    assert [one for one in found if "can change something outside of the query" not in one[1]] == [
        ("TABLE pg_hba_file_rules", "permission denied for function pg_hba_file_rules")
    ]


@pytest.mark.parametrize("query", NO_CALLS)
def test_words_that_are_no_calls_are_allowed(on_postgres: Database, query: str) -> None:
    on_postgres.query(query)


def test_a_call_that_slips_through_is_rolled_back(on_postgres: Database) -> None:
    with psycopg.connect(on_postgres.url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("LISTEN a")
        slip = "RETURNS text STABLE LANGUAGE sql AS $$ SELECT pg_notify('a', 'b')::text $$"
        other.execute(f"CREATE FUNCTION slip() {slip}")
        assert on_postgres.query("SELECT slip() AS slip") == [{"slip": ""}]
        assert [*other.notifies(timeout=0.2)] == []


def test_a_parameter_is_a_value(filled: Database) -> None:
    found = filled.query("SELECT count(*) AS n FROM loads WHERE load_id = :id", {"id": "'; DELETE FROM loads; --"})
    assert found == [{"n": 0}]
    assert filled.query("SELECT count(*) AS n FROM loads WHERE load_id = :id", {"id": "one"}) == [{"n": 1}]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) AS n FROM loads",
        "SELECT count(*) AS n FROM loads;",
        "  -- how many\n /* of them */ (SELECT count(*) AS n FROM loads)",
        "WITH two AS (SELECT * FROM loads) SELECT count(*) AS n FROM two",
        "SELECT count(*) AS n FROM (VALUES (1)) AS v (x) WHERE 'a;b' <> ':c' AND '100%' LIKE '%0%'",
    ],
)
def test_a_query_gives_its_rows(filled: Database, query: str) -> None:
    assert filled.query(query) == [{"n": 1}]


def test_queries_about_queries_are_allowed(filled: Database) -> None:
    assert filled.query("EXPLAIN SELECT * FROM chat_messages")
    assert filled.query("SHOW search_path" if isinstance(filled, PostgreSQL) else "DESCRIBE chat_messages")


def test_a_query_has_a_time_limit(filled: Database) -> None:
    forever = "SELECT count(*) FROM generate_series(1, 100000000) AS a (x), generate_series(1, 100000000) AS b (y)"
    began = time.monotonic()
    with pytest.raises(QueryError, match=r"longer than 0\.5 s: select less"):
        filled.query(forever, time_limit_s=0.5)
    assert time.monotonic() - began < 20
    assert filled.query("SELECT 1 AS one") == [{"one": 1}]


def test_a_result_has_a_limit(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "MAX_ROWS", 20_000)
    query = "SELECT a.n, b.n AS m FROM generate_series(1, {rows}) AS a (n), generate_series(1, 100) AS b (n)"
    for parameters in (None, {}):
        assert len(filled.query(query.format(rows=200), parameters)) == 20_000
        for rows in (201, 1_000_000):
            with pytest.raises(QueryError, match=r"^it gives more than 20,000 rows: aggregate, or add LIMIT$"):
                filled.query(query.format(rows=rows), parameters)
    assert filled.query("SELECT 1 AS one") == [{"one": 1}]


def test_what_is_no_query_is_told(filled: Database) -> None:
    with pytest.raises(QueryError, match=r"^it needs the parameter id$"):
        filled.query("SELECT * FROM loads WHERE load_id = :id", {"other": 1})
    for sql, parameters in (("SELECT '\udcff' AS x", None), ("SELECT :x AS x", {"x": "\udcff"}), ("SELECT 1\0", None)):
        with pytest.raises(QueryError, match="characters that are no text"):
            filled.query(sql, parameters)


def test_an_error_is_told_in_one_line_of_ours(filled: Database) -> None:
    with pytest.raises(QueryError, match="nothing_here"):
        filled.query("SELECT * FROM nothing_here")
    with pytest.raises(QueryError, match=r"2 statements|several statements"):
        filled.query("SELECT 1; SELECT 2")


@pytest.mark.parametrize(
    "query", ["SELECT 1 AS a, 2 AS b, 3 AS a", "SELECT * FROM loads JOIN loads AS same USING (publication)"]
)
def test_no_column_is_lost_to_another_one_of_its_name(filled: Database, query: str) -> None:
    with pytest.raises(QueryError, match=r"^2 columns have the name '(a|load_id)': give each another one with AS$"):
        filled.query(query)
