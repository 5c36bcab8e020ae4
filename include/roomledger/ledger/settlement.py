"""Settlement: the outcome of every version that a load claimed, decided in one short transaction.

A claim counts only while the ledger still assigns it to this load: versions that another load claimed or superseded in
the meantime are skipped, and their rows never count.

    lock         every version of the objects concerned, in the order that all transactions use
    decide       other versions of the object decide together with the outcome
    settle       each claim gets its disposition; a loaded version its counts, an emptied one loses them
    try others   if the version taken for the newest does not exist, another version of the same second is queued
    supersede    older versions of the loaded objects are superseded
    resolve      reclassified versions get their session
    refuse       refused records are stored, and earlier refusals of good records are resolved
    requeue      versions whose type the vendor changed during the load are read again
    record       the load gets its row
    publish      the objects show the rows of this load
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, text

from roomledger.ledger import refusals, session_evidence
from roomledger.ledger.database import Database, Rows, Staged, stage_query
from roomledger.ledger.objects import add_objects
from roomledger.ledger.observations import key_columns
from roomledger.ledger.outcome import Load, Outcome, outcome_rows
from roomledger.ledger.publications import publication
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.tables.ledger import loads
from roomledger.ledger.versions import is_newer, lock_objects


def settle(
    tx: Connection,
    database: Database,
    load_id: str,
    outcomes: Sequence[Outcome],
    *,
    refused: Rows,
    claimed_at: datetime,
    now: datetime,
    started_by: str,
    parser_version: str,
) -> Load:
    """Settle the outcomes of the claims that have `load_id` as their token, and publish the objects.

    `refused` are the refused records of the batch: rows of `refusals` without the columns that the ledger has.
    """
    database.hold_evidence(tx, change=False)
    staged = database.stage(tx, outcome_rows(outcomes), "outcomes")
    values = {"load": load_id, "now": now, "parser": parser_version}

    def run(statement: str, **tables: Staged) -> None:
        tx.execute(text(statement.format(outcomes=staged, **tables)), values)

    def stage(query: str, label: str, **tables: Staged) -> Staged:
        return stage_query(tx, query.format(outcomes=staged, load=load_id, **tables), label)

    lock_objects(tx, database, staged)
    versions = stage(_VERSIONS, "versions")
    decisions = stage(_DECISIONS, "decisions", versions=versions)
    run(_SETTLE, decisions=decisions)
    if any(outcome.is_changed for outcome in outcomes):
        run(_TRY_OTHERS)
    loaded = stage("SELECT object_id FROM {decisions} WHERE is_loaded", "loaded", decisions=decisions)
    emptied = stage("SELECT object_id FROM {decisions} WHERE is_emptied", "emptied", decisions=decisions)
    replaced = stage(_REPLACED, "replaced", versions=versions, loaded=loaded)
    run(_SUPERSEDE, loaded=loaded, replaced=replaced)
    if any(outcome.asset != outcome.claim.asset for outcome in outcomes):
        session_evidence.resolve(tx, database, stage(_RECLASSIFIED, "reclassified"))
    # After the sessions: a refusal copies the session of its object.
    records = database.stage(tx, refused, "refused")
    refusals.settle_refusals(tx, staged, records, replaced, emptied, load_id=load_id, now=now)
    requeue_retyped(tx, database, staged, unnamed=stage(_UNNAMED, "unnamed"), now=now)
    settled = {row.final: row.versions for row in tx.execute(text(_SETTLED.format(decisions=decisions)))}
    rows_loaded, rows_refused, rows_duplicate = tx.execute(text(_TOTALS.format(decisions=decisions))).one()
    load = Load(
        load_id=load_id,
        objects=settled,
        rows_loaded=rows_loaded,
        rows_refused=rows_refused,
        rows_duplicate=rows_duplicate,
        lost_claims=len(outcomes) - sum(settled.values()),
    )
    with publication(tx, database, changed_by="load", now=now) as changes:
        run(_DISCARD, decisions=decisions)
        if settled:
            counts = {name: load.counts[name] for name in _COUNTS}
            times = {"claimed_at": claimed_at, "committed_at": now}
            names = {"load_id": load_id, "started_by": started_by, "parser_version": parser_version}
            tx.execute(insert(loads).values(**counts, **times, **names, publication=changes.number))
            changes.is_changed = True
        add_objects(changes, staged)
    return load


_COUNTS = ("objects", "objects_loaded", "objects_refused", "rows_loaded", "rows_refused", "rows_duplicate")

# All versions of the objects concerned, with the outcomes of this load's claims.
_VERSIONS = """
SELECT known.object_id, known.uri, known.modified_at, known.first_seen_at, known.disposition,
       known.loaded_at IS NOT NULL AS has_rows, known.loaded_asset_type, known.content_sha256, known.content_tag,
       COALESCE(known.disposition = 'claimed' AND known.claimed_by = '{load}', FALSE) AS is_mine,
       outcomes.disposition AS outcome, outcomes.content_sha256 AS read_sha256
