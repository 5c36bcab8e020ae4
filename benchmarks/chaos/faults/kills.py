"""Killing parts of Airflow without a warning, and starting them again."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.chaos.faults.schedule import Kill
from benchmarks.cpu import Process, list_processes
from sandbox.servers.airflow import Airflow

WORKER, ANSWERING, LOADING = "worker", "task that answers", "task that loads"
"""A process that runs a task, at any moment; all that run one while messages are held, or objects claimed."""
_TASK = re.compile(r"airflow worker -- [0-9a-f]{8}-[0-9a-f-]+$")
_PATIENCE_S = 60.0
_LOOKS_EVERY_S = 0.05

_Seen = TypeVar("_Seen")


@dataclass
class Killer:
    """Kills as planned; the parts that it starts again are those of this Airflow."""

    running: Airflow
    at_work: Mapping[str, Callable[[], bool]]
    """Whether somebody is ANSWERING, or LOADING, now."""
    killed: Counter[str] = field(default_factory=Counter)
    """By part."""
    started: Counter[str] = field(default_factory=Counter)
    """Again, by part; workers are started by the scheduler."""
    missed: Counter[str] = field(default_factory=Counter)
    """What was not there when it was to be killed."""
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def parts(self) -> list[str]:
        """All that can be killed."""
        return [*self.running.parts, WORKER, *self.at_work]

    def kill(self, kill: Kill) -> None:
        """Kill the part, and start it again after its pause."""
        if kill.part in self.running.parts:
            self._kill_part(kill)
        else:
            done = self._kill_worker(kill) if kill.part == WORKER else self._kill_at_work(kill)
            (self.killed if done else self.missed)[kill.part] += 1

    def _kill_part(self, kill: Kill) -> None:
        part = self.running.parts[kill.part]
        if part.pid is None:
            self.missed[kill.part] += 1
            return
        part.kill(alone=kill.alone)
        self.killed[kill.part] += 1
        self.over.wait(kill.pause_s)
        part.start()
        self.started[kill.part] += 1

    def _kill_worker(self, kill: Kill) -> bool:
        """Kill a process that runs a task, and unless it is to die alone the worker that watches over it."""
        found = self._await(self._tasks)
        if not found:
            return False
        task = found[0]
        # One that has lost its worker may have been given to the first process of the machine.
        has_worker = _session(task.parent) == _session(task.pid)
        return _slay(*[task.parent] * (has_worker and not kill.alone), task.pid)

    def _kill_at_work(self, kill: Kill) -> bool:
        def killed() -> bool:
            if not self.at_work[kill.part]():
                return False
            self.over.wait(kill.wait_s)
            return sum(_slay(task.pid) for task in self._tasks()) > 0

        return self._await(killed)

    def _tasks(self) -> list[Process]:
        """Tasks of this Airflow alone: others may be at work on this machine."""
        session = self.running.parts["scheduler"].session
        return tasks(list_processes(), session) if session else []

    def _await(self, look: Callable[[], _Seen]) -> _Seen:
        deadline = time.monotonic() + _PATIENCE_S
        while not (seen := look()) and time.monotonic() < deadline and not self.over.is_set():
            time.sleep(_LOOKS_EVERY_S)
        return seen


def tasks(found: Sequence[Process], session: int) -> list[Process]:
    """Processes of this session that run the code of a task; the parent of each is its worker."""
    return [process for process in found if _TASK.fullmatch(process.command) and _session(process.pid) == session]


def _session(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getsid(pid)
    return None


def _slay(*pids: int) -> bool:
    """Kill these; whether all of them were there."""
    slain = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            slain += 1
    return slain == len(pids)


@contextmanager
def killing(killer: Killer, plan: Sequence[Kill]) -> Iterator[None]:
    """Kill as planned, counted from now; at the end of the block no more, and all parts run again."""
    began = time.monotonic()
    done: list[Future[None]] = []
    with ThreadPoolExecutor(len(killer.parts), "kill") as threads:

        def keep_to_plan() -> None:
            for kill in plan:
                if killer.over.wait(max(0.0, began + kill.at_s - time.monotonic())):
                    return
                done.append(threads.submit(killer.kill, kill))

        keeper = threading.Thread(target=keep_to_plan, name="plan of kills")
        keeper.start()
        try:
            yield
        finally:
            killer.over.set()
            keeper.join()
    for each in done:
        each.result()
