"""Preflight: find every mistake in settings, credentials and permissions before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from roomledger.ledger.database import WarehouseError
from roomledger.ledger.installation import LEDGER
from roomledger.ledger.migrate import require_current
from roomledger.ledger.refusals import count_open, count_stopped
from roomledger.runtime import Runtime
from roomledger.settings import Source, WorkspaceSource
from roomledger.stores import ObjectChanged, ObjectMissing, StoreError


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `problem` is None on success, perhaps with a `note` of what to look at."""

    subject: str
    problem: str | None
    note: str | None = None


def check(runtime: Runtime) -> list[Finding]:
    """Check the warehouse, the refusals and every source: one finding each; nothing is written."""
    found = [*_databases(runtime)]
    if not any(one.problem for one in found):
        found.append(_refusals(runtime))
    return [*found, *(_source(runtime, source) for source in runtime.sources)]


def _refusals(runtime: Runtime) -> Finding:
    with runtime.database.begin(read_only=True) as tx:
        files, records = count_open(tx)
        stopped = count_stopped(tx)
    notes = []
    if files or records:
        refused = f"{files:,} files or messages and {records:,} records, or values of records, are refused"
        notes.append(f"{refused}: `roomledger status` shows the reasons")
    if stopped:
        notes.append(f"a load stopped at {stopped:,} files that would be refused alike: `roomledger load` says why")
    return Finding("refusals", None, "; ".join(notes) or None)


def _databases(runtime: Runtime) -> Iterator[Finding]:
    installation_id = None
    if not runtime.facts.in_ledger:
        try:
            installation_id = require_current(runtime.database, LEDGER)
        except WarehouseError as error:
            yield Finding("control", str(error))
        else:
            yield Finding("control", None)
    try:
        runtime.facts.require_current(installation_id)
    except WarehouseError as error:
        yield Finding("warehouse", str(error))
    else:
        yield Finding("warehouse", None)


def _source(runtime: Runtime, source: Source) -> Finding:
    subject = f"source {source.name}"
    try:
        if isinstance(source, WorkspaceSource):
            runtime.client(source).get("rooms", limit=10)
            return Finding(subject, None)
        store = runtime.store(source)
        first = next((page for page in store.list() if page), [])
        if not first:
            return Finding(
                subject, f"no objects under {source.url}: check bucket and prefix, or wait for the first object"
            )
        smallest = min(first, key=lambda seen: seen.size_bytes or 1 << 62)
        next(store.read(smallest), None)
    except (ObjectChanged, ObjectMissing):
        return Finding(subject, None)  # it existed a moment ago: listing and reading are both allowed
    except StoreError as error:
        return Finding(subject, str(error))
    return Finding(subject, None)
