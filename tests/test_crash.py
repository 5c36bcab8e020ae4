"""A crash at any point, then a rerun, gives the tables of a run without the crash: real processes, really killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from demo.world import generate
from roomledger import pipeline
from roomledger.warehouse import Warehouse, migrate
from roomledger.warehouse.duck import DuckWarehouse
from tests.worlds import ask, change, contents, lay_out, source_of, store_of

CRASHES = 8


def test_runs_that_are_killed_leave_the_tables_of_a_run_that_was_not(ready: Warehouse, tmp_path: Path) -> None:
    world = generate(sessions=6)
    lay_out(world.objects, tmp_path / "world")
    sources = [
        source_of(tmp_path / "world" / bucket.source, name=bucket.source, customer=bucket.customer)
        for bucket in world.buckets
    ]
    config = tmp_path / "roomledger.toml"
    config.write_text(
        f'[warehouse]\nurl = "{ready.url}"\n'
        + "".join(f'[[source]]\nname = "{s.name}"\ncustomer = "{s.customer}"\nurl = "{s.url}"\n' for s in sources)
    )
    chance = random.Random(7)
    killed = 0
    for _ in range(CRASHES):
        run = subprocess.Popen(
            [sys.executable, "-c", "from roomledger.cli import app; app()", "run", "--batch", "5"],
            env=os.environ | {"ROOMLEDGER_CONFIG": str(config)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(chance.uniform(1.0, 3.0))
        os.killpg(run.pid, signal.SIGKILL)
        killed += run.wait() == -signal.SIGKILL
        # What five minutes would do: the claims of the dead come free.
        change(ready, "UPDATE object_ledger SET lease_until = first_seen_at WHERE disposition = 'claimed'")
    assert killed, "every run was done before it could be killed"

    undisturbed = DuckWarehouse(f"duckdb:///{tmp_path}/undisturbed.duckdb")
    migrate.upgrade(undisturbed)
    for warehouse in (ready, undisturbed):
        stores = {source.name: store_of(source) for source in sources}
        for source in sources:
            pipeline.collect(warehouse, source, stores[source.name])
        list(pipeline.load(warehouse, sources, stores))
    assert contents(ready) == contents(undisturbed)
    unbalanced = "SELECT count(*) FROM object_ledger WHERE disposition IN ('seen', 'claimed')"
    assert ask(ready, unbalanced) == [(0,)]
