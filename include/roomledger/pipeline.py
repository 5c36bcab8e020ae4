"""The whole story: collect what a source holds, plan the work that waits, load it batch by batch.

    for source in sources:  collect(...)      the listing's word goes into the ledger
    plan(...)                                  how many batches wait
    load(...)                                  claim, read, parse, commit, until nothing waits

Any of it may be repeated, run twice at once or be cut off at any point: the ledger makes it come out the same.
"""

from __future__ import annotations

import threading
import uuid
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from roomledger import ledger
from roomledger.commit import commit
from roomledger.formats import object_keys
from roomledger.model import BatchRefused, Observation
from roomledger.outcome import Load, Outcome
from roomledger.reading import read
from roomledger.settings import Source
from roomledger.spool import Spool
from roomledger.stores import Store
from roomledger.warehouse import Warehouse, WarehouseError

if TYPE_CHECKING:
    from roomledger.hundredms.storage import HeldAssets

BATCH = 4000
"""Versions that one load claims and commits together."""
READS = 16
"""Reads in flight."""
_NOTED = 20_000
_SUSPICIOUS_BATCH = 20


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


def clock() -> datetime:
    """Give the time now, in UTC."""
    return datetime.now(UTC)


def collect(
    warehouse: Warehouse,
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
        return _ask(warehouse, source, cast("HeldAssets", store), sources, on_page)
    return _list(warehouse, source, store, on_page)


def _ask(
    warehouse: Warehouse,
    source: Source,
    workspace: HeldAssets,
    sources: Sequence[Source],
    on_page: Callable[[int], None],
) -> Collected:
    from roomledger.sync_workspace import Reading  # httpx and jwt are for workspaces only

    heard = Reading(
        warehouse=warehouse,
        source=source,
        api=workspace.api,
        buckets=[f"{other.url}/" for other in sources if not other.is_workspace],
        clock=clock,
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


def _list(warehouse: Warehouse, source: Source, store: Store, on_page: Callable[[int], None]) -> Collected:
    """List a bucket.

    Memory grows by 8 bytes for each object. What has gone is only told after a listing that ran to its end.
    """
    started = clock()
    report = Collected(source.name)
    listed = array("q")
    for observed in _in_pages(store.list()):
        noted = [(one, source.judged(object_keys.recognise(one))) for one in observed]
        with warehouse.begin() as tx:
            report.new.update(ledger.note(tx, warehouse, source, noted, witness="listing", now=clock()))
        listed.extend(hash(one.uri) for one in observed)
        report.listed += len(observed)
        on_page(len(observed))
    there = pa.array(listed, pa.int64())
    with warehouse.begin() as tx:
        gone: list[str] = []
        for uris in ledger.present(tx, source.name, before=started):
            known = pc.is_in(pa.array([hash(uri) for uri in uris], pa.int64()), value_set=there)
            gone += [uri for uri, is_there in zip(uris, known.to_pylist(), strict=True) if not is_there]
        if gone:
            report.gone = ledger.mark_gone(
                tx, warehouse, source.name, gone, before=started, witness="listing", now=clock()
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


def plan(warehouse: Warehouse, sources: Sequence[Source]) -> int:
    """Count the versions that wait to be loaded now."""
    with warehouse.begin(read_only=True) as tx:
        return ledger.waiting(tx, [source.name for source in sources], clock())


def load(
    warehouse: Warehouse,
    sources: Sequence[Source],
    stores: Mapping[str, Store],
    *,
    most: int | None = None,
    batch: int = BATCH,
    reads: int = READS,
    started_by: str = "command line",
    accept_refusals: bool = False,
) -> Iterator[Load]:
    """Load batch after batch until nothing waits, or `most` are done; give each when it is committed.

    Raises BatchRefused.
    """
    numbers = count() if most is None else range(most)
    for _ in numbers:
        done = load_batch(
            warehouse, sources, stores, batch=batch, reads=reads, started_by=started_by, accept_refusals=accept_refusals
        )
        if done is None:
            return
        yield done


def load_batch(
    warehouse: Warehouse,
    sources: Sequence[Source],
    stores: Mapping[str, Store],
    *,
    batch: int = BATCH,
    reads: int = READS,
    started_by: str = "command line",
    accept_refusals: bool = False,
    newest_first: bool = False,
) -> Load | None:
    """Claim, read and commit one batch; None when nothing waits.

    When more than half of the files that were read (of at least 20) are refused for one reason, the others are loaded,
    these go back into the queue and BatchRefused is raised, unless the caller accepts the refusals.
    """
    named = {source.name: source for source in sources}
    token = uuid.uuid4().hex
    claimed_at = clock()
    with warehouse.begin() as tx:
        claims = ledger.claim(
            tx, warehouse, list(named), token=token, limit=batch, now=claimed_at, newest_first=newest_first
        )
    if not claims:
        return None

    def kept(object_id: str) -> bytes | None:
        return _kept(warehouse, object_id)

    def read_one(claim: ledger.Claim) -> Outcome:
        return read(claim, named[claim.source], stores[claim.source], spool, kept, clock())

    try:
        with Spool() as spool, _renewing(warehouse, token):
            with ThreadPoolExecutor(min(reads, len(claims)), "read") as pool:
                outcomes = list(pool.map(read_one, claims))
            suspects = {} if accept_refusals else _suspects(outcomes)
            settled = [outcome for outcome in outcomes if outcome.claim.object_id not in suspects]
            with warehouse.begin() as tx:
                done = commit(
                    tx,
                    warehouse,
                    token,
                    settled,
                    spool.tables(),
                    claimed_at=claimed_at,
                    now=clock(),
                    started_by=started_by,
                )
                ledger.release(
                    tx, warehouse, token, "new: the load that held it stopped at its batch's refusals; waits to be read"
                )
    except BaseException:
        # Without this the claims come free when their lease ends: also then nothing is lost.
        with suppress(DBAPIError, WarehouseError), warehouse.begin() as tx:
            ledger.release(tx, warehouse, token, "new: the load that held it ended early; waits to be read")
        raise
    if suspects:
        first = next(iter(suspects.values()))
        raise BatchRefused(
            f"{len(suspects)} of {len(outcomes)} objects would be refused for the same reason, such as "
            f"{first.claim.seen.uri}: {first.reason}. They stay in the queue as they are. If the files are bad indeed, "
            "load with --accept-refusals; if the parser is at fault, mend it and load again"
        )
    return done


def _suspects(outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """Give the refusals that look like a fault of ours, if more than half of what was read shares a reason."""
    files = [outcome for outcome in outcomes if outcome.content_sha256 or outcome.disposition in ("refused", "seen")]
    refused = [outcome for outcome in files if outcome.disposition == "refused"]
    reasons = Counter(outcome.reason.split(":")[0] for outcome in refused)
    if len(files) < _SUSPICIOUS_BATCH or not reasons:
        return {}
    reason, count = reasons.most_common(1)[0]
    if count * 2 <= len(files):
        return {}
    return {outcome.claim.object_id: outcome for outcome in refused if outcome.reason.split(":")[0] == reason}


def _kept(warehouse: Warehouse, object_id: str) -> bytes | None:
    query = """
        SELECT raw FROM refusals JOIN object_ledger USING (object_id)
        WHERE object_id = :object_id AND ordinal = 0 AND octet_length(raw) = size_bytes AND size_bytes > 0
        ORDER BY refused_at DESC LIMIT 1
    """
    with warehouse.begin() as tx:
        raw = tx.execute(text(query), {"object_id": object_id}).scalar_one_or_none()
    return None if raw is None else bytes(raw)


@contextmanager
def _renewing(warehouse: Warehouse, token: str) -> Iterator[None]:
    """Prolong the lease while the batch is read: a large file may take longer than the lease."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(ledger.LEASE.total_seconds() / 3):
            with warehouse.begin() as tx:
                ledger.renew(tx, warehouse, token, clock())

    thread = threading.Thread(target=renew, name="renew", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
