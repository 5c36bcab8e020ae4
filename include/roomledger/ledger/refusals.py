"""Refusals, the dead letters: rejected input, stored with its bytes, counted by reason, and replayable.

The `origin` of a refusal: an `object` or one record of it, a record of the vendor's API (`api`), a `webhook`, or a
`message` of a queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, RowMapping, text

from roomledger.ledger.database import Database, Staged, stage_ids
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.ledger import refusals


class RefusalRow(NamedTuple):
    """A refusal that no load writes: a vendor record, a webhook or a queue's message."""

    customer: str
    """Empty for a message of a queue, which may concern any customer."""
    source: str
    """Name of the source, or of the queue."""
    origin: str
    """api, webhook or message."""
    uri: str
    """Such as `100ms://workspace/recording-assets/<id>`; without an id, the digest of the bytes replaces it."""
    reason_code: str
    detail: str
    raw: bytes
    """The bytes, secrets removed."""

    @property
    def object_id(self) -> str:
        """Id of these bytes at this address, in the form of all object ids."""
        return blake2b(self.uri.encode() + b"\n" + self.raw, digest_size=16).hexdigest()


def record_refusals(tx: Connection, database: Database, rows: Sequence[RefusalRow], *, now: datetime) -> None:
    """Store these; one that is open already is not stored twice."""
    if not rows:
        return
    names = ("customer", "source", "object_id", "uri", "origin", "reason_code", "detail", "raw")
    schema = pa.schema([field for field in arrow_schema(refusals) if field.name in names])
    unique = {row.object_id: row for row in rows}
    cells = [row._asdict() | {"object_id": object_id} for object_id, row in unique.items()]
    staged = database.stage(tx, pa.Table.from_pylist(cells, schema=schema), "refusals")
    tx.execute(
        text(f"""
            INSERT INTO refusals (customer, source, session_evidence, object_id, ordinal, uri, origin, reason_code,
                                  detail, raw, record_loaded, refused_at)
            SELECT customer, source, 'none', object_id, 0, uri, origin, reason_code, detail, raw, FALSE,
                   CAST(:now AS TIMESTAMP WITH TIME ZONE)
            FROM {staged} AS staged
            WHERE NOT EXISTS (
                SELECT 1 FROM refusals AS known WHERE known.object_id = staged.object_id AND known.resolved_at IS NULL
            )
        """),
        {"now": now},
    )


def open_refusals(tx: Connection, origin: str, source: str | None = None) -> list[RowMapping]:
    """Give object_id, source, uri, raw and refused_at of open refusals, of one source or of all."""
    query = """
        SELECT object_id, source, uri, raw, refused_at FROM refusals
        WHERE resolved_at IS NULL AND origin = :origin AND (CAST(:source AS TEXT) IS NULL OR source = :source)
        ORDER BY refused_at, object_id
    """
    return list(tx.execute(text(query), {"origin": origin, "source": source}).mappings())


STOPPED = "the load that claimed it stopped at the refusals of its batch"
"""Reason of an object that waits because it would be refused as most others of its batch."""


def count_stopped(tx: Connection) -> int:
    """Count the objects at which loads stopped, and which wait until somebody has looked."""
    query = "SELECT count(*) FROM object_ledger WHERE disposition = 'seen' AND reason LIKE :reason"
    return int(tx.execute(text(query), {"reason": f"new: {STOPPED}%"}).scalar_one())


def count_open(tx: Connection) -> tuple[int, int]:
    """Count the open refusals: of files, vendor records, webhooks and messages as a whole, and of records of files."""
    query = """
        SELECT count(CASE WHEN ordinal = 0 THEN 1 END) AS whole, count(CASE WHEN ordinal > 0 THEN 1 END) AS records
        FROM refusals WHERE resolved_at IS NULL
    """
    found = tx.execute(text(query)).one()
    return found.whole, found.records


def resolve_refusals(tx: Connection, database: Database, object_ids: Sequence[str], *, now: datetime) -> None:
    """Mark the open refusals of these objects as resolved."""
    if object_ids:
        ids = stage_ids(tx, database, object_ids)
        mine = f"object_id IN (SELECT object_id FROM {ids})"
        tx.execute(text(f"UPDATE refusals SET resolved_at = :now WHERE resolved_at IS NULL AND {mine}"), {"now": now})


