"""The ledger: every object version anybody has seen, what became of it, and what is to be read next.

`note` takes in what a witness says, `mark_gone` what it no longer says, `claim` hands out work under a lease,
`renew` and `release` prolong and return it, `requeue` puts settled versions back. A load settles its claims itself
(`commit.py`), because the rows and the ledger change in one transaction. Each verb works on many versions at once.

Versions of one object are ordered by when the store says they were written, then by when they were first seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, RowMapping, bindparam, text

from roomledger.model import Asset, Ignored, Observation
from roomledger.settings import Source
from roomledger.warehouse import Warehouse
from roomledger.warehouse.schema import arrow_schema, object_ledger

LEASE = timedelta(minutes=5)
MAX_ATTEMPTS = 8

NEWER = "(newer.modified_at, newer.first_seen_at, newer.object_id)"
"""Sort key of the version called `newer`; compare it with THIS to know which of two versions is current."""
_LEDGER_COLUMNS = [column.name for column in object_ledger.columns]
THIS = "(object_ledger.modified_at, object_ledger.first_seen_at, object_ledger.object_id)"


@dataclass(frozen=True, slots=True)
class Claim:
    """One object version that a load holds until its lease runs out."""

    object_id: str
    source: str
    seen: Observation
    attempts: int
    """Times it was claimed, this one included."""
    replay: bool
    """Somebody asked for it to be read again: the same bytes are parsed anew."""
    replaces_sha256: str | None
    """Digest of the other version of the object whose rows are in the tables now, if there is one."""
    replaces_tag: str | None


def back_off(attempts: int) -> timedelta:
    """How long to wait after this many failed attempts: 30 s, doubling, at most an hour."""
    return timedelta(seconds=min(30 * 2 ** max(attempts - 1, 0), 3600))


def note(
    tx: Connection,
    warehouse: Warehouse,
    source: Source,
    seen: Sequence[tuple[Observation, Asset | Ignored]],
    *,
    witness: str,
    now: datetime,
) -> dict[str, int]:
    """Write down that these versions exist; give the count of new ones by disposition.

    A version that is known changes nothing. An older unread version gives way to a newer one; a version that arrives
    late, after a newer one, is superseded from the start; one that had gone missing is back with its rows.
    """
    warehouse.stage(tx, "noted", _noted(source, {o.object_id: (o, what) for o, what in seen}.values(), witness, now))
    back = tx.execute(text(_BACK)).scalars().all()
    new = tx.execute(text(_NEW)).scalars().all()
    if new:
        tx.execute(text(_OUTDATED))
    tx.execute(text(_OBSERVED), {"witness": witness, "now": now})
    if back:
        _observe(tx, source.name, witness, "back", back, now)
    counts = {disposition: new.count(disposition) for disposition in set(new)}
    return counts | ({"back": len(back)} if back else {})


_BACK = """
UPDATE object_ledger
SET disposition = CASE WHEN loaded_at IS NULL THEN 'seen' ELSE 'loaded' END,
    reason = 'back: the object is in the bucket again', attempts = 0, retry_at = NULL
WHERE disposition = 'missing'
  AND (object_id IN (SELECT object_id FROM noted)
       OR (loaded_at IS NOT NULL AND uri IN (SELECT uri FROM noted)))
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
RETURNING disposition
"""

_OUTDATED = f"""
UPDATE object_ledger
SET disposition = 'superseded', reason = 'superseded: a newer version was seen before this one was read'
WHERE disposition = 'seen' AND loaded_at IS NULL AND uri IN (SELECT uri FROM noted)
  AND EXISTS (SELECT 1 FROM object_ledger newer
              WHERE newer.uri = object_ledger.uri AND newer.disposition <> 'ignored' AND {NEWER} > {THIS})
