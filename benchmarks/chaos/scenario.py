"""The scenario of a run: traffic with faults, one sweep, late deliveries; and the wait for the end of each phase."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.chaos.faults.delivery import DeliveryCounts, FaultRates
from benchmarks.chaos.faults.fault_proxy import FaultProxy
from benchmarks.chaos.faults.kills import Killer, killing
from benchmarks.chaos.faults.schedule import SessionEnd, Upload, plan_kills, plan_sessions, plan_uploads
from benchmarks.chaos.faults.webhooks import WebhookSender
from benchmarks.chaos.probes import count_unsettled
from roomledger.queues.inbox import Inbox
from sandbox.live_traffic import finished_sessions, publish_records
from sandbox.servers.airflow import ACTIVE, Airflow, AirflowFailed
from sandbox.servers.installation import Installation
from sandbox.servers.upload import Put

TIMEOUT_S = 600.0
"""Limit of each wait: the claim of a killed load expires after five minutes."""
_POLL_S = 1.0
_DUE_S = 30.0
"""The scenario triggers a load for objects that are due for longer: Airflow's schedule may take 15 minutes for it."""
_QUIET_S = 5.0
"""A phase has ended when nothing was open for so long: Airflow needs a moment between one DAG run and the next."""
DAGS = ("listen", "collect", "load")

ShowStatus = Callable[[str], None]


