"""A part of Airflow dies with all that it has started, or alone, and can be started again."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.servers.airflow import Part

PROGRAM = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], process_group=0)
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""
"""Starts a process with a group of its own, as Airflow does for tasks."""


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    made = Part([sys.executable, "-c", PROGRAM], tmp_path / "part", {})
    yield made
    made.stop()


def await_it(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not (found := is_so()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def started(part: Part, times: int = 1) -> tuple[int, int]:
    """Start it for this time; give its process and the one that it starts."""
    part.start()
    log = part.folder / "server.log"
    assert await_it(lambda: len(log.read_text().split()) == 2 * times)
    pid, child = map(int, log.read_text().split()[-2:])
    assert pid == part.pid
    return pid, child


def lives(pid: int) -> bool:
    """Whether it runs: what has ended may still be in the list until its parent looks."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


def test_it_dies_with_all_that_it_has_started_and_starts_again(part: Part) -> None:
    first, child = started(part)
    part.kill()
    assert part.pid is None
    assert await_it(lambda: not lives(first) and not lives(child))
    again, other = started(part, 2)
    assert {first, child}.isdisjoint({again, other})
    assert lives(again)
    assert lives(other)


def test_it_may_die_alone_and_what_it_has_left_behind_ends_when_it_starts_again(part: Part) -> None:
    first, child = started(part)
    part.kill(alone=True)
    assert part.pid is None
    assert not lives(first)
    assert lives(child)
    started(part, 2)
    assert await_it(lambda: not lives(child))


def test_one_that_has_ended_by_itself_does_not_run(part: Part) -> None:
    pid, _ = started(part)
    os.kill(pid, signal.SIGKILL)
    assert await_it(lambda: part.pid is None)
    part.kill()


def test_none_of_it_outlives_its_end(part: Part) -> None:
    pid, child = started(part)
    part.stop()
    assert await_it(lambda: not lives(pid) and not lives(child))
