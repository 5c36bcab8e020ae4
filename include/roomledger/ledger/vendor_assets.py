"""Text assets that lie in the vendor's own storage: objects of the ledger that no listing shows.

The vendor deletes them after 15 days (vendor documentation), so they are fetched like any other object. Media stay
records.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, text

from roomledger.formats.object_keys import recognise
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.model import TEXT_TYPES, Observation
from roomledger.settings import Source

VENDOR_KEEPS = timedelta(days=15)
"""How long the vendor holds an asset without customer storage before it deletes it (vendor documentation)."""
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


def note_held(
    tx: Connection, database: Database, source: Source, buckets: Sequence[str], *, now: datetime
) -> dict[str, int]:
    """Write into the ledger what this workspace named and no bucket holds; give the count of new ones by disposition.

    `buckets` are the beginnings of all addresses that some source lists.
    """
    given = {f"bucket_{number}": bucket for number, bucket in enumerate(buckets)}
    elsewhere = " OR ".join(f"starts_with(uri, :{name})" for name in given) or "FALSE"
    query = text(_HELD.format(elsewhere=elsewhere)).bindparams(bindparam("types", expanding=True))
    held = tx.execute(query, given | {"source": source.name, "types": sorted(TEXT_TYPES)}).all()
    noted = [(seen := _observed(row), source.judged(recognise(seen, row.asset_type))) for row in held]
    return record_observations(tx, database, source, noted, observed_by="api", now=now) if noted else {}


# The version is the asset, which the vendor writes once, and its size.
_HELD = """
SELECT asset_id, asset_type, uri, size_bytes, created_at, version
FROM (SELECT *, asset_id || '-' || CAST(COALESCE(size_bytes, 0) AS TEXT) AS version FROM asset_records) AS named
WHERE source = :source AND status = 'completed' AND asset_type IN :types AND uri IS NOT NULL AND NOT ({elsewhere})
  AND NOT EXISTS (
      SELECT 1 FROM object_ledger known WHERE known.uri = named.uri AND known.version = named.version
  )
"""


def asset_of(seen: Observation) -> str:
    """Give the asset id of an object that the vendor holds."""
    return seen.version.rpartition("-")[0]


def _observed(asset: Any) -> Observation:
    return Observation(
        uri=asset.uri,
        version=asset.version,
        modified_at=asset.created_at or _UNIX,
        size_bytes=asset.size_bytes or 0,
    )
