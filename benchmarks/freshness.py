"""Freshness: how long after it was written an object is seen, claimed and queryable, by each doorbell.

An object counts as written when the store has answered the request that writes it, by the clock of who asked: the time
that a store gives an object is whole seconds on S3. When it was seen, claimed and queryable, the warehouse says (the
view `freshness`). Queryable is when the transaction that brought its rows began: they can be seen when it has ended,
which took 0.1 s on PostgreSQL and 0.4 s on DuckDB on two processors that had other work to do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from sqlalchemy import Connection, bindparam, text

from benchmarks import cpu
from benchmarks.notification_paths import running
from benchmarks.rounds import Arrival, Doorbell, Round, cpu_table, draw, times_table
from roomledger.ledger.database import Database
from sandbox.servers.postgres import postgres_server

FOLDER = Path(__file__).parent.parent / ".work" / "freshness"
PER_SECOND = 2.0
SECONDS = 300.0
PATIENCE_S = 120.0
"""How long the last object may take, before what is not there counts as missing."""
REST_S = 30.0
"""How long the idle installation's use of the processor is measured."""
_ASKED_EVERY_S = 2.0


def write(doorbell: Doorbell, numbers: range, per_second: float) -> dict[str, float]:
    """Write these objects and ring, each at its time however long the one before took; give when each was written."""
    written = {}
    began = time.monotonic()
    for place, number in enumerate(numbers):
        time.sleep(max(0.0, began + place / per_second - time.monotonic()))
        uri = doorbell.write(number)
        written[uri] = time.time()
        doorbell.ring(uri)
    return written


def arrivals(tx: Connection, written: Mapping[str, float]) -> list[Arrival]:
    """Read how the objects of these addresses, written at these times, have fared by now."""
    rows = {row.uri: row for row in tx.execute(_FARED, {"uris": list(written)})}

    def fared(uri: str, at: float) -> Arrival:
        row = rows.get(uri)
        times = (row.seen_at, row.claimed_at, row.queryable_at) if row else (None, None, None)
        seen, claimed, queryable = (None if moment is None else moment.timestamp() - at for moment in times)
        return Arrival(uri, at, row.seen_by if row else None, seen, claimed, queryable)

    return [fared(uri, at) for uri, at in written.items()]


# What waits is in the ledger alone. Of several versions of an address the first one that was written counts.
_FARED = text("""
SELECT ledger.uri, ledger.first_seen_at AS seen_at, ledger.first_seen_by AS seen_by,
       freshness.claimed_at, freshness.queryable_at
FROM object_ledger AS ledger LEFT JOIN freshness ON freshness.object_id = ledger.object_id
WHERE ledger.uri IN :uris ORDER BY ledger.modified_at DESC
""").bindparams(bindparam("uris", expanding=True))


def await_all(database: Database, written: Mapping[str, float], patience_s: float) -> list[Arrival]:
    """Wait until all objects are queryable, but no longer than this; give how they fared."""
    deadline = time.monotonic() + patience_s
    while True:
        with database.begin(read_only=True) as tx:
            found = arrivals(tx, written)
        if all(arrival.queryable_s is not None for arrival in found) or time.monotonic() > deadline:
            return found
        time.sleep(_ASKED_EVERY_S)


def measure(
    doorbells: Sequence[Doorbell],
    database: Database,
    folder: Path,
    *,
    per_second: float = PER_SECOND,
    seconds: float = SECONDS,
    patience_s: float = PATIENCE_S,
    rest_s: float = REST_S,
    others: Collection[int] = (),
    console: Console,
) -> int:
    """Ring one doorbell after the other, print the figures and keep them in the folder, as JSON and as a plot.

    What each part uses of the processor is told of all that descends from this process or from one of the `others`.
    Exit code 1 when an object did not become queryable, or another witness saw more than a few of them first.
    """
    with console.status("one object by each, which is not counted: who has just started is slow"):
        for doorbell in doorbells:
            await_all(database, write(doorbell, range(1), per_second), patience_s)
        time.sleep(rest_s / 2)
    with console.status(f"at rest for {rest_s:g} s"), _using(others) as idle:
        time.sleep(rest_s)
    numbers = range(1, 1 + round(per_second * seconds))
    rounds = []
    for doorbell in doorbells:
        with (
            console.status(f"{doorbell.name}: {per_second:g} objects a second for {seconds:g} s"),
            _using(others) as used,
        ):
            written = write(doorbell, numbers, per_second)
        with console.status(f"{doorbell.name}: waiting for the last ones"):
            rounds.append(Round(doorbell.name, doorbell.observed_by, await_all(database, written, patience_s), used))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "freshness.svg").write_text(draw(rounds, per_second, seconds), "utf-8")
    kept = {
        "per_second": per_second,
        "seconds": seconds,
        "cpu_at_rest": idle,
        "rounds": [asdict(one) for one in rounds],
    }
    (folder / "freshness.json").write_text(json.dumps(kept, indent=1), "utf-8")
    console.print(times_table(rounds), cpu_table(idle, rounds))
    console.print(f"Kept: {folder / 'freshness.svg'}, {folder / 'freshness.json'}", highlight=False, soft_wrap=True)
    return int(any(done.failed for done in rounds))


@contextmanager
def _using(others: Collection[int]) -> Iterator[dict[str, float]]:
    """Give what, when the block has ended, holds the percentage of a processor that each part used meanwhile."""
    used: dict[str, float] = {}
    before, began = cpu.used(others=others), time.monotonic()
    yield used
    used |= cpu.percent(before, cpu.used(others=others), time.monotonic() - began)


def main() -> int:
    """Start an installation, measure it, and give the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--per-second", type=float, default=PER_SECOND, help="objects that are written")
    arguments.add_argument("--seconds", type=float, default=SECONDS, help="for how long, by each doorbell")
    arguments.add_argument("--postgres", action="store_true", help="into PostgreSQL, not a DuckDB file")
    given = arguments.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with ExitStack() as stack:
        others, url = set(), None
        if given.postgres:
            # Started by root, PostgreSQL runs as a user of its own, who may not enter every folder.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roomledger-freshness-")))
            folder.chmod(0o755)
            url = stack.enter_context(postgres_server(folder)).new_database()
            others.add(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))
        with console.status("starting buckets, queues, the vendor and Airflow (half a minute)"):
            database, doorbells = stack.enter_context(running(FOLDER / "installation", url))
        return measure(
            doorbells,
            database,
            FOLDER,
            per_second=given.per_second,
            seconds=given.seconds,
            others=others,
            console=console,
        )


if __name__ == "__main__":
    sys.exit(main())
