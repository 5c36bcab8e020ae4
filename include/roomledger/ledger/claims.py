"""Claims under a lease: two loads never read the same version, and a crashed load blocks none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Text, bindparam, text

from roomledger.ledger.database import Database, stage_ids
from roomledger.ledger.objects import publish_versions
from roomledger.ledger.refusals import refuse_exhausted
from roomledger.ledger.versions import update_versions
from roomledger.model import UNKNOWN, Asset, Observation

LEASE = timedelta(minutes=5)
MAX_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Claim:
    """One object version, claimed by a load until its lease expires."""

    object_id: str
    source: str
    seen: Observation
    attempts: int
    """Number of claims, this one included."""
    asset: Asset
    """Its classification in the ledger, from the key and the vendor's records."""
    named_type: str | None
    """Asset type in the vendor's records; takes precedence over the key."""
    replay: bool
    """A replay was requested: the key is classified again, and unchanged bytes are parsed again."""
    replaces_sha256: str | None
    """Digest of the other version of the object whose rows are in the tables, if any."""
    replaces_tag: str | None
    named_mode: str | None = None
    """Output mode of a transcript in the vendor's records; takes precedence over the key."""


def retry_delay(attempts: int) -> timedelta:
    """Delay after this many failed attempts: 30 s, doubling, at most an hour."""
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
    """Claim up to `limit` pending versions for LEASE, oldest first; `newest_first` leaves a backlog to other loads.

    Expired claims of a dead process come first, in ever smaller batches, since one of the versions may have killed it:
    that one is claimed alone before its claims have expired MAX_ATTEMPTS times. Then it is refused.
    """
    parameters = {"sources": list(sources), "now": now}
    expired = tx.execute(_with_sources(_EXPIRED_CLAIMS), parameters).one()
    if expired.most is not None and expired.most >= MAX_ATTEMPTS:
        _give_up(tx, database, parameters)
        expired = tx.execute(_with_sources(_EXPIRED_CLAIMS), parameters).one()
    kind = _PENDING if expired.least is None else f"{_EXPIRED} AND attempts = {expired.least}"
    limit = limit if expired.least is None else max(1, limit >> 2 * expired.least)
    query = _CLAIMABLE.format(kind=kind, order="DESC" if newest_first else "ASC", skip_locked=database.skip_locked)
    ids = list(tx.execute(_with_sources(query), parameters | {"limit": limit}).scalars())
    if not ids:
        return []
    claimed = stage_ids(tx, database, ids)
    tx.execute(text(_CLAIM.format(claimed=claimed)), {"token": token, "lease": now + LEASE})
    rows = tx.execute(text(_CLAIMS.format(claimed=claimed))).mappings().all()
    replaced = {row.uri: row for row in tx.execute(text(_REPLACED.format(claimed=claimed)))}
    modes = {row.object_id: row.output_mode for row in tx.execute(text(_MODES.format(claimed=claimed)))}
    claims = [_claim(row, replaced.get(row["uri"]), modes.get(row["object_id"])) for row in rows]
    return sorted(claims, key=lambda claim: (claim.seen.modified_at, claim.object_id))


_PENDING = "disposition = 'seen' AND (retry_at IS NULL OR retry_at <= :now)"
_EXPIRED = "disposition = 'claimed' AND lease_until < :now"
_EXPIRED_CLAIMS = f"""
SELECT min(attempts) AS least, max(attempts) AS most FROM object_ledger WHERE {_EXPIRED} AND source IN :sources
"""


def _give_up(tx: Connection, database: Database, parameters: dict[str, Any]) -> None:
    """Refuse the versions whose claims have expired MAX_ATTEMPTS times."""
    database.hold_evidence(tx, change=False)
    assignments = """
        disposition = 'refused', reason = 'gave_up: every process that claimed it ended before it was loaded',
        claimed_by = NULL, lease_until = NULL
    """
    exhausted = f"{_EXPIRED} AND attempts >= {MAX_ATTEMPTS} AND source IN :sources"
    refused = stage_ids(tx, database, update_versions(tx, database, assignments, exhausted, parameters))
    refuse_exhausted(tx, refused, now=parameters["now"])
    publish_versions(tx, database, refused, changed_by="load", now=parameters["now"])


