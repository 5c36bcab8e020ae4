"""Publications: the numbered changes of what the tables show, one per transaction.

A transaction that changes the ledger ends with one publication. It holds a lock from then on until it commits, so
publications commit in the order of their numbers, and each is computed from everything that was committed before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Table, insert, text

from roomledger.ledger.database import Database, stage_query
from roomledger.ledger.tables.objects import publications
from roomledger.ledger.tables.resolved import OWN


@dataclass(slots=True)
class Publication:
    """A publication in progress; whoever writes a published row sets `is_changed`."""

    tx: Connection
    database: Database
    number: int
    changed_by: str
    now: datetime
    is_changed: bool = False

    def replace(self, table: Table, desired: str, scope: str) -> None:
        """Publish the rows of a SELECT with the columns of the table, as far as they differ from those published.

        `scope` is the condition of all rows that the SELECT should give: those that it does not give are withdrawn.
        The first index of the table names its key.
        """
        names = [one.name for one in table.columns if one.name not in OWN]
        keys = [one.name for one in key_columns(table)]
        same = " AND ".join(f"known.{key} = wanted.{key}" for key in keys)
        differs = " OR ".join(f"known.{name} IS DISTINCT FROM wanted.{name}" for name in names if name not in keys)
        wanted = stage_query(self.tx, desired, f"wanted_{table.name}")
        changes = stage_query(
            self.tx,
            f"""
            SELECT {", ".join(f"wanted.{name}" for name in names)}, FALSE AS is_withdrawn
            FROM {wanted} AS wanted LEFT JOIN {table.fullname} AS known ON {same}
            WHERE known.{keys[0]} IS NULL OR known.is_withdrawn OR {differs}
            UNION ALL
            SELECT {", ".join(f"known.{name}" for name in names)}, TRUE
            FROM (SELECT * FROM {table.fullname} WHERE {scope}) AS known
            WHERE NOT known.is_withdrawn AND NOT EXISTS (SELECT 1 FROM {wanted} AS wanted WHERE {same})
            """,
            f"changed_{table.name}",
        )
        if not self.tx.execute(text(f"SELECT 1 FROM {changes} LIMIT 1")).first():
            return
        self.is_changed = True
        known = f"EXISTS (SELECT 1 FROM {changes} AS wanted WHERE {same})"
        self.tx.execute(text(f"DELETE FROM {table.fullname} AS known WHERE {known}"))
        self.tx.execute(
            text(f"""
                INSERT INTO {table.fullname} ({", ".join(names)}, is_withdrawn, publication)
                SELECT {", ".join(names)}, is_withdrawn, :publication FROM {changes}
            """),
            {"publication": self.number},
        )


def key_columns(table: Table) -> list[Column[Any]]:
    """Give the columns of the key of a published table, which its first index names."""
    return [table.columns[name] for name in table.info["key"]]


@contextmanager
def publication(tx: Connection, database: Database, *, changed_by: str, now: datetime) -> Iterator[Publication]:
    """Begin the publication of this transaction; nothing but published tables may be changed after it.

    Its time is `now`, but not before that of the publication before it. The row in `publications` is written only if
    something was published.
    """
    database.lock_publications(tx)
    newest = text(f"SELECT publication, changed_at FROM {publications.fullname} ORDER BY publication DESC LIMIT 1")
    last = tx.execute(newest).first()
    # The clock was read before the locks were waited for, perhaps on another machine.
    number, moment = (last.publication + 1, max(now, last.changed_at)) if last else (1, now)
    made = Publication(tx, database, number, changed_by, moment)
    yield made
    if made.is_changed:
        values = {"publication": made.number, "changed_by": changed_by, "changed_at": made.now}
        tx.execute(insert(publications).values(values))
