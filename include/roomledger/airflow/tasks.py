"""What the DAGs' tasks call. Tasks pass each other only counts: the pending work is in the ledger."""

from __future__ import annotations

import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from roomledger import runtime, settings
from roomledger.airflow.connections import AirflowConnections
from roomledger.pipeline.collect import collect_source
from roomledger.pipeline.listen import Round, listen_and_load
from roomledger.pipeline.load import BATCH, count_pending, load_batches
from roomledger.pipeline.subscriptions import subscribe
from roomledger.pipeline.vacuum import vacuum as vacuum_rows
from roomledger.queues import Queue, QueueError
from roomledger.settings import BucketSource

QUIET_S, MOST_S = 10.0, 300.0
"""How long a run listens while nothing arrives, and in total."""
TASKS = 8
"""Load tasks of one run at most; the pool `roomledger_load` limits how many of them run at once."""

log = logging.getLogger(__name__)


def source_names() -> list[str]:
    """Return the names of the sources that can be collected."""
    sources = settings.from_environment().sources
    return [source.name for source in sources if isinstance(source, BucketSource) or source.api]


def collect(name: str) -> dict[str, int]:
    """Bring the ledger up to date with one source's bucket or workspace; return the counts."""
    opened = runtime.from_environment([name], AirflowConnections())
    [source] = opened.sources
    counts = dict(collect_source(opened, source))
    log.info("collected %s: %s", name, counts)
    return counts


def plan_loads() -> list[int]:
    """Return how many batches each load task is to load; an empty list when nothing is pending."""
    opened = runtime.from_environment()
    batches = -(-count_pending(opened.database, opened.sources) // BATCH)
    tasks = min(batches, TASKS)
    return [batches // tasks + (number < batches % tasks) for number in range(tasks)]


def load(batches: int, run_id: str, *, accept_refusals: bool) -> dict[str, int]:
    """Load this many batches, or fewer when less is pending by now; return the counts."""
    opened = runtime.from_environment((), AirflowConnections())
    counts: Counter[str] = Counter()
    loads = load_batches(
        opened.database,
        opened.sources,
        opened.readers(),
        most=batches,
        started_by=f"airflow {run_id}",
        accept_refusals=accept_refusals,
        facts=opened.facts,
    )
    for done in loads:
        counts.update(done.counts)
        log.info("load %s: %s", done.load_id, dict(done.counts))
    return dict(counts)


def vacuum() -> dict[str, int]:
    """Delete rows that never counted, and history that is too old; return the counts."""
    opened = runtime.from_environment()
    counts = dict(vacuum_rows(opened.database, opened.facts, history_days=opened.settings.history_days))
    log.info("vacuumed: %s", counts)
    return counts


def listen(run_id: str) -> dict[str, int]:
    """Drain the queues and load what is new until the queues are quiet; return the counts.

    Raises QueueError when at the end a queue, or an object of a message, could not be read: those messages stay there.
    """
    opened = runtime.from_environment((), AirflowConnections())
    stores = opened.stores()
    subscriptions = [
        subscribe(opened.settings, name, open_queue(name)) for name in settings.queue_names(opened.settings)
    ]
    counts: Counter[str] = Counter()
    problems: set[str] = set()
    done = listen_and_load(
        opened.database,
        opened.settings.sources,
        opened.readers(stores),
        stores,
        subscriptions,
        quiet_s=QUIET_S,
        most_s=MOST_S,
        started_by=f"airflow {run_id}",
        is_over=_on_sigterm(),
        facts=opened.facts,
    )
    for one in done:
        if isinstance(one, Round):
            problems = one.problems
        counts.update(one.counts)
        log.info("%s", one)
    if problems:
        raise QueueError("; ".join(sorted(problems)))
    return dict(counts)


def _on_sigterm() -> Callable[[], bool]:
    """Return whether the worker has received SIGTERM since: Airflow itself lets a task run until it is killed."""
    ending = threading.Event()
    before = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: Any) -> None:
        ending.set()
        if callable(before):
            before(number, frame)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
    return ending.is_set


def open_queue(name: str) -> Queue:
    """Open the queue, or inbox, of this name with its Airflow connection."""
    return runtime.open_queue(settings.from_environment(), name, AirflowConnections())
