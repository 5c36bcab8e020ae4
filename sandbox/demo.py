"""`make demo`: real Airflow DAGs load two invented customers' buckets from real local servers into a DuckDB file.

The exit code is 0 only if every count in the warehouse equals the expected count of the dataset.
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
from sqlalchemy import text

from roomledger.cli.progress import Work, progress
from roomledger.cli.tables import show
from roomledger.ledger.database import Database
from sandbox.dataset import Dataset, Expected, generate
from sandbox.dataset.model import TABLES
from sandbox.servers.airflow import Airflow, AirflowFailed, airflow
from sandbox.servers.gcs import GcsServer
from sandbox.servers.installation import run_installation
from sandbox.servers.s3 import S3Server
from sandbox.servers.upload import upload_all

FOLDER = Path(__file__).parent.parent / ".work" / "demo"
_TIMEOUT_S = 240
_IS_ASSET = "disposition IN ('loaded', 'refused')"
_REASON = "split_part(session_reason, ':', 1)"

console = Console()


@dataclass(frozen=True, slots=True)
class Found:
    """Counts in the warehouse, with the field names of `Expected`."""

    objects: dict[str, dict[str, int]]
    rows: dict[str, int]
    refusals: dict[str, int]
    ignored: dict[str, int]
    evidence: dict[str, int]
    unresolved: dict[str, int]
    duplicates: int


def main() -> int:
    """Run the demo; return the exit code."""
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with console.status("Generating two weeks of data of two invented customers"):
        dataset = generate()
    size = sum(len(obj.content) for obj in dataset.objects)
    assets = sum(len(workspace.assets) for workspace in dataset.workspaces)
    console.print(
        f"Two invented customers: {len(dataset.sessions)} sessions, {len(dataset.objects):,} objects, "
        f"{size / 1e6:.0f} MB, and a simulated 100ms API with records of {assets:,} assets.",
        highlight=False,
    )
    try:
        with ExitStack() as stack:
            installation = stack.enter_context(run_installation(dataset, FOLDER))
            database = installation.database
            uploads = Thread(target=_upload, args=(dataset, installation.s3, installation.gcs))
            uploads.start()
            pools = {"roomledger_collect": 4, "roomledger_load": 2}
            running = stack.enter_context(airflow(FOLDER / "airflow", pools, installation.environment))
            uploads.join()
            _load(running, database)
    except AirflowFailed as error:
        console.print(str(error), style="red", highlight=False)
        return 1
    found = _found(database)
    _print_counts(database, dataset, found)
    wrong = differences(dataset.expected, found)
    for line in wrong:
        console.print(line, style="red", highlight=False)
    _print_next_commands(installation.config)
    verdict = "[red]Some counts differ from the expected counts." if wrong else "[green]All counts are as expected."
    console.print(f"{verdict}[/] {time.monotonic() - began:.0f} s in total.", highlight=False)
    return 1 if wrong else 0


def _upload(dataset: Dataset, s3: S3Server, gcs: GcsServer) -> None:
    with progress() as begin:
        stored = sum(obj.source in {bucket.source for bucket in dataset.buckets} for obj in dataset.objects)
        upload_all(dataset, s3, gcs, begin("Airflow starts; uploading", total=stored).advance)


def _load(running: Airflow, database: Database) -> None:
    """Run `collect`, which triggers `load`, and wait until nothing is pending."""
    with console.status("Airflow is parsing its DAG files and collects"):
        running.trigger("collect")
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline and set(running.runs("collect")) != {"success"}:
            time.sleep(0.5)
    with progress() as begin:
        work = begin("Airflow loads:")
        while time.monotonic() < deadline:
            if _is_loaded(database, work) and set(running.runs("load")) == {"success"}:
                return
            time.sleep(1)
    raise AirflowFailed(f"The DAGs did not finish within {_TIMEOUT_S} s: see {running.logs}")


def _is_loaded(database: Database, work: Work) -> bool:
    """Report what is loaded; return whether nothing is pending."""
    query = """
        SELECT count(*), count(CASE WHEN disposition NOT IN ('seen', 'claimed') THEN 1 END),
               CAST(COALESCE(sum(rows_loaded), 0) AS BIGINT)
        FROM object_ledger
    """
    with database.begin(read_only=True) as tx:
        work.total, done, rows = tx.execute(text(query)).one()
    work.reach(done, rows)
    return done == work.total


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
        evidence, unresolved = (
            dict(tuple(row) for row in tx.execute(text(query)))
            for query in (
                f"SELECT session_evidence, count(*) FROM object_ledger WHERE {_IS_ASSET} GROUP BY 1",
                f"SELECT {_REASON}, count(*) FROM object_ledger WHERE session_id IS NULL AND {_IS_ASSET} GROUP BY 1",
            )
        )
        duplicates = tx.execute(text("SELECT CAST(sum(rows_duplicate) AS BIGINT) FROM object_ledger")).scalar_one()
    return Found(objects, rows, refusals, ignored, evidence, unresolved, duplicates)


def differences(expected: Expected, found: Found) -> list[str]:
    """One message for each kind of count that differs from the expected count."""
    return [
        f"{name}: expected {wanted!r}, found {actual!r}"
        for name in ("objects", "rows", "refusals", "ignored", "evidence", "unresolved", "duplicates")
        if (wanted := getattr(expected, name)) != (actual := getattr(found, name))
    ]


def _print_counts(database: Database, dataset: Dataset, found: Found) -> None:
    dispositions = ("loaded", "refused", "ignored")
    objects = [
        {"source": source, "objects": sum(counts.values())} | {name: counts.get(name, 0) for name in dispositions}
        for source, counts in sorted(found.objects.items())
    ]
    show("Objects found", objects, empty="None.")
    _show_counts("Rows loaded", "table", "rows", found.rows)
    _show_counts("Refusals, stored with their raw bytes", "reason", "records and files", found.refusals)
    _show_counts("How the session of each file is known", "evidence", "files", found.evidence)
    _show_counts("Files without a known session, and why", "reason", "files", found.unresolved)
    console.print(f"{found.duplicates} repeated message(s) in the same file were loaded once.", highlight=False)
    _print_speed(database)
    if dataset.expected.showcase:
        _print_session(database, dataset.expected.showcase.session_id, dataset)


def _show_counts(title: str, name: str, number: str, counts: dict[str, int]) -> None:
    show(title, [{name: key, number: count} for key, count in counts.items()], empty="None.")


def _print_speed(database: Database) -> None:
    """Print the speed of the loads, without Airflow's pauses between them."""
    query = """
        SELECT sum(objects), sum(rows_loaded), sum(epoch(committed_at) - epoch(claimed_at)), count(*) FROM loads
    """
    with database.begin(read_only=True) as tx:
        objects, rows, seconds, loads = tx.execute(text(query)).one()
    console.print(
        f"{loads} load(s) took {seconds:.1f} s: {objects / seconds:,.0f} objects/s, {rows / seconds:,.0f} records/s.\n",
        highlight=False,
    )


