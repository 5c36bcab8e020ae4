"""Facts and ledger in two databases: whatever dies, nothing is lost, doubled or half visible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from roomledger.ledger.database import Database
from roomledger.ledger.duckdb import DuckDB
from roomledger.ledger.postgres import PostgreSQL
from roomledger.warehouse import setup
from roomledger.warehouse.tables import FACTS, appended_loads
from roomledger.warehouse.transactional import DatabaseFacts
from tests.contracts.histories import run_schedule

TOGETHER, GROUPS, MANY = 5, 12, 100
"""Schedules in one test, tests in the default run, and with the slow ones."""


@pytest.fixture(scope="module")
def ledger(new_database: Callable[[], str]) -> Database:
    """A ledger in PostgreSQL, without tables of records."""
    made = PostgreSQL(new_database())
    setup.upgrade(made, setup.LEDGER_SIDE)
    return made


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> DatabaseFacts:
    """Facts in DuckDB."""
    made = DatabaseFacts(DuckDB(f"duckdb:///{tmp_path_factory.mktemp('facts')}/facts.duckdb"), in_ledger=False)
    made.ensure("installation")
    return made


def empty(ledger: Database, facts: DatabaseFacts) -> None:
    """Delete all rows of both sides."""
    for database, side in ((ledger, setup.LEDGER_SIDE), (facts.database, setup.FACTS_SIDE)):
        with database.begin() as tx:
            for table in side.tables:
                tx.execute(table.delete())


@pytest.mark.parametrize(
    "group", [pytest.param(one, marks=[pytest.mark.slow] if one >= GROUPS else []) for one in range(MANY)]
)
def test_no_crash_loses_doubles_or_halves_a_row(
    ledger: Database, facts: DatabaseFacts, tmp_path: Path, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = hangs = 0
    for seed in range(group * TOGETHER, (group + 1) * TOGETHER):
        empty(ledger, facts)
        world = run_schedule(ledger, facts, tmp_path / f"bucket{seed}", seed, monkeypatch)
        crashes += world.crashes
        hangs += world.hangs
    assert crashes
    assert hangs


def test_the_sides_together_hold_every_table_once() -> None:
    shared = set(setup.LEDGER_SIDE.tables) & set(setup.FACTS_SIDE.tables)
    assert not shared & {*FACTS, appended_loads}
    assert set(setup.LEDGER_SIDE.tables) | set(setup.FACTS_SIDE.tables) == set(setup.BOTH.tables)
