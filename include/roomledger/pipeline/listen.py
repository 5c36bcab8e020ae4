"""Reacting: what the queues say goes into the ledger, and is removed from them once it is there.

    receive      messages stay the queue's until they are settled (`receiving`)
    understand   what each says: objects to look at, an event of the vendor (pure)
    look         what is there now, where a message does not name the version
    write        one transaction for all of it
    settle       only now

Notices may be lost, doubled, late and out of order: they only say where to look. What is not understood is kept as a
refusal. What could not be looked up stays in its queue and comes again; of a webhook the event is taken in all the
same, and the next listing finds what it names.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from roomledger import times
from roomledger.formats import object_keys
from roomledger.ledger.database import Database
from roomledger.ledger.observations import mark_missing, record_observations
from roomledger.ledger.outcome import Load
from roomledger.ledger.refusals import RefusalRow, keep
from roomledger.ledger.vendor_events import hear
from roomledger.model import Observation, Rejected
from roomledger.pipeline.load import BATCH, load_batch
from roomledger.pipeline.receiver import PATIENCE_S, Received, Receiver
from roomledger.pipeline.subscriptions import Decoded, Subscription
from roomledger.queues import Message, Notice, QueueError
from roomledger.settings import INBOX, Source
from roomledger.stores import Store, StoreError

log = logging.getLogger(__name__)

LOOKS = 16
"""Looks in flight."""
_PACE_S = 1.0
"""Rounds with something in them follow each other no faster, unless much waits: what comes meanwhile is taken in
together, at a fraction of the processor's time."""


@dataclass(slots=True)
class Answered:
    """What one round at the queues brought."""

    messages: int = 0
    new: Counter[str] = field(default_factory=Counter)
    """Object versions not known before, by disposition; `back` for those that had gone missing."""
    gone: int = 0
    events: int = 0
    """Events of the vendor not known before."""
    moved: int = 0
    """Objects whose rows were given to another session by what the vendor said."""
    foreign: int = 0
    """Objects that lie in no source's bucket."""
    refused: int = 0
    """Messages that could not be understood; they are kept as refusals."""
    left: int = 0
    """Messages that stay in their queue, because an object of theirs could not be looked up."""
    problems: set[str] = field(default_factory=set)
    """Why, and what ails each queue that could not be read the last time: a sentence for each."""

    @property
    def waking(self) -> bool:
        """Whether there may be something to load now."""
        return self.new["seen"] + self.new["back"] + self.events > 0


class _Read(NamedTuple):
    """A message that was understood, or not."""

    subscription: Subscription
    message: Message
    word: Decoded | RefusalRow


class _Look(NamedTuple):
    """What became of an address."""

    source: Source | None
    """None where the address lies in no source's bucket."""
    seen: Observation | None = None
    problem: str | None = None


def listen_and_load(
    database: Database,
    sources: Sequence[Source],
    stores: Mapping[str, Store],
    subscriptions: Sequence[Subscription],
    *,
    quiet_s: float,
    most_s: float,
    batch: int = BATCH,
    started_by: str = "command line",
    is_over: Callable[[], bool] = lambda: False,
) -> Iterator[Answered | Load]:
    """Answer the queues and load what is new until nothing has come for `quiet_s`, for `most_s`, or until it `is_over`.

    Between the batches of a backlog the queues are answered, too, and what has just come is loaded before the rest of
    it. A source without a store, as a workspace without its API, is not read. Raises BatchRefused.
    """
    began = last = time.monotonic()
    is_waiting = True
    quiet_s = quiet_s if subscriptions else 0
    readable = [source for source in sources if source.name in stores]
    for subscription in subscriptions:
        _read_kept(database, subscription)
    with Receiver(subscriptions) as receiver:
        while True:
            now = time.monotonic()
            patience_s = 0 if is_waiting else PATIENCE_S
            if not is_over() and now - began < most_s and (is_waiting or now - last < quiet_s):
                if not is_waiting:
                    time.sleep(max(0.0, last + _PACE_S - now))
                receiver.ask(patience_s)
            elif not receiver.is_waiting:  # what a queue gave is kept from others for a while: it is taken in first
                break
            received = receiver.take(patience_s)
            answered = answer(database, sources, stores, received)
            answered.problems |= set(receiver.problems.values())
            if answered.messages or any(one.problem for one in received):
                yield answered
            if answered.messages:
                last = time.monotonic()
            if is_waiting or answered.waking:
                load = load_batch(database, readable, stores, batch=batch, started_by=started_by, newest_first=True)
                is_waiting = load is not None and sum(load.objects.values()) >= batch
                if load:
                    yield load


def answer(
    database: Database, sources: Sequence[Source], stores: Mapping[str, Store], received: Sequence[Received]
) -> Answered:
    """Take in what came, and settle it."""
    answered = Answered(messages=sum(len(one.messages) for one in received))
    if not answered.messages:
        return answered
    with _holding(received):
        read = [
            _Read(one.subscription, message, _understand(one.subscription, message))
            for one in received
            for message in one.messages
        ]
        looked_at = times.utc_now()
        looks = _look(read, sources, stores)
        done = [one for one in read if not _is_left(one.word, looks)]
        answered.left = len(read) - len(done)
        answered.problems |= {look.problem for look in looks.values() if look.problem}
        with database.begin() as tx:
            _write(tx, database, done, looks, min(one.at for one in received), looked_at, answered)
        for subscription in {one.subscription for one in received}:
            _settle(subscription, [one.message for one in done if one.subscription is subscription], answered)
    return answered


