"""Freshness: seconds from the write of an object until it is seen, claimed and queryable, per notification path.

The write time is the moment at which the store acknowledges the write, by this process's clock: S3 reports times of
objects in whole seconds only. The view `freshness` has the other times. An object counts as queryable from the start of
the transaction that inserted its rows. The rows are visible when that transaction ends: 0.1 s later on PostgreSQL and
0.4 s later on DuckDB, measured on two busy cores.
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
from benchmarks.freshness_results import ObjectTimes, PathResult, cpu_table, plot, times_table
from benchmarks.notification_paths import NotificationPath, running_installation
from roomledger.ledger.database import Database
from sandbox.servers import postgres_server

FOLDER = Path(__file__).parent.parent / ".work" / "freshness"
PER_SECOND = 2.0
SECONDS = 300.0
TIMEOUT_S = 120.0
"""Wait for the last object at most this long; what is not queryable then counts as missing."""
IDLE_S = 30.0
"""Duration of the measurement of CPU use without load."""
_POLL_S = 2.0


def write_objects(path: NotificationPath, numbers: range, per_second: float) -> dict[str, float]:
    """Write these objects at a constant rate and notify of each; return the write time of each URL.

    A slow write does not delay the schedule of the later ones.
    """
    written = {}
    began = time.monotonic()
    for index, number in enumerate(numbers):
        time.sleep(max(0.0, began + index / per_second - time.monotonic()))
        uri = path.write(number)
        written[uri] = time.time()
        path.notify(uri)
    return written


def read_times(tx: Connection, written: Mapping[str, float]) -> list[ObjectTimes]:
    """Read from the warehouse how far these objects, given by URL and write time, have come."""
    rows = {row.uri: row for row in tx.execute(_TIMES, {"uris": list(written)})}

    def times(uri: str, written_at: float) -> ObjectTimes:
        row = rows.get(uri)
        moments = (row.seen_at, row.claimed_at, row.queryable_at) if row else (None, None, None)
        seconds = (None if moment is None else moment.timestamp() - written_at for moment in moments)
        return ObjectTimes(uri, written_at, row.seen_by if row else None, *seconds)

    return [times(uri, written_at) for uri, written_at in written.items()]


# Objects that wait are in the ledger, not in the view. Of several versions of a URL the oldest counts: it comes last.
_TIMES = text("""
SELECT ledger.uri, ledger.first_seen_at AS seen_at, ledger.first_seen_by AS seen_by,
       freshness.claimed_at, freshness.queryable_at
FROM object_ledger AS ledger LEFT JOIN freshness ON freshness.object_id = ledger.object_id
WHERE ledger.uri IN :uris ORDER BY ledger.modified_at DESC
""").bindparams(bindparam("uris", expanding=True))


def await_queryable(database: Database, written: Mapping[str, float], timeout_s: float) -> list[ObjectTimes]:
    """Wait until all objects are queryable or the time is up; return their times."""
    deadline = time.monotonic() + timeout_s
    while True:
        with database.begin(read_only=True) as tx:
            found = read_times(tx, written)
        if all(one.queryable_s is not None for one in found) or time.monotonic() > deadline:
            return found
        time.sleep(_POLL_S)


def measure(
    paths: Sequence[NotificationPath],
    database: Database,
    folder: Path,
    *,
    per_second: float = PER_SECOND,
    seconds: float = SECONDS,
    timeout_s: float = TIMEOUT_S,
    idle_s: float = IDLE_S,
    extra_roots: Collection[int] = (),
    console: Console,
) -> int:
    """Measure one notification path after the other; print the results and write them to the folder as JSON and SVG.

    CPU use covers this process, the processes in `extra_roots`, and all their descendants. The exit code is 1 if an
    object did not become queryable, or if other channels reported more than a few objects of a path first.
    """
    with console.status("warming up: one object per notification path, not measured"):
        for path in paths:
            await_queryable(database, write_objects(path, range(1), per_second), timeout_s)
        time.sleep(idle_s / 2)
    with console.status(f"measuring CPU use without load for {idle_s:g} s"), _cpu_percent(extra_roots) as idle_percent:
        time.sleep(idle_s)
    numbers = range(1, 1 + round(per_second * seconds))
    results = []
    for path in paths:
        with (
            console.status(f"{path.name}: {per_second:g} objects per second for {seconds:g} s"),
            _cpu_percent(extra_roots) as load_percent,
        ):
            written = write_objects(path, numbers, per_second)
        with console.status(f"{path.name}: waiting for the last objects"):
            objects = await_queryable(database, written, timeout_s)
        results.append(PathResult(path.name, path.observed_by, objects, load_percent))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "freshness.svg").write_text(plot(results, per_second, seconds), "utf-8")
    report = {
        "objects_per_second": per_second,
        "seconds": seconds,
        "idle_cpu_percent": idle_percent,
        "paths": [asdict(result) for result in results],
    }
    (folder / "freshness.json").write_text(json.dumps(report, indent=1), "utf-8")
    console.print(times_table(results), cpu_table(idle_percent, results))
    console.print(f"Written: {folder / 'freshness.svg'}, {folder / 'freshness.json'}", highlight=False, soft_wrap=True)
    return int(any(result.failed for result in results))


@contextmanager
def _cpu_percent(extra_roots: Collection[int]) -> Iterator[dict[str, float]]:
    """Yield a dict that holds, after the block, the CPU use of each component during the block."""
    percent: dict[str, float] = {}
    before, began = cpu.cpu_seconds(extra_roots=extra_roots), time.monotonic()
    yield percent
    percent |= cpu.percent_of_core(before, cpu.cpu_seconds(extra_roots=extra_roots), time.monotonic() - began)


def main() -> int:
    """Start an installation and measure it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.freshness", description=__doc__)
    parser.add_argument("--per-second", type=float, default=PER_SECOND, help="objects per second, default %(default)s")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="seconds per path, default %(default)s")
    parser.add_argument("--postgres", action="store_true", help="load into PostgreSQL instead of a DuckDB file")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with ExitStack() as stack:
        extra_roots, url = set(), None
        if options.postgres:
            # PostgreSQL that root starts runs as another user, who cannot enter every folder.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roomledger-freshness-")))
            folder.chmod(0o755)
            url = stack.enter_context(postgres_server(folder)).new_database()
            extra_roots.add(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))
        with console.status("starting buckets, queues, simulated 100ms API and Airflow (half a minute)"):
            database, paths = stack.enter_context(running_installation(FOLDER / "installation", url))
        return measure(
            paths,
            database,
            FOLDER,
            per_second=options.per_second,
            seconds=options.seconds,
            extra_roots=extra_roots,
            console=console,
        )


if __name__ == "__main__":
    sys.exit(main())