FROM object_ledger AS known LEFT JOIN {outcomes} AS outcomes ON outcomes.object_id = known.object_id
WHERE known.uri IN (SELECT uri FROM {outcomes})
"""

# After killed loads one batch may hold two versions of an object. Media are not read, so the older one would not be
# found missing.
_NEWER_COUNTS = f"""
    {is_newer("other", "mine")}
    AND (other.disposition = 'unchanged' OR (other.has_rows AND other.disposition IN ('loaded', 'missing'))
         OR (other.is_mine AND other.outcome IN ('loaded', 'unchanged')))
"""
_IS_OF_SAME_SECOND = "other.modified_at = mine.modified_at AND other.disposition <> 'ignored'"
_HAS_SAME_BYTES = """
    other.has_rows AND other.disposition IN ('loaded', 'missing')
    AND (other.content_sha256 = mine.read_sha256 OR other.content_tag = mine.content_tag)
"""

# Changes of other versions since the claim decide together with the outcome. A replay that refuses a version as the
# type that it was loaded as leaves the version loaded, with its rows. A version with rows is emptied when it is now
# ignored, by a later vendor record or by the settings, or refused as another type.
_DECISIONS = f"""
WITH compared AS (
    SELECT mine.object_id, mine.has_rows, mine.loaded_asset_type,
           bool_or({_NEWER_COUNTS}) AS newer_counts, bool_or({_IS_OF_SAME_SECOND}) AS other_of_same_second,
           bool_or({_HAS_SAME_BYTES}) AS same_bytes_count
    FROM {{versions}} AS mine
    LEFT JOIN {{versions}} AS other ON other.uri = mine.uri AND other.object_id <> mine.object_id
    WHERE mine.is_mine GROUP BY mine.object_id, mine.has_rows, mine.loaded_asset_type
)
SELECT *, disposition = 'loaded' AND final = 'loaded' AS is_loaded,
       final IN ('ignored', 'refused') AND has_rows AS is_emptied
FROM (
    SELECT outcomes.*, has_rows, CASE
        WHEN outcomes.disposition = 'loaded' AND newer_counts THEN 'superseded'
        WHEN outcomes.is_changed AND outcomes.disposition = 'seen' AND NOT has_rows AND other_of_same_second
            THEN 'superseded'
        WHEN outcomes.disposition = 'unchanged' AND NOT COALESCE(same_bytes_count, FALSE) THEN 'seen'
        WHEN outcomes.disposition = 'refused' AND has_rows
             AND NOT COALESCE(loaded_asset_type <> outcomes.asset_type, FALSE) THEN 'loaded'
        ELSE outcomes.disposition END AS final
    FROM {{outcomes}} AS outcomes JOIN compared ON compared.object_id = outcomes.object_id
) AS decided
"""


def _when_read(name: str, loaded: str, emptied: str) -> str:
    """Build the assignment of a column that describes the rows: it changes only when they do."""
    return f"{name} = CASE WHEN is_loaded THEN {loaded} WHEN is_emptied THEN {emptied} ELSE object_ledger.{name} END"


_ROWS = ", ".join(
    [
        *(_when_read(name, f"decision.{name}", f"decision.{name}") for name in key_columns(None)),
        *(
            _when_read(name, f"decision.{name}", "0")
            for name in ("rows_parsed", "rows_loaded", "rows_refused", "rows_duplicate")
        ),
        _when_read("loaded_at", "CAST(:now AS TIMESTAMP WITH TIME ZONE)", "NULL"),
        _when_read("rows_load_id", ":load", "NULL"),
        _when_read("first_load_id", "COALESCE(object_ledger.first_load_id, :load)", "NULL"),
        _when_read("parser_version", ":parser", "NULL"),
        _when_read("loaded_asset_type", "decision.asset_type", "NULL"),
    ]
)

_SETTLE = f"""
UPDATE object_ledger
SET disposition = final,
    reason = CASE
        WHEN final = decision.disposition THEN decision.reason
        WHEN final = 'superseded' AND is_changed THEN 'superseded: replaced by another version of the same second'
        WHEN final = 'superseded' THEN 'superseded: a newer version was loaded first'
        WHEN final = 'seen' THEN 'new: the version with the same bytes is no longer current; waits to be read'
        ELSE 'replay_refused: the rows of the earlier load stay: ' || decision.reason END,
    asset_type = CASE WHEN final = 'ignored' THEN decision.asset_type
                      ELSE COALESCE(decision.asset_type, object_ledger.asset_type) END,
    content_sha256 = CASE WHEN final = 'ignored' THEN NULL
                          ELSE COALESCE(decision.content_sha256, object_ledger.content_sha256) END,
    replay_requested_at = CASE WHEN final = 'seen' THEN replay_requested_at END,
    retry_at = CASE WHEN final <> 'superseded' THEN decision.retry_at END,
    load_id = :load, claimed_by = NULL, lease_until = NULL,
    {_ROWS}
