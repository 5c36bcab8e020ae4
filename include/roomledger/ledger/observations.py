"""Observations: which object versions exist, and which are missing, as listings, notifications and the vendor show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import pyarrow as pa
from sqlalchemy import Connection, text

from roomledger.ledger import session_evidence
from roomledger.ledger.database import Database, Staged, stage_ids
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.ledger import object_ledger
from roomledger.ledger.versions import locked, supersede_unread
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
) -> Counter[str]:
    """Record that these versions exist; give the count of new ones as `new_<disposition>`, and of `restored` ones.

    A version that is known changes nothing. An older unread version gives way to a newer one; a version that is
    observed after a newer one is superseded from the start; a missing one is restored with its rows.
    """
    database.hold_evidence(tx, change=False)
    unique = {observation.object_id: (observation, asset) for observation, asset in seen}.values()
    staged = database.stage(tx, _ledger_rows(source, unique, observed_by, now), "observations")
    restored = _restore(tx, database, staged)
    new = {row.object_id: row.disposition for row in tx.execute(text(_INSERT.format(staged=staged)))}
    if new:
        changes = session_evidence.resolve(tx, database, staged)
        unnamed = session_evidence.unnamed(tx, changes)
        requeued = requeue_retyped(tx, database, staged, unnamed=unnamed, now=now)
        new.update((object_id, "seen") for object_id in requeued if object_id in new)
        supersede_unread(tx, database, staged)
    tx.execute(text(_OBSERVED.format(staged=staged)), {"observed_by": observed_by, "now": now})
    _observe(tx, database, source.name, observed_by, "restored", restored, now)
    counts = Counter(f"new_{disposition}" for disposition in new.values())
    return counts + Counter({"restored": len(restored)})


def _restore(tx: Connection, database: Database, staged: Staged) -> list[str]:
    """Take missing objects that are listed again for what they were; give their ids."""
    condition = f"""
        disposition = 'missing' AND (object_id IN (SELECT object_id FROM {staged})
                                     OR (loaded_at IS NOT NULL AND uri IN (SELECT uri FROM {staged})))
    """
    query = f"""
        UPDATE object_ledger
        SET disposition = CASE WHEN loaded_at IS NULL THEN 'seen' ELSE 'loaded' END,
            reason = 'restored: the object is in the bucket again', attempts = 0, retry_at = NULL
        WHERE {locked(condition, database)}
        RETURNING object_id
    """
    return list(tx.execute(text(query)).scalars())


_INSERT = f"""
INSERT INTO object_ledger ({", ".join(_LEDGER_COLUMNS)})
SELECT {
    ", ".join(
        {
            "disposition": "CASE WHEN is_late THEN 'superseded' ELSE disposition END",
            "reason": "CASE WHEN is_late THEN 'superseded: a newer version was known already' ELSE reason END",
        }.get(name, name)
        for name in _LEDGER_COLUMNS
    )
}
FROM (
    SELECT staged.*, staged.disposition = 'seen' AND EXISTS (
        SELECT 1 FROM object_ledger newer
        WHERE newer.uri = staged.uri AND newer.modified_at > staged.modified_at AND newer.disposition <> 'ignored'
    ) AS is_late
    FROM {{staged}} AS staged
    WHERE NOT EXISTS (SELECT 1 FROM object_ledger known WHERE known.object_id = staged.object_id)
) AS fresh
ON CONFLICT DO NOTHING
RETURNING object_id, disposition
"""

_OBSERVED = """
INSERT INTO observations (object_id, source, observed_by, kind, observed_at)
SELECT object_id, source, :observed_by, 'exists', CAST(:now AS TIMESTAMP WITH TIME ZONE) FROM {staged} AS staged
WHERE NOT EXISTS (
    SELECT 1 FROM observations AS known
    WHERE known.object_id = staged.object_id AND known.observed_by = :observed_by AND known.kind = 'exists'
)
"""


def _ledger_rows(
    source: Source, seen: Iterable[tuple[Observation, Asset | Ignored]], observed_by: str, now: datetime
) -> pa.Table:
    """Build the ledger's rows of versions that nobody has read yet."""
    rows = []
    for observation, found in seen:
        asset = found if isinstance(found, Asset) else None
        rows.append(
            {
                "object_id": observation.object_id,
                "customer": source.customer,
                "source": source.name,
                "session_evidence": "none",
                **key_columns(asset),
                "uri": observation.uri,
                "version": observation.version,
                "version_id": observation.version_id,
                "content_tag": observation.content_tag,
                "modified_at": observation.modified_at,
                "size_bytes": observation.size_bytes,
                "asset_type": asset and asset.asset_type,
                "disposition": "seen" if asset else "ignored",
                "reason": found.reason if isinstance(found, Ignored) else "new: waits to be read",
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


def key_columns(asset: Asset | None) -> dict[str, object]:
    """Give the ledger's columns that hold what the key says of an asset; all of them null without one."""
    names = ("room_id", "session_id", "peer_id", "stream_id", "track_id", "layer")
    plain = ("recorder_started_at", "session_date", "output_mode")
    return {f"key_{name}": asset and getattr(asset, name) for name in names} | {
        name: asset and getattr(asset, name) for name in plain
    }


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
    """Record that the bucket holds these objects no more: rows stay, nothing is read; give the count of versions.

    The bucket was asked at the time `before`: an object of which a version was first seen since then may be there.
    """
    staged = stage_ids(tx, database, uris, "uri")
    condition = f"""
        source = :source AND {_IS_PRESENT} AND uri IN (SELECT uri FROM {staged})
        AND NOT EXISTS (SELECT 1 FROM object_ledger since
                        WHERE since.uri = object_ledger.uri AND since.first_seen_at >= :before)
    """
    query = f"""
        UPDATE object_ledger SET disposition = 'missing', reason = 'missing: the bucket no longer lists the object'
        WHERE {locked(condition, database)}
        RETURNING object_id
    """
    missing = list(tx.execute(text(query), {"source": source, "before": before}).scalars())
    _observe(tx, database, source, observed_by, "missing", missing, now)
    return len(missing)


_IS_PRESENT = "disposition IN ('seen', 'loaded', 'refused', 'unchanged')"


def present_uris(tx: Connection, source: str, before: datetime) -> Iterable[Sequence[str]]:
    """Give, in pages, the addresses that the ledger believes to be in the bucket since before that time."""
    query = text(
        f"SELECT DISTINCT uri FROM object_ledger WHERE source = :source AND first_seen_at < :before AND {_IS_PRESENT}"
    )
    rows = tx.execute(query, {"source": source, "before": before}, execution_options={"yield_per": 20_000})
    return (page for page in rows.scalars().partitions())


def _observe(
    tx: Connection, database: Database, source: str, observed_by: str, kind: str, objects: Sequence[str], now: datetime
) -> None:
    if objects:
        staged = stage_ids(tx, database, objects)
        query = f"""
            INSERT INTO observations (object_id, source, observed_by, kind, observed_at)
            SELECT object_id, :source, :observed_by, :kind, CAST(:now AS TIMESTAMP WITH TIME ZONE) FROM {staged}
        """
        tx.execute(text(query), {"source": source, "observed_by": observed_by, "kind": kind, "now": now})
