"""History: rows and versions of objects that no longer count, and how far back they are kept."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
from sqlalchemy import Connection, text

from roomledger.ledger.database import Staged, stage_query
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.objects import discarded_rows, objects


def expired_versions(tx: Connection, before: datetime | None, limit: int) -> Staged:
    """Find at most `limit` versions of objects that were replaced before this time; none without a time.

    Gives `uri`, `publication`, `object_id` and `load_id`.
    """
    replaced = "1 = 0"
    if before is not None:
        replaced = f"NOT is_current AND epoch_us < {int(before.timestamp() * 1_000_000)}"
    query = f"""
        SELECT uri, publication, object_id, load_id FROM (
            SELECT uri, publication, object_id, load_id, is_current,
                   1000000 * extract(epoch FROM lead(valid_from) OVER (PARTITION BY uri ORDER BY publication))
                       AS epoch_us
            FROM {objects.fullname}
        ) AS versions
        WHERE {replaced} LIMIT {limit}
    """
    return stage_query(tx, query, "expired")


def forgotten_rows(tx: Connection, expired: Staged) -> Staged:
    """Find the rows (`object_id`, `load_id`) that never counted, and those that no version counts without these."""
    query = f"""
        SELECT object_id, load_id FROM {discarded_rows.name}
        UNION
        SELECT object_id, load_id FROM {expired} AS expired
        WHERE load_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM {objects.fullname} AS kept
            WHERE kept.object_id = expired.object_id AND kept.load_id = expired.load_id
              AND NOT EXISTS (SELECT 1 FROM {expired} AS gone
                              WHERE gone.uri = kept.uri AND gone.publication = kept.publication)
        )
    """
    return stage_query(tx, query, "forgotten")


def forget(tx: Connection, expired: Staged, rows: Staged) -> None:
    """Delete these versions, and the record of rows that never counted, once the rows are deleted."""
    tx.execute(
        text(f"""
            DELETE FROM {discarded_rows.name} AS discarded WHERE EXISTS (
                SELECT 1 FROM {rows} AS gone
                WHERE gone.object_id = discarded.object_id AND gone.load_id = discarded.load_id
            )
        """)
    )
    tx.execute(
        text(f"""
            DELETE FROM {objects.fullname} AS objects WHERE EXISTS (
                SELECT 1 FROM {expired} AS expired
                WHERE expired.uri = objects.uri AND expired.publication = objects.publication
            )
        """)
    )


def read(tx: Connection, staged: Staged, *names: str) -> pa.Table:
    """Give these columns of staged rows, which are named as in `objects`."""
    rows = [dict(row) for row in tx.execute(text(f"SELECT {', '.join(names)} FROM {staged}")).mappings()]
    fields = {field.name: field for field in arrow_schema(objects)}
    return pa.Table.from_pylist(rows, schema=pa.schema([fields[name] for name in names]))