"""

_OBSERVED = """
INSERT INTO observations (object_id, source, witness, kind, observed_at)
SELECT object_id, source, :witness, 'exists', CAST(:now AS TIMESTAMP WITH TIME ZONE) FROM noted
WHERE NOT EXISTS (
    SELECT 1 FROM observations said
    WHERE said.object_id = noted.object_id AND said.witness = :witness AND said.kind = 'exists'
)
"""


def _noted(
    source: Source, seen: Iterable[tuple[Observation, Asset | Ignored]], witness: str, now: datetime
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
                "room_id": asset and asset.room_id,
                "session_id": asset and asset.session_id,
                "session_evidence": "key" if asset and asset.session_id else "none",
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
                "first_seen_by": witness,
            }
        )
    return pa.Table.from_pylist(rows, schema=arrow_schema(object_ledger))


def mark_gone(
    tx: Connection, warehouse: Warehouse, source: str, uris: Sequence[str], *, witness: str, now: datetime
) -> int:
    """Write down that these objects have gone from the bucket: rows stay, nothing is read; give the count."""
    warehouse.stage(tx, "gone", pa.table({"uri": pa.array(uris, pa.string())}))
    gone = tx.execute(text(_GONE), {"source": source}).scalars().all()
    _observe(tx, source, witness, "gone", gone, now)
    return len(gone)


_GONE = """
UPDATE object_ledger SET disposition = 'missing', reason = 'missing: the bucket no longer lists the object'
WHERE source = :source AND disposition IN ('seen', 'loaded', 'refused', 'unchanged') AND uri IN (SELECT uri FROM gone)
RETURNING object_id
"""


def present(tx: Connection, source: str, before: datetime) -> Iterable[Sequence[str]]:
    """Give, in pages, the addresses that the ledger believes to be in the bucket since before that time."""
    query = text(
        "SELECT DISTINCT uri FROM object_ledger WHERE source = :source AND first_seen_at < :before"
        " AND disposition IN ('seen', 'loaded', 'refused', 'unchanged')"
    )
    rows = tx.execute(query, {"source": source, "before": before}, execution_options={"yield_per": 20_000})
    return (page for page in rows.scalars().partitions())


def claim(
    tx: Connection, warehouse: Warehouse, sources: Sequence[str], *, token: str, limit: int, now: datetime
) -> list[Claim]:
    """Take up to `limit` versions that wait, or whose claim ran out, oldest first; they are the caller's for LEASE.

    What a process held when it died is taken first and in ever smaller batches, since one of them may have ended it: so
    it stands alone before its claims have run out MAX_ATTEMPTS times. Then it is refused.
    """
    which = {"sources": list(sources), "now": now}
    given_up = which | {"limit": MAX_ATTEMPTS}
    tx.execute(_with_sources(_GIVEN_UP_REFUSALS), given_up)
    tx.execute(_with_sources(_GIVE_UP), given_up)
    died = tx.execute(_with_sources(_DIED), which).scalar_one()
    kind = _WAITING if died is None else _LEFT_BEHIND.format(attempts=died)
    query = _with_sources(_CLAIM.format(kind=kind, skip_locked=warehouse.skip_locked))
    limit = limit if died is None else max(1, limit >> 2 * died)
    rows = tx.execute(query, which | {"token": token, "lease": now + LEASE, "limit": limit}).mappings().all()
    replaced = {row.uri: row for row in tx.execute(text(_REPLACED), {"token": token})}
    claims = [_claim(row, replaced.get(row["uri"])) for row in rows]
    return sorted(claims, key=lambda c: (c.seen.modified_at, c.object_id))


_GIVEN_UP_REFUSALS = """
INSERT INTO refusals (customer, source, room_id, session_id, session_evidence, object_id, ordinal, uri, reason_code,
                      detail, refused_at)
SELECT customer, source, room_id, session_id, session_evidence, object_id, 0, uri, 'gave_up',
       'every process that claimed it ended before it was loaded; look into the logs of those runs, then replay it',
       CAST(:now AS TIMESTAMP WITH TIME ZONE)
FROM object_ledger
WHERE disposition = 'claimed' AND lease_until < :now AND attempts >= :limit AND source IN :sources
"""

_GIVE_UP = """
UPDATE object_ledger
SET disposition = 'refused', reason = 'gave_up: every process that claimed it ended before it was loaded',
    claimed_by = NULL, lease_until = NULL
WHERE disposition = 'claimed' AND lease_until < :now AND attempts >= :limit AND source IN :sources
"""

_WAITING = "disposition = 'seen' AND (retry_at IS NULL OR retry_at <= :now)"
_LEFT_BEHIND = "disposition = 'claimed' AND lease_until < :now AND attempts = {attempts}"
_DIED = """
SELECT min(attempts) FROM object_ledger
WHERE disposition = 'claimed' AND lease_until < :now AND source IN :sources
"""

_CLAIM = """
UPDATE object_ledger
SET disposition = 'claimed', reason = 'claimed: a load reads it', claimed_by = :token, lease_until = :lease,
    attempts = attempts + 1
WHERE object_id IN (
    SELECT object_id FROM object_ledger
    WHERE source IN :sources AND {kind}
    ORDER BY modified_at, object_id LIMIT :limit {skip_locked}
)
RETURNING object_id, source, uri, version, version_id, content_tag, modified_at, size_bytes, attempts,
          replay_requested_at
