"""Versions to be read again: requested replays, and objects whose type the vendor reports differently."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from roomledger.ledger.database import Database, Staged, stage_ids, stage_query
from roomledger.ledger.objects import publish_objects
from roomledger.ledger.versions import NEWER, THIS, locked, supersede_unread


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
    """Queue the newest version of objects, to be read and parsed again; return the count.

    Of an object whose newest version is ignored the one with rows is queued, too: the settings may exclude it by now.
    By default: objects with a refused record or file. `uri`: that object, whatever its disposition. `everything`: all
    loaded, refused and ignored objects, such as after a change of the parsers or of a source's settings. `source` and
    `reason` (the code of a refusal or of an ignored object) filter them.
    """
    database.hold_evidence(tx, change=False)
    conditions = {
        "uri": "uri = :uri",
        "source": "source = :source",
        "reason": "(uri IN (SELECT uri FROM open_refusals WHERE reason_code = :reason)"
        " OR reason = :reason OR reason LIKE :reason || ':%')",
    }
    parameters = {key: value for key, value in (("uri", uri), ("source", source), ("reason", reason)) if value}
    chosen = [_IS_SETTLED, *(conditions[key] for key in parameters)]
    if not uri and not everything and not reason:
        chosen.append("(disposition = 'refused' OR uri IN (SELECT uri FROM open_refusals))")
    query = f"""
        WITH open_refusals AS (SELECT uri, reason_code FROM refusals WHERE resolved_at IS NULL)
        UPDATE object_ledger
        SET disposition = 'seen', reason = 'replay: to be read again', attempts = 0, retry_at = NULL,
            replay_requested_at = :now
        WHERE {locked(" AND ".join(chosen), database)}
        RETURNING uri
    """
    uris = sorted(set(tx.execute(text(query), parameters | {"now": now}).scalars()))
    if uris:
        publish_objects(tx, database, stage_ids(tx, database, uris, "uri"), changed_by="replay", now=now)
    return len(uris)


_IS_SETTLED = f"""
    (disposition IN ('loaded', 'refused', 'unchanged', 'ignored')
     OR (disposition = 'missing' AND uri IN (SELECT uri FROM open_refusals)))
    AND NOT EXISTS (SELECT 1 FROM object_ledger newer
                    WHERE newer.uri = object_ledger.uri AND newer.disposition <> 'superseded' AND {NEWER} > {THIS}
                      AND NOT (newer.disposition = 'ignored' AND object_ledger.loaded_at IS NOT NULL))
"""


def requeue_retyped(
    tx: Connection, database: Database, objects: Staged, *, unnamed: Staged, now: datetime
) -> list[str]:
    """Queue these objects to be read as the type that the vendor reports, if the ledger differs; return their ids.

    The vendor no longer reports a type for objects in `unnamed`: their key decides again. The sessions of `objects`
    were resolved in this transaction. Of several unread versions only the newest is read.
    """
    retyped = f"""
        ((named_type IS NOT NULL AND asset_type IS DISTINCT FROM named_type)
         OR object_id IN (SELECT object_id FROM {unnamed}))
        AND (disposition IN ('seen', 'loaded', 'refused', 'unchanged')
             OR (disposition = 'ignored' AND reason <> 'folder_marker'))
        AND object_id IN (SELECT object_id FROM {objects})
    """
    query = f"""
        UPDATE object_ledger
        SET disposition = 'seen', asset_type = COALESCE(named_type, 'unknown'), attempts = 0, retry_at = NULL,
            replay_requested_at = CASE WHEN disposition = 'seen' THEN replay_requested_at
                                       ELSE CAST(:now AS TIMESTAMP WITH TIME ZONE) END,
            reason = 'named: the vendor reports its type; waits to be read'
        WHERE {locked(retyped, database)}
        RETURNING object_id
    """
    requeued = list(tx.execute(text(query), {"now": now}).scalars())
    if requeued:
        uris = f"SELECT uri FROM object_ledger WHERE object_id IN (SELECT object_id FROM {objects})"
        supersede_unread(tx, database, stage_query(tx, uris, "retyped"))
    return requeued
