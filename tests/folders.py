"""Folders as buckets: a source that reads a folder, files written into it, and chat files to write."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from roomledger.runtime import open_store
from roomledger.settings import BucketSource
from roomledger.stores import Access, Store
from sandbox.dataset import DatasetObject

CHAT_HEADER = "SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID\n"


def chat(*messages: str) -> bytes:
    """A chat file with these messages."""
    rows = (f"p,Nell,u,[],2026-03-02T10:00:{n:02}Z,chat,{content},m{n}\n" for n, content in enumerate(messages))
    return (CHAT_HEADER + "".join(rows)).encode()


def chat_key(number: int = 1) -> str:
    """The key under which a recorder stores a chat file."""
    return f"chat/room{number}/20260302/Rec-room{number}-1772445600000.csv"


def source_of(folder: Path, **settings: Any) -> BucketSource:
    """A source that reads this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return BucketSource(**({"name": "acme", "customer": "Acme", "url": f"file://{folder}"} | settings))


def store_of(source: BucketSource) -> Store:
    """The store of a folder source."""
    return open_store(source.url, Access())


def put(folder: Path, key: str, content: bytes, minute: int = 0) -> str:
    """Write a file, modified at that minute of a fixed hour; give its address."""
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    moment = 1_772_445_600 + 60 * minute
    os.utime(path, (moment, moment))
    return f"file://{path}"


def replace(folder: Path, key: str, content: bytes, minute: int = 0) -> str:
    """Replace a file as a whole, while others may read it; give its address."""
    put(folder.parent / "upload", key, content, minute)
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    (folder.parent / "upload" / key).replace(folder / key)
    return f"file://{folder / key}"


def write_dataset(objects: Iterable[DatasetObject], folder: Path) -> None:
    """Write the objects of a dataset below a folder, except keys that end in a slash, which a folder cannot have."""
    for minute, thing in enumerate(objects):
        if not thing.key.endswith("/"):
            put(folder, f"{thing.source}/{thing.uri.split('/', 3)[3]}", thing.content, minute)
