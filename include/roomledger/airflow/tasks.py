"""What the DAGs' tasks call. Only counts travel between tasks: the work itself waits in the ledger."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from roomledger import pipeline, settings
from roomledger.airflow.connections import access
from roomledger.settings import Source
from roomledger.stores import Store, open_store
from roomledger.warehouse import Warehouse, open_warehouse
from roomledger.warehouse.migrate import require_current

log = logging.getLogger(__name__)

TASKS = 8
"""Load tasks of one run at most; the pool `roomledger_load` says how many of them run at once."""


def source_names() -> list[str]:
    """Name the sources of the settings."""
    return [source.name for source in _settings().sources]


def collect_source(name: str) -> dict[str, int]:
    """Bring the warehouse up to date with one source's bucket or workspace; give the counts."""
    warehouse, sources = _open([name])
    [source] = sources
    store = open_store(source.url, access(source))
    found = pipeline.collect(warehouse, source, store, sources=_settings().sources)
    counts = {"listed": found.listed, **found.new, "gone": found.gone, "moved": found.moved}
    log.info("collected %s: %s", name, counts)
    return counts


def plan_loads() -> list[int]:
    """Plan the work that waits now: how many batches each load task is to take; an empty list when nothing waits."""
    warehouse, sources = _open()
    batches = -(-pipeline.plan(warehouse, sources) // pipeline.BATCH)
    tasks = min(batches, TASKS)
    return [batches // tasks + (number < batches % tasks) for number in range(tasks)]


def load_batches(batches: int, run_id: str, *, accept_refusals: bool) -> dict[str, int]:
    """Load this many batches, or fewer when less waits by now; give the counts."""
    warehouse, sources = _open()
    counts = {"objects": 0, "rows_loaded": 0, "rows_refused": 0, "rows_duplicate": 0}
    loads = pipeline.load(
        warehouse,
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


def _settings() -> settings.Settings:
    return settings.read(Path(os.environ.get("ROOMLEDGER_CONFIG", "roomledger.toml")), os.environ)


def _open(names: Sequence[str] = ()) -> tuple[Warehouse, tuple[Source, ...]]:
    given = _settings()
    warehouse = open_warehouse(given)
    require_current(warehouse)
    return warehouse, given.select(names)


def _stores(sources: Sequence[Source]) -> dict[str, Store]:
    return {source.name: open_store(source.url, access(source)) for source in sources}
