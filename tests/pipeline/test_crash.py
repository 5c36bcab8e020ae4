"""A crash at any point, then a rerun, gives the tables of a run without the crash: real processes, really killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from roomledger.ledger.database import Database
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.settings import Source
from sandbox.dataset import generate
from tests.folders import source_of, store_of, write_dataset
from tests.warehouses import Tables, contents, execute, fetch

CRASHING = """
import os, signal, sys, threading
from sqlalchemy import Engine, event
from roomledger.cli.main import app

left, seconds = int(sys.argv.pop(1)), float(sys.argv.pop(1))

def count(*_):
    global left
    left -= 1
    if left == 0:
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()

event.listen(Engine, "before_cursor_execute", count)
app()
"""
"""The command line, killed so many seconds after so many statements: on any machine during its work."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """A small dataset in folders."""
    dataset = generate(sessions=6)
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(dataset.objects, folder)
    return [
        source_of(folder / bucket.source, name=bucket.source, customer=bucket.customer) for bucket in dataset.buckets
    ]


def run_to_the_end(database: Database, sources: list[Source]) -> Tables:
    stores = {source.name: store_of(source) for source in sources}
    for source in sources:
        collect_bucket(database, source, stores[source.name])
    list(load_batches(database, sources, stores))
    return contents(database)


@pytest.fixture(scope="module")
def undisturbed(
    sources: list[Source], ready_duckdb: Callable[[Path], Database], tmp_path_factory: pytest.TempPathFactory
) -> Tables:
    """The tables after a run without a crash."""
    return run_to_the_end(ready_duckdb(tmp_path_factory.mktemp("undisturbed")), sources)


@pytest.mark.parametrize("crashes", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_runs_and_a_last_one_leave_the_tables_of_an_undisturbed_run(
    ready: Database, sources: list[Source], undisturbed: Tables, crashes: int, tmp_path: Path
) -> None:
    config = tmp_path / "roomledger.toml"
    config.write_text(
        f'[warehouse]\nurl = "{ready.url}"\n'
        + "".join(f'[[source]]\nname = "{s.name}"\ncustomer = "{s.customer}"\nurl = "{s.url}"\n' for s in sources)
    )
    chance = random.Random(7)
    killed = 0
    for _ in range(crashes):
        statements, seconds = chance.randint(1, 300), chance.uniform(0, 0.03)
        run = subprocess.run(
            [sys.executable, "-c", CRASHING, str(statements), str(seconds), "run", "--batch", "5"],
            env=os.environ | {"ROOMLEDGER_CONFIG": str(config)},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        killed += run.returncode == -signal.SIGKILL
        # As five minutes later: the claims of killed processes expire.
        execute(ready, "UPDATE object_ledger SET lease_until = first_seen_at WHERE disposition = 'claimed'")
    assert killed, "every run was done before it could be killed"
    assert fetch(ready, "SELECT count(*) FROM loads") > [(0,)], "every run was killed before it could load"

    assert run_to_the_end(ready, sources) == undisturbed
    unbalanced = "SELECT count(*) FROM object_ledger WHERE disposition IN ('seen', 'claimed')"
    assert fetch(ready, unbalanced) == [(0,)]
