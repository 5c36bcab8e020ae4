"""Load what waits in the ledger, batch by batch: claim, read, parse, commit, until nothing waits."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from roomledger import times
from roomledger.ledger.claims import LEASE, Claim, claim_batch, count_claimable, release_claims, renew_lease
from roomledger.ledger.database import Database, WarehouseError
from roomledger.ledger.outcome import Load, Outcome
from roomledger.ledger.settlement import commit
from roomledger.model import BatchRefused
from roomledger.pipeline.extract import read
from roomledger.pipeline.staging import Spool
from roomledger.settings import Source
from roomledger.stores import Store

BATCH = 4000
"""Versions that one load claims and commits together."""
READS = 16
"""Reads in flight."""
_SUSPICIOUS_BATCH = 20


def count_pending(database: Database, sources: Sequence[Source]) -> int:
    """Count the versions that wait to be loaded now."""
    with database.begin(read_only=True) as tx:
        return count_claimable(tx, [source.name for source in sources], times.utc_now())


def load_batches(
    database: Database,
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
            database, sources, stores, batch=batch, reads=reads, started_by=started_by, accept_refusals=accept_refusals
        )
        if done is None:
            return
        yield done


def load_batch(
    database: Database,
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
    claimed_at = times.utc_now()
    with database.begin() as tx:
        claims = claim_batch(
            tx, database, list(named), token=token, limit=batch, now=claimed_at, newest_first=newest_first
        )
    if not claims:
        return None

    def kept(object_id: str) -> bytes | None:
        return _kept(database, object_id)

    def read_one(claim: Claim) -> Outcome:
        return read(claim, named[claim.source], stores[claim.source], spool, kept, times.utc_now())

    try:
        with Spool() as spool, _renewing(database, token):
            with ThreadPoolExecutor(min(reads, len(claims)), "read") as pool:
                outcomes = list(pool.map(read_one, claims))
            suspects = {} if accept_refusals else _suspects(outcomes)
            settled = [outcome for outcome in outcomes if outcome.claim.object_id not in suspects]
            with database.begin() as tx:
                done = commit(
                    tx,
                    database,
                    token,
                    settled,
                    spool.tables(),
                    claimed_at=claimed_at,
                    now=times.utc_now(),
                    started_by=started_by,
                )
                release_claims(
                    tx, database, token, "new: the load that held it stopped at its batch's refusals; waits to be read"
                )
    except BaseException:
        # Without this the claims come free when their lease ends: also then nothing is lost.
        with suppress(DBAPIError, WarehouseError), database.begin() as tx:
            release_claims(tx, database, token, "new: the load that held it ended early; waits to be read")
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


def _kept(database: Database, object_id: str) -> bytes | None:
    query = """
        SELECT raw FROM refusals JOIN object_ledger USING (object_id)
        WHERE object_id = :object_id AND ordinal = 0 AND octet_length(raw) = size_bytes AND size_bytes > 0
        ORDER BY refused_at DESC LIMIT 1
    """
    with database.begin() as tx:
        raw = tx.execute(text(query), {"object_id": object_id}).scalar_one_or_none()
    return None if raw is None else bytes(raw)


@contextmanager
def _renewing(database: Database, token: str) -> Iterator[None]:
    """Prolong the lease while the batch is read: a large file may take longer than the lease."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(LEASE.total_seconds() / 3):
            with database.begin() as tx:
                renew_lease(tx, database, token, times.utc_now())

    thread = threading.Thread(target=renew, name="renew", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
