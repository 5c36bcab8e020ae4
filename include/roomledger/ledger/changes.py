"""The changes that the facts side does not have yet: rows of the published tables, by their publication.

`publications` is the outbox: they commit in the order of their numbers, so whoever has one has all before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Table, text

from roomledger.ledger.tables.columns import Json, arrow_schema
from roomledger.ledger.tables.ledger import loads
from roomledger.ledger.tables.objects import objects, publications
from roomledger.ledger.tables.resolved import RESOLVED

if TYPE_CHECKING:
    import pyarrow as pa

_TOGETHER = 20_000
"""Objects that are published together, as far as whole publications allow."""
PUBLISHED = (objects, *RESOLVED, loads, publications)
"""In the order in which they are to be applied: `publications` says that all else is there."""


def newest_publication(tx: Connection) -> int:
    """Give the number of the last publication; 0 before the first."""
    return int(tx.execute(text(f"SELECT COALESCE(max(publication), 0) FROM {publications.fullname}")).scalar_one())


def windows(tx: Connection, since: int) -> Iterator[tuple[int, int]]:
    """Give the publications after this one, in order, as pairs: after the first number, up to the second."""
    query = f"""
        SELECT publication, count(objects.uri) AS number
        FROM {publications.fullname} AS made LEFT JOIN {objects.fullname} AS objects USING (publication)
        WHERE publication > :since GROUP BY publication ORDER BY publication
    """
    begin, end, waiting = since, since, 0
    for publication, number in tx.execute(text(query), {"since": since}).all():
        if waiting and waiting + number > _TOGETHER:
            yield begin, end
            begin, waiting = end, 0
        end, waiting = publication, waiting + number + 1
    if end > begin:
        yield begin, end


def changes_between(tx: Connection, after: int, until: int) -> Mapping[Table, pa.Table]:
    """Give the rows of the published tables that publications after the first number, up to the second, changed."""
    return {table: _rows(tx, table, after, until) for table in PUBLISHED}


def _rows(tx: Connection, table: Table, after: int, until: int) -> pa.Table:
    import pyarrow as pa  # takes a while, and commands that only read do without

    names = ", ".join(one.name for one in table.columns)
    query = f"SELECT {names} FROM {table.fullname} WHERE publication > :after AND publication <= :until"
    found = tx.execute(text(query), {"after": after, "until": until}).mappings()
    documents = [one.name for one in table.columns if one.type is Json]
    rows = [dict(row) for row in found]
    for row in rows:
        for name in documents:
            if row[name] is not None and not isinstance(row[name], str):
                row[name] = json.dumps(row[name])
    return pa.Table.from_pylist(rows, schema=arrow_schema(table))
