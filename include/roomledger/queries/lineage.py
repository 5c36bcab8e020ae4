"""Lineage of one object: its versions with their state, its observations, its rows and what they were, its refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roomledger.ledger.database import Database, Row, fetch_rows
from roomledger.warehouse.engine import Facts
from roomledger.warehouse.fact_views import HISTORY_VIEWS


@dataclass(frozen=True, slots=True)
class ObjectHistory:
    """The history of one object; versions newest first."""

    versions: Sequence[Row]
    observations: Sequence[Row]
    history: Sequence[Row]
    """One row per version of what the tables show of it, newest first: the load whose rows counted, from when until
    when, in which session, and why."""
    rows: Sequence[Row]
    """One row per table and load: the number of rows, and whether they count now."""
    refusals: Sequence[Row]


def trace_object(database: Database, facts: Facts, uri: str) -> ObjectHistory:
    """Find an object by its exact address; `versions` is empty when it was never observed."""
    parameters = {"uri": uri}
    versions = "SELECT * FROM object_ledger WHERE uri = :uri ORDER BY modified_at DESC, first_seen_at DESC"
    with database.begin(read_only=True) as tx:
        found = fetch_rows(tx, versions, parameters)
        observations = fetch_rows(tx, _OBSERVATIONS, parameters)
        history = fetch_rows(tx, _HISTORY, parameters)
        refusals = fetch_rows(tx, _REFUSALS, parameters)
    return ObjectHistory(found, observations, history, facts.query(_ROWS, parameters) if history else [], refusals)


_OBSERVATIONS = """
SELECT observed_at, observed_by, kind, object_id FROM observations
WHERE object_id IN (SELECT object_id FROM object_ledger WHERE uri = :uri) ORDER BY observed_at, kind
"""

_HISTORY = """
SELECT valid_from, valid_until, disposition, rows_loaded, session_id, load_id, changed_by, reason
FROM object_history WHERE uri = :uri ORDER BY publication DESC
"""

_REFUSALS = """
SELECT object_id, ordinal, reason_code, detail, octet_length(raw) AS raw_bytes, refused_at, resolved_at
FROM refusals WHERE uri = :uri ORDER BY refused_at, ordinal
"""

# Rows count for each period of their object: they are counted once per load.
_OF_OBJECT = """
SELECT '{name}' AS table_name, object_id, load_id, count(DISTINCT ordinal) AS row_count,
       max(CASE WHEN valid_until IS NULL THEN 1 ELSE 0 END) = 1 AS counts_now
FROM {name}_history WHERE object_id IN (SELECT object_id FROM object_history WHERE uri = :uri)
GROUP BY object_id, load_id
"""
_ROWS = "\nUNION ALL\n".join(_OF_OBJECT.format(name=table.name) for table in HISTORY_VIEWS) + "\nORDER BY 5 DESC, 1, 3"
