"""In which order the versions of one object follow each other, and rows of the ledger are locked.

Versions are ordered by when the store says they were written, then by when they were first seen.
"""

NEWER = "(newer.modified_at, newer.first_seen_at, newer.object_id)"
"""Sort key of the version called `newer`; compare it with THIS to know which of two versions is current."""
THIS = "(object_ledger.modified_at, object_ledger.first_seen_at, object_ledger.object_id)"


def locked(condition: str, lock: str) -> str:
    """Choose the rows of an UPDATE of the ledger by this condition, after locking them in the order of all others.

    Transactions that lock in one order may wait for each other, but never in a ring.
    """
    return f"object_id IN (SELECT object_id FROM object_ledger WHERE {condition} ORDER BY object_id {lock})"
