"""Observations: which object versions exist or are missing, from listings, notifications and the vendor's API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import pyarrow as pa
from sqlalchemy import Connection, text

from roomledger.ledger import session_evidence
from roomledger.ledger.database import Database, Staged, stage_ids
from roomledger.ledger.objects import publish_objects
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.ledger import object_ledger
from roomledger.ledger.versions import lock_objects, supersede_unread, update_versions
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
    """Record that these versions exist; return the count of new ones as `new_<disposition>`, and of `restored` ones.

    A known version changes nothing. A newer version supersedes an older unread one; a version that is observed after a
    newer one is superseded from the start; a missing version is restored with its rows.
    """
    database.hold_evidence(tx, change=False)
    unique = {observation.object_id: (observation, asset) for observation, asset in seen}.values()
    staged = database.stage(tx, _ledger_rows(source, unique, observed_by, now), "observations")
    lock_objects(tx, database, staged)
    restored = _restore(tx, database, staged)
    new = {row.object_id: row.disposition for row in tx.execute(text(_INSERT.format(staged=staged)))}
    if new:
        changes = session_evidence.resolve(tx, database, staged)
        unnamed = session_evidence.unnamed(tx, changes)
        requeued = requeue_retyped(tx, database, staged, unnamed=unnamed, now=now)
        new.update((object_id, "seen") for object_id in requeued if object_id in new)
        supersede_unread(tx, database, staged)
    _observe(tx, staged, source.name, observed_by, "exists", now)
    if restored:
        _observe(tx, stage_ids(tx, database, restored), source.name, observed_by, "restored", now)
    if new or restored:
        publish_objects(tx, database, staged, changed_by=observed_by, now=now)
    counts = Counter(f"new_{disposition}" for disposition in new.values())
    return counts + Counter({"restored": len(restored)})


def unrecorded(tx: Connection, database: Database, seen: pa.Table, *, observed_by: str) -> set[str]:
    """Give the ids of the versions that `record_observations` would record or restore.

    `seen` has the columns `object_id` and `uri`. Most versions in a listing are known: no rows are built for them.
    """
    staged = database.stage(tx, seen, "seen")
    query = f"""
        SELECT object_id FROM {staged} AS seen WHERE {_is_first("seen")}
        UNION
        SELECT object_id FROM {staged} WHERE uri IN (SELECT uri FROM object_ledger WHERE disposition = 'missing')
    """
    return set(tx.execute(text(query), {"observed_by": observed_by, "kind": "exists"}).scalars())


def _restore(tx: Connection, database: Database, staged: Staged) -> list[str]:
    """Restore missing objects that were observed again; return their ids."""
    condition = f"""
        disposition = 'missing' AND (object_id IN (SELECT object_id FROM {staged})
                                     OR (loaded_at IS NOT NULL AND uri IN (SELECT uri FROM {staged})))
    """
    return update_versions(
        tx,
        database,
        """
        disposition = CASE WHEN loaded_at IS NULL THEN 'seen' ELSE 'loaded' END,
        reason = 'restored: the object is in the bucket again', attempts = 0, retry_at = NULL
        """,
        condition,
    )


_INSERT = f"""
INSERT INTO object_ledger ({", ".join(_LEDGER_COLUMNS)})
SELECT {
    ", ".join(
        {
            "disposition": "CASE WHEN is_late THEN 'superseded' ELSE disposition END",
            "reason": "CASE WHEN is_late THEN 'superseded: a newer version was already known' ELSE reason END",
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
ORDER BY object_id
ON CONFLICT DO NOTHING
RETURNING object_id, disposition
"""

_NOTHING_READ = dict.fromkeys(("attempts", "rows_parsed", "rows_loaded", "rows_refused", "rows_duplicate"), 0)


def _ledger_rows(
    source: Source, seen: Iterable[tuple[Observation, Asset | Ignored]], observed_by: str, now: datetime
) -> pa.Table:
    """Build the ledger rows of unread versions."""
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
                **_NOTHING_READ,
                "first_seen_at": now,
                "first_seen_by": observed_by,
            }
        )
    return pa.Table.from_pylist(rows, schema=arrow_schema(object_ledger))


def key_columns(asset: Asset | None) -> dict[str, object]:
    """Give the ledger columns that come from the key of an asset; all of them null without one."""
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
    """Mark these objects as missing from the bucket; their rows stay. Give the count of versions.

    The bucket was listed or inspected at the time `before`: objects with a version observed since then are skipped.
    """
    database.hold_evidence(tx, change=False)
    staged = stage_ids(tx, database, uris, "uri")
    condition = f"""
        source = :source AND {_IS_PRESENT} AND uri IN (SELECT uri FROM {staged})
        AND NOT EXISTS (SELECT 1 FROM object_ledger since
                        WHERE since.uri = object_ledger.uri AND since.first_seen_at >= :before)
    """
    assignments = "disposition = 'missing', reason = 'missing: the bucket no longer lists the object'"
    missing = update_versions(tx, database, assignments, condition, {"source": source, "before": before})
    if missing:
        _observe(tx, stage_ids(tx, database, missing), source, observed_by, "missing", now)
        publish_objects(tx, database, staged, changed_by=observed_by, now=now)
    return len(missing)


_IS_PRESENT = "disposition IN ('seen', 'loaded', 'refused', 'unchanged')"


def unlisted_uris(tx: Connection, source: str, listed: Staged, *, before: datetime) -> Sequence[str]:
    """Give the addresses of present objects, observed before that time, of which the complete listing has no version.

    `listed` has the `object_id` of every version in the listing; all of them are recorded.
    """
    return tx.execute(text(_UNLISTED.format(listed=listed)), {"source": source, "before": before}).scalars().all()


# An id has 32 hexadecimal digits: as a UUID it takes a fraction of the memory. An object of which one version is not
# listed is present when another one is: one that waits to be read, or one with the same bytes.
_UNLISTED = f"""
WITH unlisted AS MATERIALIZED (
    SELECT CAST(object_id AS UUID) AS id FROM object_ledger
    WHERE source = :source AND first_seen_at < :before AND {_IS_PRESENT}
    EXCEPT SELECT CAST(object_id AS UUID) FROM {{listed}}
), candidates AS MATERIALIZED (
    SELECT uri FROM object_ledger
    WHERE object_id IN (SELECT replace(CAST(id AS TEXT), '-', '') FROM unlisted)
)
SELECT uri FROM candidates
EXCEPT SELECT uri FROM object_ledger
WHERE uri IN (SELECT uri FROM candidates) AND object_id IN (SELECT object_id FROM {{listed}})
"""


def _observe(tx: Connection, objects: Staged, source: str, observed_by: str, kind: str, now: datetime) -> None:
    """Insert observations; of several `exists` by one observer only the first."""
    once = f"WHERE {_is_first('objects')}"
    query = f"""
        INSERT INTO observations (object_id, source, observed_by, kind, observed_at)
        SELECT object_id, :source, :observed_by, :kind, CAST(:now AS TIMESTAMP WITH TIME ZONE)
        FROM {objects} AS objects {once if kind == "exists" else ""}
    """
    tx.execute(text(query), {"source": source, "observed_by": observed_by, "kind": kind, "now": now})


def _is_first(objects: str) -> str:
    """Build the condition that this observer made no such observation of the objects before.

    It counts because PostgreSQL looks up each count in the index. For EXISTS it may read all observations for each page
    of a listing, and in a table without statistics even for each object.
    """
    return f"""
        (SELECT count(*) FROM observations AS known WHERE known.object_id = {objects}.object_id
         AND known.observed_by = :observed_by AND known.kind = :kind) = 0
    """
