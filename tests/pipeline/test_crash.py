"""A crash at any point, then a rerun, gives the tables of a run without the crash: real processes, really killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from roomledger.ledger.database import Database
from roomledger.settings import Source
from tests.pipeline.loading import run
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


@pytest.mark.parametrize("crashes", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_runs_and_a_last_one_leave_the_tables_of_an_undisturbed_run(
    ready: Database, dataset_sources: tuple[Source, ...], undisturbed: Tables, crashes: int, tmp_path: Path
) -> None:
    config = tmp_path / "roomledger.toml"
    config.write_text(
        f'[warehouse]\nurl = "{ready.url}"\n'
        + "".join(
            f'[[source]]\nname = "{s.name}"\ncustomer = "{s.customer}"\nurl = "{s.url}"\n' for s in dataset_sources
        )
    )
    chance = random.Random(7)
    killed = 0
    for _ in range(crashes):
        statements, seconds = chance.randint(1, 300), chance.uniform(0, 0.03)
        done = subprocess.run(
            [sys.executable, "-c", CRASHING, str(statements), str(seconds), "run", "--batch", "5"],
            env=os.environ | {"ROOMLEDGER_CONFIG": str(config)},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        killed += done.returncode == -signal.SIGKILL
        # As five minutes later: the claims of killed processes expire.
        execute(ready, "UPDATE object_ledger SET lease_until = first_seen_at WHERE disposition = 'claimed'")
    assert killed, "every run was done before it could be killed"
    assert fetch(ready, "SELECT count(*) FROM loads") > [(0,)], "every run was killed before it could load"

    run(ready, *dataset_sources)
    assert contents(ready) == undisturbed
    unbalanced = "SELECT count(*) FROM object_ledger WHERE disposition IN ('seen', 'claimed')"
    assert fetch(ready, unbalanced) == [(0,)]
