"""Processor time that this process and all that descends from it have used, by part, as Linux tells it in `/proc`."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

PARTS = {
    "API server": r"airflow api[-_]server",
    "DAG processor": r"airflow dag-processor",
    "triggerer": r"airflow triggerer",
    "tasks": r"LocalExecutor",
    "scheduler": r"airflow scheduler",
    "S3 and SQS": r"-m ministack",
    "GCS": r"fake-gcs-server",
    "PostgreSQL": r"/postgres ",
}
"""Parts by what their command lines match, tried in this order."""
REST = "writers and stand-ins"
"""What no other part is, such as this process itself."""
MACHINE = "whole machine"
"""All that runs on it, whoever started it."""

_TICKS = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One process, with the seconds that it and those of its children that have ended spent on a processor."""

    pid: int
    parent: int
    command: str
    seconds: float


def processes() -> list[Process]:
    """Give all that run now. Raises FileNotFoundError where there is no `/proc`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status, command = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended, and its parent has its seconds
            found.append(read_process(int(folder.name), status, command))
    return found


def read_process(pid: int, status: str, command: bytes) -> Process:
    """Understand what `/proc/<pid>/stat` and `cmdline` say."""
    # The second field is the program's name in brackets, which may hold blanks and brackets.
    fields = status.rpartition(")")[2].split()
    seconds = sum(map(int, fields[11:15])) / _TICKS  # user, system, and the same of children that have ended
    return Process(pid, int(fields[1]), command.replace(b"\0", b" ").decode(errors="replace").strip(), seconds)


def by_part(found: Iterable[Process], roots: Collection[int], parts: Mapping[str, str]) -> dict[str, float]:
    """Add up the seconds of these processes and of all that descend from them.

    A process belongs to the part that its command matches, else to its parent's. When one ends its parent inherits its
    seconds, so nothing is lost as long as parents wait for their children.
    """
    known = {process.pid: process for process in found}

    def part(process: Process) -> str | None:
        name = next((name for name, pattern in parts.items() if re.search(pattern, process.command)), None)
        above = known.get(process.parent)
        if process.pid in roots:
            return name or REST
        belongs = part(above) if above else None
        return belongs and (name or belongs)

    seconds: defaultdict[str, float] = defaultdict(float)
    for process in known.values():
        name = part(process)
        if name:
            seconds[name] += process.seconds
    return seconds


def used(parts: Mapping[str, str] = PARTS, others: Collection[int] = ()) -> dict[str, float]:
    """Give the seconds used until now, by part, and by the whole machine since it was started.

    `others` are processes that count, too, though they do not descend from this one.
    """
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    seconds = by_part(processes(), {os.getpid(), *others}, parts)
    seconds[MACHINE] = (user + nice + system + irq + softirq) / _TICKS
    return seconds


def percent(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Give what was used between two moments so many seconds apart, in percent of one processor."""
    return {name: 100 * (figure - before.get(name, 0)) / seconds for name, figure in after.items()}
