"""Views and audits in other dialects: what they contain, and what their translation means when it is read back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import pytest
import sqlglot
from sqlalchemy import Connection, Table
from sqlglot import ErrorLevel

from roomledger.ledger.database import Database, fetch_rows
from roomledger.queries import audit
from roomledger.warehouse.dialects import Dialect, Untranslatable, translate
from roomledger.warehouse.views import VIEWS, query_of
from tests.rows import run_audit
from tests.warehouse.parameters import parameters_of
from tests.warehouse.portability import RULES, TYPED_RULES, problems
from tests.warehouse.values import values

QUERIES = {view.name: query_of(view) for view in VIEWS} | {
    name: question.query for name, question in audit.names().items()
}
DIALECTS: tuple[Dialect, ...] = ("bigquery", "clickhouse", "snowflake")


@pytest.fixture
def duckdb(filled: Database) -> Iterator[Connection]:
    with filled.begin(read_only=True) as tx:
        tx.exec_driver_sql("SET TimeZone = 'UTC'")
        yield tx


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", QUERIES)
def test_every_query_has_a_translation(name: str, dialect: Dialect) -> None:
    assert sqlglot.parse_one(translate(QUERIES[name], dialect), read=dialect)


@pytest.mark.parametrize("dialect", ["bigquery", "snowflake"])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_translated_view_read_back_by_sqlglot_gives_the_same_rows(
    view: Table, dialect: Dialect, duckdb: Connection
) -> None:
    columns = ", ".join(view.columns.keys())
    back = _read_back(query_of(view), dialect)
    found = fetch_rows(duckdb, f"SELECT {columns} FROM ({back}) AS back")
    assert sorted(values(found)) == sorted(values(fetch_rows(duckdb, f"SELECT {columns} FROM {view.name}")))


@pytest.mark.parametrize("dialect", ["bigquery", "snowflake"])
@pytest.mark.parametrize("name", audit.names())
def test_a_translated_audit_read_back_by_sqlglot_gives_the_same_rows(
    name: str, dialect: Dialect, duckdb: Connection
) -> None:
    back = re.sub(r"\$(\w+)", r":\1", _read_back(QUERIES[name], dialect))
    every = dict.fromkeys(parameter.name for parameter in audit.names()[name].parameters)
    found = ((given, rows) for given in parameters_of(name, duckdb) if (rows := run_audit(duckdb, name, given)))
    expected = list(islice(found, 3))
    assert len(expected) == 3
    for given, rows in expected:
        assert sorted(values(fetch_rows(duckdb, back, every | given))) == sorted(values(rows)), given


def _read_back(query: str, dialect: Dialect) -> str:
    """The meaning of a translation in DuckDB's own dialect, as far as sqlglot knows the other one."""
    translated = translate(query, dialect)
    (back,) = sqlglot.transpile(translated, read=dialect, write="duckdb", unsupported_level=ErrorLevel.RAISE)
    return back


@pytest.mark.parametrize("name", QUERIES)
def test_no_query_has_a_construct_with_another_meaning_elsewhere(name: str) -> None:
    assert problems(QUERIES[name]) == []


