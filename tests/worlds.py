"""Invented worlds in a folder, and what a warehouse holds, in a form that two of them can be compared by."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import text

from roomledger.hundredms.storage import VendorStorage
from roomledger.ledger.database import Database
from roomledger.ledger.tables.columns import metadata
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.sync_workspace import sync_workspace
from roomledger.runtime import open_store
from roomledger.settings import BucketSource, Source
from roomledger.stores import Access, Store
from sandbox import warehouse_contents
from sandbox.dataset import DatasetObject

CHAT_HEADER = "SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID\n"


def chat(*messages: str) -> bytes:
    """A chat file with these messages."""
    rows = (f"p,Nell,u,[],2026-03-02T10:00:{n:02}Z,chat,{said},m{n}\n" for n, said in enumerate(messages))
    return (CHAT_HEADER + "".join(rows)).encode()


def chat_key(number: int = 1) -> str:
    """Where a recorder puts a chat file."""
    return f"chat/room{number}/20260302/Rec-room{number}-1772445600000.csv"


def source_of(folder: Path, **settings: Any) -> BucketSource:
    """A source that reads this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return BucketSource(**({"name": "acme", "customer": "Acme", "url": f"file://{folder}"} | settings))


def store_of(source: BucketSource) -> Store:
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


def lay_out(objects: Iterable[DatasetObject], folder: Path) -> None:
    """Write a world's objects below a folder; a folder cannot hold keys that end in a slash."""
    for minute, thing in enumerate(objects):
        if not thing.key.endswith("/"):
            put(folder, f"{thing.source}/{thing.uri.split('/', 3)[3]}", thing.content, minute)


Tables = Mapping[str, list[tuple[Any, ...]]]


def contents(database: Database, *, past: bool = True) -> Tables:
    """All rows, as `sandbox.warehouse_contents` reads them, in an order of their own."""
    return {
        name: sorted(table.rows, key=repr) for name, table in warehouse_contents.contents(database, past=past).items()
    }


def empty(database: Database) -> None:
    """Take all rows out of all tables."""
    with database.begin() as tx:
        for table in metadata.sorted_tables:
            tx.execute(table.delete())


def ask(database: Database, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with database.begin(read_only=True) as tx:
        return [tuple(row) for row in tx.execute(text(query))]


def change(database: Database, statement: str) -> None:
    """Do to the ledger what otherwise only time does."""
    with database.begin() as tx:
        tx.execute(text(statement))


def collect_from(
    database: Database, source: Source, opened: Store | VendorStorage, sources: Sequence[Source] = ()
) -> Counter[str]:
    """Collect a bucket from its store, or a workspace by its client; `sources` are all that the settings name."""
    if isinstance(source, BucketSource):
        assert not isinstance(opened, VendorStorage)
        return collect_bucket(database, source, opened)
    assert isinstance(opened, VendorStorage)
    buckets = [f"{one.url}/" for one in sources if isinstance(one, BucketSource)]
    return sync_workspace(database, source, opened.client, buckets)
