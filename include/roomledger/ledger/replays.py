"""Versions to be read again: requested replays, and objects whose type the vendor reports differently."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from roomledger.ledger.database import Database, Staged, count_rows, stage_ids
from roomledger.ledger.objects import publish_objects, uris_of
from roomledger.ledger.versions import ids_in, is_newer, supersede_unread, update_versions


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

    Of an object whose newest version has no rows the one with rows is queued, too: the settings may exclude it by now.
    By default: objects with a refused record or file. `uri`: that object, whatever its disposition. `everything`: all
    loaded, refused and ignored objects, such as after a change of the parsers or of a source's settings. `source` and
    `reason` (the code of a refusal or of an ignored object) filter them.
    """
    database.hold_evidence(tx, change=False)
    conditions = {
        "uri": "uri = :uri",
        "source": "source = :source",
        "reason": f"(uri IN ({_OPEN_REFUSALS} AND reason_code = :reason)"
        " OR reason = :reason OR reason LIKE :reason || ':%')",
    }
    parameters = {key: value for key, value in (("uri", uri), ("source", source), ("reason", reason)) if value}
    chosen = [_IS_SETTLED, *(conditions[key] for key in parameters)]
    if not uri and not everything and not reason:
        chosen.append(f"(disposition = 'refused' OR uri IN ({_OPEN_REFUSALS}))")
    assignments = """
        disposition = 'seen', reason = 'replay: to be read again', attempts = 0, retry_at = NULL,
        replay_requested_at = :now
    """
    queued = update_versions(tx, database, assignments, " AND ".join(chosen), parameters | {"now": now})
    if not queued:
        return 0
    uris = uris_of(tx, stage_ids(tx, database, queued))
    publish_objects(tx, database, uris, changed_by="replay", now=now)
    return count_rows(tx, uris)


_OPEN_REFUSALS = "SELECT uri FROM refusals WHERE resolved_at IS NULL"
_IS_SETTLED = f"""
    (disposition IN ('loaded', 'refused', 'unchanged', 'ignored')
     OR (disposition = 'missing' AND uri IN ({_OPEN_REFUSALS})))
    AND NOT EXISTS (SELECT 1 FROM object_ledger newer
                    WHERE newer.uri = object_ledger.uri AND newer.disposition <> 'superseded'
                      AND {is_newer("newer", "object_ledger")}
                      AND NOT (object_ledger.loaded_at IS NOT NULL
                               AND (newer.disposition IN ('ignored', 'unchanged')
                                    OR (newer.disposition = 'missing' AND newer.loaded_at IS NULL))))
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
         OR {ids_in(unnamed)})
        AND (disposition IN ('seen', 'loaded', 'refused', 'unchanged')
             OR (disposition = 'ignored' AND reason <> 'folder_marker'))
        AND {ids_in(objects)}
    """
    assignments = """
        disposition = 'seen', asset_type = COALESCE(named_type, 'unknown'), attempts = 0, retry_at = NULL,
        replay_requested_at = CASE WHEN disposition = 'seen' THEN replay_requested_at
                                   ELSE CAST(:now AS TIMESTAMP WITH TIME ZONE) END,
        reason = 'named: the vendor reports its type; waits to be read'
    """
    requeued = update_versions(tx, database, assignments, retyped, {"now": now})
    if requeued:
        supersede_unread(tx, database, uris_of(tx, objects))
    return requeued
