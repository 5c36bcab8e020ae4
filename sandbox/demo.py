"""The demo: two invented customers' buckets on real local servers, loaded by real Airflow DAGs into a DuckDB file.

`make demo` runs it. It ends with exit code 0 only if every count equals what the generator of the world knows.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import text

from roomledger.ledger.database import Database
from sandbox.dataset import Expected, World, generate
from sandbox.dataset.model import TABLES
from sandbox.servers.airflow import Airflow, AirflowFailed, airflow
from sandbox.servers.gcs import GcsServer
from sandbox.servers.installation import installed
from sandbox.servers.s3 import S3Server
from sandbox.servers.upload import fill

FOLDER = Path(__file__).parent.parent / ".work" / "demo"
_PATIENCE_S = 240
_ASSETS = "disposition IN ('loaded', 'refused')"
_CODE = "split_part(session_reason, ':', 1)"

console = Console()


@dataclass(frozen=True, slots=True)
class Found:
    """What the warehouse holds, in the form of the generator's expectation."""

    objects: dict[str, dict[str, int]]
    rows: dict[str, int]
    refusals: dict[str, int]
    ignored: dict[str, int]
    evidence: dict[str, int]
    unplaced: dict[str, int]
    duplicates: int


def main() -> int:
    """Run it all; give the exit code."""
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with console.status("inventing a fortnight of two customers"):
        world = generate()
    size = sum(len(thing.content) for thing in world.objects)
    console.print(
        f"Two invented customers, {len(world.sessions)} sessions, {len(world.objects):,} objects, {size / 1e6:.0f} MB, "
        f"and a stand-in for the vendor's API, which names {sum(len(w.assets) for w in world.workspaces):,} assets.",
        highlight=False,
    )
    try:
        with ExitStack() as stack:
            place = stack.enter_context(installed(world, FOLDER))
            database = place.database
            uploads = Thread(target=_upload, args=(world, place.s3, place.gcs))
            uploads.start()
            running = stack.enter_context(
                airflow(
                    FOLDER / "airflow",
                    {"roomledger_collect": 4, "roomledger_load": 2},
                    place.environment,
                )
            )
            uploads.join()
            _load(running, database)
    except AirflowFailed as error:
        console.print(str(error), style="red", highlight=False)
        return 1
    found = _found(database)
    _tell(database, world, found)
    wrong = differences(world.expected, found)
    for line in wrong:
        console.print(line, style="red", highlight=False)
    _tell_what_next(place.config)
    verdict = "[red]The counts differ from the generator's." if wrong else "[green]Every count is the generator's."
    console.print(f"{verdict}[/] {time.monotonic() - began:.0f} s in all.", highlight=False)
    return 1 if wrong else 0


def _upload(world: World, s3: S3Server, gcs: GcsServer) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        stored = sum(thing.source in {bucket.source for bucket in world.buckets} for thing in world.objects)
        task = progress.add_task("filling the buckets while Airflow starts", total=stored)
        fill(world, s3, gcs, lambda: progress.advance(task))


def _load(running: Airflow, database: Database) -> None:
    """Run collect, which rings load, and wait until nothing is left to load."""
    with console.status("Airflow reads its DAG files") as status:
        running.trigger("collect")
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            collects, loads = running.runs("collect"), running.runs("load")
            status.update(f"collect: {', '.join(collects)}; load: {', '.join(loads) or 'waits for collect'}")
            if {"success"} == set(collects) == set(loads):
                with database.begin() as tx:
                    waiting = "SELECT count(*) FROM object_ledger WHERE disposition IN ('seen', 'claimed')"
                    if not tx.execute(text(waiting)).scalar_one():
                        return
            time.sleep(0.5)
    raise AirflowFailed(f"the DAGs did not finish within {_PATIENCE_S} s: see {running.logs}")


def _found(database: Database) -> Found:
    objects: dict[str, dict[str, int]] = {}
    with database.begin(read_only=True) as tx:
        query = "SELECT source, disposition, count(*) FROM object_ledger GROUP BY source, disposition"
        for source, disposition, count in tx.execute(text(query)):
            objects.setdefault(source, {})[disposition] = count
        rows = {table: tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in TABLES}
        codes = tx.execute(text("SELECT reason_code FROM refusals")).scalars()
        refusals = dict(Counter(codes))
        reasons = tx.execute(text("SELECT reason FROM object_ledger WHERE disposition = 'ignored'")).scalars()
        ignored = dict(Counter(reason.split(":")[0] for reason in reasons))
        evidence, unplaced = (
            dict(tx.execute(text(query)).tuples().all())
            for query in (
                f"SELECT session_evidence, count(*) FROM object_ledger WHERE {_ASSETS} GROUP BY 1",
                f"SELECT {_CODE}, count(*) FROM object_ledger WHERE session_id IS NULL AND {_ASSETS} GROUP BY 1",
            )
        )
        duplicates = tx.execute(text("SELECT CAST(sum(rows_duplicate) AS BIGINT) FROM object_ledger")).scalar_one()
    return Found(objects, rows, refusals, ignored, evidence, unplaced, duplicates)