PLANTED = [
    ("unknown", "SELECT unnest(string_to_array(room_id, ',')) AS a FROM sessions"),
    ("unknown", "SELECT translate(room_id, 'a', '') AS a FROM sessions"),
    ("unknown", "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_s) AS a FROM asset_records"),
    ("unknown", "SELECT count(*) FILTER (WHERE active) AS a FROM sessions"),
    ("unknown", "SELECT sum(ordinal) OVER (ORDER BY ordinal ROWS UNBOUNDED PRECEDING) AS a FROM chat_messages"),
    ("unknown", "SELECT room_id FROM sessions WHERE room_id IS DISTINCT FROM ''"),
    ("extreme", "SELECT LEAST(started_at, ended_at) AS a FROM sessions"),
    ("extreme", "SELECT GREATEST(started_at, ended_at) AS a FROM sessions"),
    ("infinity", "SELECT CAST('-infinity' AS TIMESTAMP WITH TIME ZONE) AS a FROM sessions"),
    ("row_comparison", "SELECT room_id FROM sessions WHERE (session_id, room_id) > (customer, source)"),
    ("materialization", "WITH a AS NOT MATERIALIZED (SELECT room_id FROM sessions) SELECT room_id FROM a"),
    ("exists", "SELECT name FROM rooms WHERE NOT EXISTS (SELECT 1 FROM peers WHERE peers.room_id = rooms.room_id)"),
    ("not_in", "SELECT room_id FROM sessions WHERE room_id NOT IN (SELECT room_id FROM rooms)"),
    ("distinct_on", "SELECT DISTINCT ON (room_id) room_id FROM sessions"),
    ("division", "SELECT ordinal / 2 AS a FROM chat_messages"),
    ("using", "SELECT sessions.room_id FROM sessions JOIN rooms USING (room_id)"),
    ("join_kind", "SELECT sessions.room_id FROM sessions FULL JOIN rooms ON rooms.room_id = sessions.room_id"),
    ("null_order", "SELECT room_id FROM sessions ORDER BY room_id DESC"),
    ("no_table", "SELECT 1 AS a WHERE 1 = 1"),
    ("regular_expression", "SELECT regexp_replace(uri, '^s3', '') AS a FROM object_ledger"),
    ("regular_expression", r"SELECT regexp_replace(uri, '\d$', '') AS a FROM object_ledger"),
    ("cast_type", "SELECT CAST(duration_s AS NUMERIC) AS a FROM asset_records"),
    ("bare_null", "SELECT NULL AS a FROM sessions"),
    ("bare_null", "SELECT room_id FROM sessions UNION ALL SELECT NULL FROM sessions"),
    ("reserved_name", "SELECT room_id AS current FROM sessions"),
    ("hidden_column", "SELECT COALESCE(room_id, '') AS room_id FROM sessions GROUP BY COALESCE(room_id, '')"),
    ("hidden_column", "SELECT max(room_id) AS source FROM sessions WHERE source <> ''"),
    ("correlation", "SELECT name FROM rooms WHERE name IN (SELECT name FROM peers WHERE peers.source = rooms.source)"),
    ("table_or_column", "WITH a AS (SELECT room_id AS a FROM rooms) SELECT a.a FROM a"),
    ("table_or_column", "SELECT name.role FROM peers AS name"),
    ("joined_number", "SELECT object_id || ordinal AS a FROM chat_messages"),
    ("rounding", "SELECT CAST(duration_s AS BIGINT) AS a FROM asset_records"),
    ("text_of", "SELECT CAST(changed_at AS TEXT) AS a FROM session_changes"),
    ("text_of", "SELECT CAST(active AS TEXT) AS a FROM sessions"),
    ("difference_of_times", "SELECT ended_at - started_at AS a FROM sessions"),
    ("mixed_comparison", "SELECT room_id FROM sessions WHERE room_id = 1"),
]


@pytest.mark.parametrize(("rule", "query"), PLANTED)
def test_a_planted_construct_is_found(rule: str, query: str) -> None:
    assert rule in {name for name, _ in problems(query)}


def test_a_construct_is_planted_for_every_rule() -> None:
    assert {rule for rule, _ in PLANTED} == {rule.__name__ for rule in (*RULES, *TYPED_RULES)}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "query",
    [
        "SELECT extract(hour FROM started_at) FROM sessions",
        "SELECT extract(epoch FROM started_at) FROM sessions",
        "SELECT started_at - INTERVAL '1 hour' FROM sessions",
        "SELECT started_at + INTERVAL '1 day 2 hours' FROM sessions",
        "SELECT started_at + 5 * INTERVAL '2 seconds' FROM sessions",
        "SELECT string_agg(name, ', ') FROM peers",
        "SELECT string_agg(name, ', ' ORDER BY role) FROM peers",
        "SELECT string_agg(name, ', ' ORDER BY name DESC) FROM peers",
    ],
)
def test_what_has_no_sure_translation_is_refused(query: str, dialect: Dialect) -> None:
    with pytest.raises(Untranslatable):
        translate(query, dialect)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT role FROM peers WHERE name = :name", "name"),
        ("SELECT role FROM peers UNION ALL SELECT role FROM peers ORDER BY role", "order of a union"),
    ],
)
def test_what_clickhouse_alone_cannot_do_is_refused(query: str, message: str) -> None:
    with pytest.raises(Untranslatable, match=message):
        translate(query, "clickhouse")