def _read_kept(database: Database, subscription: Subscription) -> None:
    """Try again the webhooks that were not understood before, perhaps by an older version of this program."""
    if subscription.name != INBOX:
        return
    with database.begin(read_only=True) as tx:
        kept = tx.execute(text(_KEPT)).all()
    good = []
    for object_id, source, raw, refused_at in kept:
        attributes = {"source": source, "received_at": refused_at.isoformat()}
        word = _understand(subscription, Message(object_id, bytes(raw), attributes, ""))
        if isinstance(word, Decoded):
            good.append((object_id, word))
    if good:
        now = times.utc_now()
        with database.begin() as tx:
            hear(tx, database, [word.heard for _, word in good if word.heard], now=now)
            tx.execute(text(_RESOLVE), [{"object_id": object_id, "now": now} for object_id, _ in good])


_KEPT = """
SELECT object_id, source, raw, refused_at FROM refusals
WHERE resolved_at IS NULL AND uri LIKE '100ms://%/webhooks/%'
"""
_RESOLVE = "UPDATE refusals SET resolved_at = :now WHERE object_id = :object_id AND resolved_at IS NULL"


def _understand(subscription: Subscription, message: Message) -> Decoded | RefusalRow:
    try:
        return subscription.understand(message)
    except Rejected as error:
        return subscription.refuse(message, error)
    except Exception as error:
        # A mistake of ours in one message must not keep back all others: it is kept, too.
        return subscription.refuse(message, Rejected("parser_failed", f"{error!r}: a fault of ours; report it"))


def _look(read: Sequence[_Read], sources: Sequence[Source], stores: Mapping[str, Store]) -> dict[Notice, _Look]:
    """Find the source of every object that is named, and what is there now where the version is not."""
    named = {notice for one in read if isinstance(one.word, Decoded) for notice in one.word.notices}

    def stat(notice: Notice) -> _Look:
        source = _source_of(notice.uri, sources)
        if source is None or notice.seen:
            return _Look(source, notice.seen)
        try:
            return _Look(source, stores[source.name].stat(notice.uri))
        except StoreError as error:
            return _Look(source, problem=str(error))

    with ThreadPoolExecutor(LOOKS, "stat") as pool:
        return dict(zip(named, pool.map(stat, named), strict=True))


def _source_of(uri: str, sources: Sequence[Source]) -> Source | None:
    return next((one for one in sources if not one.is_workspace and uri.startswith(f"{one.url}/")), None)


def _is_left(word: Decoded | RefusalRow, looks: Mapping[Notice, _Look]) -> bool:
    """Whether the message has to come again.

    No webhook has: the inbox keeps back nothing, and would give what stays there again at once, before all others.
    """
    return isinstance(word, Decoded) and not word.heard and any(looks[notice].problem for notice in word.notices)


def _write(
    tx: Connection,
    database: Database,
    done: Sequence[_Read],
    looks: Mapping[Notice, _Look],
    received_at: datetime,
    looked_at: datetime,
    answered: Answered,
) -> None:
    # Others write the same rows down in another order, and would wait for these as these for theirs.
    database.hold_evidence(tx, change=True)
    now = times.utc_now()
    refused = [one.word for one in done if isinstance(one.word, RefusalRow)]
    keep(tx, refused, now=now)
    answered.refused = len(refused)
    words = [(one.subscription.observed_by, one.word) for one in done if isinstance(one.word, Decoded)]
    heard = [word.heard for _, word in words if word.heard]
    if heard:
        understood = hear(tx, database, heard, now=now)
        answered.events, answered.moved = understood.events, understood.moved
    found = {(observed_by, notice): looks[notice] for observed_by, word in words for notice in word.notices}
    answered.foreign = len({notice.uri for (_, notice), look in found.items() if not look.source})
    by_source = _by_source(found)
    for (source, observed_by), those in by_source.items():
        named = [look.seen for notice, look in those if look.seen and notice.seen]
        there = [look.seen for notice, look in those if look.seen and not notice.seen]
        # What a message names was there when it was received: what was looked for later and not found has gone.
        for seen, at in ((named, received_at), (there, now)):
            if seen:
                noted = [(one, source.judged(object_keys.recognise(one))) for one in seen]
                answered.new.update(record_observations(tx, database, source, noted, observed_by=observed_by, now=at))
    for (source, observed_by), those in by_source.items():
        gone = [notice.uri for notice, look in those if not look.seen]
        if gone:
            answered.gone += mark_missing(
                tx, database, source.name, gone, before=looked_at, observed_by=observed_by, now=now
            )


def _by_source(
    found: Mapping[tuple[str, Notice], _Look],
) -> Mapping[tuple[Source, str], list[tuple[Notice, _Look]]]:
    those: defaultdict[tuple[Source, str], list[tuple[Notice, _Look]]] = defaultdict(list)
    for (observed_by, notice), look in found.items():
        if look.source and not look.problem:
            those[look.source, observed_by].append((notice, look))
    return those


def _settle(subscription: Subscription, messages: Sequence[Message], answered: Answered) -> None:
    try:
        subscription.queue.ack(messages)
    except QueueError as error:  # they come again, and change nothing then
        answered.problems.add(str(error))


@contextmanager
def _holding(received: Sequence[Received]) -> Iterator[None]:
    """Keep the messages from other receivers while work on them goes on."""
    done = threading.Event()

    def extend(one: Received) -> None:
        while not done.wait(min(one.subscription.queue.visibility_timeout_s / 3, threading.TIMEOUT_MAX)):
            try:
                one.subscription.queue.extend(one.messages)
            except QueueError as error:
                log.warning(
                    "%s: messages may be received twice, which changes nothing: %s", one.subscription.name, error
                )

    threads = [
        threading.Thread(target=extend, args=[one], name="extend", daemon=True) for one in received if one.messages
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
