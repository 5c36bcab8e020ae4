"""Text assets that only the vendor stores: objects of the ledger that no listing contains.

The vendor deletes them after `hundredms.RETENTION`, so they are fetched like any other object. Media remain records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, text

from roomledger.formats.object_keys import recognise
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.model import TEXT_TYPES, Observation
from roomledger.settings import WorkspaceSource

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


def record_vendor_assets(
    tx: Connection, database: Database, source: WorkspaceSource, buckets: Sequence[str], *, now: datetime
) -> Counter[str]:
    """Record the assets of this workspace that no bucket stores; return the counts of `record_observations`.

    `buckets` are the address prefixes of all bucket sources.
    """
    prefixes = {f"bucket_{number}": bucket for number, bucket in enumerate(buckets)}
    elsewhere = " OR ".join(f"starts_with(uri, :{name})" for name in prefixes) or "FALSE"
    query = text(_STORED_BY_VENDOR.format(elsewhere=elsewhere)).bindparams(bindparam("types", expanding=True))
    assets = tx.execute(query, prefixes | {"source": source.name, "types": sorted(TEXT_TYPES)}).all()
    seen = [(one := _observation(row), source.classify(recognise(one, row.asset_type))) for row in assets]
    return record_observations(tx, database, source, seen, observed_by="api", now=now) if seen else Counter()


# The vendor writes an asset once, so its id and size identify the version.
_STORED_BY_VENDOR = """
SELECT asset_id, asset_type, uri, size_bytes, created_at, version
FROM (SELECT *, asset_id || '-' || CAST(COALESCE(size_bytes, 0) AS TEXT) AS version FROM asset_records) AS assets
WHERE source = :source AND status = 'completed' AND asset_type IN :types AND uri IS NOT NULL AND NOT ({elsewhere})
  AND NOT EXISTS (
      SELECT 1 FROM object_ledger known WHERE known.uri = assets.uri AND known.version = assets.version
  )
"""


def _observation(asset: Any) -> Observation:
    return Observation(
        uri=asset.uri,
        version=asset.version,
        modified_at=asset.created_at or _UNIX,
        size_bytes=asset.size_bytes or 0,
    )
