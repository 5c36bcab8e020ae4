"""The tables that say which rows count: `objects`, a list of versions, and the `publications` that changed them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Text

from roomledger.ledger.tables.columns import (
    RAW,
    Timestamp,
    column,
    define_table,
    key,
    recording_columns,
    session_columns,
)
from roomledger.ledger.tables.ledger import object_ledger

publications = define_table(
    "publications",
    "One row per transaction that changed what the tables show.",
    column("publication", BigInteger(), "Number of the publication, from 1, in the order of the commits.", null=False),
    column("changed_by", Text(), "What changed it: listing, notification, load, replay, api, webhook, …", null=False),
    column("changed_at", Timestamp, "When it was changed.", null=False),
    indexes=("publication",),
    schema=RAW,
)

installation = define_table(
    "installation",
    "One row per database: what it holds, of which installation.",
    key("installation_id", "Id that the ledger and the facts of one installation share."),
    column("holds", Text(), "ledger, facts or both.", null=False),
    schema=RAW,
)

appends = define_table(
    "appends",
    "One row per load whose rows may lie on the facts side, and which is not settled; only where that is another"
    " database than the ledger's.",
    key("load_id", "Load that appends."),
    column("began_at", Timestamp, "When it began to append.", null=False),
    column("lease_until", Timestamp, "When it counts as dead, if it is not settled.", null=False),
    column("vacuumed_at", Timestamp, "When its rows were vacuumed; null while it may be settled."),
)

discarded_rows = define_table(
    "discarded_rows",
    "One row per object whose rows a settled load appended and does not count, because another load had claimed it.",
    column("object_id", Text(), "Object version of the rows (object_ledger).", null=False),
    column("load_id", Text(), "Load that appended them (loads).", null=False),
)

_copied = (
    *("asset_id", "asset_type", "loaded_asset_type", "output_mode"),
    *("version", "version_id", "modified_at", "size_bytes", "content_sha256", "parser_version"),
    *("rows_parsed", "rows_loaded", "rows_refused", "rows_duplicate"),
    *("loaded_at", "first_seen_at", "first_seen_by"),
)
KEY_COLUMNS = {"peer_id": "key_peer_id", "stream_id": "key_stream_id", "track_id": "key_track_id", "layer": "key_layer"}
"""Columns of `objects` with their names in the ledger."""

objects = define_table(
    "objects",
    "One row per version of what the tables show of an object: the load whose rows count, and where they belong. The"
    " newest version of each object counts.",
    column("uri", Text(), "Address of the object, key not URL-encoded.", null=False),
    column("publication", BigInteger(), "Publication that made this version (publications).", null=False),
    column("is_current", Boolean(), "Whether it is the newest version of the object.", null=False),
    column("valid_from", Timestamp, "When this version became the newest.", null=False),
    column("changed_by", Text(), "What made this version: listing, notification, load, replay, api, …", null=False),
    column("object_id", Text(), "Object version that it shows (object_ledger).", null=False),
    column("load_id", Text(), "Load whose rows of that object version count (loads); null when none count."),
    column("settled_by", Text(), "Load that settled that object version most recently (loads)."),
    column(
        "disposition",
        Text(),
        "loaded, also while it is read again; seen: waits to be read for the first time; else as in object_ledger.",
        null=False,
    ),
    column("reason", Text(), "Reason for this version, in one sentence that starts with a stable code.", null=False),
    *session_columns(),
    column("session_reason", Text(), "Reason for session_id, starting with a stable code."),
    *recording_columns(),
    *(column(name, object_ledger.c[name].type, str(object_ledger.c[name].comment), null=True) for name in _copied),
    *(column(name, Text(), str(object_ledger.c[known].comment), null=True) for name, known in KEY_COLUMNS.items()),
    indexes=("uri publication", "publication", "object_id", "session_id"),
    schema=RAW,
)
