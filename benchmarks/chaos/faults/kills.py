"""Kills Airflow's components with SIGKILL, and restarts them."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.chaos.faults.schedule import Kill
from benchmarks.cpu import Process, list_processes
from sandbox.servers.airflow import Airflow

WORKER, RECEIVING, LOADING = "worker", "task that receives messages", "task that loads"
"""A process that runs any task; all task processes while messages are in flight; the same while objects are claimed."""
_TASK = re.compile(r"airflow worker -- [0-9a-f]{8}-[0-9a-f-]+$")
_TIMEOUT_S = 60.0
_POLL_S = 0.05

_Found = TypeVar("_Found")


@dataclass
class Killer:
    """Kills components of one Airflow, and counts the kills by component."""

    airflow: Airflow
    activities: Mapping[str, Callable[[], bool]]
    """Whether a task is RECEIVING, or LOADING, now."""
    killed: Counter[str] = field(default_factory=Counter)
    restarted: Counter[str] = field(default_factory=Counter)
    """By the killer: Airflow restarts workers and tasks itself."""
    not_running: Counter[str] = field(default_factory=Counter)
    """Kills that found no process."""
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def components(self) -> list[str]:
        """Everything that can be killed."""
        return [*self.airflow.parts, WORKER, *self.activities]

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """The kills so far, by component."""
        found = {
            component: {"killed": self.killed[component], "not running": self.not_running[component]}
            for component in self.components
        }
        for component in self.airflow.parts:
            found[component]["restarted"] = self.restarted[component]
        return found

    def kill(self, kill: Kill) -> None:
        """Kill the component; restart it after its downtime if nothing else does."""
        if kill.component in self.airflow.parts:
            self._kill_and_restart(kill)
        else:
            done = self._kill_worker(kill) if kill.component == WORKER else self._kill_during_activity(kill)
            (self.killed if done else self.not_running)[kill.component] += 1

    def _kill_and_restart(self, kill: Kill) -> None:
        part = self.airflow.parts[kill.component]
        if part.pid is None:
            self.not_running[kill.component] += 1
            return
        part.kill(alone=kill.single_process)
        self.killed[kill.component] += 1
        self.stopping.wait(kill.downtime_s)
        part.start()
        self.restarted[kill.component] += 1

    def _kill_worker(self, kill: Kill) -> bool:
        """Kill a process that runs a task, and its parent, the worker, unless the kill is for a single process."""
        found = self._await(self._tasks)
        if not found:
            return False
        task = found[0]
        # The parent of an orphan is another process, perhaps the first one of the machine.
        has_worker = _session(task.parent) == _session(task.pid)
        return _kill(*[task.parent] * (has_worker and not kill.single_process), task.pid)

    def _kill_during_activity(self, kill: Kill) -> bool:
        def killed() -> bool:
            if not self.activities[kill.component]():
                return False
            self.stopping.wait(kill.delay_s)
            return sum(_kill(task.pid) for task in self._tasks()) > 0

        return self._await(killed)

    def _tasks(self) -> list[Process]:
        """List the tasks of this Airflow only: others may run on the machine."""
        session = self.airflow.parts["scheduler"].session
        return tasks(list_processes(), session) if session else []

    def _await(self, find: Callable[[], _Found]) -> _Found:
        deadline = time.monotonic() + _TIMEOUT_S
        while not (found := find()) and time.monotonic() < deadline and not self.stopping.is_set():
            time.sleep(_POLL_S)
        return found


def tasks(processes: Sequence[Process], session: int) -> list[Process]:
    """Return the processes of this session that run the code of a task; the parent of each is its worker."""
    return [process for process in processes if _TASK.fullmatch(process.command) and _session(process.pid) == session]


def _session(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getsid(pid)
    return None


def _kill(*pids: int) -> bool:
    """Kill these processes; return whether all of them existed."""
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed == len(pids)


@contextmanager
def killing(killer: Killer, plan: Sequence[Kill]) -> Iterator[None]:
    """Execute the plan from now until the block ends; then all components run again."""
    began = time.monotonic()

    def kill_on_time(kill: Kill) -> None:
        if not killer.stopping.wait(began + kill.at_s - time.monotonic()):
            killer.kill(kill)

    with ThreadPoolExecutor(max(1, len(plan)), "kill") as threads:
        kills = [threads.submit(kill_on_time, kill) for kill in plan]
        try:
            yield
        finally:
            killer.stopping.set()
    for each in kills:
        each.result()
