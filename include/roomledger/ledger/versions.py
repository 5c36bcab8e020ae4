"""The order of the versions of one object, and of row locks in the ledger.

Versions are ordered by the store's time of writing, then by the time of the first observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, text

from roomledger.ledger.database import Database, Staged, stage_ids


def is_newer(newer: str, older: str) -> str:
    """Build the condition that, of two versions of an object, the one with the alias `newer` is the newer one."""
    columns = ("modified_at", "first_seen_at", "object_id")
    keys = (", ".join(f"{alias}.{name}" for name in columns) for alias in (newer, older))
    return "({}) > ({})".format(*keys)


def lock_versions(
    tx: Connection, database: Database, condition: str, values: Mapping[str, Any] | None = None
) -> list[str]:
    """Lock the versions that meet the condition until the transaction ends; return their ids.

    All transactions lock in the same order. One that will lock several times first calls `lock_objects`: two that hold
    some versions and wait for others would deadlock.
    """
    lists: list[BindParameter[Any]] = [
        bindparam(name, expanding=True) for name, value in (values or {}).items() if isinstance(value, list)
    ]
    query = f"SELECT object_id FROM object_ledger WHERE {condition} ORDER BY object_id {database.lock}"
    return list(tx.execute(text(query).bindparams(*lists), values or {}).scalars())


def lock_objects(tx: Connection, database: Database, uris: Staged) -> None:
    """Lock all versions of the objects at these addresses (`uri`) until the transaction ends.

    Nobody adds a version to a locked object. One that was added while this waited for a lock would have to be locked
    out of order: then all locks are released, and taken again with it.
    """
    if not database.lock:
        return
    condition = f"uri IN (SELECT uri FROM {uris})"
    while True:
        attempt = tx.begin_nested()
        locked = lock_versions(tx, database, condition)
        if tx.execute(text(f"SELECT count(*) FROM object_ledger WHERE {condition}")).scalar_one() == len(locked):
            attempt.commit()
            return
        attempt.rollback()


def update_versions(
    tx: Connection, database: Database, assignments: str, condition: str, values: Mapping[str, Any] | None = None
) -> list[str]:
    """Lock and update the versions that meet the condition; return their ids."""
    ids = lock_versions(tx, database, condition, values)
    if ids:
        # Not with RETURNING: DuckDB would delete and insert the whole rows.
        statement = f"UPDATE object_ledger SET {assignments} WHERE {ids_in(stage_ids(tx, database, ids))}"
        tx.execute(text(statement), values or {})
    return ids


def ids_in(versions: Staged) -> str:
    """Build the condition that a version is one of these (`object_id`)."""
    return f"object_id IN (SELECT object_id FROM {versions})"


def supersede_unread(tx: Connection, database: Database, objects: Staged) -> None:
    """Supersede unread versions that have a newer one, among the objects at the addresses (`uri`) of this table."""
    update_versions(
        tx,
        database,
        "disposition = 'superseded', reason = 'superseded: a newer version was observed before this one was read'",
        f"""
        disposition = 'seen' AND loaded_at IS NULL AND uri IN (SELECT uri FROM {objects})
        AND EXISTS (SELECT 1 FROM object_ledger newer
                    WHERE newer.uri = object_ledger.uri AND newer.disposition NOT IN ('ignored', 'superseded')
                      AND {is_newer("newer", "object_ledger")})
        """,
    )
