"""What is measured: steps of the pipeline on a ledger of a given size, each run in a process of its own.

The ledger (`extend`) holds loaded objects of one bucket with the vendor's records of them. Beside it another bucket has
PENDING media objects, which wait.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from benchmarks.growth.bucket import MEDIA_ONLY, OTHER, SOURCE, WORKSPACE, Bucket, asset_record, chats, vendor_records
from benchmarks.growth.statements import recorded
from roomledger import times
from roomledger.ledger.database import BULK, Database
from roomledger.ledger.vendor_records import Record, upsert_records
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import BATCH, load_batch, load_batches
from roomledger.queries.status import read_status
from roomledger.runtime import open_database
from roomledger.settings import DEFAULT_MEMORY_MB, Settings

NEW = 300
"""New objects of a sweep."""
PENDING = BATCH
REKEYED = 1000
_TOGETHER = 10_000
_FILLING_MB = 1024
"""Memory of DuckDB while the ledger is filled, which is not measured."""
_LONG_AGO = timedelta(days=30)

_SETTINGS = """
[warehouse]
url = "{url}"
[[source]]
name = "{source.name}"
customer = "{source.customer}"
url = "{source.url}"
"""


def open_warehouse(url: str, memory_mb: int = DEFAULT_MEMORY_MB) -> Database:
    """Give a warehouse as the settings would."""
    return open_database(Settings(warehouse_url=url, warehouse_memory_mb=memory_mb, sources=()))


def extend(url: str, known: int, size: int) -> None:
    """Extend a ledger of `known` loaded objects to `size` of them by the pipeline; their loads happened long ago."""
    database = open_warehouse(url, _FILLING_MB)
    for start in range(known, size, _TOGETHER):
        _write_records(database, [*vendor_records(range(start, min(size, start + _TOGETHER)))])
    collect_bucket(database, SOURCE, Bucket(range(size)))
    for _ in load_batches(database, [SOURCE], {SOURCE.name: Bucket()}):
        pass
    with database.begin() as tx:
        shift = "claimed_at = claimed_at - :ago, committed_at = committed_at - :ago"
        tx.execute(
            text(f"UPDATE loads SET {shift} WHERE committed_at > :recently"),
            {"ago": _LONG_AGO, "recently": times.utc_now() - _LONG_AGO / 2},
        )
    collect_bucket(database, OTHER, _other())


def _other() -> Bucket:
    return Bucket(range(MEDIA_ONLY, MEDIA_ONLY + PENDING), url=OTHER.url)


def _write_records(database: Database, records: Sequence[Record]) -> Counter[str]:
    """Write the vendor's records as a sync of the workspace does."""
    with database.begin() as tx:
        counts = upsert_records(tx, database, WORKSPACE, records, now=times.utc_now())
    if len(records) >= BULK:
        database.analyze()
    return counts


def _sweep(database: Database, size: int) -> Counter[str]:
    return collect_bucket(database, SOURCE, Bucket(range(size)))


def _sweep_other(database: Database, size: int) -> Counter[str]:
    return collect_bucket(database, OTHER, _other())


def _sweep_new(database: Database, size: int) -> Counter[str]:
    return collect_bucket(database, SOURCE, Bucket(range(size + NEW)))


def _load(database: Database, size: int) -> Counter[str]:
    load = load_batch(database, [OTHER], {OTHER.name: _other()})
    return load.counts if load else Counter()


def _rekey(database: Database, size: int) -> Counter[str]:
    return _write_records(database, [asset_record(number, "other-session") for number in chats(size, REKEYED)])


def _status(database: Database, size: int) -> Counter[str]:
    with database.begin(read_only=True) as tx:
        found = read_status(tx, times.utc_now())
    return Counter({row["disposition"]: row["versions"] for row in found.objects})


