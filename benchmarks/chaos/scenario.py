"""The course of a run: mischief, one sweep, what is late; and waiting until each of them has come to its end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from benchmarks.chaos.faults import schedule as plans
from benchmarks.chaos.faults.fault_proxy import Carrier
from benchmarks.chaos.faults.kills import Killer, killing
from benchmarks.chaos.faults.schedule import Shares, Told, Upload
from benchmarks.chaos.faults.webhooks import Vendor
from benchmarks.chaos.probes import waiting
from roomledger.queues.inbox_folder import Inbox
from sandbox.live_traffic import parts, tell
from sandbox.servers.airflow import ACTIVE, Airflow, AirflowFailed
from sandbox.servers.installation import Installation
from sandbox.servers.upload import Put

PATIENCE_S = 600.0
"""How long anything may take to come to its end: a claim of a load that was killed comes free after five minutes."""
_ASKED_EVERY_S = 1.0
_DUE_S = 30.0
"""What has been due for longer nobody has come for: Airflow's next load would, after a quarter of an hour at most."""
_QUIET_S = 5.0
"""For so long nothing is to be under way: Airflow needs a moment from one run to the next."""
DAGS = ("listen", "collect", "load")

Say = Callable[[str], None]
"""Shows what goes on."""


@dataclass
class Course:
    """All that runs, and what happens to it."""

    place: Installation
    running: Airflow
    put: Put
    inbox: Inbox
    carriers: Sequence[Carrier]
    vendor: Vendor
    killer: Killer
    shares: Shares
    say: Say
    uploaded: list[Upload] = field(default_factory=list)
    loads: int = 0
    """Loads that had to be started besides the sweep's, for what was to be tried again."""
    _told: list[Told] = field(default_factory=list)
    _swept: int = 0
    _not_due_at: float = 0

    def mischief(self, seconds: float, kills: int, rng: random.Random) -> None:
        """Let a world happen while parts of Airflow die, with a sweep in the midst that dies as easily."""
        self.uploaded = plans.uploads(self.place.world, seconds, rng)
        self._told = plans.tellings(parts(self.place.world), seconds, self.shares, rng)
        plan = plans.kills(self.killer.parts, kills, seconds, rng)
        with ThreadPoolExecutor(8, "mischief") as threads:
            done: list[Future[object]] = []
            acts: list[tuple[float, Callable[[], object]]] = [
                (upload.at_s, partial(lambda one: done.append(threads.submit(self._upload, one)), upload))
                for upload in self.uploaded
            ]
            acts += [(told.at_s, partial(self._tell, told)) for told in self._told]
            sweep_at_s = rng.uniform(0.3, 0.6) * seconds
            acts.append((sweep_at_s, lambda: done.append(threads.submit(self.running.trigger, "collect"))))
            acts.append((seconds, lambda: None))
            began = time.monotonic()
            with killing(self.killer, plan):
                for at_s, act in sorted(acts, key=lambda one: one[0]):
                    while (left := began + at_s - time.monotonic()) > 0:
                        self.say(self._state(f"mischief, {time.monotonic() - began:.0f} of {seconds:.0f} s"))
                        time.sleep(min(left, _ASKED_EVERY_S))
                    act()
            self.say("all parts of Airflow start again")
            for each in done:
                each.result()
        self.running.await_answers()
        self._swept = self.running.count("collect")
        self.vendor.await_answers()
        if dead := [name for name, part in self.running.parts.items() if part.pid is None]:
            raise AirflowFailed(f"{', '.join(dead)} did not start again: see {self.running.logs}")

    def _upload(self, upload: Upload) -> None:
        self.put(replace(upload.thing, content=upload.content))

    def _tell(self, told: Told) -> None:
        [account] = [one for one in self.place.vendor.workspaces if one.name == told.part.workspace.name]
        tell(told.part, account)
        self.vendor.post(account.source, told.events, delay_s=self.shares.delay_s)

    def _state(self, when: str) -> str:
        passed = sum(carrier.passed.total() for carrier in self.carriers)
        told = sum(carrier.told.total() for carrier in self.carriers)
        killed = self.killer.killed.total()
        return (
            f"{when}: {told} notices, {passed} passed on; {len(self.vendor.sent.taken)} webhooks taken; {killed} kills"
        )

    @property
    def late_webhooks(self) -> int:
        """How many come after the sweep, those that are then dropped among them."""
        return sum(len(told.late) for told in self._told)

    @property
    def sweeps(self) -> int:
        """How many have begun since the mischief: Airflow's own schedule may add to the one."""
        return self.running.count("collect") - self._swept

    def settle(self) -> None:
        """Wait until all that was told of is taken in, and no claim is held: what a load held when it was killed, too.

        What waits to be loaded may wait on: that is for the sweep.
        """
        self._await("the end of the mischief", lambda: [*self._told_of(), *self._under_way(), *self._claimed()])

    def sweep(self) -> None:
        """Let collect run once, and with it load, until nothing waits."""
        run = self.running.trigger("collect")

        def not_yet() -> Iterator[str]:
            state = self.running.state("collect", run)
            if state == "failed":
                raise AirflowFailed(f"the sweep failed: see {self.running.logs}")
            if state != "success":
                yield f"collect is {state}"
            yield from self._under_way()
            yield from self._unloaded()

        self._await("sweep", lambda: [*not_yet()])

    def be_late(self) -> None:
        """Let the notices and webhooks come that were held back, and wait until nothing waits."""
        for carrier in self.carriers:
            carrier.release()
        for told in self._told:
            self.vendor.post(told.part.workspace.source, told.late, delay_s=0)
        self.vendor.await_answers()
        self._await("late notices", lambda: [*self._told_of(), *self._under_way(), *self._unloaded()])

    def _told_of(self) -> Iterator[str]:
        for carrier in self.carriers:
            untold = {upload.thing.uri for upload in self.uploaded if carrier.is_for(upload.thing.uri)} - {
                *carrier.told
            }
            for what, count in (
                ("objects of which the bucket has not told", len(untold)),
                ("delayed", carrier.waiting),
                ("in the queue", carrier.left()),
            ):
                if count:
                    yield f"{carrier.name}: {count} {what}"
        if self.inbox.peek(0):
            yield "webhooks in the inbox"

    def _under_way(self) -> Iterator[str]:
        for dag_id in DAGS:
            if self.running.count(dag_id, *ACTIVE):
                yield f"{dag_id} runs"

    def _claimed(self) -> Iterator[str]:
        if claimed := waiting(self.place.database).claimed:
            yield f"{claimed} objects are claimed by loads that were killed: five minutes at most"

    def _unloaded(self) -> Iterator[str]:
        found = waiting(self.place.database)
        for state, count in found._asdict().items():
            if count:
                yield f"{count} objects {state}"
        if not found.due or self.running.count("load", *ACTIVE):
            self._not_due_at = time.monotonic()
        elif time.monotonic() - self._not_due_at > _DUE_S:
            self.running.trigger("load")
            self.loads += 1

    def _await(self, when: str, not_yet: Callable[[], Sequence[str]]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        quiet_since = self._not_due_at = time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_S:
            if reasons := not_yet():
                quiet_since = time.monotonic()
                self.say(f"{when}: {'; '.join(reasons)}")
                if time.monotonic() > deadline:
                    raise AirflowFailed(f"{when} took more than {PATIENCE_S:.0f} s: {'; '.join(reasons)}")
            time.sleep(_ASKED_EVERY_S)