FROM {{decisions}} AS decision
WHERE decision.object_id = object_ledger.object_id
"""

# S3 reports times in whole seconds: of versions of one second the last observed one is taken for the newest. If it does
# not exist, another one is queued: the one with the fewest attempts.
_TRY_OTHERS = """
UPDATE object_ledger
SET disposition = 'seen', reason = 'new: the version taken for newer does not exist; waits to be read',
    retry_at = CASE WHEN attempts > 0 THEN next_retry_at END
FROM (
    SELECT DISTINCT ON (other.uri) other.object_id AS next_id, outcomes.retry_at AS next_retry_at
    FROM {outcomes} AS outcomes
    JOIN object_ledger AS changed ON changed.object_id = outcomes.object_id
    JOIN object_ledger AS other ON other.uri = changed.uri AND other.modified_at = changed.modified_at
    WHERE outcomes.is_changed AND changed.disposition = 'superseded' AND changed.load_id = :load
      AND other.object_id <> changed.object_id AND other.disposition = 'superseded' AND other.loaded_at IS NULL
      AND NOT EXISTS (
          SELECT 1 FROM object_ledger AS candidate
          WHERE candidate.uri = changed.uri AND candidate.modified_at >= changed.modified_at
            AND candidate.disposition NOT IN ('superseded', 'ignored')
      )
    ORDER BY other.uri, other.attempts, other.first_seen_at DESC, other.object_id
) AS next
WHERE object_id = next_id
"""

# The loaded versions and all older versions of their objects.
_REPLACED = f"""
SELECT object_id FROM {{loaded}}
UNION
SELECT older.object_id FROM {{versions}} AS older JOIN {{versions}} AS newer ON newer.uri = older.uri
WHERE newer.object_id IN (SELECT object_id FROM {{loaded}}) AND {is_newer("newer", "older")}
"""

_SUPERSEDE = """
UPDATE object_ledger
SET disposition = 'superseded', reason = 'superseded: a newer version of the object was loaded',
    claimed_by = NULL, lease_until = NULL, retry_at = NULL, replay_requested_at = NULL
WHERE disposition NOT IN ('superseded', 'ignored', 'erased')
  AND object_id NOT IN (SELECT object_id FROM {loaded}) AND object_id IN (SELECT object_id FROM {replaced})
"""

_RECLASSIFIED = "SELECT object_id FROM {outcomes} WHERE is_reclassified"

# Versions whose type the vendor withdrew while they were read as that type.
_UNNAMED = """
SELECT outcomes.object_id FROM {outcomes} AS outcomes
JOIN object_ledger ON object_ledger.object_id = outcomes.object_id
WHERE outcomes.named_as IS NOT NULL AND object_ledger.named_type IS NULL
"""

# Rows that were appended for nothing. Media have none.
_DISCARD = """
INSERT INTO discarded_rows (object_id, load_id)
SELECT object_id, :load FROM {outcomes} AS outcomes
WHERE disposition = 'loaded' AND content_sha256 IS NOT NULL
  AND object_id NOT IN (SELECT object_id FROM {decisions} WHERE is_loaded)
"""

_SETTLED = "SELECT final, count(*) AS versions FROM {decisions} GROUP BY final ORDER BY final"

_TOTALS = """
SELECT CAST(COALESCE(SUM(rows_loaded), 0) AS BIGINT), CAST(COALESCE(SUM(rows_refused), 0) AS BIGINT),
       CAST(COALESCE(SUM(rows_duplicate), 0) AS BIGINT)
FROM {decisions} WHERE is_loaded
"""
