"""How far each list of a workspace has been read, so that an interrupted sync continues where it stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Cursor:
    """A row of `vendor_cursors`; all of it is null before the first sync."""

    read_until: datetime | None = None
    """All records created before this time were read, except late ones."""
    reading_since: datetime | None = None
    """Newest record of the sync in progress."""
    next_start: str | None = None
    """Page where that sync continues."""
    stop_at: datetime | None = None
    """Time at which that sync stops; null for the end of the list."""


def get(tx: Connection, source: str, path: str) -> Cursor:
    """Give the cursor of this list."""
    query = """
        SELECT read_until, reading_since, next_start, stop_at FROM vendor_cursors
        WHERE source = :source AND list = :path
    """
    row = tx.execute(text(query), {"source": source, "path": path}).one_or_none()
    return Cursor(*row) if row else Cursor()


def put(tx: Connection, source: str, path: str, cursor: Cursor) -> None:
    """Store the cursor of this list."""
    query = """
        INSERT INTO vendor_cursors (source, list, read_until, reading_since, next_start, stop_at)
        VALUES (:source, :path, :read_until, :reading_since, :next_start, :stop_at)
        ON CONFLICT (source, list) DO UPDATE
        SET read_until = excluded.read_until, reading_since = excluded.reading_since,
            next_start = excluded.next_start, stop_at = excluded.stop_at
    """
    tx.execute(text(query), {"source": source, "path": path, **asdict(cursor)})
