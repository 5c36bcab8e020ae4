"""The comparison finds a row that a view lacks, has too often or shows otherwise, and nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from tests.rows import put
from tests.warehouse.oracle.comparison import differences

_ANN = "SELECT 'Acme' AS customer, 'bucket' AS source, 's' AS session_id, peer_id, CAST(NULL AS TEXT) AS user_id, name,"
_ANN += " role, joined_at, left_at, is_recorder, {record} AS record, first_seen_at, first_seen_by FROM peer_records"
_AS_IT_IS = _ANN.format(record="record")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (_AS_IT_IS, []),
        (_ANN.format(record="""CAST('{"a": [1, 2], "b": null}' AS JSON)"""), []),
        (_ANN.format(record="""CAST('{"a": [2, 1], "b": null}' AS JSON)"""), ["+", "-"]),
        (_AS_IT_IS.replace(" name,", " 'Bob' AS name,"), ["+", "-"]),
        (f"{_AS_IT_IS} WHERE FALSE", ["-"]),
        (f"{_AS_IT_IS} UNION ALL {_AS_IT_IS}", ["+"]),
    ],
)
def test_differences_are_rows_that_only_the_view_or_the_oracle_has(
    tx: Connection, query: str, found: list[str]
) -> None:
    put(tx, "peer_records", session_id="s", peer_id="p", name="Ann", record={"b": None, "a": [1, 2]})
    assert differences(tx) == []
    tx.execute(text("DROP VIEW peers CASCADE"))
    tx.exec_driver_sql(f"CREATE VIEW peers AS {query}")
    assert [line.partition(" peers: ")[0] for line in differences(tx)] == found