@dataclass
class Scenario:
    """The running environment, and the phases of the scenario in it."""

    installation: Installation
    airflow: Airflow
    put: Put
    inbox: Inbox
    proxies: Sequence[FaultProxy]
    webhooks: WebhookSender
    killer: Killer
    rates: FaultRates
    show_status: ShowStatus
    extra_loads: int = 0
    """Loads that the scenario triggered for retries, besides the one of the sweep."""
    _uploads: Sequence[Upload] = ()
    _sessions: Sequence[SessionEnd] = ()
    _collects: int = 0
    """Runs of `collect` before the sweep."""
    _not_due_at: float = 0

    @property
    def counts(self) -> Mapping[str, DeliveryCounts]:
        """The delivery faults so far, of the proxies and of the webhooks."""
        return {proxy.name: proxy.counts for proxy in self.proxies} | {"webhooks": self.webhooks.log.counts}

    @property
    def sweeps(self) -> int:
        """Number of sweeps since the faults ended: Airflow's own schedule may add to the one of the scenario."""
        return self.airflow.count("collect") - self._collects

    def run_faults(self, seconds: float, kills: int, rng: random.Random) -> None:
        """Upload objects and end sessions while components are killed, with one sweep that may be killed as well."""
        world = self.installation.dataset
        self._uploads = plan_uploads(world, seconds, rng)
        self._sessions = plan_sessions(finished_sessions(world), seconds, self.rates, rng)
        plan = plan_kills(self.killer.components, kills, seconds, rng)
        with ThreadPoolExecutor(8, "faults") as threads:
            started: list[Future[object]] = []

            def start(act: Callable[[], object]) -> None:
                started.append(threads.submit(act))

            acts: list[tuple[float, Callable[[], object]]] = [
                *((upload.at_s, partial(start, partial(self._upload, upload))) for upload in self._uploads),
                *((end.at_s, partial(self._end_session, end)) for end in self._sessions),
                (rng.uniform(0.3, 0.6) * seconds, partial(start, partial(self.airflow.trigger, "collect"))),
                (seconds, lambda: None),
            ]
            began = time.monotonic()
            with killing(self.killer, plan):
                for at_s, act in sorted(acts, key=lambda one: one[0]):
                    while (left := began + at_s - time.monotonic()) > 0:
                        self.show_status(f"{time.monotonic() - began:.0f} of {seconds:.0f} s: {self._progress()}")
                        time.sleep(min(left, _POLL_S))
                    act()
            self.show_status("restarting all components of Airflow")
            for each in started:
                each.result()
        self.airflow.await_answers()
        self._collects = self.airflow.count("collect")
        self.webhooks.await_answers()
        if dead := [name for name, part in self.airflow.parts.items() if part.pid is None]:
            raise AirflowFailed(f"{', '.join(dead)} did not restart: see {self.airflow.logs}")

    def _upload(self, upload: Upload) -> None:
        self.put(replace(upload.target, content=upload.content))

    def _end_session(self, end: SessionEnd) -> None:
        [workspace] = [one for one in self.installation.vendor.workspaces if one.name == end.session.workspace.name]
        publish_records(end.session, workspace)
        self.webhooks.post(workspace.source, end.events, max_delay_s=self.rates.max_delay_s)
        self.webhooks.log.late += len(end.late_events)

    def _progress(self) -> str:
        sent, received = (sum(getattr(proxy.counts, name) for proxy in self.proxies) for name in ("sent", "received"))
        return (
            f"{sent} notifications sent, {received} received; {len(self.webhooks.log.acknowledged)} webhooks"
            f" acknowledged; {self.killer.killed.total()} kills"
        )

    def settle(self) -> None:
        """Wait until all notifications are received and no claim is left, not even one of a killed load.

        Objects may still wait for a load: that is for the sweep.
        """
        self._await("end of the faults", lambda: [*self._undelivered(), *self._active(), *self._claimed()])

    def sweep(self) -> None:
        """Run `collect` once, which starts `load`, until nothing waits for a load."""
        run = self.airflow.trigger("collect")

        def unfinished() -> Iterator[str]:
            state = self.airflow.state("collect", run)
            if state == "failed":
                raise AirflowFailed(f"the sweep failed: see {self.airflow.logs}")
            if state != "success":
                yield f"collect is {state}"
            yield from self._active()
            yield from self._unsettled()

        self._await("sweep", lambda: [*unfinished()])

    def deliver_late(self) -> None:
        """Deliver the late notifications and webhooks, and wait until nothing waits for a load."""
        for proxy in self.proxies:
            proxy.schedule_late()
        for end in self._sessions:
            self.webhooks.post(end.session.workspace.source, end.late_events, max_delay_s=0)
        self.webhooks.await_answers()
        self._await("late deliveries", lambda: [*self._undelivered(), *self._active(), *self._unsettled()])

    def _undelivered(self) -> Iterator[str]:
        uploaded = {upload.target.uri for upload in self._uploads}
        for proxy in self.proxies:
            objects = {uri for uri in uploaded if uri.startswith(f"{proxy.scheme}://")}
            for what, count in (
                ("objects without a notification", len(objects - {*proxy.sent})),
                ("delayed", proxy.delayed),
                ("in the queue", proxy.backlog()),
            ):
                if count:
                    yield f"{proxy.name}: {count} {what}"
        if self.inbox.peek(0):
            yield "webhooks in the inbox"

    def _active(self) -> Iterator[str]:
        for dag_id in DAGS:
            if self.airflow.count(dag_id, *ACTIVE):
                yield f"{dag_id} is running"

    def _claimed(self) -> Iterator[str]:
        if claimed := count_unsettled(self.installation.database).claimed:
            yield f"{claimed} objects are claimed by killed loads: five minutes at most"

    def _unsettled(self) -> Iterator[str]:
        found = count_unsettled(self.installation.database)
        for state, count in found._asdict().items():
            if count:
                yield f"{count} objects {state}"
        if not found.due or self.airflow.count("load", *ACTIVE):
            self._not_due_at = time.monotonic()
        elif time.monotonic() - self._not_due_at > _DUE_S:
            self.airflow.trigger("load")
            self.extra_loads += 1

    def _await(self, phase: str, reasons_to_wait: Callable[[], Sequence[str]]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        quiet_since = self._not_due_at = time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_S:
            if reasons := reasons_to_wait():
                quiet_since = time.monotonic()
                self.show_status(f"{phase}: {'; '.join(reasons)}")
                if time.monotonic() > deadline:
                    raise AirflowFailed(f"{phase} took more than {TIMEOUT_S:.0f} s: {'; '.join(reasons)}")
            time.sleep(_POLL_S)
