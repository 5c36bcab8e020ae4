"""Appends: loads whose rows may lie on the facts side and are not settled, and rows that never count.

Where both sides are one database a load appends and settles in one transaction, and no append is ever open.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from roomledger.ledger.claims import LEASE

_REMEMBERED = timedelta(days=1)
"""How long a dead load is vacuumed again: its process may have been asleep, and append when it wakes."""


def begin_append(tx: Connection, load_id: str, now: datetime) -> None:
    """Record that rows of this load will be appended."""
    query = "INSERT INTO appends (load_id, began_at, lease_until) VALUES (:load_id, :now, :lease)"
    tx.execute(text(query), {"load_id": load_id, "now": now, "lease": now + LEASE})


def renew_append(tx: Connection, load_id: str, now: datetime) -> None:
    """Extend the lease of a load."""
    query = "UPDATE appends SET lease_until = :lease WHERE load_id = :load_id"
    tx.execute(text(query), {"load_id": load_id, "lease": now + LEASE})


def finish_append(tx: Connection, load_id: str) -> bool:
    """Record that the load is settled in this transaction; False when it took longer than its lease.

    Then its rows were vacuumed, and its objects are read again.
    """
    query = "DELETE FROM appends WHERE load_id = :load_id AND vacuumed_at IS NULL RETURNING load_id"
    return bool(tx.execute(text(query), {"load_id": load_id}).all())


def claim_dead_loads(tx: Connection, now: datetime) -> dict[str, bool]:
    """Give the loads that ended without being settled, and of each whether it is found for the first time.

    From now on they cannot be settled.
    """
    query = """
        UPDATE appends SET vacuumed_at = COALESCE(vacuumed_at, CAST(:now AS TIMESTAMP WITH TIME ZONE))
        WHERE lease_until < :now RETURNING load_id, vacuumed_at
    """
    return {row.load_id: row.vacuumed_at == now for row in tx.execute(text(query), {"now": now})}


def forget_dead_loads(tx: Connection, now: datetime) -> None:
    """Forget dead loads that were vacuumed long enough."""
    query = "DELETE FROM appends WHERE vacuumed_at IS NOT NULL AND lease_until < :old"
    tx.execute(text(query), {"old": now - _REMEMBERED})
