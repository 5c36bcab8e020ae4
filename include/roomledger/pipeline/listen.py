"""Listen: ingest the messages of the queues, acknowledge them, and load new objects, within seconds.

    receive      messages stay in the queue until they are acknowledged (`receiver`)
    decode       objects to inspect, and a webhook event (`subscriptions`, pure)
    stat         the current version of an object, if the message does not name it
    write        one transaction for all messages
    acknowledge  only after the commit

Notifications may be lost, duplicated, late and out of order: they are hints which objects to inspect. A rejected
message is stored as a refusal. A message whose object could not be inspected stays in its queue and is delivered again;
the event of a webhook is ingested in any case, and the next listing finds its object.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
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
from roomledger.pipeline.heartbeat import heartbeat
from roomledger.pipeline.load import BATCH, load_batch
from roomledger.pipeline.publish import publish
from roomledger.pipeline.receiver import TIMEOUT_S, Received, Receiver
from roomledger.pipeline.subscriptions import Decoded, Subscription
from roomledger.queues import Message, Notification, QueueError
from roomledger.settings import INBOX, BucketSource, Source
from roomledger.stores import Reader, Store, StoreError
from roomledger.warehouse.engine import Facts
from roomledger.warehouse.transactional import DatabaseFacts

log = logging.getLogger(__name__)

STATS = 16
"""Objects inspected at the same time."""
_PACE_S = 1.0
"""Shortest time between rounds without a backlog: messages that arrive meanwhile are ingested together, which takes a
fraction of the CPU time."""


@dataclass(slots=True)
class Round:
    """The result of one round of receiving."""

    counts: Counter[str] = field(default_factory=Counter)
    """`messages`; new webhook `events`; `missing` and `rekeyed` objects; `foreign` objects, outside every source's
    bucket; `messages_refused`; `messages_left`, which stay in their queue because an object could not be inspected; and
    the counts of `record_observations`."""
    problems: set[str] = field(default_factory=set)
    """Why messages were left and queues could not be read: one sentence each."""

    @property
    def may_have_new(self) -> bool:
        """Whether new objects may be pending."""
        return self.counts["new_seen"] + self.counts["restored"] + self.counts["events"] > 0


class _Decoded(NamedTuple):
    subscription: Subscription
    message: Message
    content: Decoded | RefusalRow


class _Stat(NamedTuple):
    """The source and the current version of an address."""

    source: BucketSource | None
    """None for an address outside every source's bucket."""
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
    facts: Facts | None = None,
) -> Iterator[Round | Load]:
    """Drain the queues and load new objects, until they are quiet for `quiet_s`, for `most_s`, or until `is_over`.

    The queues are also drained between the batches of a backlog, and the newest objects are loaded first. `sources` are
    all of the settings; one without a reader, such as a workspace without its API, is not loaded. `facts` is where the
    rows go; by default the database of the ledger. Raises BatchRefused.
    """
    facts = facts or DatabaseFacts(database, in_ledger=True)
    began = last = time.monotonic()
    has_backlog = True
    quiet_s = quiet_s if subscriptions else 0
    readable = [source for source in sources if source.name in readers]
    for subscription in subscriptions:
        _retry_refusals(database, subscription)
    with Receiver(subscriptions) as receiver:
        while True:
            now = time.monotonic()
            timeout_s = 0 if has_backlog else TIMEOUT_S
            if not is_over() and now - began < most_s and (has_backlog or now - last < quiet_s):
                if not has_backlog:
                    time.sleep(max(0.0, last + _PACE_S - now))
                receiver.request(timeout_s)
            elif not receiver.has_pending:  # ingest a pending response first: its messages are hidden from others
                break
            received = receiver.take(timeout_s)
            done = ingest(database, sources, stores, received)
            done.problems |= set(receiver.problems.values())
            if done.counts["messages"] or any(one.problem for one in received):
                yield done
            if done.counts["messages"]:
                last = time.monotonic()
                publish(database, facts)
            if has_backlog or done.may_have_new:
                load = load_batch(
                    database, readable, readers, batch=batch, started_by=started_by, newest_first=True, facts=facts
                )
                has_backlog = load is not None and sum(load.objects.values()) >= batch
                if load:
                    yield load


def ingest(
    database: Database, sources: Sequence[Source], stores: Mapping[str, Store], received: Sequence[Received]
) -> Round:
    """Write the received messages, and acknowledge them."""
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
            except QueueError as error:  # they are delivered again, which is harmless
                done.problems.add(str(error))
    return done


def _retry_refusals(database: Database, subscription: Subscription) -> None:
    """Retry the rejected webhooks: an older version may have rejected them."""
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
            insert_events(tx, database, events, now=now)
            resolve_refusals(tx, database, good, now=now)


def _decode(subscription: Subscription, message: Message) -> _Decoded:
    content: Decoded | RefusalRow
    try:
        content = subscription.decode(message)
    except Rejected as error:
        content = subscription.refuse(message, error)
    except Exception as error:
        # A bug of ours in one message must not block all others: the message is refused.
        log.debug("cannot decode a message", exc_info=error)
        problem = Rejected(
            "parser_failed", f"Decoding it failed ({type(error).__name__}), a bug of Roomledger: report it."
        )
        content = subscription.refuse(message, problem)
    return _Decoded(subscription, message, content)


def _stat_all(
    decoded: Sequence[_Decoded], sources: Sequence[Source], stores: Mapping[str, Store]
) -> dict[Notification, _Stat]:
    """Find the source of every named object, and its current version if the message does not name one."""
    contents = [one.content for one in decoded if isinstance(one.content, Decoded)]
    named = {notification for content in contents for notification in content.notifications}

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
    """Whether the message must stay in its queue.

    A webhook never does: the inbox hides no messages, and would deliver it again at once, before all others.
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
    # Other transactions write the same rows in another order: the exclusive lock prevents deadlocks.
    database.hold_evidence(tx, change=True)
    now = times.utc_now()
    refused = [one.content for one in decoded if isinstance(one.content, RefusalRow)]
    record_refusals(tx, database, refused, now=now)
    counts = Counter(messages_refused=len(refused))
    contents = [(one.subscription.observed_by, one.content) for one in decoded if isinstance(one.content, Decoded)]
    if events := [content.event for _, content in contents if content.event]:
        ingested = insert_events(tx, database, events, now=now)
        counts += Counter({name: ingested[name] for name in ("events", "rekeyed")})
    found = {(by, notification): stats[notification] for by, one in contents for notification in one.notifications}
    counts["foreign"] = len({notification.uri for (_, notification), stat in found.items() if not stat.source})
    by_source = _by_source(found)
    for (source, observed_by), those in by_source.items():
        named = [stat.seen for notification, stat in those if stat.seen and notification.seen]
        current = [stat.seen for notification, stat in those if stat.seen and not notification.seen]
        # A version named by a message existed when it was received: if a later stat did not find it, it is missing.
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
    """Hide the messages from other receivers while they are processed."""

    def extend(subscription: Subscription, messages: Sequence[Message]) -> None:
        try:
            subscription.queue.extend(messages)
        except QueueError as error:
            log.warning("%s: messages may be received again, which is harmless: %s", subscription.name, error)

    with ExitStack() as stack:
        for subscription, messages, *_ in received:
            if messages:
                interval_s = subscription.queue.visibility_timeout_s / 3
                stack.enter_context(heartbeat(partial(extend, subscription, messages), interval_s))
        yield
