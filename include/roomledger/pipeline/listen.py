"""Listen: ingest what the queues deliver, acknowledge it, and load what is new, within seconds.

    receive      messages stay the queue's until they are acknowledged (`receiver`)
    decode       what each says: objects to inspect, a webhook event (`subscriptions`, pure)
    stat         the current version of an object, where a message does not name it
    write        one transaction for all of it
    acknowledge  only now

Notifications may be lost, doubled, late and out of order: they only say where to look. A rejected message is kept as a
refusal. One whose object could not be inspected stays in its queue and is delivered again; of a webhook the event is
ingested all the same, and the next listing finds the object.
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

from sqlalchemy import Connection

from roomledger import times
from roomledger.formats.object_keys import recognise
from roomledger.ledger.database import Database
from roomledger.ledger.observations import mark_missing, record_observations
from roomledger.ledger.outcome import Load
from roomledger.ledger.refusals import RefusalRow, open_refusals, record_refusals, resolve_refusals
from roomledger.ledger.vendor_events import insert_events
from roomledger.model import Observation, Rejected
from roomledger.pipeline.load import BATCH, load_batch
from roomledger.pipeline.receiver import PATIENCE_S, Received, Receiver
from roomledger.pipeline.subscriptions import Decoded, Subscription
from roomledger.queues import Message, Notification, QueueError
from roomledger.settings import INBOX, BucketSource, Source
from roomledger.stores import Reader, Store, StoreError
from roomledger.warehouse import facts

log = logging.getLogger(__name__)

STATS = 16
"""Objects inspected at the same time."""
_PACE_S = 1.0
"""Rounds with something in them follow each other no faster, unless there is a backlog: what arrives meanwhile is
ingested together, at a fraction of the processor's time."""


@dataclass(slots=True)
class Round:
    """What one round at the queues brought."""

    counts: Counter[str] = field(default_factory=Counter)
    """`messages`; `events` of webhooks not known before; `missing`; `rekeyed` objects; `foreign` objects, which lie in
    no source's bucket; `messages_refused`; `messages_left`, which stay in their queue because an object of theirs could
    not be inspected; and the counts of `record_observations`."""
    problems: set[str] = field(default_factory=set)
    """Why messages were left, and why queues could not be read: a sentence for each."""

    @property
    def may_have_new(self) -> bool:
        """Whether there may be something to load now."""
        return self.counts["new_seen"] + self.counts["restored"] + self.counts["events"] > 0


class _Decoded(NamedTuple):
    subscription: Subscription
    message: Message
    content: Decoded | RefusalRow


class _Stat(NamedTuple):
    """What is known of an address."""

    source: BucketSource | None
    """None where the address lies in no source's bucket."""
    seen: Observation | None = None
    problem: str | None = None


def listen_and_load(
    database: Database,
    sources: Sequence[Source],
    readers: Mapping[str, Reader],
    stores: Mapping[str, Store],
    subscriptions: Sequence[Subscription],
    *,
    quiet_s: float,
    most_s: float,
    batch: int = BATCH,
    started_by: str = "command line",
    is_over: Callable[[], bool] = lambda: False,
) -> Iterator[Round | Load]:
    """Drain the queues and load what is new until they are quiet for `quiet_s`, for `most_s`, or until it `is_over`.

    Between the batches of a backlog the queues are drained, too, and what has just arrived is loaded before the rest
    of it. `sources` are all of the settings; one without a reader, as a workspace without its API, is not loaded.
    Raises BatchRefused.
    """
    began = last = time.monotonic()
    has_backlog = True
    quiet_s = quiet_s if subscriptions else 0
    readable = [source for source in sources if source.name in readers]
    for subscription in subscriptions:
        _retry_refusals(database, subscription)
    with Receiver(subscriptions) as receiver:
        while True:
            now = time.monotonic()
            patience_s = 0 if has_backlog else PATIENCE_S
            if not is_over() and now - began < most_s and (has_backlog or now - last < quiet_s):
                if not has_backlog:
                    time.sleep(max(0.0, last + _PACE_S - now))
                receiver.request(patience_s)
            elif not receiver.has_pending:  # what a queue delivered is hidden from others for a while: ingest it first
                break
            received = receiver.take(patience_s)
            done = ingest(database, sources, stores, received)
            done.problems |= set(receiver.problems.values())
            if done.counts["messages"] or any(one.problem for one in received):
                yield done
            if done.counts["messages"]:
                last = time.monotonic()
            if has_backlog or done.may_have_new:
                load = load_batch(database, readable, readers, batch=batch, started_by=started_by, newest_first=True)
                has_backlog = load is not None and sum(load.objects.values()) >= batch
                if load:
                    yield load


def ingest(
    database: Database, sources: Sequence[Source], stores: Mapping[str, Store], received: Sequence[Received]
) -> Round:
    """Write what was received, and acknowledge it."""
    done = Round(Counter(messages=sum(len(one.messages) for one in received)))
    if not done.counts["messages"]:
        return done
    with _extending(received):
        decoded = [_decode(one.subscription, message) for one in received for message in one.messages]
        inspected_at = times.utc_now()
        stats = _stat_all(decoded, sources, stores)
        complete = [one for one in decoded if not _is_left(one.content, stats)]
        done.counts["messages_left"] = len(decoded) - len(complete)
        done.problems |= {stat.problem for stat in stats.values() if stat.problem}
        with database.begin() as tx:
            done.counts += _write(tx, database, complete, stats, min(one.at for one in received), inspected_at)
        for subscription in {one.subscription for one in received}:
            messages = [one.message for one in complete if one.subscription is subscription]
            try:
                subscription.queue.ack(messages)
            except QueueError as error:  # they are delivered again, and change nothing then
                done.problems.add(str(error))
    return done


