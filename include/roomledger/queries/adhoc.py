"""One query that a person writes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from roomledger.ledger.database import Row


class QueryError(Exception):
    """The database refuses the query; the message is its own."""


def run_query(tx: Connection, query: str) -> Sequence[Row]:
    """Run a query as it is written, in a transaction that should be read-only. Raises QueryError."""
    try:
        return [dict(row) for row in tx.exec_driver_sql(query).mappings()]
    except DBAPIError as error:
        raise QueryError(str(error.orig)) from error
