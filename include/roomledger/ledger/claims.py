"""Which load reads which version: claims under a lease, so that two loads never read the same and none is stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Text, bindparam, text

from roomledger.ledger.database import Database, stage_ids
from roomledger.ledger.refusals import refuse_exhausted
from roomledger.ledger.versions import locked
from roomledger.model import UNKNOWN, Asset, Observation

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
    asset: Asset
    """What key and vendor say it is, as the ledger holds it."""
    named_type: str | None
    """The type that the vendor names; it goes before the key's."""
    replay: bool
    """A person asked for it to be read again: the key is classified and the same bytes are parsed anew."""
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
    """Claim up to `limit` versions that wait, or whose lease ran out, oldest first; they are the caller's for LEASE.

    With `newest_first` what has just arrived is claimed first, and a backlog left to other loads.

    What a process held when it died is claimed before all else and in ever smaller batches, since one of the versions
    may have ended it: so that one is claimed alone before its claims have run out MAX_ATTEMPTS times. Then it is
    refused.
    """
    parameters = {"sources": list(sources), "now": now}
    died = tx.execute(_with_sources(_DIED), parameters).one()
    if died.most is not None and died.most >= MAX_ATTEMPTS:
        _give_up(tx, database, parameters)
        died = tx.execute(_with_sources(_DIED), parameters).one()
    kind = _WAITING if died.least is None else f"{_EXPIRED} AND attempts = {died.least}"
    limit = limit if died.least is None else max(1, limit >> 2 * died.least)
    query = _CLAIM.format(kind=kind, order="DESC" if newest_first else "ASC", skip_locked=database.skip_locked)
    lease = {"token": token, "lease": now + LEASE, "limit": limit}
    rows = tx.execute(_with_sources(query), parameters | lease).mappings().all()
    replaced = {row.uri: row for row in tx.execute(text(_REPLACED), {"token": token})}
    claims = [_claim(row, replaced.get(row["uri"])) for row in rows]
    return sorted(claims, key=lambda claim: (claim.seen.modified_at, claim.object_id))


_WAITING = "disposition = 'seen' AND (retry_at IS NULL OR retry_at <= :now)"
_EXPIRED = "disposition = 'claimed' AND lease_until < :now"
_DIED = f"""
SELECT min(attempts) AS least, max(attempts) AS most FROM object_ledger WHERE {_EXPIRED} AND source IN :sources
"""


def _give_up(tx: Connection, database: Database, parameters: dict[str, Any]) -> None:
    """Refuse the versions whose claims have run out MAX_ATTEMPTS times."""
    exhausted = f"{_EXPIRED} AND attempts >= {MAX_ATTEMPTS} AND source IN :sources"
    query = f"""
        UPDATE object_ledger
        SET disposition = 'refused', reason = 'gave_up: every process that claimed it ended before it was loaded',
            claimed_by = NULL, lease_until = NULL
        WHERE {locked(exhausted, database)}
        RETURNING object_id
    """
    refused = list(tx.execute(_with_sources(query), parameters).scalars())
    refuse_exhausted(tx, stage_ids(tx, database, refused), now=parameters["now"])


_CLAIM = """
UPDATE object_ledger
SET disposition = 'claimed', reason = 'claimed: a load reads it', claimed_by = :token, lease_until = :lease,
    attempts = attempts + 1
WHERE object_id IN (
    SELECT object_id FROM object_ledger
    WHERE source IN :sources AND {kind}
    ORDER BY modified_at {order}, object_id LIMIT :limit {skip_locked}
)
RETURNING object_id, source, uri, version, version_id, content_tag, modified_at, size_bytes, attempts, asset_type,
          key_room_id, key_session_id, key_peer_id, key_stream_id, key_track_id, key_layer, output_mode,
          recorder_started_at, session_date, named_type, replay_requested_at
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
        asset=_asset(row),
        named_type=row["named_type"],
        replay=row["replay_requested_at"] is not None,
        replaces_sha256=replaced and replaced.content_sha256,
        replaces_tag=replaced and replaced.content_tag,
    )


def _asset(row: RowMapping) -> Asset:
    keys = ("room_id", "session_id", "peer_id", "stream_id", "track_id", "layer")
    return Asset(
        uri=row["uri"],
        size_bytes=row["size_bytes"],
        modified_at=row["modified_at"],
        asset_type=row["asset_type"] or UNKNOWN,
        output_mode=row["output_mode"],
        recorder_started_at=row["recorder_started_at"],
        session_date=row["session_date"],
        **{name: row[f"key_{name}"] for name in keys},
    )


def renew_lease(tx: Connection, database: Database, token: str, now: datetime) -> int:
    """Prolong the lease of all that this token still holds; give the count."""
    query = f"UPDATE object_ledger SET lease_until = :lease WHERE {locked(_HELD, database)} RETURNING 1"
    return len(tx.execute(text(query), {"lease": now + LEASE, "token": token}).all())


def release_claims(tx: Connection, database: Database, token: str, reason: str) -> int:
    """Give back all that this token still holds, as if it had not been claimed; give the count."""
    query = f"""
        UPDATE object_ledger
        SET disposition = 'seen', reason = :reason, claimed_by = NULL, lease_until = NULL, attempts = attempts - 1
        WHERE {locked(_HELD, database)} RETURNING 1
    """
    return len(tx.execute(text(query), {"token": token, "reason": reason}).all())


_HELD = "claimed_by = :token AND disposition = 'claimed'"


def count_claimable(tx: Connection, sources: Sequence[str], now: datetime) -> int:
    """Count the versions that can be claimed now."""
    query = f"SELECT count(*) FROM object_ledger WHERE source IN :sources AND ({_WAITING} OR {_EXPIRED})"
    return int(tx.execute(_with_sources(query), {"sources": list(sources), "now": now}).scalar_one())


def _with_sources(query: str) -> Any:
    return text(query).bindparams(bindparam("sources", expanding=True, type_=Text))
