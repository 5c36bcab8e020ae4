"""Looking before leaping: every mistake in the settings, the credentials and the permissions, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from roomledger.hundredms.storage import VendorStorage
from roomledger.ledger.database import Database, WarehouseError
from roomledger.ledger.migrate import require_current
from roomledger.settings import Source
from roomledger.stores import Access, ObjectChanged, ObjectGone, StoreError, open_store

Resolve = Callable[[Source], Access]
"""How the credentials of a source are found."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `problem` is None when it is well."""

    subject: str
    problem: str | None


def check(database: Database, sources: Sequence[Source], access: Resolve) -> list[Finding]:
    """Look at the warehouse and at every source: one finding each, nothing is written."""
    return [_warehouse(database), *(_source(source, access) for source in sources)]


def _warehouse(database: Database) -> Finding:
    try:
        require_current(database)
    except WarehouseError as error:
        return Finding("warehouse", str(error))
    return Finding("warehouse", None)


def _source(source: Source, access: Resolve) -> Finding:
    subject = f"source {source.name}"
    try:
        store = open_store(source.url, access(source))
        if source.is_workspace:
            cast("VendorStorage", store).api.get("rooms", limit=10)
            return Finding(subject, None)
        first = next((page for page in store.list() if page), [])
        if not first:
            return Finding(
                subject, f"nothing lies under {source.url}: check bucket and prefix, or wait for a first object"
            )
        smallest = min(first, key=lambda seen: seen.size_bytes or 1 << 62)
        next(store.read(smallest), None)
    except (ObjectChanged, ObjectGone):
        return Finding(subject, None)  # it was there a moment ago: listing and reading are both allowed
    except StoreError as error:
        return Finding(subject, str(error))
    return Finding(subject, None)
