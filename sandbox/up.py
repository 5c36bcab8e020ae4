"""`make up`: a complete local installation with live traffic, until Ctrl-C.

Every few seconds another session of the dataset ends: its files are uploaded to the buckets, which notify the queues,
its records appear in the simulated 100ms API, and its webhooks are posted.
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
from sandbox.dataset import Dataset, generate
from sandbox.hundredms_api.webhooks import post
from sandbox.live_traffic import FinishedSession, empty_workspace, finished_sessions, publish_records
from sandbox.servers.airflow import Airflow, AirflowFailed, airflow
from sandbox.servers.installation import QUEUE, SECRET, SECRET_HEADER, Installation, run_installation
from sandbox.servers.upload import Put, create_buckets

FOLDER = Path(__file__).parent.parent / ".work" / "up"
POOLS = {"roomledger_collect": 4, "roomledger_load": 2}
_REPORT_EVERY_S = 15

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class LiveTraffic:
    """Sends finished sessions to the installation."""

    installation: Installation
    airflow: Airflow
    put: Put
    pool: ThreadPoolExecutor

    def send(self, session: FinishedSession) -> None:
        """Publish the records of the session, upload its files and post its events."""
        [served] = [one for one in self.installation.vendor.workspaces if one.name == session.workspace.name]
        publish_records(session, served)
        for _ in self.pool.map(self.put, session.objects):
            pass
        url = f"{self.airflow.endpoint}/roomledger/webhooks/{served.source}"
        for event in session.events:
            self.pool.submit(post, event, url, SECRET_HEADER, SECRET)


def main() -> int:
    """Run until Ctrl-C; return the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--every", type=float, default=5.0, help="seconds between two sessions")
    every_s = arguments.parse_args().every
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    dataset = generate()
    try:
        with ExitStack() as stack:
            with console.status("Starting buckets, queues, the simulated 100ms API and Airflow (30 seconds)"):
                traffic = _start(dataset, stack)
            _print_addresses(traffic)
            _run(traffic, dataset, every_s)
    except AirflowFailed as error:
        console.print(str(error), style="red")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped. The loaded rows are in", FOLDER / "warehouse.duckdb")
    return 0


def _start(dataset: Dataset, stack: ExitStack) -> LiveTraffic:
    installation = stack.enter_context(run_installation(dataset, FOLDER, notifications=True))
    installation.vendor.workspaces = [empty_workspace(workspace) for workspace in dataset.workspaces]
    put = stack.enter_context(create_buckets(dataset.buckets, installation.s3, installation.gcs))
    configure_notifications(installation)
    running = stack.enter_context(airflow(FOLDER / "airflow", POOLS, installation.environment, triggers=True))
    pool = stack.enter_context(ThreadPoolExecutor(8, "traffic"))
    stack.callback(pool.shutdown, cancel_futures=True)
    return LiveTraffic(installation, running, put, pool)


def configure_notifications(installation: Installation) -> None:
    """Let the S3 bucket notify the queue of new objects, by Roomledger's own command. Raises AirflowFailed."""
    source = next(bucket.source for bucket in installation.dataset.buckets if bucket.scheme == "s3")
    command = ["notifications", "s3", source, "--apply", "--config", str(installation.config)]
    keys = {"AWS_ACCESS_KEY_ID": installation.s3.access_key, "AWS_SECRET_ACCESS_KEY": installation.s3.secret_key}
    completed = subprocess.run(
        [str(Path(sys.executable).with_name("roomledger")), *command],
        env=os.environ | installation.environment | keys,
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        output = completed.stdout + completed.stderr
        raise AirflowFailed(f"roomledger notifications failed for the queue {QUEUE}:\n{output}")


def _print_addresses(traffic: LiveTraffic) -> None:
    installation = traffic.installation
    config = installation.config
    if config.is_relative_to(Path.cwd()):
        config = config.relative_to(Path.cwd())
    console.print(f"[bold]Airflow[/]      {traffic.airflow.endpoint}  (no login; DAGs: listen, collect, load)")
    source = installation.dataset.workspaces[0].source
    console.print(f"[bold]Webhooks[/]     {traffic.airflow.endpoint}/roomledger/webhooks/{source}")
    console.print(f"[bold]Buckets[/]      {', '.join(bucket.url for bucket in installation.dataset.buckets)}")
    console.print(f"[bold]100ms API[/]    {installation.vendor.endpoint}")
    console.print(f"[bold]Logs[/]         {traffic.airflow.logs}")
    console.print(f"[bold]Status[/]       .venv/bin/roomledger status --config {config}")
    console.print("Press Ctrl-C to stop everything.\n")


def _run(traffic: LiveTraffic, dataset: Dataset, every_s: float) -> None:
    """Send one session after the other; after the last one, continue with another dataset."""
    reported_at = time.monotonic()
    for number in count():
        for session in finished_sessions(dataset):
            began = time.monotonic()
            traffic.send(session)
            if began - reported_at > _REPORT_EVERY_S:
                reported_at = began
                console.print(_progress(traffic.installation.database))
            time.sleep(max(0.0, began + every_s - time.monotonic()))
        dataset = generate(seed=101 + number)


def _progress(database: Database) -> str:
    with database.begin(read_only=True) as tx:
        objects, pending = tx.execute(text(_COUNT_OBJECTS)).one()
        messages, sentences = (
            tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("chat_messages", "transcript_segments")
        )
        sessions = tx.execute(text("SELECT count(*) FROM sessions")).scalar_one()
    return (
        f"{time.strftime('%H:%M:%S')}  {sessions:,} sessions, {objects:,} objects loaded, {pending:,} pending; "
        f"{messages:,} messages, {sentences:,} sentences"
    )


_COUNT_OBJECTS = """
SELECT count(CASE WHEN disposition = 'loaded' THEN 1 END),
       count(CASE WHEN disposition IN ('seen', 'claimed') THEN 1 END)
FROM object_ledger
"""


if __name__ == "__main__":
    sys.exit(main())
