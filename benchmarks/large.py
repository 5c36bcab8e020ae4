"""Memory and speed of two large files: a chat file of 1 GB, and a transcript of 12 hours with 100,000 words.

A separate process loads each file from a folder into each engine; the table shows its peak resident memory. The
benchmark (`make large`) needs about 5 GB of disk space for a few minutes.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from benchmarks.warehouses import engines
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.runtime import open_database, open_store
from roomledger.settings import DEFAULT_MEMORY_MB, BucketSource, Settings
from roomledger.stores import Access
from roomledger.warehouse import setup

CHAT_BYTES = 1_000_000_000
WORDS = 100_000
HOURS = 12
LIMIT_MB = 500
"""Limit of the peak resident memory of each load."""


def write_chat(path: Path) -> None:
    """Write a chat file of CHAT_BYTES, in rows of about 170 bytes with message ids."""
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8") as file:
        file.write("SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID\n")
        written = number = 0
        while written < CHAT_BYTES:
            rows = "".join(_chat_row(n) for n in range(number, number + 10_000))
            number += 10_000
            written += file.write(rows)


def _chat_row(n: int) -> str:
    sent_at = f"2026-03-02T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z"
    return (
        f"58cde3b7-3db3-4b98-83de-{n:012},Nell Brook,u-{n % 50},[],{sent_at},chat,"
        f'"Number {n}, and then, some more of it 👋",6d85d5c9-c034-4981-9dd7-{n:012}\n'
    )


def write_transcript(path: Path) -> None:
    """Write a JSON transcript of HOURS with WORDS words, ten words to a sentence."""
    path.parent.mkdir(parents=True)
    step = HOURS * 3_600_000 // WORDS
    peer = {"name": "Nell Brook", "peer_id": "58cde3b7-3db3-4b98-83de-0b75e62dc537"}
    words = [
        {"word": f"word{n}", **peer, "start_time": str(n * step), "end_time": str((n + 1) * step)} for n in range(WORDS)
    ]
    sentences = [
        {
            "sentence": " ".join(word["word"] for word in words[n : n + 10]),
            **peer,
            "start_time": words[n]["start_time"],
            "end_time": words[n + 9]["end_time"],
        }
        for n in range(0, WORDS, 10)
    ]
    path.write_text(json.dumps({"words": words, "sentences": sentences}))


FILES = {
    "chat, 1 GB": ("chat/room/20260302/Rec-room-1772445600000.csv", write_chat),
    "transcript, 100,000 words": ("transcripts/room/20260302/1/transcript.json", write_transcript),
}


def load(folder: str, warehouse_url: str) -> None:
    """Load a folder in this process and print size, rows, seconds and peak memory as JSON."""
    source = BucketSource(name="large", customer="Large", url=f"file://{folder}")
    database = open_database(
        Settings(warehouse_url=warehouse_url, warehouse_memory_mb=DEFAULT_MEMORY_MB, sources=(source,))
    )
    setup.upgrade(database)
    store = open_store(source.url, Access())
    began = time.monotonic()
    collect_bucket(database, source, store)
    [done] = load_batches(database, [source], {"large": store})
    with database.begin(read_only=True) as tx:
        size = tx.execute(text("SELECT sum(size_bytes) FROM object_ledger")).scalar_one()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"mb": float(size) / 1e6, "rows": done.rows_loaded, "s": time.monotonic() - began, "peak": peak}))


def main() -> int:
    """Load both files into both engines; exit code 1 if the peak memory of a load is above LIMIT_MB."""
    console = Console()
    table = Table("file", "engine", "MB", "rows", "seconds", "rows/s", "peak MB", title="Large files")
    highest_peak = 0.0
    with tempfile.TemporaryDirectory(prefix="roomledger-large-") as name, engines(Path(name)) as made:
        for label, (key, write) in FILES.items():
            folder = Path(name) / label.split(",")[0]
            with console.status(f"writing {label}"):
                write(folder / key)
            for engine, warehouses in made.items():
                with console.status(f"loading {label} into {engine}"):
                    command = [sys.executable, "-m", "benchmarks.large", str(folder), warehouses.new()]
                    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                highest_peak = max(highest_peak, result["peak"])
                figures = (result["mb"], result["rows"], result["s"], result["rows"] / result["s"], result["peak"])
                table.add_row(label, engine, *(f"{figure:,.0f}" for figure in figures))
    console.print(table)
    return int(highest_peak > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(load(*sys.argv[1:]) if len(sys.argv) > 1 else main())
