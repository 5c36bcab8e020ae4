"""The commit of a load: the rows of a batch and what became of its claims, in one short transaction.

A claim counts only while the ledger still says that it is this load's: what another load took over or superseded in the
meantime is left out with its rows. An object's rows are replaced as a whole by those of its newer version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Table, text

from roomledger.formats import PARSER_VERSION
from roomledger.ledger import session_evidence
from roomledger.ledger.database import Database, Rows
from roomledger.ledger.outcome import Load, Outcome, settled_rows
from roomledger.ledger.replays import requeue_retyped
from roomledger.ledger.tables.columns import Json
from roomledger.ledger.tables.ledger import refusals
from roomledger.ledger.versions import NEWER, THIS
from roomledger.pipeline.staging import spooled_schema
from roomledger.warehouse.tables import FACTS, OBJECT_COLUMNS, chat_messages


def commit(
    tx: Connection,
    database: Database,
    token: str,
    outcomes: Sequence[Outcome],
    spooled: Mapping[Table, Rows],
    *,
    claimed_at: datetime,
    now: datetime,
    started_by: str,
) -> Load:
    """Settle the outcomes of this token's claims and write their rows; `token` becomes the load's id."""
    database.hold_evidence(tx, change=False)
    database.stage(tx, "settled", settled_rows(outcomes))
    names = {"load": token, "now": now, "parser": PARSER_VERSION}
    tx.execute(text(_LOCKED.format(lock=database.lock)))
    replaced = tx.execute(text(_REPLACED)).scalars().all()
    settled = tx.execute(text(_SETTLE), names).scalars().all()
    if any(outcome.is_changed for outcome in outcomes):
        tx.execute(text(_TAKE_PLACE), names)
    tx.execute(text(_COUNT), names)
    if replaced:
        for table in FACTS:
            tx.execute(text(f"DELETE FROM {table.name} WHERE object_id IN ({_REPLACED_ROWS})"), names)
    tx.execute(text(_SUPERSEDE), names)
    if tx.execute(text(_EMPTIED), names).scalars().all():
        for table in FACTS:
            tx.execute(text(f"DELETE FROM {table.name} WHERE object_id IN ({_WITHOUT_ROWS})"), names)
        tx.execute(text(_RESOLVE_RECORDS), names)
    # The rows that follow take their session from the ledger. A new version of the parsers may read keys anew.
    session_evidence.place(tx, database, "SELECT object_id FROM settled")
    for table, rows in spooled.items():
        database.stage(tx, f"spooled_{table.name}", rows)
    if chat_messages in spooled:
        tx.execute(text(_COUNT_DUPLICATES), names)
    for table in spooled.keys() - {refusals}:
        tx.execute(text(_insert(table)), names)
    if refusals not in spooled:
        database.stage(tx, "spooled_refusals", spooled_schema(refusals).empty_table())
    tx.execute(text(_RESOLVE), names)
    tx.execute(text(_REFUSE), names)
    requeue_retyped(tx, database, "SELECT object_id FROM settled", now=now, unnamed=_UNNAMED)
    rows_loaded, rows_refused, rows_duplicate = tx.execute(text(_TOTALS), names).one()
    load = Load(
        load_id=token,
        objects={disposition: settled.count(disposition) for disposition in sorted(set(settled))},
        rows_loaded=rows_loaded,
        rows_refused=rows_refused,
        rows_duplicate=rows_duplicate,
        lost_claims=len(outcomes) - len(settled),
    )
    if settled:
        row = {
            "load_id": token,
            "claimed_at": claimed_at,
            "committed_at": now,
            "objects": len(settled),
            "objects_loaded": load.objects.get("loaded", 0),
            "objects_refused": load.objects.get("refused", 0),
            "rows_loaded": rows_loaded,
            "rows_refused": rows_refused,
            "rows_duplicate": rows_duplicate,
            "parser_version": PARSER_VERSION,
            "started_by": started_by,
        }
        tx.execute(text(f"INSERT INTO loads ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"), row)
    return load


# All versions of the objects at hand, always in the same order: two loads never wait for each other in a ring.
_LOCKED = """
SELECT object_id FROM object_ledger WHERE uri IN (SELECT uri FROM settled) ORDER BY object_id {lock}
"""

# Versions of the objects at hand that have rows now. Most batches bring only new objects and delete nothing.
_REPLACED = """
SELECT object_id FROM object_ledger
WHERE loaded_at IS NOT NULL AND disposition <> 'superseded'
  AND uri IN (SELECT uri FROM settled WHERE disposition = 'loaded')
