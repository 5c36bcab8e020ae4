"""How far each list of a workspace has been read, so that a reading goes on where one was cut off."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Cursor:
    """A row of `vendor_cursors`; without anything read yet, all of it is null."""

    read_until: datetime | None = None
    """Everything made before this was read, but for what comes late."""
    reading_since: datetime | None = None
    """Of a reading that goes on: the newest record that it began with."""
    next_start: str | None = None
    """Where that reading goes on."""
    stop_at: datetime | None = None
    """Where that reading ends; null reads to the end of the list."""


def get(tx: Connection, source: str, path: str) -> Cursor:
    """Tell how far this list has been read."""
    query = """
        SELECT read_until, reading_since, next_start, stop_at FROM vendor_cursors
        WHERE source = :source AND list = :path
    """
    row = tx.execute(text(query), {"source": source, "path": path}).one_or_none()
    return Cursor(*row) if row else Cursor()


def put(tx: Connection, source: str, path: str, cursor: Cursor) -> None:
    """Write down how far it has been read."""
    query = """
        INSERT INTO vendor_cursors (source, list, read_until, reading_since, next_start, stop_at)
        VALUES (:source, :path, :read_until, :reading_since, :next_start, :stop_at)
        ON CONFLICT (source, list) DO UPDATE
        SET read_until = excluded.read_until, reading_since = excluded.reading_since,
            next_start = excluded.next_start, stop_at = excluded.stop_at
    """
    tx.execute(text(query), {"source": source, "path": path, **asdict(cursor)})
