"""Views and audits on ClickHouse: translated, over the same rows, they give what DuckDB gives, value by value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Connection, Table
from sqlglot import exp, parse_one

from roomledger.ledger.database import Database, fetch_rows
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.queries import audit
from roomledger.warehouse.dialects import translate
from roomledger.warehouse.views import VIEWS
from tests.rows import run_audit
from tests.warehouse.clickhouse import ClickHouse
from tests.warehouse.parameters import parameters_of
from tests.warehouse.values import values


@pytest.fixture
def duckdb(filled: Database) -> Iterator[Connection]:
    with filled.begin(read_only=True) as tx:
        tx.exec_driver_sql("SET TimeZone = 'UTC'")
        yield tx


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_has_the_same_rows_with_the_types_of_its_columns(
    view: Table, clickhouse: ClickHouse, duckdb: Connection
) -> None:
    query = f"SELECT {', '.join(view.columns.keys())} FROM {view.name}"
    found, expected = clickhouse.fetch(query), fetch_rows(duckdb, query)
    assert _types(found.schema) == _types(arrow_schema(view))
    assert sorted(values(found.to_pylist())) == sorted(values(expected))
    assert {name for row in expected for name, cell in row.items() if cell is not None} == {*view.columns.keys()}


def _types(schema: pa.Schema) -> dict[str, pa.DataType]:
    return {column.name: column.type for column in schema}


@pytest.mark.parametrize("name", audit.names())
def test_an_audit_has_the_same_rows_in_the_same_order(name: str, clickhouse: ClickHouse, duckdb: Connection) -> None:
    query = translate(audit.names()[name].query, "clickhouse")
    order = [column.name for column in parse_one(query, read="clickhouse").args["order"].find_all(exp.Column)]
    all_found: list[dict[str, Any]] = []
    for given in parameters_of(name, duckdb):
        expected = run_audit(duckdb, name, given)
        every = dict.fromkeys(parameter.name for parameter in audit.names()[name].parameters)
        found = clickhouse.fetch(query, every | given).to_pylist()
        assert sorted(values(found)) == sorted(values(expected)), given
        assert [[row.get(key) for key in order] for row in found] == [
            [row.get(key) for key in order] for row in expected
        ], given
        all_found += found
    assert {key for row in all_found for key, cell in row.items() if cell is not None} == {*all_found[0]}


def test_without_the_setting_of_the_translation_an_outer_join_has_no_nulls(clickhouse: ClickHouse) -> None:
    query = translate(audit.names()["session-record"].query, "clickhouse")
    parameters = {"session_id": "session 1", "customer": None}
    assert None in clickhouse.fetch(query, parameters)["disposition"].to_pylist()
    bare = query.removesuffix(" SETTINGS join_use_nulls = 1")
    assert None not in clickhouse.fetch(bare, parameters)["disposition"].to_pylist()


PARTS = "SELECT loads.started_by FROM refusals LEFT JOIN loads ON loads.load_id = refusals.uri"


@pytest.mark.parametrize(
    "query",
    [
        f"{PARTS} UNION ALL {PARTS}",
        "SELECT count(*) AS a FROM loads UNION ALL SELECT CAST(NULL AS BIGINT)",
        "SELECT row_number() OVER (ORDER BY load_id) AS a FROM loads UNION ALL SELECT CAST(NULL AS BIGINT)",
        "SELECT source, string_agg(room_id, ', ' ORDER BY room_id) AS a FROM refusals GROUP BY source, room_id",
        "SELECT string_agg(DISTINCT room_id, ', ' ORDER BY room_id) AS a FROM refusals",
        "SELECT object_id, split_part(uri, '/', 4) AS a, split_part(uri, '/', 9) AS b FROM object_ledger",
        "SELECT session_id, split_part(room_id, ' ', 2) AS a FROM sessions",
        "SELECT object_id, regexp_replace(uri, '/[^/]*$', '') AS a FROM object_ledger",
        "SELECT CAST(CAST(changed_at AS TIMESTAMP WITH TIME ZONE) AS TEXT) AS a FROM session_changes",
        "SELECT CAST(floor(0.5 + 1.5 * duration_s) AS BIGINT) AS a FROM asset_records",
        "SELECT object_id, retry_at + INTERVAL '15 days' AS a FROM object_ledger",
        "SELECT source, CAST(sum(ordinal) AS BIGINT) AS a FROM refusals GROUP BY source",
    ],
)
def test_a_construct_means_the_same(query: str, clickhouse: ClickHouse, duckdb: Connection) -> None:
    found = clickhouse.fetch(translate(query, "clickhouse"))
    assert sorted(values(found.to_pylist())) == sorted(values(fetch_rows(duckdb, query)))
    assert found.num_rows
    assert all(column.type in (pa.string(), pa.int64(), pa.timestamp("us", tz="UTC")) for column in found.schema)
