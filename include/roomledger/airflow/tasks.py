"""What the DAGs' tasks call. Only counts travel between tasks: the work itself waits in the ledger."""

from __future__ import annotations

import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from roomledger import settings
from roomledger.airflow.connections import access, queue_access
from roomledger.ledger.database import Database, open_database
from roomledger.ledger.migrate import require_current
from roomledger.pipeline import subscriptions
from roomledger.pipeline.collect import collect_source
from roomledger.pipeline.listen import Answered, listen_and_load
from roomledger.pipeline.load import BATCH, count_pending, load_batches
from roomledger.queues import Queue, QueueError
from roomledger.settings import Source
from roomledger.stores import Store, open_store

QUIET_S, MOST_S = 10.0, 300.0
"""For how long a run listens on when nothing comes, and in all."""

log = logging.getLogger(__name__)

TASKS = 8
"""Load tasks of one run at most; the pool `roomledger_load` says how many of them run at once."""


def source_names() -> list[str]:
    """Name the sources of the settings that can be looked into."""
    return [source.name for source in settings.from_environment().sources if source.api]


def collect(name: str) -> dict[str, int]:
    """Bring the warehouse up to date with one source's bucket or workspace; give the counts."""
    database, sources = _open([name])
    [source] = sources
    store = open_store(source.url, access(source))
    found = collect_source(database, source, store, sources=settings.from_environment().sources)
    counts = {"listed": found.listed, **found.new, "gone": found.gone, "moved": found.moved}
    log.info("collected %s: %s", name, counts)
    return counts


def plan_loads() -> list[int]:
    """Plan the work that waits now: how many batches each load task is to take; an empty list when nothing waits."""
    database, sources = _open()
    batches = -(-count_pending(database, sources) // BATCH)
    tasks = min(batches, TASKS)
    return [batches // tasks + (number < batches % tasks) for number in range(tasks)]


def load(batches: int, run_id: str, *, accept_refusals: bool) -> dict[str, int]:
    """Load this many batches, or fewer when less waits by now; give the counts."""
    database, sources = _open()
    counts = {"objects": 0, "rows_loaded": 0, "rows_refused": 0, "rows_duplicate": 0}
    loads = load_batches(
        database,
        sources,
        _stores(sources),
        most=batches,
        started_by=f"airflow {run_id}",
        accept_refusals=accept_refusals,
    )
    for done in loads:
        counts["objects"] += sum(done.objects.values())
        counts["rows_loaded"] += done.rows_loaded
        counts["rows_refused"] += done.rows_refused
        counts["rows_duplicate"] += done.rows_duplicate
        log.info("load %s: %s, %d rows", done.load_id, dict(done.objects), done.rows_loaded)
    return counts


def listen(run_id: str) -> dict[str, int]:
    """Answer the queues and load what is new, until they are quiet; give the counts.

    Raises QueueError when at the end a queue, or an object that it names, could not be read: its messages wait there.
    """
    given = settings.from_environment()
    database, _ = _open()
    sources = given.sources
    opened = [subscriptions.open_subscription(given, name, queue_access) for name in settings.queue_names(given)]
    counts: Counter[str] = Counter()
    problems: set[str] = set()
    done = listen_and_load(
        database,
        sources,
        _stores(sources),
        opened,
        quiet_s=QUIET_S,
        most_s=MOST_S,
        started_by=f"airflow {run_id}",
        is_over=_told_to_end(),
    )
    for one in done:
        if isinstance(one, Answered):
            problems = one.problems
            counts.update({"messages": one.messages, "events": one.events, "refused": one.refused, **one.new})
        else:
            counts.update({"objects": sum(one.objects.values()), "rows_loaded": one.rows_loaded})
        log.info("%s", one)
    if problems:
        raise QueueError("; ".join(sorted(problems)))
    return dict(counts)


def _told_to_end() -> Callable[[], bool]:
    """Whether the worker was told to end since: Airflow itself lets a task run on then, until it is killed."""
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
    """Get the queue, or inbox, of this name ready, with its Airflow connection."""
    return subscriptions.open_subscription(settings.from_environment(), name, queue_access).queue


def _open(names: Sequence[str] = ()) -> tuple[Database, tuple[Source, ...]]:
    given = settings.from_environment()
    database = open_database(given)
    require_current(database)
    return database, tuple(source for source in given.select(names) if source.api)


def _stores(sources: Sequence[Source]) -> dict[str, Store]:
    """Open what can be read: a workspace of which there are only webhooks cannot."""
    return {source.name: open_store(source.url, access(source)) for source in sources if source.api}
