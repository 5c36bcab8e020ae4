"""Collect: list a bucket, or sync a workspace, and record new and missing objects in the ledger.

It can be repeated, run concurrently or be interrupted at any point: the ledger ends in the same state.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

import pyarrow as pa

from roomledger import times
from roomledger.formats.object_keys import recognise
from roomledger.ledger.database import BULK, Database
from roomledger.ledger.observations import mark_missing, record_observations, unlisted_uris, unrecorded
from roomledger.model import Observation
from roomledger.pipeline.publish import publish
from roomledger.runtime import Runtime
from roomledger.settings import BucketSource, Source
from roomledger.stores import Store

log = logging.getLogger(__name__)

_RECORDED_TOGETHER = 20_000
_IDS = pa.schema([("object_id", pa.string())])
_SEEN = _IDS.append(pa.field("uri", pa.string()))


def collect_source(
    runtime: Runtime, source: Source, *, on_progress: Callable[[int], None] = lambda listed: None
) -> Counter[str]:
    """Collect one source; return the counts of `collect_bucket`, or of `sync_workspace`. Raises StoreError."""
    log.debug("collecting %s at %s", source.name, source.url)
    counts = _collect(runtime, source, on_progress)
    log.debug("collected %s: %s", source.name, dict(counts))
    publish(runtime.database, runtime.facts)
    return counts


def _collect(runtime: Runtime, source: Source, on_progress: Callable[[int], None]) -> Counter[str]:
    if isinstance(source, BucketSource):
        return collect_bucket(runtime.database, source, runtime.store(source), on_progress=on_progress)
    from roomledger.pipeline.sync_workspace import sync_workspace  # only workspaces need httpx and jwt

    buckets = [f"{bucket.url}/" for bucket in runtime.settings.buckets]
    return sync_workspace(runtime.database, source, runtime.client(source), buckets, on_progress=on_progress)


def collect_bucket(
    database: Database,
    source: BucketSource,
    store: Store,
    *,
    on_progress: Callable[[int], None] = lambda listed: None,
) -> Counter[str]:
    """List a bucket and record new and missing objects.

    Gives the counts `listed` (objects), `missing`, and those of `record_observations`. Memory does not grow with the
    listing: a temporary file holds the ids of its versions. Only a complete listing marks objects missing. Raises
    StoreError.
    """
    started = times.utc_now()
    counts: Counter[str] = Counter()
    with _ListedIds() as listed:
        for page in _in_large_pages(store.list(), on_progress):
            counts += _record_page(database, source, page, listed)
            counts["listed"] += len(page)
        with database.begin() as tx:
            staged = database.stage(tx, listed.close(), "listed")
            missing = unlisted_uris(tx, source.name, staged, before=started)
            if missing:
                counts["missing"] = mark_missing(
                    tx, database, source.name, missing, before=started, observed_by="listing", now=times.utc_now()
                )
    return counts


def _record_page(
    database: Database, source: BucketSource, page: Sequence[Observation], listed: _ListedIds
) -> Counter[str]:
    """Record what is new in a page; nearly all of it is known."""
    seen = pa.table({"object_id": [one.object_id for one in page], "uri": [one.uri for one in page]}, _SEEN)
    listed.add(seen)
    with database.begin() as tx:
        new = unrecorded(tx, database, seen, observed_by="listing")
        if not new:
            return Counter()
        found = [(one, source.classify(recognise(one))) for one in page if one.object_id in new]
        counts = record_observations(tx, database, source, found, observed_by="listing", now=times.utc_now())
    if len(new) >= BULK:
        database.analyze()
    return counts


def _in_large_pages(
    pages: Iterator[list[Observation]], on_progress: Callable[[int], None]
) -> Iterator[list[Observation]]:
    page: list[Observation] = []
    for more in pages:
        page += more
        on_progress(len(more))
        if len(page) >= _RECORDED_TOGETHER:
            yield page
            page = []
    if page:
        yield page


class _ListedIds:
    """The ids of all versions in a listing, in a temporary file."""

    def __enter__(self) -> _ListedIds:
        from pyarrow.parquet import ParquetWriter  # takes a while to import

        self._stack = ExitStack()
        self._path = Path(self._stack.enter_context(TemporaryDirectory(prefix="roomledger-"))) / "listed.parquet"
        self._writer = self._stack.enter_context(ParquetWriter(self._path, _IDS))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def add(self, seen: pa.Table) -> None:
        self._writer.write_table(seen.select(_IDS.names))

    def close(self) -> Path:
        self._writer.close()
        return self._path