def _retry_refusals(database: Database, subscription: Subscription) -> None:
    """Try again the webhooks that were rejected before, perhaps by an older version of this program."""
    if subscription.name != INBOX:
        return
    with database.begin(read_only=True) as tx:
        refused = open_refusals(tx, "webhook")
    good, events = [], []
    for row in refused:
        attributes = {"source": row["source"], "received_at": row["refused_at"].isoformat()}
        content = _decode(subscription, Message(row["object_id"], bytes(row["raw"]), attributes, "")).content
        if isinstance(content, Decoded):
            good.append(row["object_id"])
            events += [content.event] if content.event else []
    if good:
        now = times.utc_now()
        with database.begin() as tx:
            changes = insert_events(tx, database, events, now=now).changes
            if changes:
                facts.rekey_rows(tx, changes)
            resolve_refusals(tx, database, good, now=now)


def _decode(subscription: Subscription, message: Message) -> _Decoded:
    content: Decoded | RefusalRow
    try:
        content = subscription.decode(message)
    except Rejected as error:
        content = subscription.refuse(message, error)
    except Exception as error:
        # A mistake of ours in one message must not hold up all others: it is kept, too.
        problem = Rejected("parser_failed", f"{error!r}: a fault of ours; report it")
        content = subscription.refuse(message, problem)
    return _Decoded(subscription, message, content)


def _stat_all(
    decoded: Sequence[_Decoded], sources: Sequence[Source], stores: Mapping[str, Store]
) -> dict[Notification, _Stat]:
    """Find the source of every object that is named, and its current version where the message does not name one."""
    named = {
        notification
        for one in decoded
        if isinstance(one.content, Decoded)
        for notification in one.content.notifications
    }

    def stat(notification: Notification) -> _Stat:
        source = _source_of(notification.uri, sources)
        if source is None or notification.seen:
            return _Stat(source, notification.seen)
        try:
            return _Stat(source, stores[source.name].stat(notification.uri))
        except StoreError as error:
            return _Stat(source, problem=str(error))

    with ThreadPoolExecutor(STATS, "stat") as pool:
        return dict(zip(named, pool.map(stat, named), strict=True))


def _source_of(uri: str, sources: Sequence[Source]) -> BucketSource | None:
    return next((one for one in sources if isinstance(one, BucketSource) and uri.startswith(f"{one.url}/")), None)


def _is_left(content: Decoded | RefusalRow, stats: Mapping[Notification, _Stat]) -> bool:
    """Whether the message has to be delivered again.

    No webhook has: the inbox hides nothing, and would deliver it again at once, before all others.
    """
    if isinstance(content, RefusalRow) or content.event:
        return False
    return any(stats[notification].problem for notification in content.notifications)


def _write(
    tx: Connection,
    database: Database,
    decoded: Sequence[_Decoded],
    stats: Mapping[Notification, _Stat],
    received_at: datetime,
    inspected_at: datetime,
) -> Counter[str]:
    # Others write the same rows in another order: without this they would wait for each other.
    database.hold_evidence(tx, change=True)
    now = times.utc_now()
    refused = [one.content for one in decoded if isinstance(one.content, RefusalRow)]
    record_refusals(tx, database, refused, now=now)
    counts = Counter(messages_refused=len(refused))
    contents = [(one.subscription.observed_by, one.content) for one in decoded if isinstance(one.content, Decoded)]
    if events := [content.event for _, content in contents if content.event]:
        ingested = insert_events(tx, database, events, now=now)
        counts += Counter({name: ingested.counts[name] for name in ("events", "rekeyed")})
        if ingested.changes:
            facts.rekey_rows(tx, ingested.changes)
    found = {(by, notification): stats[notification] for by, one in contents for notification in one.notifications}
    counts["foreign"] = len({notification.uri for (_, notification), stat in found.items() if not stat.source})
    by_source = _by_source(found)
    for (source, observed_by), those in by_source.items():
        named = [stat.seen for notification, stat in those if stat.seen and notification.seen]
        current = [stat.seen for notification, stat in those if stat.seen and not notification.seen]
        # A version that a message names was there when it was received: if it was not found later, it is missing.
        for observed, at in ((named, received_at), (current, now)):
            if observed:
                seen = [(one, source.classify(recognise(one))) for one in observed]
                counts += record_observations(tx, database, source, seen, observed_by=observed_by, now=at)
    for (source, observed_by), those in by_source.items():
        missing = [notification.uri for notification, stat in those if not stat.seen]
        if missing:
            counts["missing"] += mark_missing(
                tx, database, source.name, missing, before=inspected_at, observed_by=observed_by, now=now
            )
    return counts


def _by_source(
    found: Mapping[tuple[str, Notification], _Stat],
) -> Mapping[tuple[BucketSource, str], list[tuple[Notification, _Stat]]]:
    those: defaultdict[tuple[BucketSource, str], list[tuple[Notification, _Stat]]] = defaultdict(list)
    for (observed_by, notification), stat in found.items():
        if stat.source and not stat.problem:
            those[stat.source, observed_by].append((notification, stat))
    return those


@contextmanager
def _extending(received: Sequence[Received]) -> Iterator[None]:
    """Hide the messages from other receivers while work on them goes on."""
    done = threading.Event()

    def extend(one: Received) -> None:
        queue = one.subscription.queue
        while not done.wait(min(queue.visibility_timeout_s / 3, threading.TIMEOUT_MAX)):
            try:
                queue.extend(one.messages)
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
