"""Whatever happens, in whatever order: after every step the views show what the oracle computes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from roomledger.ledger.database import Database
from tests.random_stories import settings_in, story
from tests.stories import Change, Step, play
from tests.warehouse.oracle.comparison import count_cases, differences
from tests.warehouses import delete_all_rows

SAMPLE = (8, 19, 23, 37)
"""Numbers of stories in which every case of `odd_cases.sql` occurs."""
_SCENES = 20
_NUMBERS = st.integers(0, (1 << 32) - 1)


def check(
    database: Database, folder: Path, scenes: Iterable[int], watch: Callable[[Connection], None] = lambda tx: None
) -> None:
    """Play a story in an empty warehouse; compare the views with the oracle after every step."""

    def compare(step: Step) -> None:
        if not isinstance(step, Change):
            with database.begin(read_only=True) as tx:
                found = differences(tx)
                assert not found, "\n".join([str(step), *found])
                watch(tx)

    delete_all_rows(database)
    shutil.rmtree(folder, ignore_errors=True)
    play(database, settings_in(folder, database.url), story(scenes), after=compare)


def scenes_of(number: int) -> list[int]:
    """The scenes of a story of the sample."""
    chance = Random(number)
    return [chance.randrange(1 << 32) for _ in range(_SCENES)]


@pytest.mark.parametrize("ready", ["postgres"], indirect=True)
def test_the_views_show_what_the_oracle_computes_in_every_odd_case(ready: Database, tmp_path: Path) -> None:
    missing: set[str] | None = None

    def watch(tx: Connection) -> None:
        nonlocal missing
        if missing != set():
            counts = count_cases(tx)
            missing = {name for name in missing or counts if not counts[name]}

    for number in SAMPLE:
        check(ready, tmp_path / "sources", scenes_of(number), watch)
    assert missing == set(), "no step of the sample has these cases: choose other stories"


@pytest.mark.parametrize("ready", ["duckdb"], indirect=True)
def test_the_views_show_what_the_oracle_computes_on_duckdb(ready: Database, tmp_path: Path) -> None:
    check(ready, tmp_path / "sources", scenes_of(SAMPLE[0])[:12])


@pytest.mark.slow
@given(scenes=st.lists(_NUMBERS, min_size=10, max_size=40))
@settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=set(Phase) - {Phase.explain},
)
def test_the_views_show_what_the_oracle_computes_at_great_length(
    ready: Database, tmp_path: Path, scenes: list[int]
) -> None:
    check(ready, tmp_path / "sources", scenes)
