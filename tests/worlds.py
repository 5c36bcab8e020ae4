"""Invented worlds in a folder, and what a warehouse holds, in a form that two of them can be compared by."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from demo.world import WorldObject
from roomledger.settings import Source
from roomledger.stores import Access, Store, open_store
from roomledger.warehouse import Warehouse
from roomledger.warehouse.schema import (
    FACTS,
    HEARD,
    SAID,
    SUMMED_UP,
    metadata,
    object_ledger,
    refusals,
    vendor_cursors,
)
from roomledger.warehouse.views import peers, recording_assets, recordings, sessions

CHAT_HEADER = "SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID\n"


def chat(*messages: str) -> bytes:
    """A chat file with these messages."""
    rows = (f"p,Nell,u,[],2026-03-02T10:00:{n:02}Z,chat,{said},m{n}\n" for n, said in enumerate(messages))
    return (CHAT_HEADER + "".join(rows)).encode()


def chat_key(number: int = 1) -> str:
    """Where a recorder puts a chat file."""
    return f"chat/room{number}/20260302/Rec-room{number}-1772445600000.csv"


def source_of(folder: Path, **settings: Any) -> Source:
    """A source that reads this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Source(**({"name": "acme", "customer": "Acme", "url": f"file://{folder}"} | settings))


def store_of(source: Source) -> Store:
    """The store of a folder source."""
    return open_store(source.url, Access())


def put(folder: Path, key: str, content: bytes, minute: int = 0) -> str:
    """Write a file as if at that minute of an hour long past; give its address."""
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    moment = 1_772_445_600 + 60 * minute
    os.utime(path, (moment, moment))
    return f"file://{path}"


def replace(folder: Path, key: str, content: bytes, minute: int = 0) -> str:
    """Put a file in place as a whole, under the eyes of those who read; give its address."""
    put(folder.parent / "upload", key, content, minute)
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    (folder.parent / "upload" / key).replace(folder / key)
    return f"file://{folder / key}"


def lay_out(objects: Iterable[WorldObject], folder: Path) -> None:
    """Write a world's objects below a folder; a folder cannot hold keys that end in a slash."""
    for minute, thing in enumerate(objects):
        if not thing.key.endswith("/"):
            put(folder, f"{thing.source}/{thing.uri.split('/', 3)[3]}", thing.content, minute)


Tables = Mapping[str, list[tuple[Any, ...]]]

_VARYING = {"load_id", "loaded_at", "refused_at", "resolved_at", "retry_at", "first_seen_at", "read_at", "check_at"}
_VARYING |= {"first_load_id", "received_at", "taken_in_at", "heard_at"}
_COUNTED = {"attempts"}
_VIEWS = (sessions, peers, recordings, recording_assets)
_TOLD_FIRST = {view.c.first_seen_by for view in _VIEWS}
_IF_AT_ALL = {"loaded_at", "first_load_id", "resolved_at", "retry_at"}
_OF_NOW = """
    disposition NOT IN ('superseded', 'ignored') OR NOT EXISTS (
        SELECT 1 FROM object_ledger AS newer
        WHERE newer.uri = object_ledger.uri AND newer.disposition <> 'superseded'
          AND (newer.modified_at, newer.first_seen_at) > (object_ledger.modified_at, object_ledger.first_seen_at)
    )
"""


def contents(warehouse: Warehouse, *, past: bool = True) -> Tables:
    """All rows but for what differs from run to run: load ids, times, and the numbers of attempts.

    Of times that something may not have at all, it shows whether it has one. Without the past, versions without rows
    that have a newer one and refusals that were resolved are left out: when somebody looked decides whether there are
    any.
    """
    found = {}
    with warehouse.begin(read_only=True) as tx:
        for table in (*FACTS, *SAID, *HEARD, *SUMMED_UP, *_VIEWS, refusals, object_ledger, vendor_cursors):
            columns = [c for c in table.columns if c.name not in _VARYING | _COUNTED and c not in _TOLD_FIRST]
            columns += [c.is_(None) for c in table.columns if c.name in _IF_AT_ALL]
            query = select(*columns)
            if not past and table is object_ledger:
                query = query.where(text(_OF_NOW))
            if not past and table is refusals:
                query = query.where(refusals.c.resolved_at.is_(None))
            found[table.name] = sorted((tuple(row) for row in tx.execute(query)), key=repr)
    return found


def empty(warehouse: Warehouse) -> None:
    """Take all rows out of all tables."""
    with warehouse.begin() as tx:
        for table in metadata.sorted_tables:
            tx.execute(table.delete())


def ask(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with warehouse.begin(read_only=True) as tx:
        return [tuple(row) for row in tx.execute(text(query))]


def change(warehouse: Warehouse, statement: str) -> None:
    """Do to the ledger what otherwise only time does."""
    with warehouse.begin() as tx:
        tx.execute(text(statement))
