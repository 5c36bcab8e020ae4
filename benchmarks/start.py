"""`make bench-start`: seconds from the start of the command to its end, for commands that do little.

The exit code is 1 if the median of one of them is above LIMIT_S.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

LIMIT_S = 0.6
RUNS = 11
FILES = 20
COMMANDS = (["--version"], ["--help"], ["status", "--help"], ["audit", "--help"], ["status"], ["sql", "SELECT 1"])
CHAT_HEADER = "SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID\n"
COMMAND = [sys.executable, "-c", "from roomledger.cli.main import app; app()"]


def write_settings(folder: Path) -> Path:
    """Write a small bucket and the settings that name it."""
    for number in range(FILES):
        path = folder / f"bucket/chat/room{number}/20260302/Rec-room{number}-1772445600000.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"{CHAT_HEADER}p,Nell,u,[],2026-03-02T10:00:00Z,chat,hello,m{number}\n")
    settings = folder / "roomledger.toml"
    source = f'[[source]]\nname = "acme"\ncustomer = "Acme"\nurl = "file://{folder}/bucket"\n'
    settings.write_text(f'[warehouse]\nurl = "duckdb:///warehouse.duckdb"\n{source}')
    return settings


def seconds(words: list[str], environ: dict[str, str]) -> float:
    """Run the command in a new process; give its seconds."""
    began = time.perf_counter()
    subprocess.run([*COMMAND, *words], env=environ, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> int:
    """Measure all commands; the first run of each, which may compile, does not count."""
    table = Table("command", "median s", "fastest s", "slowest s", title=f"Start of the command, {RUNS} runs")
    medians = []
    with tempfile.TemporaryDirectory(prefix="roomledger-start-") as name:
        environ = os.environ | {"ROOMLEDGER_CONFIG": str(write_settings(Path(name)))}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for words in (["init"], ["run"]):
            seconds(words, environ)
        for words in COMMANDS:
            _, *found = [seconds(words, environ) for _ in range(RUNS + 1)]
            medians.append(statistics.median(found))
            table.add_row(" ".join(words), *(f"{one:.2f}" for one in (medians[-1], min(found), max(found))))
    Console().print(table)
    return int(max(medians) > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
