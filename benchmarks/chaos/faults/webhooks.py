"""The vendor's webhooks, posted to the API servers in turn, and which of them were taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.chaos.faults.schedule import Shares
from sandbox.dataset.workspace import Record
from sandbox.hundredms_api.webhooks import Posted, Poster
from sandbox.servers.installation import SECRET, SECRET_HEADER

_THREADS = 32
"""Of each poster: one that waits holds up no other."""


class Webhooks:
    """All that were sent, by their ids."""

    def __init__(self) -> None:
        self.sent: dict[str, tuple[str, Record]] = {}
        """Source and event."""
        self.taken: set[str] = set()
        """Answered by 200."""
        self.dropped: set[str] = set()
        """Never posted."""
        self.doubled: int = 0

    @property
    def in_doubt(self) -> set[str]:
        """Posted, and never answered by 200: a server may have kept one and died before it could say so."""
        return {*self.sent} - self.taken - self.dropped

    def note(self, source: str, events: Sequence[Record], posted: Posted) -> None:
        """Write down what became of these."""
        self.sent |= {event["id"]: (source, event) for event in events}
        self.taken |= {*posted.received}
        self.dropped |= {*posted.dropped}
        self.doubled += len(posted.received) + len(posted.given_up) + len(posted.dropped) - len(events)

    def by_source(self, ids: set[str]) -> Mapping[str, list[Record]]:
        """Give these events, by the source that they came to."""
        found: dict[str, list[Record]] = {}
        for event_id in sorted(ids):
            source, event = self.sent[event_id]
            found.setdefault(source, []).append(event)
        return found


@dataclass(frozen=True, slots=True)
class Vendor:
    """Posts in the background, each batch half to one server, half to the other."""

    endpoints: Sequence[str]
    shares: Shares
    seed: int
    sent: Webhooks
    _threads: ThreadPoolExecutor
    _posting: list[Future[None]] = field(default_factory=list)

    def post(self, source: str, events: Sequence[Record], *, delay_s: float) -> None:
        """Post these, with the shares of all."""
        for number, endpoint in enumerate(self.endpoints):
            some = events[number :: len(self.endpoints)]
            poster = Poster(
                f"{endpoint}/roomledger/webhooks/{source}",
                SECRET_HEADER,
                SECRET,
                threads=_THREADS,
                drop=self.shares.dropped,
                double=self.shares.doubled,
                shuffle=True,
                delay_s=delay_s,
                seed=self.seed + len(self._posting),
            )
            self._posting.append(self._threads.submit(self._post, source, some, poster))

    def _post(self, source: str, events: Sequence[Record], poster: Poster) -> None:
        self.sent.note(source, events, poster.post(events))

    def await_answers(self) -> None:
        """Wait until all are taken, or given up."""
        for each in self._posting:
            each.result()


@contextmanager
def vendor(endpoints: Sequence[str], shares: Shares, seed: int) -> Iterator[Vendor]:
    """Stand in for the vendor until the block ends; what has not been posted by then is not."""
    with ThreadPoolExecutor(64, "vendor") as threads:
        found = Vendor(endpoints, shares, seed, Webhooks(), threads)
        try:
            yield found
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