"""

_REPLACED = """
SELECT current.uri, current.content_sha256, current.content_tag
FROM object_ledger current JOIN object_ledger mine ON mine.uri = current.uri AND mine.object_id <> current.object_id
WHERE mine.claimed_by = :token AND current.loaded_at IS NOT NULL AND current.disposition IN ('loaded', 'missing')
"""


def _claim(row: RowMapping, replaced: Any) -> Claim:
    names = ("uri", "version", "modified_at", "size_bytes", "content_tag", "version_id")
    return Claim(
        object_id=row["object_id"],
        source=row["source"],
        seen=Observation(**{name: row[name] for name in names}),
        attempts=row["attempts"],
        replay=row["replay_requested_at"] is not None,
        replaces_sha256=replaced and replaced.content_sha256,
        replaces_tag=replaced and replaced.content_tag,
    )


def renew(tx: Connection, token: str, now: datetime) -> int:
    """Prolong the lease of all that this token still holds; give the count."""
    query = """
        UPDATE object_ledger SET lease_until = :lease
        WHERE claimed_by = :token AND disposition = 'claimed' RETURNING 1
    """
    return len(tx.execute(text(query), {"lease": now + LEASE, "token": token}).all())


def release(tx: Connection, token: str, reason: str) -> int:
    """Give back all that this token still holds, as if it had not been claimed; give the count."""
    query = """
        UPDATE object_ledger
        SET disposition = 'seen', reason = :reason, claimed_by = NULL, lease_until = NULL, attempts = attempts - 1
        WHERE claimed_by = :token AND disposition = 'claimed' RETURNING 1
    """
    return len(tx.execute(text(query), {"token": token, "reason": reason}).all())


def requeue(
    tx: Connection,
    *,
    uri: str | None = None,
    source: str | None = None,
    reason: str | None = None,
    everything: bool = False,
    now: datetime,
) -> int:
    """Put the newest version of objects back in the queue, to be read and parsed anew; give the count.

    Alone: objects of which a record or the file was refused. `uri`: that object, whatever became of it. `everything`:
    all that was loaded, refused or ignored, such as after a change of the parsers or of a source's settings. `source`
    and `reason` (a refusal's code, or an ignored object's) narrow it down.
    """
    conditions = {
        "uri": "uri = :uri",
        "source": "source = :source",
        "reason": "(uri IN (SELECT uri FROM open_refusals WHERE reason_code = :reason) OR reason LIKE :reason || ':%')",
    }
    given = {key: value for key, value in (("uri", uri), ("source", source), ("reason", reason)) if value}
    chosen = [conditions[key] for key in given]
    if not uri and not everything and not reason:
        chosen.append("(disposition = 'refused' OR uri IN (SELECT uri FROM open_refusals))")
    query = f"""
        WITH open_refusals AS (SELECT uri, reason_code FROM refusals WHERE resolved_at IS NULL)
        UPDATE object_ledger
        SET disposition = 'seen', reason = 'replay: to be read again', attempts = 0, retry_at = NULL,
            replay_requested_at = :now
        WHERE (disposition IN ('loaded', 'refused', 'unchanged', 'ignored')
               OR (disposition = 'missing' AND uri IN (SELECT uri FROM open_refusals)))
          AND {" AND ".join(chosen or ["1 = 1"])}
          AND NOT EXISTS (
              SELECT 1 FROM object_ledger newer
              WHERE newer.uri = object_ledger.uri AND newer.disposition <> 'superseded' AND {NEWER} > {THIS}
          )
        RETURNING 1
    """
    return len(tx.execute(text(query), given | {"now": now}).all())


def waiting(tx: Connection, sources: Sequence[str], now: datetime) -> int:
    """Count the versions that can be claimed now."""
    query = f"""
        SELECT count(*) FROM object_ledger
        WHERE source IN :sources AND ({_WAITING} OR disposition = 'claimed' AND lease_until < :now)
    """
    return int(tx.execute(_with_sources(query), {"sources": list(sources), "now": now}).scalar_one())


def _observe(tx: Connection, source: str, witness: str, kind: str, objects: Sequence[str], now: datetime) -> None:
    if objects:
        query = "INSERT INTO observations (object_id, source, witness, kind, observed_at) VALUES (:o, :s, :w, :k, :t)"
        tx.execute(text(query), [{"o": o, "s": source, "w": witness, "k": kind, "t": now} for o in objects])


def _with_sources(query: str) -> Any:
    return text(query).bindparams(bindparam("sources", expanding=True))
