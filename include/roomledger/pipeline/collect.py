"""Collect: look into a source and write what is new, or gone, into the ledger.

It may be repeated, run twice at once or be cut off at any point: the ledger makes it come out the same.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.compute as pc

from roomledger import times
from roomledger.formats import object_keys
from roomledger.ledger.database import Database
from roomledger.ledger.observations import mark_missing, present_uris, record_observations
from roomledger.model import Observation
from roomledger.settings import Source
from roomledger.stores import Store

if TYPE_CHECKING:
    from roomledger.hundredms.storage import VendorStorage

_NOTED = 20_000


@dataclass(slots=True)
class Collected:
    """What one look into a source brought."""

    source: str
    listed: int = 0
    """Objects of a bucket, or records of a workspace."""
    new: Counter[str] = field(default_factory=Counter)
    """Versions not known before, by disposition; `back` for those that had gone missing."""
    gone: int = 0
    moved: int = 0
    """Objects whose rows were given to another session by what the vendor said."""
    told: int = 0
    """Records of the vendor that are new or have changed."""
    refused: int = 0
    """Records of the vendor that could not be understood; they are kept and tried again by every later look."""
    requests: int = 0
    """Requests made to the vendor's API."""


def collect_source(
    database: Database,
    source: Source,
    store: Store,
    *,
    sources: Sequence[Source] = (),
    on_page: Callable[[int], None] = lambda listed: None,
) -> Collected:
    """Look into the source and write into the ledger what is new and what has gone.

    A bucket is listed. Of a workspace the vendor is asked; what lies in none of the buckets of `sources`, all that the
    settings name, is read from the vendor's own storage.
    """
    if source.is_workspace:
        return _ask(database, source, cast("VendorStorage", store), sources, on_page)
    return _list(database, source, store, on_page)


def _ask(
    database: Database,
    source: Source,
    workspace: VendorStorage,
    sources: Sequence[Source],
    on_page: Callable[[int], None],
) -> Collected:
    from roomledger.pipeline.sync_workspace import WorkspaceSync  # httpx and jwt are for workspaces only

    heard = WorkspaceSync(
        database=database,
        source=source,
        api=workspace.api,
        buckets=[f"{other.url}/" for other in sources if not other.is_workspace],
        clock=times.utc_now,
        on_records=on_page,
    ).run()
    return Collected(
        source.name,
        listed=heard.records,
        new=heard.new,
        moved=heard.moved,
        told=heard.news.total(),
        refused=heard.refused,
        requests=heard.requests,
    )


def _list(database: Database, source: Source, store: Store, on_page: Callable[[int], None]) -> Collected:
    """List a bucket.

    Memory grows by 8 bytes for each object. What has gone is only told after a listing that ran to its end.
    """
    started = times.utc_now()
    report = Collected(source.name)
    listed = array("q")
    for observed in _in_pages(store.list()):
        noted = [(one, source.judged(object_keys.recognise(one))) for one in observed]
        with database.begin() as tx:
            report.new.update(
                record_observations(tx, database, source, noted, observed_by="listing", now=times.utc_now())
            )
        listed.extend(hash(one.uri) for one in observed)
        report.listed += len(observed)
        on_page(len(observed))
    there = pa.array(listed, pa.int64())
    with database.begin() as tx:
        gone: list[str] = []
        for uris in present_uris(tx, source.name, before=started):
            known = pc.is_in(pa.array([hash(uri) for uri in uris], pa.int64()), value_set=there)
            gone += [uri for uri, is_there in zip(uris, known.to_pylist(), strict=True) if not is_there]
        if gone:
            report.gone = mark_missing(
                tx, database, source.name, gone, before=started, observed_by="listing", now=times.utc_now()
            )
    return report


def _in_pages(pages: Iterator[list[Observation]]) -> Iterator[list[Observation]]:
    page: list[Observation] = []
    for more in pages:
        page += more
        if len(page) >= _NOTED:
            yield page
            page = []
    if page:
        yield page