"""

_NEWER_IS_CURRENT = f"""EXISTS (
    SELECT 1 FROM object_ledger newer
    WHERE newer.uri = object_ledger.uri AND {NEWER} > {THIS}
      AND (newer.disposition = 'unchanged'
           OR (newer.loaded_at IS NOT NULL AND newer.disposition IN ('loaded', 'missing')))
)"""

# Two loads that were killed, or ended early, may leave two versions to one batch. Media are not read, so that nobody
# notices that the older one is not there any more.
_NEWER_IS_IN_BATCH = f"""EXISTS (
    SELECT 1 FROM settled AS beside JOIN object_ledger newer ON newer.object_id = beside.object_id
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
      AND (same.content_sha256 = settled.content_sha256 OR same.content_tag = object_ledger.content_tag)
)"""

# What another load did to other versions of the object since the claim decides together with the outcome. Rows that are
# in the tables stay there, and the version stays loaded, when it was read again in vain as what it was.
_FINAL = f"""
SELECT settled.*, CASE
    WHEN settled.disposition = 'loaded' AND ({_NEWER_IS_CURRENT} OR {_NEWER_IS_IN_BATCH}) THEN 'superseded'
    WHEN settled.is_changed AND settled.disposition = 'seen' AND object_ledger.loaded_at IS NULL
         AND {_OTHER_OF_ITS_MOMENT} THEN 'superseded'
    WHEN settled.disposition = 'unchanged' AND NOT {_SAME_IS_CURRENT} THEN 'seen'
    WHEN settled.disposition = 'refused' AND object_ledger.loaded_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM object_assets AS held
        WHERE held.object_id = settled.object_id AND held.asset_type <> settled.asset_type
    ) THEN 'loaded'
    ELSE settled.disposition END AS final
FROM settled JOIN object_ledger ON object_ledger.object_id = settled.object_id
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

# S3 tells times in whole seconds: of versions of one second the one that was noted last is taken for the newest, until
# it turns out that it is not there. The others are tried then, those that were tried least first.
_TAKE_PLACE = """
UPDATE object_ledger
SET disposition = 'seen', reason = 'new: what was taken for newer is not there; waits to be read',
    retry_at = CASE WHEN attempts > 0 THEN next_retry_at END
FROM (
    SELECT DISTINCT ON (other.uri) other.object_id AS next_id, settled.retry_at AS next_retry_at
    FROM settled
    JOIN object_ledger AS changed ON changed.object_id = settled.object_id
    JOIN object_ledger AS other ON other.uri = changed.uri AND other.modified_at = changed.modified_at
    WHERE settled.is_changed AND changed.disposition = 'superseded' AND changed.load_id = :load
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

_COUNT = """
UPDATE object_ledger
SET key_room_id = settled.key_room_id, key_session_id = settled.key_session_id,
    recorder_started_at = settled.recorder_started_at,
    rows_parsed = settled.rows_parsed, rows_loaded = settled.rows_loaded, rows_refused = settled.rows_refused,
    rows_duplicate = 0, loaded_at = :now, first_load_id = COALESCE(first_load_id, :load), parser_version = :parser
FROM settled
WHERE settled.object_id = object_ledger.object_id AND settled.disposition = 'loaded'
  AND object_ledger.disposition = 'loaded' AND object_ledger.load_id = :load
"""

# A name that was withdrawn while the version was read by it.
_UNNAMED = """
SELECT settled.object_id FROM settled JOIN object_ledger ON object_ledger.object_id = settled.object_id
WHERE settled.named_as IS NOT NULL AND object_ledger.named_type IS NULL
"""

# What had rows and is no asset that is wanted any more, by a later word of the vendor's or of the settings.
_EMPTIED = """
UPDATE object_ledger
SET rows_parsed = 0, rows_loaded = 0, rows_refused = 0, rows_duplicate = 0, loaded_at = NULL, first_load_id = NULL,
    parser_version = NULL, key_room_id = settled.key_room_id, key_session_id = settled.key_session_id,
    recorder_started_at = settled.recorder_started_at
FROM settled
WHERE settled.object_id = object_ledger.object_id AND object_ledger.load_id = :load
  AND object_ledger.disposition IN ('ignored', 'refused') AND loaded_at IS NOT NULL
