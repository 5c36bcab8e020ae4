"""Objects: of each object, the load whose rows count and where they belong, as a list of versions.

A version is computed from the ledger alone, so it does not matter which change led to it. The newest version of an
object shows its object version with rows, if there is one; else the newest one that waits or was refused; else, if the
object was shown before, why it no longer is.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from roomledger.ledger.database import Database, Staged, stage_query
from roomledger.ledger.publications import Publication, publication
from roomledger.ledger.tables.objects import KEY_COLUMNS, objects

_HAS_ROWS = "(loaded_at IS NOT NULL AND disposition IN ('seen', 'claimed', 'loaded', 'refused', 'missing'))"
_WAITS = "(asset_type <> 'unknown' AND disposition IN ('seen', 'claimed', 'refused'))"
_OWN = {"publication", "is_current", "valid_from", "changed_by"}
_COMPUTED = {
    "load_id": f"CASE WHEN {_HAS_ROWS} THEN rows_load_id END",
    "settled_by": "load_id",
    # While the type of a loaded object is decided anew, it is shown as it was loaded.
    "asset_type": f"CASE WHEN asset_type = 'unknown' AND {_HAS_ROWS} THEN loaded_asset_type ELSE asset_type END",
    "disposition": """
        CASE WHEN loaded_at IS NOT NULL AND disposition IN ('seen', 'claimed') THEN 'loaded'
             WHEN disposition = 'claimed' THEN 'seen' ELSE disposition END""",
    "output_mode": f"CASE WHEN {_HAS_ROWS} THEN output_mode END",
    **{name: f"CASE WHEN {_HAS_ROWS} THEN {known} END" for name, known in KEY_COLUMNS.items()},
}
_COLUMNS = [one.name for one in objects.columns if one.name not in _OWN]
_SELECTED = ", ".join(f"{_COMPUTED[name]} AS {name}" if name in _COMPUTED else name for name in _COLUMNS)
_PUBLISHED = ", ".join(
    "COALESCE(why, reason) AS reason" if name == "reason" else _COMPUTED.get(name, name) for name in _COLUMNS
)
_BELONGS = ("customer", "source", "room_id", "session_id", "session_evidence")


def publish_objects(tx: Connection, database: Database, uris: Staged, *, changed_by: str, now: datetime) -> None:
    """Publish the objects at these addresses (`uri`), as the last change of the transaction."""
    with publication(tx, database, changed_by=changed_by, now=now) as made:
        add_objects(made, uris)


def publish_versions(tx: Connection, database: Database, versions: Staged, *, changed_by: str, now: datetime) -> None:
    """Publish the objects of these object versions (`object_id`), as the last change of the transaction."""
    with publication(tx, database, changed_by=changed_by, now=now) as made:
        add_objects(made, uris_of(tx, versions))


def uris_of(tx: Connection, versions: Staged) -> Staged:
    """Give the addresses (`uri`) of object versions (`object_id`)."""
    query = f"SELECT DISTINCT uri FROM object_ledger WHERE object_id IN (SELECT object_id FROM {versions})"
    return stage_query(tx, query, "uris")


def add_objects(publication: Publication, uris: Staged) -> None:
    """Add the objects at these addresses (`uri`) to a publication, as far as they differ from their newest version."""
    tx = publication.tx
    changes = stage_query(tx, _CHANGES.format(uris=uris), "object_changes")
    if not tx.execute(text(f"SELECT 1 FROM {changes} LIMIT 1")).first():
        return
    publication.is_changed = True
    tx.execute(text(_CLOSE.format(changes=changes)))
    values = {"publication": publication.number, "now": publication.now, "changed_by": publication.changed_by}
    tx.execute(text(_INSERT.format(changes=changes)), values)


# An asset that the settings exclude, or that was erased, did arrive.
_IS_ASSET = "(asset_type IS NOT NULL OR named_type IS NOT NULL)"
_IS_SHOWN = f"({_HAS_ROWS} OR {_WAITS} OR ({_IS_ASSET} AND disposition IN ('ignored', 'erased')))"
_SAME_PLACE = " AND ".join(f"was.{name} IS NOT DISTINCT FROM next.{name}" for name in _BELONGS)
_DIFFERS = " OR ".join(f"was.{name} IS DISTINCT FROM next.{name}" for name in _COLUMNS if name not in ("uri", "reason"))

_WHY = f"""
    CASE WHEN was.load_id IS NULL OR next.load_id IS NULL THEN NULL
         WHEN was.object_id <> next.object_id THEN 'newer_version: a newer version of the object was loaded'
         WHEN was.load_id <> next.load_id THEN 'replayed: it was read again'
         WHEN NOT ({_SAME_PLACE}) THEN 'rekeyed: ' || next.session_reason END
"""
_CHANGES = f"""
WITH shown AS MATERIALIZED (
    SELECT DISTINCT ON (uri) uri, object_id FROM object_ledger WHERE uri IN (SELECT uri FROM {{uris}})
    ORDER BY uri, CASE WHEN {_HAS_ROWS} THEN 0 WHEN {_WAITS} THEN 1 ELSE 2 END,
             modified_at DESC, first_seen_at DESC, object_id DESC
), next AS MATERIALIZED (
    SELECT {_SELECTED}, {_IS_SHOWN} AS is_shown FROM object_ledger
    WHERE object_id IN (SELECT object_id FROM shown)
), was AS MATERIALIZED (
    SELECT * FROM {objects.fullname} WHERE is_current AND uri IN (SELECT uri FROM {{uris}})
)
SELECT next.uri AS changed_uri, next.object_id AS changed_id, was.uri IS NOT NULL AS was_shown, {_WHY} AS why
FROM next LEFT JOIN was ON was.uri = next.uri
WHERE CASE WHEN was.uri IS NULL THEN is_shown ELSE {_DIFFERS} END
"""

_CLOSE = f"""
UPDATE {objects.fullname} SET is_current = FALSE
WHERE is_current AND uri IN (SELECT changed_uri FROM {{changes}} WHERE was_shown)
"""

_INSERT = f"""
INSERT INTO {objects.fullname} (publication, is_current, valid_from, changed_by, {", ".join(_COLUMNS)})
SELECT :publication, TRUE, CAST(:now AS TIMESTAMP WITH TIME ZONE), :changed_by, {_PUBLISHED}
FROM object_ledger JOIN {{changes}} AS changes ON changed_id = object_id
"""
