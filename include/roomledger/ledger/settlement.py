"""Settlement: what became of the versions that a load claimed, decided in one short transaction.

A claim counts only while the ledger still says that it is this load's: what another load claimed or superseded in the
meantime is left out with its rows.

    lock         every version of the objects at hand, in the order of all transactions
    settle       each claim gets its disposition; other versions of the object decide together with the outcome
    take place   of versions of one moment another is tried, where the one taken for the newest is not there
    count        what was loaded gets its counts and becomes the object's current version
    supersede    older versions give way
    empty        what is not wanted any more, or was refused as another type, keeps no counts
    resolve      the session of what was classified anew
    refuse       refused records are kept, those made good are resolved
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, text

from roomledger.ledger import refusals, session_evidence
from roomledger.ledger.database import Database, Staged, stage_ids, stage_query
from roomledger.ledger.outcome import Load, Outcome, outcome_rows
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.tables.ledger import loads
from roomledger.ledger.versions import NEWER, THIS


class Settlement(NamedTuple):
    """What a load settled, and what that means for rows; the staged tables hold object ids."""

    load: Load
    loaded: Staged
    """Versions whose staged rows are to be appended."""
    withdrawn: Staged
    """Versions whose earlier rows are to be deleted, before those are appended."""


def settle(
    tx: Connection,
    database: Database,
    load_id: str,
    outcomes: Sequence[Outcome],
    *,
    refused: Staged,
    duplicates: Staged,
    claimed_at: datetime,
    now: datetime,
    started_by: str,
    parser_version: str,
) -> Settlement:
    """Settle the outcomes of the claims that `load_id` holds as their token.

    `refused` are the refused records of the batch (staged `refusals`), `duplicates` the records that their file holds
    twice (`object_id`, `ordinal`).
    """
    database.hold_evidence(tx, change=False)
    staged = database.stage(tx, outcome_rows(outcomes), "outcomes")
    names = {"load": load_id, "now": now, "parser": parser_version}

    def run(statement: str) -> list[str]:
        done = tx.execute(text(statement.format(outcomes=staged, lock=database.lock)), names)
        return list(done.scalars()) if done.returns_rows else []

    run(_LOCK)
    had_rows = stage_query(tx, _HAD_ROWS.format(outcomes=staged), "had_rows")
    settled = run(_SETTLE)
    if any(outcome.is_changed for outcome in outcomes):
        run(_TAKE_PLACE)
    loaded = stage_ids(tx, database, run(_COUNT))
    tx.execute(text(_COUNT_DUPLICATES.format(loaded=loaded, duplicates=duplicates)))
    replaced = stage_query(tx, _REPLACED.format(loaded=loaded), "replaced")
    tx.execute(text(_SUPERSEDE.format(loaded=loaded, replaced=replaced)))
    emptied = stage_ids(tx, database, run(_EMPTY))
    refusals.resolve_records(tx, emptied, now=now)
    if any(outcome.asset != outcome.claim.asset for outcome in outcomes):
        query = f"SELECT object_id FROM {staged} WHERE is_reclassified"
        session_evidence.resolve(tx, database, stage_query(tx, query, "reclassified"))
    refusals.settle_refusals(tx, staged, refused, replaced, load_id=load_id, now=now)
    unnamed = stage_query(tx, _UNNAMED.format(outcomes=staged), "unnamed")
    requeue_retyped(tx, database, staged, unnamed=unnamed, now=now)
    withdrawn = f"""
        SELECT object_id FROM {replaced} WHERE object_id IN (SELECT object_id FROM {had_rows})
        UNION SELECT object_id FROM {emptied}
    """
    rows_loaded, rows_refused, rows_duplicate = tx.execute(text(_TOTALS.format(loaded=loaded))).one()
    load = Load(
        load_id=load_id,
        objects={disposition: settled.count(disposition) for disposition in sorted(set(settled))},
        rows_loaded=rows_loaded,
        rows_refused=rows_refused,
        rows_duplicate=rows_duplicate,
        lost_claims=len(outcomes) - len(settled),
    )
    if settled:
        times = {"claimed_at": claimed_at, "committed_at": now}
        _record_load(tx, load, times | {"started_by": started_by, "parser_version": parser_version})
    return Settlement(load, loaded, stage_query(tx, withdrawn, "withdrawn"))


def _record_load(tx: Connection, load: Load, more: dict[str, object]) -> None:
    row = more | {
        "load_id": load.load_id,
        "objects": sum(load.objects.values()),
        "objects_loaded": load.objects.get("loaded", 0),
        "objects_refused": load.objects.get("refused", 0),
        "rows_loaded": load.rows_loaded,
        "rows_refused": load.rows_refused,
        "rows_duplicate": load.rows_duplicate,
    }
    tx.execute(insert(loads).values(**row))


# All versions of the objects at hand, always in the same order: two loads never wait for each other in a circle.
_LOCK = """
SELECT object_id FROM object_ledger WHERE uri IN (SELECT uri FROM {outcomes}) ORDER BY object_id {lock}
"""

_HAD_ROWS = """
SELECT object_id FROM object_ledger
WHERE loaded_at IS NOT NULL AND disposition <> 'superseded'
  AND uri IN (SELECT uri FROM {outcomes} WHERE disposition = 'loaded')
