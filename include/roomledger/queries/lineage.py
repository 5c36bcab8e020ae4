"""Lineage of one object: its versions with their state, its observations, and its rows and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from roomledger.ledger.database import Row, fetch_rows
from roomledger.warehouse.fact_views import FACT_VIEWS
from roomledger.warehouse.views import object_assets


@dataclass(frozen=True, slots=True)
class ObjectHistory:
    """The history of one object; versions newest first."""

    versions: Sequence[Row]
    observations: Sequence[Row]
    rows: Sequence[Row]
    """One row per version and table: the number of rows from this version."""
    refusals: Sequence[Row]


def trace_object(tx: Connection, uri: str) -> ObjectHistory:
    """Find an object by its exact address; `versions` is empty when it was never observed."""
    parameters = {"uri": uri}
    versions = "SELECT * FROM object_ledger WHERE uri = :uri ORDER BY modified_at DESC, first_seen_at DESC"
    counts = " UNION ALL ".join(
        f"SELECT object_id, '{table.name}' AS table_name, count(*) AS row_count FROM {table.name}"
        " WHERE object_id IN (SELECT object_id FROM objects WHERE uri = :uri) GROUP BY object_id"
        for table in (object_assets, *FACT_VIEWS.values())
    )
    return ObjectHistory(
        versions=fetch_rows(tx, versions, parameters),
        observations=fetch_rows(tx, _OBSERVATIONS, parameters),
        rows=fetch_rows(tx, counts, parameters),
        refusals=fetch_rows(tx, _REFUSALS, parameters),
    )


_OBSERVATIONS = """
SELECT observed_at, observed_by, kind, object_id FROM observations
WHERE object_id IN (SELECT object_id FROM object_ledger WHERE uri = :uri) ORDER BY observed_at, kind
"""

_REFUSALS = """
SELECT object_id, ordinal, reason_code, detail, octet_length(raw) AS raw_bytes, refused_at, resolved_at
FROM refusals WHERE uri = :uri ORDER BY refused_at, ordinal
"""
