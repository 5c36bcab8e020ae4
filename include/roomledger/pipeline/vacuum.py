"""Vacuum: delete rows of loads that never settled, rows that never counted, and history that is too old."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from roomledger import times
from roomledger.ledger import appends, history
from roomledger.ledger.database import Database
from roomledger.pipeline.publish import publish
from roomledger.warehouse.engine import Facts

_TOGETHER = 50_000
"""Versions of objects that one transaction deletes."""


def vacuum(database: Database, facts: Facts, *, history_days: int | None = None) -> Counter[str]:
    """Vacuum; return the counts `loads` (newly dead), `versions` (of objects) and `rows_<table>` of what was deleted.

    Without `history_days` all history is kept. What counts is never deleted. It may be interrupted and repeated.
    """
    publish(database, facts)  # what was replaced in the ledger only still counts on the facts side
    now = times.utc_now()
    with database.begin() as tx:
        loads = appends.claim_dead_loads(tx, now)
    before = None if history_days is None else now - timedelta(days=history_days)
    counts = Counter(loads=sum(loads.values()))
    while True:
        # The facts side first: what the ledger still has is found again after a crash.
        with database.begin() as tx:
            expired = history.expired_versions(tx, before, _TOGETHER)
            gone = history.forgotten_rows(tx, expired)
            rows = history.read(tx, gone, "object_id", "load_id")
            versions = history.read(tx, expired, "uri", "publication")
            deleted = facts.vacuum([*loads], rows, versions, tx if facts.in_ledger else None)
            history.forget(tx, expired, gone)
            appends.forget_dead_loads(tx, now)
        counts += Counter({f"rows_{table}": number for table, number in deleted.items()})
        counts += Counter(versions=versions.num_rows)
        if versions.num_rows < _TOGETHER:
            return counts