_CLAIMABLE = """
SELECT object_id FROM object_ledger WHERE source IN :sources AND {kind}
ORDER BY modified_at {order}, object_id LIMIT :limit {skip_locked}
"""

_CLAIM = """
UPDATE object_ledger
SET disposition = 'claimed', reason = 'claimed: a load reads it', claimed_by = :token, lease_until = :lease,
    attempts = attempts + 1
WHERE object_id IN (SELECT object_id FROM {claimed})
"""

_CLAIMS = """
SELECT object_id, source, uri, version, version_id, content_tag, modified_at, size_bytes, attempts, asset_type,
       key_room_id, key_session_id, key_peer_id, key_stream_id, key_track_id, key_layer, output_mode,
       recorder_started_at, session_date, named_type, replay_requested_at
FROM object_ledger WHERE object_id IN (SELECT object_id FROM {claimed})
"""

_MODES = """
SELECT mine.object_id, min(report.output_mode) AS output_mode
FROM object_ledger AS mine
JOIN roomledger_raw.asset_reports AS report ON report.uri = mine.uri AND report.customer = mine.customer
WHERE mine.object_id IN (SELECT object_id FROM {claimed}) AND mine.named_type IS NOT NULL
  AND report.output_mode IN ('json', 'srt', 'txt') AND NOT report.is_withdrawn
GROUP BY mine.object_id HAVING count(DISTINCT report.output_mode) = 1
"""

_REPLACED = """
SELECT current.uri, current.content_sha256, current.content_tag
FROM object_ledger current JOIN object_ledger mine ON mine.uri = current.uri AND mine.object_id <> current.object_id
WHERE mine.object_id IN (SELECT object_id FROM {claimed})
  AND current.loaded_at IS NOT NULL AND current.disposition IN ('loaded', 'missing')
"""


def _claim(row: RowMapping, replaced: Any, named_mode: str | None) -> Claim:
    return Claim(
        object_id=row["object_id"],
        source=row["source"],
        seen=Observation(**{field.name: row[field.name] for field in fields(Observation)}),
        attempts=row["attempts"],
        asset=_asset(row),
        named_type=row["named_type"],
        replay=row["replay_requested_at"] is not None,
        replaces_sha256=replaced and replaced.content_sha256,
        replaces_tag=replaced and replaced.content_tag,
        named_mode=named_mode,
    )


def _asset(row: RowMapping) -> Asset:
    """The asset in the columns of the ledger, half of which have the prefix `key_`."""
    cells = {field.name: row.get(f"key_{field.name}", row.get(field.name)) for field in fields(Asset)}
    return Asset(**cells | {"asset_type": row["asset_type"] or UNKNOWN})


def renew_lease(tx: Connection, database: Database, token: str, now: datetime) -> int:
    """Extend the lease of the claims that this token still has; return the count."""
    values = {"lease": now + LEASE, "token": token}
    return len(update_versions(tx, database, "lease_until = :lease", _CLAIMED, values))


def release_claims(tx: Connection, database: Database, token: str, reason: str) -> int:
    """Release the claims that this token still has, as if never claimed; return the count."""
    assignments = """
        disposition = 'seen', reason = :reason, claimed_by = NULL, lease_until = NULL, attempts = attempts - 1
    """
    return len(update_versions(tx, database, assignments, _CLAIMED, {"token": token, "reason": reason}))


_CLAIMED = "claimed_by = :token AND disposition = 'claimed'"


def count_claimable(tx: Connection, sources: Sequence[str], now: datetime) -> int:
    """Count the versions that can be claimed now."""
    query = f"SELECT count(*) FROM object_ledger WHERE source IN :sources AND ({_PENDING} OR {_EXPIRED})"
    return int(tx.execute(_with_sources(query), {"sources": list(sources), "now": now}).scalar_one())


def _with_sources(query: str) -> Any:
    return text(query).bindparams(bindparam("sources", expanding=True, type_=Text))
