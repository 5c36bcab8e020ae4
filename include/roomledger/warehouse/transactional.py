"""Facts in DuckDB or PostgreSQL: in the ledger's own database, or in another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, text

from roomledger.ledger import migrate
from roomledger.ledger.changes import newest_publication
from roomledger.ledger.database import QUERY_TIME_S, Database, Row, stage_ids
from roomledger.ledger.tables.ledger import loads
from roomledger.ledger.tables.objects import objects, publications
from roomledger.ledger.tables.resolved import RESOLVED
from roomledger.warehouse import setup
from roomledger.warehouse.tables import FACTS, appended_loads

if TYPE_CHECKING:
    import pyarrow as pa


class DatabaseFacts:
    """The facts side in a database with transactions: each verb is one."""

    def __init__(self, database: Database, *, in_ledger: bool) -> None:
        """`in_ledger` means that `database` is the ledger's own."""
        self.database = database
        self.in_ledger = in_ledger
        self.dialect = "duckdb" if database.url.startswith("duckdb") else "postgres"

    def ensure(self, installation_id: str, published: int = 0) -> None:
        """See `Facts`."""
        setup.upgrade(self.database, setup.FACTS_SIDE, installation_id, published)

    def require_current(self, installation_id: str | None = None) -> None:
        """See `Facts`."""
        side = setup.BOTH if self.in_ledger else setup.FACTS_SIDE
        migrate.require_current(self.database, side.name, installation_id)

    def append(self, files: Mapping[Table, Path], load_id: str, tx: Connection | None = None) -> None:
        """See `Facts`."""
        with nullcontext(tx) if tx else self.database.begin() as own:
            if not tx:
                known = text(f"SELECT 1 FROM {appended_loads.fullname} WHERE load_id = :load_id")
                if own.execute(known, {"load_id": load_id}).first():
                    return
                own.execute(appended_loads.insert().values(load_id=load_id))
            for table, path in files.items():
                self.database.append(own, table, path)

    def published(self) -> int:
        """See `Facts`."""
        with self.database.begin(read_only=True) as tx:
            return newest_publication(tx)

    def publish(self, changes: Mapping[Table, pa.Table]) -> None:
        """See `Facts`."""
        with self.database.begin() as tx:
            self.database.lock_publications(tx)
            for table, rows in changes.items():
                if rows.num_rows:
                    staged = self.database.stage(tx, rows, table.name)
                    for statement in _STATEMENTS[table]:
                        tx.execute(text(statement.format(staged=staged)))

    def vacuum(
        self,
        loads: Sequence[str] = (),
        rows: pa.Table | None = None,
        versions: pa.Table | None = None,
        tx: Connection | None = None,
    ) -> Mapping[str, int]:
        """See `Facts`."""
        deleted: dict[str, int] = {}
        with nullcontext(tx) if tx else self.database.begin() as own:
            conditions = []
            if loads:
                dead = stage_ids(own, self.database, loads, "load_id")
                conditions.append(f"load_id IN (SELECT load_id FROM {dead})")
            if rows is not None and rows.num_rows:
                gone = self.database.stage(own, rows, "gone")
                same = "gone.object_id = fact.object_id AND gone.load_id = fact.load_id"
                conditions.append(f"EXISTS (SELECT 1 FROM {gone} AS gone WHERE {same})")
            for table, condition in product(FACTS, conditions):
                done = own.execute(text(f"DELETE FROM {table.fullname} AS fact WHERE {condition}"))
                deleted[table.name] = deleted.get(table.name, 0) + max(done.rowcount, 0)
            if versions is not None and versions.num_rows:
                old = self.database.stage(own, versions, "versions")
                own.execute(text(_FORGET.format(old=old)))
        return deleted

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, time_limit_s: float = QUERY_TIME_S
    ) -> Sequence[Row]:
        """See `Facts`."""
        return self.database.query(sql, parameters, time_limit_s=time_limit_s)


_FORGET = f"""
DELETE FROM {objects.fullname} AS objects
WHERE NOT is_current AND EXISTS (
    SELECT 1 FROM {{old}} AS old WHERE old.uri = objects.uri AND old.publication = objects.publication
)
"""


def _upsert(table: Table, keys: Sequence[str]) -> tuple[str, ...]:
    """Build the statements that keep of each key the row with the highest publication."""
    names = ", ".join(one.name for one in table.columns)
    cells = ", ".join(_cell(table, one.name) for one in table.columns)
    same = " AND ".join(f"known.{key} = staged.{key}" for key in keys)
    older = f"""
        DELETE FROM {table.fullname} AS known WHERE EXISTS (
            SELECT 1 FROM {{staged}} AS staged WHERE {same} AND staged.publication > known.publication
        )
    """
    newer = f"""
        INSERT INTO {table.fullname} ({names}) SELECT {cells} FROM {{staged}} AS staged
        WHERE NOT EXISTS (SELECT 1 FROM {table.fullname} AS known WHERE {same})
    """
    return older, newer


def _cell(table: Table, name: str) -> str:
    return f"CAST(staged.{name} AS JSON)" if name in _JSON[table] else f"staged.{name}"


_JSON = {table: {one.name for one in table.columns if "JSON" in str(one.type).upper()} for table in RESOLVED}
_JSON |= {objects: set(), publications: set(), loads: set()}

# Of every object that changed, the version with the highest publication is the current one.
_MARK_CURRENT = f"""
UPDATE {objects.fullname} AS objects SET is_current = (objects.publication = newest.publication)
FROM (
    SELECT uri, max(publication) AS publication FROM {objects.fullname}
    WHERE uri IN (SELECT uri FROM {{staged}}) GROUP BY uri
) AS newest
WHERE newest.uri = objects.uri AND is_current <> (objects.publication = newest.publication)
"""

_STATEMENTS: dict[Table, tuple[str, ...]] = {
    objects: (_upsert(objects, ("uri", "publication"))[1], _MARK_CURRENT),
    loads: _upsert(loads, ("load_id",))[1:],
    publications: _upsert(publications, ("publication",))[1:],
    **{table: _upsert(table, table.info["key"]) for table in RESOLVED},
}
