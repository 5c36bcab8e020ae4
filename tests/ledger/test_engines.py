"""The engines' contract: transactions, bulk staging and read-only use behave alike."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from roomledger.ledger.database import Database, WarehouseError, stage_query
from roomledger.ledger.duckdb import DuckDB
from roomledger.ledger.postgres import PostgreSQL
from tests.warehouses import contents, fetch

ROWS = pa.table(
    {
        "name": ["plain", None, "", 'quote " comma , newline \n', "\\N", "\\x41", "नमस्ते 👋\u200f", "'"],
        "number": pa.array([1, None, -3, 2**62, 0, 5, 6, 7], pa.int64()),
        "real": pa.array([1.5, None, 0.1, 1e300, -0.0, 5, 6, 7], pa.float64()),
        "moment": pa.array(
            [datetime(2026, 3, 1, 23, 59, 59, 999_999, UTC), None, datetime(1, 1, 1, tzinfo=UTC)]
            + [datetime(2026, 7, 1, tzinfo=UTC)] * 5,
            pa.timestamp("us", tz="UTC"),
        ),
        "raw": pa.array([b"\x00\xff", None, b"", b"\\x", b",", b"\n", b'"', b"'"], pa.binary()),
    }
)


def open_once(database: Database, *, read_only: bool = False) -> None:
    with database.begin(read_only=read_only):
        pass


def test_staged_rows_are_read_as_they_were_written(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "o'rows.parquet"
    pq.write_table(ROWS, file, row_group_size=3)
    for rows in (ROWS, file):
        with database.begin() as tx:
            found = tx.execute(text(f"SELECT * FROM {database.stage(tx, rows, 'rows')}")).all()
        assert sorted(map(tuple, found), key=repr) == sorted((tuple(r.values()) for r in ROWS.to_pylist()), key=repr)


def test_empty_rows_can_be_staged(database: Database) -> None:
    with database.begin() as tx:
        staged = database.stage(tx, ROWS.schema.empty_table(), "rows")
        assert tx.execute(text(f"SELECT count(*) FROM {staged}")).scalar_one() == 0


def test_tables_staged_under_one_label_stay_apart(database: Database) -> None:
    with database.begin() as tx:
        first, second = (database.stage(tx, ROWS.slice(0, size), "rows") for size in (1, 2))
        copied = stage_query(tx, f"SELECT * FROM {second}", "rows")
        counts = [tx.execute(text(f"SELECT count(*) FROM {one}")).scalar_one() for one in (first, second, copied)]
    assert counts == [1, 2, 2]


def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    with database.begin() as tx:
        tx.execute(text("CREATE TABLE numbers (n INTEGER)"))

    def fail_half_way() -> None:
        with database.begin() as tx:
            tx.execute(text("INSERT INTO numbers VALUES (1)"))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail_half_way()
    with database.begin() as tx:
        assert tx.execute(text("SELECT count(*) FROM numbers")).scalar_one() == 0


def test_a_read_only_transaction_rejects_writes(database: Database) -> None:
    with database.begin() as tx:
        tx.execute(text("CREATE TABLE numbers (n INTEGER)"))
    with pytest.raises(DBAPIError), database.begin(read_only=True) as tx:
        tx.execute(text("INSERT INTO numbers VALUES (1)"))
    with database.begin() as tx:
        assert tx.execute(text("SELECT count(*) FROM numbers")).scalar_one() == 0


def test_a_file_that_another_process_has_locked_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "locked.duckdb"
    lock = (
        "import duckdb, sys, time; locked = duckdb.connect(sys.argv[1]); print('locked', flush=True);"
        " time.sleep(float(sys.argv[2]))"
    )
    with subprocess.Popen([sys.executable, "-c", lock, path, "1"], stdout=subprocess.PIPE) as locker:
        assert locker.stdout
        locker.stdout.readline()
        with DuckDB(f"duckdb:///{path}").begin() as tx:
            assert tx.execute(text("SELECT 1")).scalar_one() == 1
    with subprocess.Popen([sys.executable, "-c", lock, path, "60"], stdout=subprocess.PIPE) as locker:
        assert locker.stdout
        locker.stdout.readline()
        with pytest.raises(WarehouseError, match="another process has held"):
            open_once(DuckDB(f"duckdb:///{path}", lock_wait_s=0.3))
        locker.kill()


def test_the_error_of_a_warehouse_that_cannot_be_opened_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="roomledger init"):
        open_once(DuckDB(f"duckdb:///{tmp_path}/none.duckdb"), read_only=True)
    (tmp_path / "text.duckdb").write_text("this is no database, however long it goes on" * 1000)
    with pytest.raises(WarehouseError, match="cannot be opened"):
        open_once(DuckDB(f"duckdb:///{tmp_path}/text.duckdb"))
    with pytest.raises(WarehouseError, match="does not answer") as caught:
        open_once(PostgreSQL("postgresql+psycopg://someone:hush@127.0.0.1:1/nowhere"))
    assert "hush" not in str(caught.value)


def fill_observations(database: Database, rows: int) -> None:
    with database.begin() as tx:
        tx.execute(
            text(f"""
                INSERT INTO observations (object_id, source, observed_by, kind, observed_at)
                SELECT 'object ' || n, 'acme', 'listing', 'exists', CURRENT_TIMESTAMP
                FROM generate_series(1, {rows}) AS numbers (n)
            """)
        )


def test_statistics_are_collected_once_for_a_table_that_has_doubled(ready_postgres: Callable[[], Database]) -> None:
    database = ready_postgres()

    def analyzed() -> dict[str, int]:
        query = "SELECT relname, reltuples FROM pg_class WHERE relname IN ('observations', 'loads')"
        return {name: round(rows) for name, rows in fetch(database, query)}

    database.analyze()
    assert analyzed() == {"observations": -1, "loads": -1}, "small tables need none"
    expected = {20_000: 20_000, 10_000: 20_000, 15_000: 45_000}
    for more, known in expected.items():
        fill_observations(database, more)
        database.analyze()
        assert analyzed() == {"observations": known, "loads": -1}


def test_collecting_statistics_changes_no_row_and_waits_for_nobody(ready: Database) -> None:
    fill_observations(ready, 20_000)
    before = contents(ready)
    if isinstance(ready, PostgreSQL):
        with ready.begin() as tx:
            tx.exec_driver_sql("LOCK TABLE observations IN SHARE UPDATE EXCLUSIVE MODE")  # as another ANALYZE does
            ready.analyze()
    ready.analyze()
    assert contents(ready) == before
