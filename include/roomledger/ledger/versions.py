"""In which order the versions of one object follow each other, and rows of the ledger are locked.

Versions are ordered by when the store says they were written, then by when they were first seen.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from roomledger.ledger.database import Database, Staged

NEWER = "(newer.modified_at, newer.first_seen_at, newer.object_id)"
"""Sort key of the version called `newer`; compare it with THIS to know which of two versions is current."""
THIS = "(object_ledger.modified_at, object_ledger.first_seen_at, object_ledger.object_id)"


def locked(condition: str, database: Database) -> str:
    """Choose the rows of an UPDATE of the ledger by this condition, after locking them in the order of all others.

    Transactions that lock in one order may wait for each other, but never in a circle.
    """
    return f"object_id IN (SELECT object_id FROM object_ledger WHERE {condition} ORDER BY object_id {database.lock})"


def supersede_unread(tx: Connection, database: Database, objects: Staged) -> None:
    """Supersede unread versions that have a newer one, at the addresses of these object versions."""
    outdated = f"""
        disposition = 'seen' AND loaded_at IS NULL
        AND uri IN (SELECT uri FROM object_ledger WHERE object_id IN (SELECT object_id FROM {objects}))
        AND EXISTS (SELECT 1 FROM object_ledger newer
                    WHERE newer.uri = object_ledger.uri AND newer.disposition NOT IN ('ignored', 'superseded')
                      AND {NEWER} > {THIS})
    """
    tx.execute(
        text(f"""
            UPDATE object_ledger
            SET disposition = 'superseded', reason = 'superseded: a newer version was seen before this one was read'
            WHERE {locked(outdated, database)}
        """)
    )
