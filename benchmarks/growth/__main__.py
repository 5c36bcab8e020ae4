"""Growth: the time and memory of sweeps, loads, re-keys and `status` on ledgers of several sizes, on both engines.

The ledgers are filled by the pipeline. Each repetition runs in a process of its own, on a copy of the ledger. Of each
measure the table has the median time by size, and the exponent of its growth: 1 is linear, 0 does not depend on the
size. The size is the number of objects that are listed (sweeps) or loaded already (all others).

Before the measures PostgreSQL is vacuumed, as autovacuum does within a minute, except for "load, no statistics": its
tables were never analyzed, as after the first bulk load.

.work/growth holds the table (growth.txt), the figures (growth.json), a plot (growth.svg), and per engine the statements
to which the time goes at the largest size, with plans (duckdb.txt, postgresql.txt). The exit code is 1 if a run fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from benchmarks.growth.measures import MEASURES, Run, RunFailed, extend, open_warehouse, run_apart
from benchmarks.growth.plot import Panel, growth
from benchmarks.growth.results import Result, table
from benchmarks.warehouses import ENGINES, Engine, engines
from roomledger.warehouse import setup

FOLDER = Path(__file__).parents[2] / ".work" / "growth"
SIZES = (10_000, 100_000, 300_000)
REPETITIONS = 3
LIMIT_S = 600.0


def measure(name: str, engine: Engine, options: argparse.Namespace, console: Console) -> tuple[list[Result], str]:
    """Measure one engine; return the results, and where the time goes at the largest size."""
    measures = [one for one in options.measures if engine.forget_statistics or not MEASURES[one].forgets_statistics]
    results = [Result(name, one) for one in measures]
    ledger, known = engine.new(), 0
    setup.upgrade(open_warehouse(ledger))
    for size in options.sizes:
        with console.status(f"{name}: filling the ledger with {size:,} objects"):
            extend(ledger, known, size)
            engine.vacuum(ledger)
        known = size
        for result in results:
            with console.status(f"{name}, {size:,} objects: {MEASURES[result.measure].title}"):
                try:
                    runs = [_run(result, engine, ledger, size, options.limit) for _ in range(options.repetitions)]
                    result.runs[size] = runs
                except RunFailed as error:
                    result.failures[size] = str(error)
    statements = []
    for result in results:
        with console.status(f"{name}: explaining {MEASURES[result.measure].title}"), suppress(RunFailed):
            run = _run(result, engine, ledger, known, options.limit, record=True)
            statements.append(f"# {MEASURES[result.measure].title}, {known:,} objects\n\n{run.statements}")
    return results, "\n".join(statements)


def _run(result: Result, engine: Engine, ledger: str, size: int, limit_s: float, *, record: bool = False) -> Run:
    """Run a measure on a copy of the ledger. Raises RunFailed."""
    copy = engine.copy(ledger)
    if MEASURES[result.measure].forgets_statistics and engine.forget_statistics:
        engine.forget_statistics(copy)
    try:
        return run_apart(result.measure, copy, size, record=record, limit_s=limit_s)
    finally:
        engine.drop(copy)


def plot(results: Sequence[Result], repetitions: int) -> str:
    """Draw the seconds by size of all measures; return the SVG."""
    panels = []
    for name in dict.fromkeys(result.measure for result in results):
        mine = {result.engine: result for result in results if result.measure == name}
        labels = {
            engine: f"size^{result.exponent:.2f}" for engine, result in mine.items() if result.exponent is not None
        }
        panels.append(Panel(MEASURES[name].title, {engine: result.seconds for engine, result in mine.items()}, labels))
    return growth(
        "Growth of the time of each step",
        f"Median of {repetitions} runs, by objects that are listed (sweeps) or loaded already",
        panels,
        "objects",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both engines, print the table and write the results; return the exit code."""
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    options.folder.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="roomledger-growth-") as folder, engines(Path(folder)) as made:
        for name in options.engines:
            found, statements = measure(name, made[name], options, console)
            results += found
            (options.folder / f"{name}.txt").write_text(statements, "utf-8")
    report = {"repetitions": options.repetitions, "results": [result.as_json() for result in results]}
    (options.folder / "growth.json").write_text(json.dumps(report, indent=1), "utf-8")
    (options.folder / "growth.svg").write_text(plot(results, options.repetitions), "utf-8")
    with (options.folder / "growth.txt").open("w", encoding="utf-8") as file:
        Console(file=file, width=140).print(table(results))
    console.print(table(results))
    for result in results:
        for size, failure in result.failures.items():
            what = f"{result.engine}, {MEASURES[result.measure].title}, {size:,} objects"
            console.print(f"{what}: {failure}", soft_wrap=True, markup=False)
    console.print(f"Written: growth.* and the statements of each engine in {options.folder}", soft_wrap=True)
    return int(any(result.failures for result in results))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of objects, default %(default)s")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="runs per measure, default %(default)s")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds of a run at most, default %(default)s")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES, help="default: both")
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=[*MEASURES], help="default: all")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of the results, default %(default)s")
    options = parser.parse_args(arguments)
    options.sizes = sorted(set(options.sizes))
    if options.sizes[0] < 1 or options.repetitions < 1:
        parser.error("sizes and repetitions start at 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
