"""Load pending versions batch by batch: claim, extract, stage, settle, append."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy.exc import DBAPIError

from roomledger import times
from roomledger.formats import PARSER_VERSION
from roomledger.ledger.appends import begin_append, finish_append, renew_append
from roomledger.ledger.claims import LEASE, Claim, claim_batch, count_claimable, release_claims, renew_lease
from roomledger.ledger.database import BULK, Database, WarehouseError
from roomledger.ledger.outcome import Load, Outcome
from roomledger.ledger.refusals import STOPPED, whole_content
from roomledger.ledger.settlement import settle
from roomledger.model import BatchRefused
from roomledger.pipeline.extract import extract
from roomledger.pipeline.heartbeat import heartbeat
from roomledger.pipeline.publish import publish
from roomledger.pipeline.staging import StagingFiles
from roomledger.settings import Source
from roomledger.stores import Reader
from roomledger.warehouse.engine import Facts
from roomledger.warehouse.transactional import DatabaseFacts

log = logging.getLogger(__name__)

BATCH = 4000
"""Versions in one batch: claimed and committed together."""
READS = 16
"""Concurrent reads."""
_SUSPICIOUS_BATCH = 20


def count_pending(database: Database, sources: Sequence[Source]) -> int:
    """Count the versions that can be loaded now."""
    with database.begin(read_only=True) as tx:
        return count_claimable(tx, [source.name for source in sources], times.utc_now())


def load_batches(
    database: Database,
    sources: Sequence[Source],
    readers: Mapping[str, Reader],
    *,
    most: int | None = None,
    batch: int = BATCH,
    reads: int = READS,
    started_by: str = "command line",
    accept_refusals: bool = False,
    facts: Facts | None = None,
    on_progress: Callable[[int, int], None] = lambda objects, rows: None,
) -> Iterator[Load]:
    """Load batches until nothing is pending, or `most` batches; yield each when it is committed.

    `facts` is where the rows go; by default the database of the ledger. `on_progress` is called with the numbers of
    objects and rows that were read. Raises BatchRefused.
    """
    options: dict[str, Any] = {"batch": batch, "reads": reads, "started_by": started_by, "on_progress": on_progress}
    for _ in count() if most is None else range(most):
        load = load_batch(database, sources, readers, accept_refusals=accept_refusals, facts=facts, **options)
        if load is None:
            return
        yield load


def load_batch(
    database: Database,
    sources: Sequence[Source],
    readers: Mapping[str, Reader],
    *,
    batch: int = BATCH,
    reads: int = READS,
    started_by: str = "command line",
    accept_refusals: bool = False,
    newest_first: bool = False,
    facts: Facts | None = None,
    on_progress: Callable[[int, int], None] = lambda objects, rows: None,
) -> Load | None:
    """Claim, read and commit one batch; None when nothing is pending. `readers` are by name of the source.

    If more than half of the files read (of at least 20) are refused for one reason, or nearly all of their records,
    these are queued again, the others are loaded and BatchRefused is raised, unless the caller accepts the refusals.
    """
    facts = facts or DatabaseFacts(database, in_ledger=True)
    by_name = {source.name: source for source in sources}
    load_id = uuid.uuid4().hex
    claimed_at = times.utc_now()
    with database.begin() as tx:
        claims = claim_batch(
            tx, database, list(by_name), token=load_id, limit=batch, now=claimed_at, newest_first=newest_first
        )
    if not claims:
        publish(database, facts)  # what a process that died, or the claim itself, has changed
        return None

    log.debug("load %s has claimed %d objects", load_id, len(claims))

    def refused_content(object_id: str) -> bytes | None:
        with database.begin() as tx:
            return whole_content(tx, object_id)

    def read(claim: Claim) -> Outcome:
        reader = readers[claim.source]
        return extract(claim, by_name[claim.source], reader, staging, refused_content, times.utc_now())

    def renew() -> None:
        with database.begin() as tx:
            renew_lease(tx, database, load_id, times.utc_now())
            renew_append(tx, load_id, times.utc_now())

    try:
        # A large file may take longer than the lease.
        with StagingFiles(load_id) as staging, heartbeat(renew, LEASE.total_seconds() / 3):
            with ThreadPoolExecutor(min(reads, len(claims)), "read") as pool:
                outcomes = []
                for outcome in pool.map(read, claims):
                    outcomes.append(outcome)
                    on_progress(1, outcome.rows_parsed)
            log.debug("load %s has read %d rows", load_id, sum(outcome.rows_parsed for outcome in outcomes))
            suspects = {} if accept_refusals else _suspects(outcomes)
            accepted = [outcome for outcome in outcomes if outcome.claim.object_id not in suspects]
            load = _commit(
                database,
                facts,
                load_id,
                accepted,
                staging,
                claimed_at=claimed_at,
                started_by=started_by,
            )
    except BaseException:
        # If this fails the claims expire with their lease, so nothing is lost.
        with suppress(DBAPIError, WarehouseError), database.begin() as tx:
            release_claims(tx, database, load_id, "new: the load that claimed it ended early; waits to be read")
        raise
    if suspects:  # only they are still claimed
        with database.begin() as tx:
            release_claims(
                tx,
                database,
                load_id,
                f"new: {STOPPED}; waits to be read",
            )
        first = next(iter(suspects.values()))
        raise BatchRefused(
            f"{len(suspects)} of {len(outcomes)} objects, or nearly all of their records, would be refused for the "
            f"same reason, such as {first.claim.seen.uri}: {_reason(first)}. They stay in the queue. If the files "
            "really are bad, load with --accept-refusals; if the parser is wrong, fix it and load again"
        )
    return load


def _commit(
    database: Database,
    facts: Facts,
    load_id: str,
    outcomes: Sequence[Outcome],
    staging: StagingFiles,
    *,
    claimed_at: datetime,
    started_by: str,
) -> Load:
    """Append the rows, settle the outcomes and publish the objects."""
    loaded = [one for one in outcomes if one.disposition == "loaded"]
    doubtful = {one.claim.object_id for one in loaded if one.is_doubtful}
    staged = staging.finish({one.claim.object_id for one in loaded}, doubtful)
    outcomes = [
        replace(one, rows_duplicate=staged.duplicates[one.claim.object_id])
        if one.claim.object_id in staged.duplicates
        else one
        for one in outcomes
    ]
    appends = bool(staged.files) and not facts.in_ledger
    if appends:
        with database.begin() as tx:
            begin_append(tx, load_id, times.utc_now())
        facts.append(staged.files, load_id)
    with database.begin() as tx:
        if appends and not finish_append(tx, load_id):
            # The lease expired, and others load the objects again. Whatever was appended since was not vacuumed yet.
            facts.vacuum([load_id])
            return Load(load_id=load_id, objects={}, lost_claims=len(outcomes))
        if facts.in_ledger:
            facts.append(staged.files, load_id, tx)
        load = settle(
            tx,
            database,
            load_id,
            outcomes,
            refused=staged.refused,
            claimed_at=claimed_at,
            now=times.utc_now(),
            started_by=started_by,
            parser_version=PARSER_VERSION,
        )
    log.debug("load %s is committed: %s", load_id, dict(load.counts))
    publish(database, facts)
    if len(outcomes) >= BULK:
        database.analyze()
    return load


def _reason(outcome: Outcome) -> str:
    return f"{outcome.refused_for}, {outcome.reason}" if outcome.refused_for else outcome.reason


def _suspects(outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """Give the outcomes that suggest a bug of ours: those with a reason that more than half of the files share.

    A file whose records were nearly all refused for one reason counts as refused for it.
    """
    files = [outcome for outcome in outcomes if outcome.content_sha256 or outcome.disposition in ("refused", "seen")]
    reasons = {
        outcome.claim.object_id: outcome.reason.split(":")[0]
        if outcome.disposition == "refused"
        else outcome.refused_for
        for outcome in files
    }
    shared = Counter(reason for reason in reasons.values() if reason).most_common(1)
    if len(files) < _SUSPICIOUS_BATCH or not shared:
        return {}
    [(most, number)] = shared
    if number * 2 <= len(files):
        return {}
    return {one.claim.object_id: one for one in files if reasons[one.claim.object_id] == most}
