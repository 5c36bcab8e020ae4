"""The whole thing on one machine, until Ctrl-C: Airflow with its pages, buckets, queues, the vendor, and a trickle.

Every few seconds another session of the invented world is over: its files reach the buckets, which ring, its records
turn up in the vendor's API, and the vendor posts its webhooks. `make up` runs it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from rich.console import Console
from sqlalchemy import text

from roomledger.ledger.database import Database
from sandbox.dataset import World, generate
from sandbox.hundredms_api.webhooks import post
from sandbox.live_traffic import Part, emptied, parts, tell
from sandbox.servers.airflow import Airflow, AirflowFailed, airflow
from sandbox.servers.installation import QUEUE, SECRET, SECRET_HEADER, Installation, installed
from sandbox.servers.upload import Put, uploads

FOLDER = Path(__file__).parent.parent / ".work" / "up"
POOLS = {"roomledger_collect": 4, "roomledger_load": 2}
_TOLD_EVERY_S = 15

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Trickle:
    """What lets sessions happen."""

    place: Installation
    running: Airflow
    put: Put
    pool: ThreadPoolExecutor

    def happen(self, part: Part) -> None:
        """Let a session be over: its files are written, its records told, and its events posted."""
        [told] = [one for one in self.place.vendor.workspaces if one.name == part.workspace.name]
        tell(part, told)
        for _ in self.pool.map(self.put, part.objects):
            pass
        url = f"{self.running.endpoint}/roomledger/webhooks/{told.source}"
        for event in part.events:
            self.pool.submit(post, event, url, SECRET_HEADER, SECRET)


def main() -> int:
    """Run it until somebody stops it; give the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--every", type=float, default=5.0, help="seconds from one session to the next")
    every_s = arguments.parse_args().every
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    world = generate()
    try:
        with ExitStack() as stack:
            with console.status("starting buckets, queues, the vendor and Airflow (half a minute)"):
                trickle = _start(world, stack)
            _tell_where(trickle)
            _run(trickle, world, every_s)
    except AirflowFailed as error:
        console.print(str(error), style="red")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped. What was loaded is in", FOLDER / "warehouse.duckdb")
    return 0


def _start(world: World, stack: ExitStack) -> Trickle:
    place = stack.enter_context(installed(world, FOLDER, rings=True))
    place.vendor.workspaces = [emptied(workspace) for workspace in world.workspaces]
    put = stack.enter_context(uploads(world.buckets, place.s3, place.gcs))
    ring(place)
    running = stack.enter_context(airflow(FOLDER / "airflow", POOLS, place.environment, triggers=True))
    pool = stack.enter_context(ThreadPoolExecutor(8, "trickle"))
    stack.callback(pool.shutdown, cancel_futures=True)
    return Trickle(place, running, put, pool)


def ring(place: Installation) -> None:
    """Have the S3 bucket tell the queue of new objects, by Roomledger's own command. Raises AirflowFailed."""
    source = next(bucket.source for bucket in place.world.buckets if bucket.scheme == "s3")
    command = ["bell", "s3", source, "--apply", "--config", str(place.config)]
    keys = {"AWS_ACCESS_KEY_ID": place.s3.access_key, "AWS_SECRET_ACCESS_KEY": place.s3.secret_key}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("roomledger")), *command],
        env=os.environ | place.environment | keys,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AirflowFailed(f"roomledger bell failed for the queue {QUEUE}:\n{done.stdout}{done.stderr}")


def _tell_where(trickle: Trickle) -> None:
    place = trickle.place
    config = place.config.relative_to(Path.cwd()) if place.config.is_relative_to(Path.cwd()) else place.config
    console.print(f"[bold]Airflow[/]      {trickle.running.endpoint}  (no login; DAGs: listen, collect, load)")
    console.print(
        f"[bold]Webhooks[/]     {trickle.running.endpoint}/roomledger/webhooks/{place.world.workspaces[0].source}"
    )
    console.print(f"[bold]Buckets[/]      {', '.join(bucket.url for bucket in place.world.buckets)}")
    console.print(f"[bold]Vendor's API[/] {place.vendor.endpoint}")
    console.print(f"[bold]Logs[/]         {trickle.running.logs}")
    console.print(f"[bold]Look[/]         .venv/bin/roomledger status --config {config}")
    console.print("Ctrl-C stops all of it.\n")


def _run(trickle: Trickle, world: World, every_s: float) -> None:
    """Let the sessions happen; when all are over, another world's begin."""
    told_at = time.monotonic()
    for number in count():
        for part in parts(world):
            began = time.monotonic()
            trickle.happen(part)
            if began - told_at > _TOLD_EVERY_S:
                told_at = began
                console.print(_state(trickle.place.database))
            time.sleep(max(0.0, began + every_s - time.monotonic()))
        world = generate(seed=101 + number)


def _state(database: Database) -> str:
    with database.begin(read_only=True) as tx:
        objects, waiting = tx.execute(text(_COUNTED)).one()
        messages, sentences = (
            tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("chat_messages", "transcript_segments")
        )
        sessions = tx.execute(text("SELECT count(*) FROM sessions")).scalar_one()
    return (
        f"{time.strftime('%H:%M:%S')}  {sessions:,} sessions, {objects:,} objects loaded, {waiting:,} waiting; "
        f"{messages:,} messages, {sentences:,} sentences"
    )


_COUNTED = """
SELECT count(CASE WHEN disposition = 'loaded' THEN 1 END),
       count(CASE WHEN disposition IN ('seen', 'claimed') THEN 1 END)
FROM object_ledger
"""


if __name__ == "__main__":
    sys.exit(main())
