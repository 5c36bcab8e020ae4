"""A warehouse of an older version keeps its rows when its tables are brought up to date."""

from __future__ import annotations

from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from roomledger.ledger import migrate
from roomledger.ledger.database import Database
from tests.worlds import ask

TIME = "2026-03-02 10:00:00+00"
LATER = "2026-03-03 10:00:00+00"
CHAT = "s3://acme/live/chat/room1/20260302/Rec-room1-1772445600000.csv"
LAYER = "s3://acme/live/hls/room1/20260302/1772445601000/file-recording/Rec-room1-1772445602000-0.mp4"
TRACK = "s3://acme/live/room1/20260302/s1/p1/st1/t1.webm"


def insert(database: Database, table: str, **cells: Any) -> None:
    query = f"INSERT INTO {table} ({', '.join(cells)}) VALUES ({', '.join(f':{name}' for name in cells)})"
    with database.begin() as tx:
        tx.execute(text(query), cells)


def test_a_warehouse_of_the_first_version_keeps_its_rows(database: Database) -> None:
    with database.begin() as tx:
        config = Config(attributes={"connection": tx})
        config.set_main_option("script_location", "roomledger.ledger:migrations")
        config.set_main_option("path_separator", "os")
        command.upgrade(config, "0001")
    whose = {"customer": "Acme", "source": "acme", "room_id": "room1"}
    for number, (uri, kind) in enumerate(((CHAT, "chat"), (LAYER, "room-composite"), (TRACK, "track"))):
        session = {"session_id": "s1" if uri == TRACK else None, "session_evidence": "key" if uri == TRACK else "none"}
        known = whose | session | {"object_id": f"o{number}", "uri": uri, "asset_type": kind}
        counts = dict.fromkeys(("attempts", "rows_refused", "rows_duplicate"), 0) | {"rows_parsed": 1, "rows_loaded": 1}
        seen = {"version": "v", "modified_at": TIME, "size_bytes": 5, "first_seen_at": TIME, "first_seen_by": "listing"}
        # The first was read again in vain; the last gave way to a newer version, with its rows.
        last = "superseded" if uri == TRACK else "loaded"
        settled = {"disposition": last, "reason": f"{last}: so it is", "loaded_at": TIME}
        settled["load_id"] = "again" if uri == CHAT else "l"
        insert(database, "object_ledger", **known, **counts, **seen, **settled)
        if uri == TRACK:
            continue
        asset = {"ordinal": 0, "load_id": "l", "size_bytes": 5, "created_at": TIME, "status": "completed"}
        insert(database, "recording_assets", **known, **asset)

    load = dict.fromkeys(("objects", "objects_loaded", "objects_refused", "rows_loaded", "rows_refused"), 1)
    load |= {"rows_duplicate": 0, "claimed_at": TIME, "committed_at": TIME}
    insert(database, "loads", load_id="l", parser_version="1", started_by="command line", **load)
    load["committed_at"] = LATER
    insert(database, "loads", load_id="again", parser_version="1", started_by="command line", **load)

    assert migrate.upgrade(database)[0] == "0001"
    migrate.require_current(database)
    seconds = "CAST(extract(epoch FROM recorder_started_at) AS BIGINT)"
    query = f"SELECT object_id, key_room_id, key_session_id, {seconds}, split_part(session_reason, ':', 1)"
    assert ask(database, f"{query} FROM object_ledger ORDER BY object_id") == [
        ("o0", "room1", None, 1772445600, "no_session_known"),
        ("o1", "room1", None, 1772445602, "no_session_known"),
        ("o2", "room1", "s1", None, "key"),
    ]
    assert ask(database, "SELECT object_id, asset_type, session_id FROM recording_assets ORDER BY object_id") == [
        ("o0", "chat", None),
        ("o1", "room-composite", None),
    ]
    assert ask(database, "SELECT object_id, load_id FROM freshness ORDER BY object_id") == [
        ("o0", "l"),
        ("o1", "l"),
        ("o2", "l"),
    ]
    assert ask(database, "SELECT count(*) FROM session_changes") == [(0,)]
