"""Chaos: a run with lost notifications and killed processes must end in the same tables as a run without faults.

A simulated fortnight happens within minutes: objects are uploaded to an S3 and a GCS bucket, some of them in part
first, and 100ms posts its webhooks to two API servers. 30 % of the notifications and webhooks are dropped, and 30 % of
the others duplicated. Each copy has its own delay, and one in ten is late: it is delivered after the sweep. Meanwhile
triggerer, scheduler, DAG processor, both API servers and the processes of tasks are killed without warning, and
restarted.

Then the faults end. When the leases of the killed loads have expired, one sweep must bring the tables to the state of
the baseline, a run without faults. Nothing that was acknowledged may be missing, and late deliveries must change the
tables exactly as they change the baseline. The exit code is 1 if any of this fails, or if a planned kind of fault did
not occur.

All random choices are drawn from the seed. Their timing relative to the work of Roomledger depends on the machine: the
same seed gives the same plan, not the same run.

.work/chaos holds the logs of all processes and tasks (airflow/), the figures (chaos.json), all differing rows
(differences.txt), and the rows of the ledger that explain them (evidence.jsonl).
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.chaos import probes, report
from benchmarks.chaos.baseline import Baseline
from benchmarks.chaos.environment import running_environment
from benchmarks.chaos.probes import TableDiff
from benchmarks.chaos.report import Comparisons
from benchmarks.chaos.scenario import Scenario, ShowStatus
from sandbox.dataset import MINIMUM_SESSIONS, generate
from sandbox.servers.airflow import AirflowFailed
from sandbox.tables import contents

FOLDER = Path(__file__).parents[2] / ".work" / "chaos"
SESSIONS, MINUTES, KILLS = 12, 3.0, 24
_MAX_CHARACTERS = 600
"""Characters of a row to show; the file has all."""


def main() -> int:
    """Run everything; return the exit code."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(f"seed {options.seed}: repeat with --seed {options.seed}")
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        with ExitStack() as stack, console.status("") as status:
            failures = _run(options, console, status.update, stack)
    except AirflowFailed as error:
        failures = [str(error)]
    except KeyboardInterrupt:
        console.print(f"Interrupted; logs are in {FOLDER}.")
        return 1
    for sentence in failures:
        console.print(sentence, style="red", soft_wrap=True, markup=False)
    verdict = "[red]Failed.[/]" if failures else "[green]Passed: the tables are those of the baseline.[/]"
    console.print(f"{verdict} {time.monotonic() - began:.0f} s in all; logs are in {FOLDER}.")
    return int(bool(failures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="seed of all random choices, default: a new one")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="simulated sessions, default %(default)s")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="duration of the faults, default %(default)s")
    parser.add_argument(
        "--kills", type=int, default=KILLS, help="kills in that time, default %(default)s; 8 kill each component once"
    )
    parser.add_argument("--duckdb", action="store_true", help="load into a DuckDB file instead of PostgreSQL")
    options = parser.parse_args()
    if options.sessions < MINIMUM_SESSIONS:
        parser.error(f"too few sessions for all cases of the data set: use --sessions {MINIMUM_SESSIONS} or more")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    return options


def _run(options: argparse.Namespace, console: Console, show_status: ShowStatus, stack: ExitStack) -> list[str]:
    seconds: dict[str, float] = {}
    with _timed("start", seconds):
        show_status("starting buckets, queues, simulated 100ms API and Airflow (a minute)")
        world = generate(seed=options.seed, sessions=options.sessions)
        scenario, baseline_url = stack.enter_context(
            running_environment(world, options.seed, FOLDER, duckdb=options.duckdb, show_status=show_status)
        )
    stack.callback(lambda: report.write_evidence(FOLDER, scenario.installation.database))
    with _timed("faults", seconds):
        scenario.run_faults(60 * options.minutes, options.kills, random.Random(options.seed))
    with _timed("until all was received and no claim was left", seconds):
        scenario.settle()
    with _timed("sweep", seconds):
        scenario.sweep()
    failures = [*_lost(scenario)]
    with _timed("baseline", seconds):
        show_status("running the baseline and comparing")
        baseline = Baseline(scenario.installation, baseline_url, FOLDER / "baseline-inbox")
        baseline.sweep()
        comparisons = {"after the sweep": _compare(scenario, baseline)}
    with _timed("late deliveries", seconds):
        scenario.deliver_late()
    show_status("comparing again")
    failures += _lost(scenario)
    comparisons["after late deliveries"] = _compare(scenario, baseline)
    for when, diffs in comparisons.items():
        failures += probes.check_tables(when, diffs)
    failures += probes.check_kills(scenario.killer.components, scenario.killer.killed)
    for name, counts in scenario.counts.items():
        failures += probes.check_faults(name, counts)
    figures = report.figures(scenario, comparisons)
    _print_report(console, figures, comparisons, seconds)
    run = {"options": vars(options), "seconds": seconds, "failures": failures}
    report.write(FOLDER, run | figures, comparisons)
    return failures


def _compare(scenario: Scenario, baseline: Baseline) -> list[TableDiff]:
    log, database = scenario.webhooks.log, scenario.installation.database
    received = log.acknowledged | log.unacknowledged & probes.stored_webhooks(database)
    baseline.receive_webhooks(log.events[event_id] for event_id in sorted(received))
    expected, actual = (contents(one, past=False, but={"first_seen_by"}) for one in (baseline.database, database))
    return [*probes.diff_tables(expected, actual)]


def _lost(scenario: Scenario) -> Iterator[str]:
    """Check at this time that everything acknowledged is stored, and nothing else."""
    log, database = scenario.webhooks.log, scenario.installation.database
    posted = log.acknowledged | log.unacknowledged
    yield from probes.check_webhooks(log.acknowledged, posted, probes.stored_webhooks(database))
    for proxy in scenario.proxies:
        observed = probes.observed_versions(database, proxy.observed_by)
        yield from probes.check_queue(proxy.name, proxy.forwarded, observed, proxy.backlog())


def _print_report(
    console: Console, figures: Mapping[str, Any], comparisons: Comparisons, seconds: Mapping[str, float]
) -> None:
    console.print(report.table("Notifications and webhooks", "channel", figures["deliveries"]))
    console.print(report.table("Kills", "component", figures["kills"]))
    console.print(report.table("Rows compared with the baseline", "table", figures["rows"]))
    for line in report.differing_rows(comparisons):
        shown = line if len(line) < _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]}…"
        console.print(shown, soft_wrap=True, markup=False)
    for line in report.sentences(figures):
        console.print(line)
    console.print("; ".join(f"{phase}: {took:.0f} s" for phase, took in seconds.items()), soft_wrap=True)


@contextmanager
def _timed(phase: str, seconds: dict[str, float]) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[phase] = time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
