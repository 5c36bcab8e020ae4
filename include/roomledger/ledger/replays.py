"""What is to be read again: settled versions back in the queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from roomledger.ledger.database import Database
from roomledger.ledger.versions import NEWER, THIS, give_way, locked


def request_replay(
    tx: Connection,
    database: Database,
    *,
    uri: str | None = None,
    source: str | None = None,
    reason: str | None = None,
    everything: bool = False,
    now: datetime,
) -> int:
    """Put the newest version of objects back in the queue, to be read and parsed anew; give the count.

    Alone: objects of which a record or the file was refused. `uri`: that object, whatever became of it. `everything`:
    all that was loaded, refused or ignored, such as after a change of the parsers or of a source's settings. `source`
    and `reason` (a refusal's code, or an ignored object's) narrow it down.
    """
    conditions = {
        "uri": "uri = :uri",
        "source": "source = :source",
        "reason": "(uri IN (SELECT uri FROM open_refusals WHERE reason_code = :reason)"
        " OR reason = :reason OR reason LIKE :reason || ':%')",
    }
    given = {key: value for key, value in (("uri", uri), ("source", source), ("reason", reason)) if value}
    chosen = [conditions[key] for key in given]
    if not uri and not everything and not reason:
        chosen.append("(disposition = 'refused' OR uri IN (SELECT uri FROM open_refusals))")
    rows = locked(" AND ".join([_IS_SETTLED, *chosen]), database.lock)
    return len(tx.execute(text(_REPLAY.format(rows=rows)), given | {"now": now}).all())


_IS_SETTLED = f"""
    (disposition IN ('loaded', 'refused', 'unchanged', 'ignored')
     OR (disposition = 'missing' AND uri IN (SELECT uri FROM open_refusals)))
    AND NOT EXISTS (SELECT 1 FROM object_ledger newer
                    WHERE newer.uri = object_ledger.uri AND newer.disposition <> 'superseded' AND {NEWER} > {THIS})
"""

_REPLAY = """
WITH open_refusals AS (SELECT uri, reason_code FROM refusals WHERE resolved_at IS NULL)
UPDATE object_ledger
SET disposition = 'seen', reason = 'replay: to be read again', attempts = 0, retry_at = NULL, replay_requested_at = :now
WHERE {rows}
RETURNING 1
"""


def requeue_retyped(
    tx: Connection,
    database: Database,
    objects: str,
    given: Mapping[str, Any] | None = None,
    *,
    now: datetime,
    unnamed: str = "SELECT object_id FROM placed WHERE named_type IS NULL AND from_named_type IS NOT NULL",
) -> list[str]:
    """Have these objects read as what the vendor says they are now, where that is not what they were taken for.

    `objects` is a SELECT of object ids, `given` its parameters; of those in `unnamed` the vendor says nothing any more,
    so that their keys tell again. They were placed in this transaction. Of several unread versions the newest alone is
    read. Gives the ids of those that were to be read otherwise.
    """
    rows = locked(f"{_MISTAKEN.format(unnamed=unnamed)} AND object_id IN ({objects})", database.lock)
    woken = list(tx.execute(text(_WAKE.format(rows=rows)), {**(given or {}), "now": now}).scalars())
    if woken:
        give_way(tx, database, f"SELECT uri FROM object_ledger WHERE object_id IN ({objects})", given)
    return woken


_MISTAKEN = """
    ((named_type IS NOT NULL AND asset_type IS DISTINCT FROM named_type) OR object_id IN ({unnamed}))
    AND (disposition IN ('seen', 'loaded', 'refused', 'unchanged')
         OR (disposition = 'ignored' AND reason <> 'folder_marker'))
"""

_WAKE = """
UPDATE object_ledger
SET disposition = 'seen', asset_type = COALESCE(named_type, 'unknown'), attempts = 0, retry_at = NULL,
    replay_requested_at = CASE WHEN disposition = 'seen' THEN replay_requested_at
                               ELSE CAST(:now AS TIMESTAMP WITH TIME ZONE) END,
    reason = 'named: the vendor says what it is; waits to be read'
WHERE {rows}
RETURNING object_id
"""