def _print_session(database: Database, session_id: str, dataset: Dataset) -> None:
    """Print the timeline of one session."""
    session = next(one for one in dataset.sessions if one.id == session_id)
    with database.begin(read_only=True) as tx:
        query = """
            SELECT offset_s, name, kind, text FROM session_timeline
            WHERE session_id = :session AND offset_s IS NOT NULL ORDER BY offset_s, ordinal LIMIT 20
        """
        timeline = [
            {"offset_s": offset, "who": name, "event": kind.replace("_", " "), "text": message}
            for offset, name, kind, message in tx.execute(text(query), {"session": session_id})
        ]
        totals = (
            "SELECT attendees, messages, sentences, assets_by_type FROM session_overview WHERE session_id = :session"
        )
        people, messages, sentences, kinds = tx.execute(text(totals), {"session": session_id}).one()
    show(f"Timeline of one session: {session.room_name}", timeline, empty="None.")
    total = f"In total: {people} people, {messages} messages, {sentences} sentences; assets: {kinds}.\n"
    console.print(total, highlight=False)


def _print_next_commands(config: Path) -> None:
    shown = config.relative_to(Path.cwd()) if config.is_relative_to(Path.cwd()) else config
    command = f".venv/bin/roomledger {{}} --config {shown}"
    console.print("Explore the warehouse with:")
    for verb in ("status", "audit completeness", 'sql "SELECT sender_name, message FROM chat_messages LIMIT 5"'):
        console.print("  " + command.format(verb), highlight=False, soft_wrap=True, markup=False)
    database = shown.with_name("warehouse.duckdb")
    console.print(f"  .venv/bin/python -c \"import duckdb; print(duckdb.connect('{database}').sql('SHOW TABLES'))\"\n",
        highlight=False, soft_wrap=True, markup=False)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
