"""The order of the versions of one object, and of row locks in the ledger.

Versions are ordered by the store's time of writing, then by the time of the first observation.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from roomledger.ledger.database import Database, Staged

NEWER = "(newer.modified_at, newer.first_seen_at, newer.object_id)"
"""Sort key of the version with the alias `newer`; compare it with THIS to find the current one of two versions."""
THIS = "(object_ledger.modified_at, object_ledger.first_seen_at, object_ledger.object_id)"


def locked(condition: str, database: Database) -> str:
    """Build the condition of an UPDATE that first locks its rows, in the order that all transactions use.

    Transactions that lock in the same order cannot deadlock.
    """
    return f"object_id IN (SELECT object_id FROM object_ledger WHERE {condition} ORDER BY object_id {database.lock})"


def supersede_unread(tx: Connection, database: Database, objects: Staged) -> None:
    """Supersede unread versions that have a newer one, among the objects at the addresses (`uri`) of this table."""
    outdated = f"""
        disposition = 'seen' AND loaded_at IS NULL AND uri IN (SELECT uri FROM {objects})
        AND EXISTS (SELECT 1 FROM object_ledger newer
                    WHERE newer.uri = object_ledger.uri AND newer.disposition NOT IN ('ignored', 'superseded')
                      AND {NEWER} > {THIS})
    """
    tx.execute(
        text(f"""
            UPDATE object_ledger
            SET disposition = 'superseded', reason = 'superseded: a newer version was observed before this one was read'
            WHERE {locked(outdated, database)}
        """)
    )
