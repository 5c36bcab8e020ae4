"""Collect: list a bucket, or sync a workspace, and record new and missing objects in the ledger.

It can be repeated, run concurrently or be interrupted at any point: the ledger ends in the same state.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from roomledger import times
from roomledger.formats.object_keys import recognise
from roomledger.ledger.database import Database
from roomledger.ledger.observations import mark_missing, present_uris, record_observations
from roomledger.model import Observation
from roomledger.pipeline.publish import publish
from roomledger.runtime import Runtime
from roomledger.settings import BucketSource, Source
from roomledger.stores import Store

_RECORDED_TOGETHER = 20_000


def collect_source(
    runtime: Runtime, source: Source, *, on_progress: Callable[[int], None] = lambda listed: None
) -> Counter[str]:
    """Collect one source; return the counts of `collect_bucket`, or of `sync_workspace`. Raises StoreError."""
    counts = _collect(runtime, source, on_progress)
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

    Gives the counts `listed` (objects), `missing`, and those of `record_observations`. Memory grows by 8 bytes per
    object. Only a complete listing marks objects missing. Raises StoreError.
    """
    started = times.utc_now()
    counts: Counter[str] = Counter()
    listed = array("q")
    for observed in _in_large_pages(store.list()):
        seen = [(one, source.classify(recognise(one))) for one in observed]
        with database.begin() as tx:
            counts += record_observations(tx, database, source, seen, observed_by="listing", now=times.utc_now())
        listed.extend(hash(one.uri) for one in observed)
        counts["listed"] += len(observed)
        on_progress(len(observed))
    hashes = pa.array(listed, pa.int64())
    with database.begin() as tx:
        missing: list[str] = []
        for uris in present_uris(tx, source.name, before=started):
            is_listed = pc.is_in(pa.array([hash(uri) for uri in uris], pa.int64()), value_set=hashes)
            missing += [uri for uri, found in zip(uris, is_listed.to_pylist(), strict=True) if not found]
        if missing:
            counts["missing"] = mark_missing(
                tx, database, source.name, missing, before=started, observed_by="listing", now=times.utc_now()
            )
    return counts


def _in_large_pages(pages: Iterator[list[Observation]]) -> Iterator[list[Observation]]:
    page: list[Observation] = []
    for more in pages:
        page += more
        if len(page) >= _RECORDED_TOGETHER:
            yield page
            page = []
    if page:
        yield page
