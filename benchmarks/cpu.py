"""CPU time of this process and its descendants, by component, read from Linux's `/proc`."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

COMPONENTS = {
    "API server": r"airflow api[-_]server",
    "DAG processor": r"airflow dag-processor",
    "triggerer": r"airflow triggerer",
    "tasks": r"LocalExecutor",
    "scheduler": r"airflow scheduler",
    "S3 and SQS": r"-m ministack",
    "GCS": r"fake-gcs-server",
    "PostgreSQL": r"/postgres ",
}
"""Patterns of command lines by component; the first match counts."""
OTHER = "benchmark and simulators"
"""Descendants that match no component, and this process itself."""
MACHINE = "whole machine"
"""All processes of the machine, descendants or not."""

_TICKS = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """A process and its CPU seconds, including those of its children that have ended."""

    pid: int
    parent: int
    command: str
    seconds: float


def list_processes() -> list[Process]:
    """List all running processes. Raises FileNotFoundError where there is no `/proc`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status, command = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue  # The process has just ended; its parent has inherited its seconds.
            found.append(parse_process(int(folder.name), status, command))
    return found


def parse_process(pid: int, status: str, command: bytes) -> Process:
    """Parse the contents of `/proc/<pid>/stat` and `/proc/<pid>/cmdline`."""
    # The second field is the program's name in brackets; the name itself may contain blanks and brackets.
    fields = status.rpartition(")")[2].split()
    seconds = sum(map(int, fields[11:15])) / _TICKS  # user and system time, own and of children that have ended
    return Process(pid, int(fields[1]), command.replace(b"\0", b" ").decode(errors="replace").strip(), seconds)


def by_component(
    processes: Iterable[Process], roots: Collection[int], components: Mapping[str, str]
) -> dict[str, float]:
    """Add up the CPU seconds of the root processes and all their descendants, by component.

    A process belongs to the first component whose pattern matches its command, otherwise to its parent's component. A
    parent inherits the seconds of a child that ends, so no time is lost as long as parents wait for their children.
    """
    known = {process.pid: process for process in processes}

    def component(process: Process) -> str | None:
        matched = next((name for name, pattern in components.items() if re.search(pattern, process.command)), None)
        if process.pid in roots:
            return matched or OTHER
        parent = known.get(process.parent)
        inherited = component(parent) if parent else None
        return inherited and (matched or inherited)

    seconds: defaultdict[str, float] = defaultdict(float)
    for process in known.values():
        if name := component(process):
            seconds[name] += process.seconds
    return seconds


def cpu_seconds(components: Mapping[str, str] = COMPONENTS, extra_roots: Collection[int] = ()) -> dict[str, float]:
    """Return the CPU seconds used so far, by component, and by the whole machine since it booted.

    `extra_roots` are the ids of processes that count although they do not descend from this one.
    """
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    seconds = by_component(list_processes(), {os.getpid(), *extra_roots}, components)
    seconds[MACHINE] = (user + nice + system + irq + softirq) / _TICKS
    return seconds


def percent_of_core(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Return the CPU use between two readings that many seconds apart, in percent of one core."""
    return {name: 100 * (used - before.get(name, 0)) / seconds for name, used in after.items()}