@pytest.mark.parametrize(
    ("query", "bigquery", "clickhouse", "snowflake"),
    [
        (
            "SELECT extract(epoch FROM a.b - a.c) FROM a",
            "(TIMESTAMP_DIFF(a.b, a.c, MICROSECOND) / 1000000)",
            "(dateDiff('microsecond', a.c, a.b) / 1000000)",
            "(TIMESTAMPDIFF(MICROSECOND, a.c, a.b) / 1000000)",
        ),
        (
            "SELECT a.b + INTERVAL '12 hours' FROM a",
            "TIMESTAMP_ADD(a.b, INTERVAL 12 HOUR)",
            "DATE_ADD(HOUR, 12, a.b)",
            "TIMESTAMPADD(HOUR, 12, a.b)",
        ),
        (
            "SELECT a.b + a.c * INTERVAL '1 millisecond' FROM a",
            "TIMESTAMP_ADD(a.b, INTERVAL a.c MILLISECOND)",
            "DATE_ADD(MILLISECOND, a.c, a.b)",
            "TIMESTAMPADD(MILLISECOND, a.c, a.b)",
        ),
        (
            "SELECT CAST(:a AS TIMESTAMP WITH TIME ZONE) FROM a",
            "CAST(@a AS TIMESTAMP)",
            "{a:Nullable(DateTime64(6, 'UTC'))}",
            "CAST(:a AS TIMESTAMPTZ)",
        ),
        (
            "SELECT string_agg(DISTINCT b, ', ' ORDER BY b) FROM a",
            "STRING_AGG(DISTINCT b, ', ' ORDER BY b)",
            "nullIf(arrayStringConcat(arraySort(groupUniqArray(b)), ', '), '')",
            "NULLIF(LISTAGG(DISTINCT b, ', ') WITHIN GROUP (ORDER BY b), '')",
        ),
        (
            "SELECT CAST(b AS DOUBLE PRECISION), CAST(b AS TEXT), CAST(b AS BIGINT), CAST(b AS BOOLEAN) FROM a",
            "CAST(b AS FLOAT64), CAST(b AS STRING), CAST(b AS INT64), CAST(b AS BOOL)",
            "CAST(b AS Nullable(Float64)), CAST(b AS Nullable(String)), CAST(b AS Nullable(Int64)),"
            " CAST(b AS Nullable(Bool))",
            "CAST(b AS DOUBLE), CAST(b AS VARCHAR), CAST(b AS BIGINT), CAST(b AS BOOLEAN)",
        ),
        (
            "SELECT split_part(b, ',', c) FROM a",
            "IF(b IS NULL, NULL, COALESCE(SPLIT(b, ',')[SAFE_ORDINAL(c)], ''))",
            "if(b IS NULL, NULL, splitByString(',', b)[c])",
            "SPLIT_PART(b, ',', c)",
        ),
        (
            "SELECT a.b FROM a ORDER BY a.b",
            "a.b",
            "a.b AS b",
            "a.b",
        ),
    ],
)
def test_translations(query: str, bigquery: str, clickhouse: str, snowflake: str) -> None:
    for dialect, expected in (("bigquery", bigquery), ("clickhouse", clickhouse), ("snowflake", snowflake)):
        found = re.fullmatch("SELECT (.*?) FROM a.*", translate(query, dialect))
        assert found
        assert found[1] == expected