RETURNING object_ledger.object_id
"""
_WITHOUT_ROWS = """
SELECT object_id FROM object_ledger
WHERE load_id = :load AND disposition IN ('ignored', 'refused') AND loaded_at IS NULL
"""
_RESOLVE_RECORDS = f"""
UPDATE refusals SET resolved_at = :now
WHERE resolved_at IS NULL AND ordinal > 0 AND object_id IN ({_WITHOUT_ROWS})
"""

_LOADED = "SELECT object_id FROM object_ledger WHERE load_id = :load AND loaded_at = :now AND disposition = 'loaded'"

_REPLACED_ROWS = f"""
SELECT object_ledger.object_id FROM object_ledger JOIN object_ledger newer ON newer.uri = object_ledger.uri
WHERE newer.load_id = :load AND newer.loaded_at = :now AND newer.disposition = 'loaded' AND {NEWER} >= {THIS}
"""

_SUPERSEDE = f"""
UPDATE object_ledger
SET disposition = 'superseded', reason = 'superseded: a newer version of the object was loaded',
    claimed_by = NULL, lease_until = NULL, retry_at = NULL, replay_requested_at = NULL
WHERE disposition NOT IN ('superseded', 'ignored', 'erased')
  AND object_id NOT IN ({_LOADED}) AND object_id IN ({_REPLACED_ROWS})
"""

_DUPLICATES = f"""
SELECT object_id, ordinal FROM (
    SELECT object_id, ordinal, row_number() OVER (PARTITION BY object_id, message_id ORDER BY ordinal) AS occurrence
    FROM spooled_chat_messages WHERE message_id IS NOT NULL AND object_id IN ({_LOADED})
) AS numbered
WHERE occurrence > 1
"""

_COUNT_DUPLICATES = f"""
UPDATE object_ledger SET rows_duplicate = found, rows_loaded = rows_loaded - found
FROM (SELECT object_id AS doubled, count(*) AS found FROM ({_DUPLICATES}) AS doubles GROUP BY object_id) AS counted
WHERE object_id = doubled
"""

# A record that is refused again keeps its refusal; one that is good now, or whose version has gone, is resolved.
_RESOLVE = f"""
UPDATE refusals SET resolved_at = :now
WHERE resolved_at IS NULL AND object_id IN ({_REPLACED_ROWS})
  AND NOT EXISTS (
      SELECT 1 FROM spooled_refusals again
      WHERE again.object_id = refusals.object_id AND again.ordinal = refusals.ordinal
        AND again.reason_code = refusals.reason_code
  )
"""

# Of a file that was refused only its own refusal is kept, not those of records that were read before it showed.
_REFUSE = """
INSERT INTO refusals (customer, source, room_id, session_id, session_evidence, object_id, ordinal, load_id, uri,
                      reason_code, detail, raw, refused_at)
SELECT ledger.customer, ledger.source, ledger.room_id, ledger.session_id, ledger.session_evidence, ledger.object_id,
       spooled.ordinal, ledger.load_id, ledger.uri, spooled.reason_code, spooled.detail, spooled.raw,
       CAST(:now AS TIMESTAMP WITH TIME ZONE)
FROM spooled_refusals AS spooled
JOIN object_ledger AS ledger ON ledger.object_id = spooled.object_id
JOIN settled ON settled.object_id = spooled.object_id
WHERE ledger.load_id = :load AND ledger.disposition IN ('loaded', 'refused')
  AND (settled.disposition = 'refused') = (spooled.ordinal = 0)
  AND NOT EXISTS (
      SELECT 1 FROM refusals said
      WHERE said.object_id = spooled.object_id AND said.ordinal = spooled.ordinal
        AND said.reason_code = spooled.reason_code AND said.resolved_at IS NULL
  )
"""

_TOTALS = f"""
SELECT CAST(COALESCE(SUM(rows_loaded), 0) AS BIGINT), CAST(COALESCE(SUM(rows_refused), 0) AS BIGINT),
       CAST(COALESCE(SUM(rows_duplicate), 0) AS BIGINT)
FROM object_ledger WHERE object_id IN ({_LOADED})
"""


def _insert(table: Table) -> str:
    """Build the INSERT that joins spooled records with what the ledger says of their object."""
    cells = [
        f"ledger.{column.name}"
        if column.name in OBJECT_COLUMNS
        else f"CAST(spooled.{column.name} AS JSON)"
        if column.type is Json
        else f"spooled.{column.name}"
        for column in table.columns
    ]
    without = f"AND (spooled.object_id, spooled.ordinal) NOT IN ({_DUPLICATES})" if table is chat_messages else ""
    return f"""
        INSERT INTO {table.name} ({", ".join(table.columns.keys())})
        SELECT {", ".join(cells)}
        FROM spooled_{table.name} AS spooled JOIN object_ledger AS ledger ON ledger.object_id = spooled.object_id
        WHERE ledger.object_id IN ({_LOADED}) {without}
    """
