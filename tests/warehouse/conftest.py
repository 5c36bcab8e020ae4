"""A DuckDB warehouse with the demo's rows and random ones, and ClickHouse with the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from roomledger.ledger.database import Database
from roomledger.ledger.duckdb import DuckDB
from roomledger.ledger.tables.columns import metadata
from roomledger.warehouse.dialects import translate
from roomledger.warehouse.views import VIEWS, query_of
from sandbox.dataset import MINIMUM_SESSIONS, generate
from tests.folders import source_of, write_dataset
from tests.pipeline.loading import run
from tests.sandbox.test_webhooks_beside_api import insert_all_events, upsert_all_records
from tests.warehouse.clickhouse import ClickHouse, open_clickhouse
from tests.warehouse.random_rows import insert_random_rows


@pytest.fixture(scope="session")
def filled(ready_duckdb: Callable[[Path], Database], tmp_path_factory: pytest.TempPathFactory) -> Database:
    folder = tmp_path_factory.mktemp("filled")
    database = DuckDB(ready_duckdb(folder).url, memory_mb=1000)
    dataset = generate(sessions=MINIMUM_SESSIONS)
    write_dataset(dataset.objects, folder)
    run(database, *(source_of(folder / one.source, name=one.source, customer=one.customer) for one in dataset.buckets))
    with database.begin() as tx:
        for bucket in dataset.buckets:  # the API names the objects by their addresses in a cloud
            moved = {"folder": f"file://{folder / bucket.source}/", "cloud": f"{bucket.scheme}://{bucket.name}/"}
            for table in ("object_ledger", "roomledger_raw.objects", "refusals"):
                tx.execute(text(f"UPDATE {table} SET uri = replace(uri, :folder, :cloud)"), moved)
    insert_all_events(database, dataset)
    upsert_all_records(database, dataset)
    with database.begin() as tx:
        insert_random_rows(tx, seed=4)
    return database


@pytest.fixture(scope="session")
def clickhouse(filled: Database) -> Iterator[ClickHouse]:
    with open_clickhouse() as opened:
        with filled.begin(read_only=True) as tx:
            for table in metadata.sorted_tables:
                opened.copy(tx, table)
        for view in VIEWS:
            opened.create_view(view.name, translate(query_of(view), "clickhouse"))
        yield opened