"""

_NEWER_IS_CURRENT = f"""EXISTS (
    SELECT 1 FROM object_ledger newer
    WHERE newer.uri = object_ledger.uri AND {NEWER} > {THIS}
      AND (newer.disposition = 'unchanged'
           OR (newer.loaded_at IS NOT NULL AND newer.disposition IN ('loaded', 'missing')))
)"""

# Two loads that were killed, or ended early, may leave two versions to one batch. Media are not read, so that nothing
# shows that the older one is not there any more.
_NEWER_IS_IN_BATCH = f"""EXISTS (
    SELECT 1 FROM {{outcomes}} AS beside JOIN object_ledger newer ON newer.object_id = beside.object_id
    WHERE newer.uri = object_ledger.uri AND {NEWER} > {THIS} AND beside.disposition IN ('loaded', 'unchanged')
      AND newer.disposition = 'claimed' AND newer.claimed_by = :load
)"""

_OTHER_OF_ITS_MOMENT = """EXISTS (
    SELECT 1 FROM object_ledger other
    WHERE other.uri = object_ledger.uri AND other.modified_at = object_ledger.modified_at
      AND other.object_id <> object_ledger.object_id AND other.disposition <> 'ignored'
)"""

_SAME_IS_CURRENT = """EXISTS (
    SELECT 1 FROM object_ledger same
    WHERE same.uri = object_ledger.uri AND same.object_id <> object_ledger.object_id
      AND same.loaded_at IS NOT NULL AND same.disposition IN ('loaded', 'missing')
      AND (same.content_sha256 = outcomes.content_sha256 OR same.content_tag = object_ledger.content_tag)
)"""

# What other loads did to other versions of the object since the claim decides together with the outcome. Rows that are
# in the tables stay there, and the version stays loaded, when a replay refuses it as the type that it was loaded as.
_FINAL = f"""
SELECT outcomes.*, CASE
    WHEN outcomes.disposition = 'loaded' AND ({_NEWER_IS_CURRENT} OR {_NEWER_IS_IN_BATCH}) THEN 'superseded'
    WHEN outcomes.is_changed AND outcomes.disposition = 'seen' AND object_ledger.loaded_at IS NULL
         AND {_OTHER_OF_ITS_MOMENT} THEN 'superseded'
    WHEN outcomes.disposition = 'unchanged' AND NOT {_SAME_IS_CURRENT} THEN 'seen'
    WHEN outcomes.disposition = 'refused' AND object_ledger.loaded_at IS NOT NULL
         AND NOT COALESCE(object_ledger.loaded_asset_type <> outcomes.asset_type, FALSE) THEN 'loaded'
    ELSE outcomes.disposition END AS final
FROM {{outcomes}} AS outcomes JOIN object_ledger ON object_ledger.object_id = outcomes.object_id
WHERE object_ledger.disposition = 'claimed' AND object_ledger.claimed_by = :load
"""

_SETTLE = f"""
UPDATE object_ledger
SET disposition = final,
    reason = CASE
        WHEN final = outcome.disposition THEN outcome.reason
        WHEN final = 'superseded' AND is_changed THEN 'superseded: another version of the same moment took its place'
        WHEN final = 'superseded' THEN 'superseded: a newer version was loaded first'
        WHEN final = 'seen' THEN 'new: what it was the same as has changed; waits to be read'
        ELSE 'replay_refused: the rows of the earlier load stay: ' || outcome.reason END,
    asset_type = CASE WHEN final = 'ignored' THEN outcome.asset_type
                      ELSE COALESCE(outcome.asset_type, object_ledger.asset_type) END,
    content_sha256 = CASE WHEN final = 'ignored' THEN NULL
                          ELSE COALESCE(outcome.content_sha256, object_ledger.content_sha256) END,
    replay_requested_at = CASE WHEN final = 'seen' THEN replay_requested_at END,
    retry_at = CASE WHEN final <> 'superseded' THEN outcome.retry_at END,
    load_id = :load, claimed_by = NULL, lease_until = NULL
FROM ({_FINAL}) AS outcome
WHERE outcome.object_id = object_ledger.object_id
RETURNING object_ledger.disposition
"""

# S3 tells times in whole seconds: of versions of one second the one that was observed last is taken for the newest,
# until it proves not to be there. The others are tried then, those that were tried least first.
_TAKE_PLACE = """
UPDATE object_ledger
SET disposition = 'seen', reason = 'new: what was taken for newer is not there; waits to be read',
    retry_at = CASE WHEN attempts > 0 THEN next_retry_at END
