"""Kills hit only the components of the Airflow under test, and its components restart."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.faults.kills import LOADING, WORKER, Killer, killing
from benchmarks.chaos.faults.schedule import Kill
from sandbox.servers.airflow import Airflow, Part

TASK = """
import os, sys, time
from setproctitle import setproctitle
if os.fork():
    setproctitle("airflow worker -- LocalExecutor: 01a1ffa6-2d1b-7885-9701-0ad11f552b88")
else:
    os.setpgid(0, 0)
    setproctitle("airflow worker -- 01a1ffa6-2d1b-7885-9701-0ad11f552b88")
    print(os.getpid(), flush=True)
time.sleep(60)
"""
"""A worker that has started a task, with the process titles that Airflow sets."""
PROGRAMS = {"scheduler": TASK, "triggerer": "import time; print(flush=True); time.sleep(60)"}


@pytest.fixture
def killer(tmp_path: Path) -> Iterator[Killer]:
    """The scheduler is a worker at the same time."""
    running = {name: started(tmp_path / name, program) for name, program in PROGRAMS.items()}
    yield Killer(Airflow("", tmp_path, (), running), {LOADING: lambda: True})
    for part in running.values():
        part.stop()


@pytest.fixture
def other_airflow(tmp_path: Path) -> Iterator[Part]:
    """The scheduler of another Airflow, with a task."""
    part = started(tmp_path / "other", TASK)
    yield part
    part.stop()


def started(folder: Path, program: str) -> Part:
    """A component that has written its first line."""
    part = Part([sys.executable, "-c", program], folder, {})
    part.start()
    assert becomes_true(lambda: log_of(part).endswith("\n"))
    return part


def log_of(part: Part) -> str:
    return (part.folder / "server.log").read_text()


def becomes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def kill_of(component: str, *, single_process: bool = False, at_s: float = 0) -> Kill:
    return Kill(at_s, component, downtime_s=0, single_process=single_process, delay_s=0)


def test_a_killed_component_restarts(killer: Killer) -> None:
    before = killer.airflow.parts["triggerer"].pid
    with killing(killer, [kill_of("triggerer"), kill_of("triggerer", at_s=60)]):
        assert becomes_true(lambda: killer.restarted.total() > 0)
    assert killer.killed == killer.restarted == {"triggerer": 1}
    assert killer.airflow.parts["triggerer"].pid not in (None, before)
    assert not killer.not_running


def test_a_kill_without_a_process_is_counted_as_not_running(killer: Killer) -> None:
    killer.stopping.set()  # It does not wait for a process to appear.
    killer.airflow.parts["scheduler"].kill()
    for component in ("scheduler", WORKER, LOADING):
        killer.kill(kill_of(component))
    assert (killer.killed, killer.not_running) == ({}, {"scheduler": 1, WORKER: 1, LOADING: 1})


@pytest.mark.parametrize(("component", "single_process"), [(WORKER, True), (WORKER, False), (LOADING, False)])
def test_only_tasks_of_this_airflow_are_killed(
    killer: Killer, other_airflow: Part, component: str, single_process: bool
) -> None:
    scheduler = killer.airflow.parts["scheduler"]
    task, worker = int(log_of(scheduler)), scheduler.pid
    assert worker
    killer.kill(kill_of(component, single_process=single_process))
    assert killer.killed == {component: 1}
    assert becomes_true(lambda: not is_alive(task))
    if component == WORKER and not single_process:
        assert becomes_true(lambda: not is_alive(worker))
    else:
        assert is_alive(worker)
    assert other_airflow.pid
    assert is_alive(int(log_of(other_airflow)))


def test_kills_are_counted_by_component(killer: Killer) -> None:
    killer.killed.update({"scheduler": 2, WORKER: 1})
    killer.restarted.update({"scheduler": 2})
    killer.not_running.update({LOADING: 3})
    assert killer.counts == {
        "scheduler": {"killed": 2, "restarted": 2, "not running": 0},
        "triggerer": {"killed": 0, "restarted": 0, "not running": 0},
        "worker": {"killed": 1, "not running": 0},
        "task that loads": {"killed": 0, "not running": 3},
    }