def whole_content(tx: Connection, object_id: str) -> bytes | None:
    """Give the bytes of a refused object version, if all of them are stored."""
    query = """
        SELECT raw FROM refusals JOIN object_ledger USING (object_id)
        WHERE object_id = :object_id AND ordinal = 0 AND octet_length(raw) = size_bytes AND size_bytes > 0
        ORDER BY refused_at DESC LIMIT 1
    """
    raw = tx.execute(text(query), {"object_id": object_id}).scalar_one_or_none()
    return None if raw is None else bytes(raw)


def refuse_exhausted(tx: Connection, objects: Staged, *, now: datetime) -> None:
    """Refuse versions because every process that claimed them ended before it could load them."""
    tx.execute(
        text(f"""
            INSERT INTO refusals (customer, source, room_id, session_id, session_evidence, object_id, ordinal, uri,
                                  origin, reason_code, detail, record_loaded, refused_at)
            SELECT customer, source, room_id, session_id, session_evidence, object_id, 0, uri, 'object', 'gave_up',
                   'every process that claimed it ended before it was loaded; check the logs of those runs, then '
                   || 'replay it', FALSE, CAST(:now AS TIMESTAMP WITH TIME ZONE)
            FROM object_ledger WHERE object_id IN (SELECT object_id FROM {objects})
        """),
        {"now": now},
    )


def settle_refusals(
    tx: Connection,
    outcomes: Staged,
    staged: Staged,
    replaced: Staged,
    emptied: Staged,
    *,
    load_id: str,
    now: datetime,
) -> None:
    """Write the refusals of a load, and resolve the earlier ones that no longer apply.

    `staged` holds the refused records of the load, `replaced` its loaded versions and all older ones of their objects,
    `emptied` the versions that lost their rows.
    """
    tx.execute(text(_RESOLVE.format(staged=staged, replaced=replaced, emptied=emptied)), {"now": now})
    tx.execute(text(_INSERT.format(staged=staged, outcomes=outcomes)), {"load": load_id, "now": now})


# A record that is refused again keeps its refusal; a good record, or one of a superseded version, is resolved. Of an
# emptied version the refusal of the whole file stays open.
_RESOLVE = """
UPDATE refusals SET resolved_at = :now
WHERE resolved_at IS NULL AND object_id IN (SELECT object_id FROM {replaced} UNION SELECT object_id FROM {emptied})
  AND ((ordinal > 0 AND object_id IN (SELECT object_id FROM {emptied}))
       OR (object_id IN (SELECT object_id FROM {replaced}) AND NOT EXISTS (
           SELECT 1 FROM {staged} AS again
           WHERE again.object_id = refusals.object_id AND again.ordinal = refusals.ordinal
             AND again.reason_code = refusals.reason_code)))
"""

# Of a refused file only its own refusal is stored, not those of the records before the error.
_INSERT = """
INSERT INTO refusals (customer, source, room_id, session_id, session_evidence, object_id, ordinal, load_id, uri, origin,
                      reason_code, detail, raw, record_loaded, refused_at)
SELECT ledger.customer, ledger.source, ledger.room_id, ledger.session_id, ledger.session_evidence, ledger.object_id,
       staged.ordinal, ledger.load_id, ledger.uri, 'object', staged.reason_code, staged.detail, staged.raw,
       staged.record_loaded, CAST(:now AS TIMESTAMP WITH TIME ZONE)
FROM {staged} AS staged
JOIN object_ledger AS ledger ON ledger.object_id = staged.object_id
JOIN {outcomes} AS outcomes ON outcomes.object_id = staged.object_id
WHERE ledger.load_id = :load AND ledger.disposition IN ('loaded', 'refused')
  AND (outcomes.disposition = 'refused') = (staged.ordinal = 0)
  AND NOT EXISTS (
      SELECT 1 FROM refusals AS known
      WHERE known.object_id = staged.object_id AND known.ordinal = staged.ordinal
        AND known.reason_code = staged.reason_code AND known.resolved_at IS NULL
  )
"""


def rekey(tx: Connection, changes: Staged) -> None:
    """Move the refusals of re-keyed objects (`session_evidence.resolve`) to their new session."""
    tx.execute(
        text(f"""
            UPDATE refusals SET room_id = changes.room_id, session_id = changes.session_id,
                                session_evidence = changes.session_evidence
            FROM {changes} AS changes WHERE refusals.object_id = changes.object_id
        """)
    )
