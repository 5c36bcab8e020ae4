"""A part of Airflow can be killed with or without its children, and restarted."""

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
"""Starts a child with its own process group, as Airflow does for tasks."""


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    part_ = Part([sys.executable, "-c", PROGRAM], tmp_path / "part", {})
    yield part_
    part_.stop()


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def started(part: Part, times: int = 1) -> tuple[int, int]:
    """Start the part; return the ids of its process and of the child."""
    part.start()
    log = part.folder / "server.log"
    assert wait_until(lambda: len(log.read_text().split()) == 2 * times)
    pid, child = map(int, log.read_text().split()[-2:])
    assert pid == part.pid
    return pid, child


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


def test_a_part_is_killed_with_its_children_and_restarts(part: Part) -> None:
    first, child = started(part)
    part.kill()
    assert part.pid is None
    assert wait_until(lambda: not is_alive(first) and not is_alive(child))
    again, other = started(part, 2)
    assert {first, child}.isdisjoint({again, other})
    assert is_alive(again)
    assert is_alive(other)


def test_a_part_can_be_killed_alone_and_its_children_end_at_the_restart(part: Part) -> None:
    first, child = started(part)
    part.kill(alone=True)
    assert part.pid is None
    assert not is_alive(first)
    assert is_alive(child)
    started(part, 2)
    assert wait_until(lambda: not is_alive(child))


def test_a_part_that_has_exited_does_not_run(part: Part) -> None:
    pid, _ = started(part)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: part.pid is None)
    part.kill()


def test_no_process_outlives_the_stop(part: Part) -> None:
    pid, child = started(part)
    part.stop()
    assert wait_until(lambda: not is_alive(pid) and not is_alive(child))
