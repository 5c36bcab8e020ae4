"""What witnesses say: which object versions exist, and which objects do so no longer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import pyarrow as pa
from sqlalchemy import Connection, text

from roomledger.ledger import session_evidence
from roomledger.ledger.database import Database
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.ledger import object_ledger
from roomledger.ledger.versions import give_way, locked
from roomledger.model import Asset, Ignored, Observation
from roomledger.settings import Source

_LEDGER_COLUMNS = [column.name for column in object_ledger.columns]


def record_observations(
    tx: Connection,
    database: Database,
    source: Source,
    seen: Sequence[tuple[Observation, Asset | Ignored]],
    *,
    observed_by: str,
    now: datetime,
) -> dict[str, int]:
    """Write down that these versions exist; give the count of new ones by disposition.

    A version that is known changes nothing. An older unread version gives way to a newer one; a version that arrives
    late, after a newer one, is superseded from the start; one that had gone missing is back with its rows.
    """
    database.hold_evidence(tx, change=False)
    database.stage(tx, "noted", _noted(source, {o.object_id: (o, what) for o, what in seen}.values(), observed_by, now))
    back = tx.execute(text(_BACK.format(rows=locked(_IS_BACK, database.lock)))).scalars().all()
    new = {row.object_id: row.disposition for row in tx.execute(text(_NEW))}
    if new:
        session_evidence.place(tx, database, "SELECT object_id FROM noted")
        woken = requeue_retyped(tx, database, "SELECT object_id FROM noted", now=now)
        new.update((object_id, "seen") for object_id in woken if object_id in new)
        give_way(tx, database, "SELECT uri FROM noted")
    tx.execute(text(_OBSERVED), {"observed_by": observed_by, "now": now})
    if back:
        _observe(tx, source.name, observed_by, "back", back, now)
    return Counter(new.values()) | ({"back": len(back)} if back else {})


_IS_BACK = """
    disposition = 'missing' AND (object_id IN (SELECT object_id FROM noted)
                                 OR (loaded_at IS NOT NULL AND uri IN (SELECT uri FROM noted)))
"""

_BACK = """
UPDATE object_ledger
SET disposition = CASE WHEN loaded_at IS NULL THEN 'seen' ELSE 'loaded' END,
    reason = 'back: the object is in the bucket again', attempts = 0, retry_at = NULL
WHERE {rows}
RETURNING object_id
"""

_NEW = f"""
INSERT INTO object_ledger ({", ".join(_LEDGER_COLUMNS)})
SELECT {
    ", ".join(
        {
            "disposition": "CASE WHEN late THEN 'superseded' ELSE disposition END",
            "reason": "CASE WHEN late THEN 'superseded: a newer version was known already' ELSE reason END",
        }.get(name, name)
        for name in _LEDGER_COLUMNS
    )
}
FROM (
    SELECT noted.*, noted.disposition = 'seen' AND EXISTS (
        SELECT 1 FROM object_ledger newer
        WHERE newer.uri = noted.uri AND newer.modified_at > noted.modified_at AND newer.disposition <> 'ignored'
    ) AS late
    FROM noted
    WHERE NOT EXISTS (SELECT 1 FROM object_ledger known WHERE known.object_id = noted.object_id)
) AS fresh
ON CONFLICT DO NOTHING
RETURNING object_id, disposition
"""

_OBSERVED = """
INSERT INTO observations (object_id, source, observed_by, kind, observed_at)
SELECT object_id, source, :observed_by, 'exists', CAST(:now AS TIMESTAMP WITH TIME ZONE) FROM noted
WHERE NOT EXISTS (
    SELECT 1 FROM observations said
    WHERE said.object_id = noted.object_id AND said.observed_by = :observed_by AND said.kind = 'exists'
)
"""


def _noted(
    source: Source, seen: Iterable[tuple[Observation, Asset | Ignored]], observed_by: str, now: datetime
) -> pa.Table:
    rows = []
    for observation, what in seen:
        asset = what if isinstance(what, Asset) else None
        reason = what.reason if isinstance(what, Ignored) else "new: waits to be read"
        rows.append(
            {
                "object_id": observation.object_id,
                "customer": source.customer,
                "source": source.name,
                "session_evidence": "none",
                "key_room_id": asset and asset.room_id,
                "key_session_id": asset and asset.session_id,
                "recorder_started_at": asset and asset.recorder_started_at,
                "uri": observation.uri,
                "version": observation.version,
                "version_id": observation.version_id,
                "content_tag": observation.content_tag,
                "modified_at": observation.modified_at,
                "size_bytes": observation.size_bytes,
                "asset_type": asset and asset.asset_type,
                "disposition": "seen" if asset else "ignored",
                "reason": reason,
                "attempts": 0,
                "rows_parsed": 0,
                "rows_loaded": 0,
                "rows_refused": 0,
                "rows_duplicate": 0,
                "first_seen_at": now,
                "first_seen_by": observed_by,
            }
        )
    return pa.Table.from_pylist(rows, schema=arrow_schema(object_ledger))


def mark_missing(
    tx: Connection,
    database: Database,
    source: str,
    uris: Sequence[str],
    *,
    before: datetime,
    observed_by: str,
    now: datetime,
) -> int:
    """Write down that these objects have gone from the bucket: rows stay, nothing is read; give the count.

    The witness looked for them at the time `before`: an object with a version first seen since then may be there.
    """
    database.stage(tx, "gone", pa.table({"uri": pa.array(uris, pa.string())}))
    query = text(_GONE.format(rows=locked(_IS_GONE, database.lock)))
    gone = tx.execute(query, {"source": source, "before": before}).scalars().all()
    _observe(tx, source, observed_by, "gone", gone, now)
    return len(gone)


_IS_PRESENT = "disposition IN ('seen', 'loaded', 'refused', 'unchanged')"
_IS_GONE = f"""
    source = :source AND {_IS_PRESENT} AND uri IN (SELECT uri FROM gone)
    AND NOT EXISTS (SELECT 1 FROM object_ledger since
                    WHERE since.uri = object_ledger.uri AND since.first_seen_at >= :before)
"""

_GONE = """
UPDATE object_ledger SET disposition = 'missing', reason = 'missing: the bucket no longer lists the object'
WHERE {rows}
RETURNING object_id
"""


def present_uris(tx: Connection, source: str, before: datetime) -> Iterable[Sequence[str]]:
    """Give, in pages, the addresses that the ledger believes to be in the bucket since before that time."""
    query = text(
        f"SELECT DISTINCT uri FROM object_ledger WHERE source = :source AND first_seen_at < :before AND {_IS_PRESENT}"
    )
    rows = tx.execute(query, {"source": source, "before": before}, execution_options={"yield_per": 20_000})
    return (page for page in rows.scalars().partitions())


def _observe(tx: Connection, source: str, observed_by: str, kind: str, objects: Sequence[str], now: datetime) -> None:
    if objects:
        query = (
            "INSERT INTO observations (object_id, source, observed_by, kind, observed_at) VALUES (:o, :s, :w, :k, :t)"
        )
        tx.execute(text(query), [{"o": o, "s": source, "w": observed_by, "k": kind, "t": now} for o in objects])
