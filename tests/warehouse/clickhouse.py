"""ClickHouse in this process, with the tables and rows of another warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import clickhouse_connect
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import Column, Connection, Table

from roomledger.ledger.tables.columns import arrow_schema

_TYPES: tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...] = (
    (sa.JSON, "String"),
    (sa.Text, "String"),
    (sa.LargeBinary, "String"),
    (sa.Boolean, "Bool"),
    (sa.Integer, "Int64"),
    (sa.Double, "Float64"),
    (sa.Date, "Date32"),
    (sa.DateTime, "DateTime64(6, 'UTC')"),
)


class ClickHouse:
    """One database, in memory."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def copy(self, tx: Connection, table: Table) -> None:
        """Create a table, and copy its rows, or those of a view, from a DuckDB warehouse."""
        columns = ", ".join(f"{column.name} {_type(column)}" for column in table.columns)
        if table.schema:
            self._client.command(f"CREATE DATABASE IF NOT EXISTS {table.schema}")
        self._client.command(f"CREATE TABLE {table.fullname} ({columns}) ENGINE = Memory")
        duckdb: Any = tx.connection.driver_connection
        rows = duckdb.execute(f"SELECT {', '.join(table.columns.keys())} FROM {table.fullname}").to_arrow_table()
        if len(rows):
            self._client.insert_arrow(table.name, rows.cast(arrow_schema(table)), database=table.schema)

    def create_view(self, name: str, query: str) -> None:
        self._client.command(f"CREATE VIEW {name} AS {query}")

    def fetch(self, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The rows of a query, with the types that ClickHouse gives them."""
        rows: pa.Table = self._client.query_arrow(query, parameters=parameters)
        return rows


@contextmanager
def open_clickhouse() -> Iterator[ClickHouse]:
    client = clickhouse_connect.get_client(interface="chdb")
    try:
        yield ClickHouse(client)
    finally:
        client.close()


def _type(column: Column[Any]) -> str:
    name = next(name for sql, name in _TYPES if isinstance(column.type, sql))
    return f"Nullable({name})" if column.nullable else name
