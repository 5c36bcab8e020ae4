"""Alembic's entry point: runs the migrations on the connection that `migrate.py` hands over."""

from __future__ import annotations

from alembic import context
from alembic.ddl.postgresql import PostgresqlImpl

from roomledger.ledger.tables.columns import metadata


class DuckDBImpl(PostgresqlImpl):
    """DuckDB accepts the PostgreSQL DDL of the migrations; Alembic finds this class by its dialect."""

    __dialect__ = "duckdb"


context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
