"""What the warehouse is asked while a run goes on, and about what it keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text

from roomledger.ledger.claims import LEASE
from roomledger.ledger.database import Database

_JUST_NOW = timedelta(seconds=2)


class Waiting(NamedTuple):
    """Object versions that are not settled."""

    claimed: int
    """By a load that reads them, or was killed while it did."""
    due: int
    """Nobody reads them; the next load will."""
    later: int
    """They are to be tried again, but not yet."""


def waiting(database: Database) -> Waiting:
    """Count what the ledger has not settled now."""
    with database.begin(read_only=True) as tx:
        return Waiting(*tx.execute(text(_WAITING), {"now": datetime.now(UTC)}).one())


_WAITING = """
SELECT count(CASE WHEN disposition = 'claimed' AND lease_until >= :now THEN 1 END),
       count(CASE WHEN disposition = 'seen' AND (retry_at IS NULL OR retry_at <= :now)
                    OR disposition = 'claimed' AND lease_until < :now THEN 1 END),
       count(CASE WHEN disposition = 'seen' AND retry_at > :now THEN 1 END)
FROM object_ledger
"""


def is_loading(database: Database) -> bool:
    """Whether something was claimed just now; what was claimed before may be in nobody's hands any more."""
    until = datetime.now(UTC) + LEASE - _JUST_NOW
    query = text("SELECT count(*) FROM object_ledger WHERE disposition = 'claimed' AND lease_until > :until")
    with database.begin(read_only=True) as tx:
        return bool(tx.execute(query, {"until": until}).scalar_one())


def claimed_again(database: Database) -> int:
    """Count the object versions that were claimed more than once: mostly, since a load of them was killed."""
    with database.begin(read_only=True) as tx:
        return int(tx.execute(text("SELECT count(*) FROM object_ledger WHERE attempts > 1")).scalar_one())


def kept_webhooks(database: Database) -> set[str]:
    """Give the ids of the events that the warehouse holds, those that it did not understand among them."""
    with database.begin(read_only=True) as tx:
        kept = {*tx.execute(text("SELECT event_id FROM vendor_events")).scalars()}
        for raw in tx.execute(text("SELECT raw FROM refusals WHERE uri LIKE '100ms://%/webhooks/%'")).scalars():
            kept.add(json.loads(raw)["id"])
    return kept


def seen_by(database: Database, observed_by: str) -> dict[str, list[tuple[str, bool]]]:
    """Give the versions of each object, the oldest first, and whether the ledger knows of each by this witness."""
    found: dict[str, list[tuple[str, bool]]] = {}
    with database.begin(read_only=True) as tx:
        for uri, version, is_seen in tx.execute(text(_SEEN_BY), {"observed_by": observed_by}):
            found.setdefault(uri, []).append((version, is_seen))
    return found


_SEEN_BY = """
SELECT uri, version, EXISTS (
    SELECT 1 FROM observations AS said
    WHERE said.object_id = object_ledger.object_id AND said.observed_by = :observed_by AND said.kind = 'exists'
)
FROM object_ledger ORDER BY modified_at, first_seen_at
"""


def evidence(database: Database) -> Iterator[str]:
    """Give all rows that say how it came to what is there, as JSON."""
    with database.begin(read_only=True) as tx:
        for table in ("loads", "object_ledger", "observations", "vendor_events", "refusals"):
            for row in tx.execute(text(f"SELECT * FROM {table}")).mappings():
                yield json.dumps({"table": table, **row}, default=str)