FROM (
    SELECT DISTINCT ON (other.uri) other.object_id AS next_id, outcomes.retry_at AS next_retry_at
    FROM {outcomes} AS outcomes
    JOIN object_ledger AS changed ON changed.object_id = outcomes.object_id
    JOIN object_ledger AS other ON other.uri = changed.uri AND other.modified_at = changed.modified_at
    WHERE outcomes.is_changed AND changed.disposition = 'superseded' AND changed.load_id = :load
      AND other.object_id <> changed.object_id AND other.disposition = 'superseded' AND other.loaded_at IS NULL
      AND NOT EXISTS (
          SELECT 1 FROM object_ledger AS there
          WHERE there.uri = changed.uri AND there.modified_at >= changed.modified_at
            AND there.disposition NOT IN ('superseded', 'ignored')
      )
    ORDER BY other.uri, other.attempts, other.first_seen_at DESC, other.object_id
) AS next
WHERE object_id = next_id
"""

_KEY_COLUMNS = """
    key_room_id = outcomes.key_room_id, key_session_id = outcomes.key_session_id,
    key_peer_id = outcomes.key_peer_id, key_stream_id = outcomes.key_stream_id, key_track_id = outcomes.key_track_id,
    key_layer = outcomes.key_layer, recorder_started_at = outcomes.recorder_started_at,
    session_date = outcomes.session_date, output_mode = outcomes.output_mode
"""

_COUNT = f"""
UPDATE object_ledger
SET {_KEY_COLUMNS},
    rows_parsed = outcomes.rows_parsed, rows_loaded = outcomes.rows_loaded, rows_refused = outcomes.rows_refused,
    rows_duplicate = 0, loaded_at = :now, first_load_id = COALESCE(first_load_id, :load), parser_version = :parser,
    loaded_asset_type = outcomes.asset_type
FROM {{outcomes}} AS outcomes
WHERE outcomes.object_id = object_ledger.object_id AND outcomes.disposition = 'loaded'
  AND object_ledger.disposition = 'loaded' AND object_ledger.load_id = :load
RETURNING object_ledger.object_id
"""

_COUNT_DUPLICATES = """
UPDATE object_ledger SET rows_duplicate = found, rows_loaded = rows_loaded - found
FROM (
    SELECT object_id AS counted_id, count(*) AS found FROM {duplicates}
    WHERE object_id IN (SELECT object_id FROM {loaded}) GROUP BY object_id
) AS counted
WHERE object_id = counted_id
"""

# Versions whose place is taken: older ones of what was loaded, and those themselves, which may have had rows before.
_REPLACED = f"""
SELECT object_ledger.object_id FROM object_ledger JOIN object_ledger newer ON newer.uri = object_ledger.uri
WHERE newer.object_id IN (SELECT object_id FROM {{loaded}}) AND {NEWER} >= {THIS}
"""

_SUPERSEDE = """
UPDATE object_ledger
SET disposition = 'superseded', reason = 'superseded: a newer version of the object was loaded',
    claimed_by = NULL, lease_until = NULL, retry_at = NULL, replay_requested_at = NULL
WHERE disposition NOT IN ('superseded', 'ignored', 'erased')
  AND object_id NOT IN (SELECT object_id FROM {loaded}) AND object_id IN (SELECT object_id FROM {replaced})
"""

# What had rows and is not wanted any more, by a later record of the vendor's or by the settings, or was refused as
# another type.
_EMPTY = f"""
UPDATE object_ledger
SET rows_parsed = 0, rows_loaded = 0, rows_refused = 0, rows_duplicate = 0, loaded_at = NULL, first_load_id = NULL,
    parser_version = NULL, loaded_asset_type = NULL, {_KEY_COLUMNS}
FROM {{outcomes}} AS outcomes
WHERE outcomes.object_id = object_ledger.object_id AND object_ledger.load_id = :load
  AND object_ledger.disposition IN ('ignored', 'refused') AND loaded_at IS NOT NULL
RETURNING object_ledger.object_id
"""

# A name that was withdrawn while the version was read by it.
_UNNAMED = """
SELECT outcomes.object_id FROM {outcomes} AS outcomes
JOIN object_ledger ON object_ledger.object_id = outcomes.object_id
WHERE outcomes.named_as IS NOT NULL AND object_ledger.named_type IS NULL
"""

_TOTALS = """
SELECT CAST(COALESCE(SUM(rows_loaded), 0) AS BIGINT), CAST(COALESCE(SUM(rows_refused), 0) AS BIGINT),
       CAST(COALESCE(SUM(rows_duplicate), 0) AS BIGINT)
FROM object_ledger WHERE object_id IN (SELECT object_id FROM {loaded})
"""