def _status_command(database: Database, size: int) -> Counter[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as settings:
        settings.write(_SETTINGS.format(url=database.url, source=SOURCE))
        settings.flush()
        command = [Path(sys.executable).with_name("roomledger"), "status", "--json", "--config", settings.name]
        printed = subprocess.run(command, env=_environment(), check=True, stdout=subprocess.PIPE).stdout
    return Counter({row["disposition"]: row["versions"] for row in json.loads(printed)["objects"]})


def _environment() -> dict[str, str]:
    """A user's Python stores what it compiles."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Measure(NamedTuple):
    """One step, and the counts that it must give at this size."""

    title: str
    grows_with: str
    """What the size is: the objects that are listed, or those that are loaded already."""
    run: Callable[[Database, int], Counter[str]]
    expected: Callable[[int], Mapping[str, int]]
    forgets_statistics: bool = False
    """It is run on tables that were never analyzed."""


MEASURES = {
    "sweep": Measure("sweep, nothing new", "listed", _sweep, lambda size: {"listed": size}),
    "sweep-new": Measure(
        f"sweep, {NEW:,} new", "listed", _sweep_new, lambda size: {"listed": size + NEW, "new_seen": NEW}
    ),
    "sweep-other": Measure(
        f"sweep of another bucket with {PENDING:,}", "loaded", _sweep_other, lambda size: {"listed": PENDING}
    ),
    "load": Measure(f"load of {PENDING:,} media", "loaded", _load, lambda size: {"objects_loaded": PENDING}),
    "load-unanalyzed": Measure(
        f"load of {PENDING:,} media, no statistics",
        "loaded",
        _load,
        lambda size: {"objects_loaded": PENDING},
        forgets_statistics=True,
    ),
    "rekey": Measure(
        f"re-key of {REKEYED:,} chats", "loaded", _rekey, lambda size: {"rekeyed": len(chats(size, REKEYED))}
    ),
    "status": Measure("status, its queries", "loaded", _status, lambda size: {"loaded": size, "seen": PENDING}),
    "status-command": Measure(
        "status, the command", "loaded", _status_command, lambda size: {"loaded": size, "seen": PENDING}
    ),
}


class Run(NamedTuple):
    """One run of a measure."""

    seconds: float
    peak_mb: float
    """Peak resident memory of the process, the server of PostgreSQL not included."""
    statements: str
    """Where the time went, if it was recorded."""


def run(name: str, url: str, size: int, *, record: bool = False) -> Run:
    """Run a measure in this process; `record` makes it slower. Raises AssertionError for other counts than expected."""
    measure = MEASURES[name]
    database = open_warehouse(url)
    statements = ""
    began = time.perf_counter()
    if record:
        with recorded(database) as (recording, recorder):
            counts = measure.run(recording, size)
            statements = recorder.report(time.perf_counter() - began)
    else:
        counts = measure.run(database, size)
    seconds = time.perf_counter() - began
    for count, expected in measure.expected(size).items():
        assert counts[count] == expected, f"{name} at {size}: {counts[count]} {count} instead of {expected}"
    return Run(seconds, _peak_mb(), statements)


def _peak_mb() -> float:
    """Peak memory of this process, or of the command that it ran."""
    if command := resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss:
        return command / 1024
    # `getrusage` would include the memory of the process that started this one.
    [peak] = re.findall(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(peak) / 1024


def run_apart(name: str, url: str, size: int, *, record: bool = False, limit_s: float | None = None) -> Run:
    """Run a measure in a process of its own. Raises RunFailed."""
    command = [sys.executable, "-m", "benchmarks.growth.measures", name, url, str(size), *["--record"] * record]
    try:
        printed = subprocess.run(command, env=_environment(), timeout=limit_s, check=True, capture_output=True).stdout
    except subprocess.TimeoutExpired:
        raise RunFailed(f"not done after {limit_s:g} s") from None
    except subprocess.CalledProcessError as error:
        raise RunFailed(error.stderr.decode(errors="replace")) from None
    return Run(*json.loads(printed))


class RunFailed(Exception):
    """A run took too long or raised; the message has the stack trace."""


def main() -> None:
    """Run one measure and print it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth.measures", description=__doc__)
    parser.add_argument("name", choices=MEASURES)
    parser.add_argument("url", help="the warehouse, which the measure may change")
    parser.add_argument("size", type=int, help="objects that are loaded in it")
    parser.add_argument("--record", action="store_true", help="record statements and plans")
    options = parser.parse_args()
    print(json.dumps(run(options.name, options.url, options.size, record=options.record)))


if __name__ == "__main__":
    main()
