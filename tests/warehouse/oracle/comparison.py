"""The views compared with the oracle: queries that compute the rows of a view from the ledger's evidence, every time.

The oracle reads records of the API, events and their summaries, and object versions. It never reads rows that were
resolved or loaded, and it need not be fast.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Table, text

from roomledger.hundredms.fields import canonical
from roomledger.ledger.tables.columns import Json
from roomledger.warehouse.views import peers, recording_assets, recordings, sessions

VIEWS = (sessions, peers, recordings, recording_assets)


def differences(tx: Connection) -> list[str]:
    """Give every row that a view has and the oracle has not (`+`), or the other way round (`-`)."""
    return [line for view in VIEWS for line in _differences(tx, view)]


def count_cases(tx: Connection) -> dict[str, int]:
    """Count how often each case of `odd_cases.sql` occurs in the warehouse."""
    return dict(tx.execute(text(_query("odd_cases"))).all())


def _differences(tx: Connection, view: Table) -> Iterator[str]:
    cells = ", ".join(one.name for one in view.columns)
    found, expected = _rows(tx, view, f"SELECT {cells} FROM {view.name}"), _rows(tx, view, _query(view.name))
    for sign, rows in (("+", found - expected), ("-", expected - found)):
        yield from (f"{sign} {view.name}: {row}" for row in rows.elements())


def _rows(tx: Connection, view: Table, query: str) -> Counter[str]:
    """Count the rows of a query with the columns of this view; each as text, without its nulls."""
    done = tx.execute(text(query))
    assert list(done.keys()) == view.columns.keys(), view.name
    return Counter(
        str({one.name: _plain(one, cell) for one, cell in zip(view.columns, row, strict=True) if cell is not None})
        for row in done
    )


def _query(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text("utf-8")


def _plain(column: Column[Any], cell: Any) -> Any:
    """The cell; JSON, which DuckDB gives as text, in one form."""
    if column.type is not Json:
        return cell
    return canonical(json.loads(cell) if isinstance(cell, str) else cell)
