"""Webhooks with faults, sent to the API servers in turn, and a log of which were acknowledged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.chaos.faults.delivery import DeliveryCounts, FaultRates
from sandbox.dataset.workspace import Record
from sandbox.hundredms_api.webhooks import Posted, Poster
from sandbox.servers.installation import SECRET, SECRET_HEADER

_THREADS = 32
"""Threads of each poster: a delayed request must not block the others."""


@dataclass
class WebhookLog:
    """What became of all events, by their ids."""

    events: dict[str, tuple[str, Record]] = field(default_factory=dict)
    """Source and event."""
    acknowledged: set[str] = field(default_factory=set)
    """Answered by 200."""
    dropped: set[str] = field(default_factory=set)
    """Never posted."""
    duplicated: int = 0
    late: int = 0
    """Scheduled for after the sweep; those that are then dropped count, too."""

    @property
    def unacknowledged(self) -> set[str]:
        """Posted but never answered by 200: a server may have stored an event and died before its answer."""
        return {*self.events} - self.acknowledged - self.dropped

    @property
    def counts(self) -> DeliveryCounts:
        """The faults so far."""
        return DeliveryCounts(len(self.events), len(self.dropped), self.duplicated, self.late, len(self.acknowledged))

    def record(self, source: str, events: Sequence[Record], posted: Posted) -> None:
        """Record what became of these events."""
        self.events |= {event["id"]: (source, event) for event in events}
        self.acknowledged |= {*posted.received}
        self.dropped |= {*posted.dropped}
        self.duplicated += len(posted.received) + len(posted.given_up) + len(posted.dropped) - len(events)


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Posts events in the background, distributed evenly over the API servers."""

    endpoints: Sequence[str]
    rates: FaultRates
    seed: int
    log: WebhookLog
    _threads: ThreadPoolExecutor
    _running: list[Future[None]] = field(default_factory=list)

    def post(self, source: str, events: Sequence[Record], *, max_delay_s: float) -> None:
        """Post these events, with the rates of dropped and duplicated ones."""
        for number, endpoint in enumerate(self.endpoints):
            share = events[number :: len(self.endpoints)]
            poster = Poster(
                f"{endpoint}/roomledger/webhooks/{source}",
                SECRET_HEADER,
                SECRET,
                threads=_THREADS,
                drop=self.rates.dropped,
                double=self.rates.duplicated,
                shuffle=True,
                delay_s=max_delay_s,
                seed=self.seed + len(self._running),
            )
            self._running.append(self._threads.submit(self._post, source, share, poster))

    def _post(self, source: str, events: Sequence[Record], poster: Poster) -> None:
        self.log.record(source, events, poster.post(events))

    def await_answers(self) -> None:
        """Wait until all posted events are acknowledged or given up."""
        for each in self._running:
            each.result()


@contextmanager
def webhook_sender(endpoints: Sequence[str], rates: FaultRates, seed: int) -> Iterator[WebhookSender]:
    """Yield a sender; at the end of the block it cancels what has not been posted."""
    with ThreadPoolExecutor(64, "webhooks") as threads:
        try:
            yield WebhookSender(endpoints, rates, seed, WebhookLog(), threads)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
