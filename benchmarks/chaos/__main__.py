"""Chaos: kill Airflow's parts while notices go astray, sweep once, and compare the tables with an undisturbed run.

An invented world happens within minutes: objects come into an S3 and a GCS bucket, some of them in part first, and the
vendor posts its webhooks to two API servers. 30 % of all notices and webhooks are dropped, 30 % of the others doubled;
they are delayed, each for itself, and one in ten comes only after the sweep. Meanwhile triggerer, scheduler, DAG
processor, both API servers and the processes of tasks are killed without a warning, and started again.

Then everybody lives. When the leases of the killed loads have run out, one sweep must bring the tables to where an
undisturbed run brings them, and nothing that was acknowledged may be missing; what comes late must change no more than
it does there. Exit code 1 when it is otherwise, or when something was spared that should have been killed.

Everything random is drawn from the seed. Which moment of the program's work each of it meets is left to the machine:
the same seed gives the same plan, not the same run.

In .work/chaos are then the logs of all processes and tasks (airflow/), the figures (chaos.json), all rows that differ
(differences.txt), and what the ledger knows of how it came to what is there (evidence.jsonl).
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks.chaos import checks, probes, report
from benchmarks.chaos.baseline import Undisturbed
from benchmarks.chaos.differences import differences
from benchmarks.chaos.environment import staged
from benchmarks.chaos.report import Compared
from benchmarks.chaos.scenario import Course, Say
from sandbox.dataset import MINIMUM_SESSIONS, generate
from sandbox.servers.airflow import AirflowFailed
from sandbox.tables import contents

FOLDER = Path(__file__).parents[2] / ".work" / "chaos"
SESSIONS, MINUTES, KILLS = 12, 3.0, 24
_LONGEST = 600
"""Characters of a row that are shown; the file holds all."""
AFTER_SWEEP, AFTER_LATE = "after the sweep", "after the late ones"


def main() -> int:
    """Run it all; give the exit code."""
    given = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(f"seed {given.seed}: run it again with --seed {given.seed}")
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        with ExitStack() as stack, console.status("") as status:
            wrong = _run(given, console, status.update, stack)
    except AirflowFailed as error:
        wrong = [str(error)]
    except KeyboardInterrupt:
        console.print(f"Stopped before its end; logs are in {FOLDER}.")
        return 1
    for sentence in wrong:
        console.print(sentence, style="red", soft_wrap=True, markup=False)
    verdict = (
        "[red]This is not how it should be.[/]" if wrong else "[green]The tables are those of the undisturbed run.[/]"
    )
    console.print(f"{verdict} {time.monotonic() - began:.0f} s in all; logs are in {FOLDER}.")
    return int(bool(wrong))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="of all that is random; by default another one each time")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="of the invented world, by default %(default)s")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of mischief, by default %(default)s")
    parser.add_argument(
        "--kills",
        type=int,
        default=KILLS,
        help="spread over these minutes, by default %(default)s; eight kill every part once",
    )
    parser.add_argument("--duckdb", action="store_true", help="into a DuckDB file, not PostgreSQL")
    given = parser.parse_args()
    if given.sessions < MINIMUM_SESSIONS:
        parser.error(f"a world needs at least {MINIMUM_SESSIONS} --sessions to hold every case")
    if given.seed is None:
        given.seed = random.SystemRandom().randrange(1 << 32)
    return given


def _run(given: argparse.Namespace, console: Console, say: Say, stack: ExitStack) -> list[str]:
    took: dict[str, float] = {}
    with _timed("starting", took):
        say("starting buckets, queues, the vendor and Airflow (a minute)")
        world = generate(seed=given.seed, sessions=given.sessions)
        course, other_url = stack.enter_context(staged(world, given.seed, FOLDER, duckdb=given.duckdb, say=say))
    stack.callback(lambda: report.keep_evidence(FOLDER, course))
    with _timed("mischief", took):
        course.mischief(60 * given.minutes, given.kills, random.Random(given.seed))
    with _timed("until all was taken in and no claim was left", took):
        course.settle()
    with _timed("sweep", took):
        course.sweep()
    wrong = [*_lost(course)]
    with _timed("undisturbed run", took):
        say("the undisturbed run, and comparing")
        undisturbed = Undisturbed(course.place, other_url, FOLDER / "undisturbed-inbox")
        undisturbed.sweep()
        compared = [_compare(AFTER_SWEEP, course, undisturbed)]
    with _timed("late ones", took):
        course.be_late()
    say("comparing once more")
    wrong += _lost(course)
    compared.append(_compare(AFTER_LATE, course, undisturbed))
    for one in compared:
        wrong += checks.same_tables(one.when, one.tables)
    wrong += _spared(course)
    _tell(console, course, compared, took)
    figures = {"asked": vars(given), "seconds": took, "wrong": wrong} | report.figures(course, compared)
    report.keep(FOLDER, figures, compared)
    return wrong


def _compare(when: str, course: Course, undisturbed: Undisturbed) -> Compared:
    sent = course.vendor.sent
    undisturbed.hear(sent.by_source(sent.taken | sent.in_doubt & probes.kept_webhooks(course.place.database)))
    both = (
        contents(database, past=False, but={"first_seen_by"})
        for database in (undisturbed.database, course.place.database)
    )
    return Compared(when, [*differences(*both)])


def _lost(course: Course) -> Iterator[str]:
    """What was acknowledged, or made up, at this time."""
    sent, kept = course.vendor.sent, probes.kept_webhooks(course.place.database)
    yield from checks.nothing_taken_is_lost(sent.taken, kept)
    yield from checks.nothing_is_made_up(sent.taken | sent.in_doubt, kept)
    for one in course.carriers:
        seen = probes.seen_by(course.place.database, one.observed_by)
        yield from checks.nothing_settled_is_lost(one.name, one.passed, seen, one.left())


def _spared(course: Course) -> Iterator[str]:
    """What should have gone wrong, and did not."""
    yield from checks.all_were_killed(course.killer.parts, course.killer.killed)
    for one in course.carriers:
        counts = {"dropped": one.dropped, "doubled": one.doubled, "late": len(one.late)}
        yield from checks.something_went_wrong(one.name, counts)
    sent = course.vendor.sent
    counts = {"dropped": len(sent.dropped), "doubled": sent.doubled, "late": course.late_webhooks}
    yield from checks.something_went_wrong("webhooks", counts)


def _tell(console: Console, course: Course, compared: Sequence[Compared], took: Mapping[str, float]) -> None:
    console.print(report.sent_table(course.carriers, course.vendor.sent, course.late_webhooks))
    console.print(report.kills_table(course.killer))
    console.print(report.rows_table(compared))
    for line in report.differing_rows(compared):
        console.print(line if len(line) < _LONGEST else f"{line[:_LONGEST]}…", soft_wrap=True, markup=False)
    for line in report.further(course):
        console.print(line)
    console.print("; ".join(f"{what}: {seconds:.0f} s" for what, seconds in took.items()), soft_wrap=True)


@contextmanager
def _timed(what: str, took: dict[str, float]) -> Iterator[None]:
    began = time.monotonic()
    yield
    took[what] = time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
