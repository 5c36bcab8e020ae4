"""Who reads what: claims under a lease, so that two loads never read the same and a crashed claim comes free again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Text, bindparam, text

from roomledger.ledger.database import Database
from roomledger.ledger.versions import locked
from roomledger.model import Observation

LEASE = timedelta(minutes=5)
MAX_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Claim:
    """One object version that a load holds until its lease runs out."""

    object_id: str
    source: str
    seen: Observation
    attempts: int
    """Times it was claimed, this one included."""
    named_type: str | None
    """What the vendor says the object is; goes before what its key says."""
    replay: bool
    """Somebody asked for it to be read again: the same bytes are parsed anew."""
    replaces_sha256: str | None
    """Digest of the other version of the object whose rows are in the tables now, if there is one."""
    replaces_tag: str | None


def retry_delay(attempts: int) -> timedelta:
    """How long to wait after this many failed attempts: 30 s, doubling, at most an hour."""
    return timedelta(seconds=min(30 * 2 ** max(attempts - 1, 0), 3600))


def claim_batch(
    tx: Connection,
    database: Database,
    sources: Sequence[str],
    *,
    token: str,
    limit: int,
    now: datetime,
    newest_first: bool = False,
) -> list[Claim]:
    """Take up to `limit` versions that wait, or whose claim ran out, oldest first; they are the caller's for LEASE.

    Newest first serves whoever wants what has just come and leaves a backlog to others.

    What a process held when it died is taken first and in ever smaller batches, since one of them may have ended it: so
    it stands alone before its claims have run out MAX_ATTEMPTS times. Then it is refused.
    """
    which = {"sources": list(sources), "now": now}
    given_up = which | {"limit": MAX_ATTEMPTS}
    tx.execute(_with_sources(_GIVEN_UP_REFUSALS), given_up)
    tx.execute(_with_sources(_GIVE_UP), given_up)
    died = tx.execute(_with_sources(_DIED), which).scalar_one()
    kind = _WAITING if died is None else _LEFT_BEHIND.format(attempts=died)
    query = _with_sources(
        _CLAIM.format(kind=kind, order="DESC" if newest_first else "ASC", skip_locked=database.skip_locked)
    )
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
    ORDER BY modified_at {order}, object_id LIMIT :limit {skip_locked}
)
RETURNING object_id, source, uri, version, version_id, content_tag, modified_at, size_bytes, attempts,
          named_type, replay_requested_at
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
        named_type=row["named_type"],
        replay=row["replay_requested_at"] is not None,
        replaces_sha256=replaced and replaced.content_sha256,
        replaces_tag=replaced and replaced.content_tag,
    )


def renew_lease(tx: Connection, database: Database, token: str, now: datetime) -> int:
    """Prolong the lease of all that this token still holds; give the count."""
    query = f"UPDATE object_ledger SET lease_until = :lease WHERE {locked(_HELD, database.lock)} RETURNING 1"
    return len(tx.execute(text(query), {"lease": now + LEASE, "token": token}).all())


def release_claims(tx: Connection, database: Database, token: str, reason: str) -> int:
    """Give back all that this token still holds, as if it had not been claimed; give the count."""
    query = f"""
        UPDATE object_ledger
        SET disposition = 'seen', reason = :reason, claimed_by = NULL, lease_until = NULL, attempts = attempts - 1
        WHERE {locked(_HELD, database.lock)} RETURNING 1
    """
    return len(tx.execute(text(query), {"token": token, "reason": reason}).all())


_HELD = "claimed_by = :token AND disposition = 'claimed'"


def count_claimable(tx: Connection, sources: Sequence[str], now: datetime) -> int:
    """Count the versions that can be claimed now."""
    query = f"""
        SELECT count(*) FROM object_ledger
        WHERE source IN :sources AND ({_WAITING} OR disposition = 'claimed' AND lease_until < :now)
    """
    return int(tx.execute(_with_sources(query), {"sources": list(sources), "now": now}).scalar_one())


def _with_sources(query: str) -> Any:
    return text(query).bindparams(bindparam("sources", expanding=True, type_=Text))