def differences(expected: Expected, found: Found) -> list[str]:
    """Give a sentence for every kind of count that is not the generator's."""
    return [
        f"{what}: expected {wanted!r}, found {had!r}"
        for what in ("objects", "rows", "refusals", "ignored", "evidence", "unplaced", "duplicates")
        if (wanted := getattr(expected, what)) != (had := getattr(found, what))
    ]


def _tell(database: Database, world: World, found: Found) -> None:
    objects = Table(title="What was found", title_justify="left", title_style="bold")
    dispositions = ("loaded", "refused", "ignored")
    for name in ("source", "objects", *dispositions):
        objects.add_column(name, justify="left" if name == "source" else "right")
    for source, counts in sorted(found.objects.items()):
        objects.add_row(
            source, f"{sum(counts.values()):,}", *(f"{counts.get(disposition, 0):,}" for disposition in dispositions)
        )
    rows = _pairs("What was loaded", "table", "rows", found.rows)
    refusals = _pairs("What was refused, kept with its bytes", "reason", "records and files", found.refusals)
    evidence = _pairs("How the session of each file is known", "evidence", "files", found.evidence)
    unplaced = _pairs("Files that belong to no known session, and why", "reason", "files", found.unplaced)
    for table in (objects, rows, refusals, evidence, unplaced):
        console.print(table)
    console.print(f"{found.duplicates} message(s) stood twice in their file and were stored once.", highlight=False)
    _tell_speed(database)
    if world.expected.showcase:
        _tell_session(database, world.expected.showcase.session_id, world)


def _pairs(title: str, name: str, number: str, counts: dict[str, int]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(name)
    table.add_column(number, justify="right")
    for key, count in counts.items():
        table.add_row(key, f"{count:,}")
    return table


def _tell_speed(database: Database) -> None:
    query = """
        SELECT sum(objects), sum(rows_loaded), epoch(max(committed_at)) - epoch(min(claimed_at)), count(*) FROM loads
    """
    with database.begin(read_only=True) as tx:
        objects, rows, seconds, loads = tx.execute(text(query)).one()
    console.print(
        f"{loads} load(s) took {seconds:.1f} s: {objects / seconds:,.0f} objects/s, {rows / seconds:,.0f} records/s.\n",
        highlight=False,
    )


def _tell_session(database: Database, session_id: str, world: World) -> None:
    """Show one session's record on its own clock."""
    session = next(one for one in world.sessions if one.id == session_id)
    said = Table(title=f"One session's record: {session.room_name}", title_justify="left", title_style="bold")
    for column in ("seconds", "who", "", "what"):
        said.add_column(column, overflow="fold", justify="right" if column == "seconds" else "left")
    with database.begin(read_only=True) as tx:
        timeline = """
            SELECT offset_s, name, kind, text FROM session_timeline
            WHERE session_id = :session AND offset_s IS NOT NULL ORDER BY offset_s, ordinal LIMIT 20
        """
        for offset, name, kind, told in tx.execute(text(timeline), {"session": session_id}):
            said.add_row(f"{offset:.1f}", name or "", kind.replace("_", " "), told or "")
        counted = (
            "SELECT attendees, messages, sentences, assets_by_type FROM session_overview WHERE session_id = :session"
        )
        people, messages, sentences, kinds = tx.execute(text(counted), {"session": session_id}).one()
    console.print(said)
    whole = f"In all: {people} people, {messages} messages, {sentences} sentences; assets: {kinds}.\n"
    console.print(whole, highlight=False)


def _tell_what_next(config: Path) -> None:
    shown = config.relative_to(Path.cwd()) if config.is_relative_to(Path.cwd()) else config
    command = f".venv/bin/roomledger {{}} --config {shown}"
    console.print("The warehouse file is yours to look at:")
    for verb in ("status", "audit completeness", 'sql "SELECT sender_name, message FROM chat_messages LIMIT 5"'):
        console.print("  " + command.format(verb), highlight=False, soft_wrap=True, markup=False)
    database = shown.with_name("warehouse.duckdb")
    console.print(f"  .venv/bin/python -c \"import duckdb; print(duckdb.connect('{database}').sql('SHOW TABLES'))\"\n",
        highlight=False, soft_wrap=True, markup=False)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
