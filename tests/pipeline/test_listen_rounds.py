"""How long listening goes on, and what each round loads first: quiet queues, busy queues, slow queues, a backlog."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from roomledger.ledger.database import Database
from roomledger.ledger.outcome import Load
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.listen import Round
from roomledger.pipeline.subscriptions import webhook_subscription
from roomledger.queues.inbox import Inbox
from tests.folders import chat, chat_key, put
from tests.pipeline.listening import (
    NOON,
    TALK,
    SlowQueue,
    address_subscription,
    listen,
    messages,
    open_folder,
    webhook,
)


def test_listening_ends_when_the_queues_have_been_quiet_for_a_while(
    one_engine: Database, tmp_path: Path, inbox: Inbox
) -> None:
    folder = open_folder(tmp_path / "bucket")
    uri = put(tmp_path / "bucket", chat_key(), chat("hello"))
    later = threading.Timer(1, inbox.put, ("talk", webhook("e1", chat_recording_path=uri), NOON))
    later.start()
    began = time.monotonic()
    done = list(listen(one_engine, [webhook_subscription(inbox, [TALK])], folder, quiet_s=2))
    assert 1 + 2 <= time.monotonic() - began < 15
    assert [type(one) for one in done] == [Round, Load]
    assert messages(one_engine) == ["hello"]


def test_listening_ends_after_its_longest_time_though_messages_never_stop(one_engine: Database, inbox: Inbox) -> None:
    over = threading.Event()

    def send() -> None:
        number = 0
        while not over.wait(0.05):
            inbox.put("talk", webhook(f"e{(number := number + 1)}"), NOON)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        began = time.monotonic()
        try:
            done = list(listen(one_engine, [webhook_subscription(inbox, [TALK])], quiet_s=1, most_s=2))
        finally:
            over.set()
        took = time.monotonic() - began
        sending.result()
    assert 2 <= took < 10
    # One round at once, one for each second, and one for the receive that was requested before the end.
    assert 1 < sum(isinstance(one, Round) for one in done) <= 4


def test_listening_ends_when_it_is_asked_to(one_engine: Database, inbox: Inbox) -> None:
    inbox.put("talk", webhook("e1"), NOON)
    done = listen(one_engine, [webhook_subscription(inbox, [TALK])], quiet_s=60, is_over=lambda: not inbox.peek(0))
    assert len(list(done)) == 1


def test_messages_that_are_delivered_while_listening_ends_are_ingested(one_engine: Database, tmp_path: Path) -> None:
    """They would be delivered again only after their visibility timeout."""
    over = threading.Event()
    slow = SlowQueue(put(tmp_path / "bucket", chat_key(), chat("hello")).encode())

    def is_over() -> bool:
        if slow.receives:
            over.set()
            threading.Timer(0.5, slow.may_deliver.set).start()
        return over.is_set()

    done = list(
        listen(one_engine, [address_subscription(slow)], open_folder(tmp_path / "bucket"), quiet_s=60, is_over=is_over)
    )
    assert [type(one) for one in done] == [Round, Load]
    assert messages(one_engine) == ["hello"]


def test_new_objects_are_loaded_before_a_backlog(one_engine: Database, tmp_path: Path, inbox: Inbox) -> None:
    bucket = tmp_path / "bucket"
    folder = open_folder(bucket)
    for number in range(12):
        put(bucket, chat_key(number), chat(f"old {number:02}"), minute=number)
    collect_bucket(one_engine, *folder)
    done = listen(one_engine, [webhook_subscription(inbox, [TALK])], folder, batch=5)
    assert isinstance(next(done), Load)
    assert messages(one_engine) == [f"old {number:02}" for number in range(7, 12)]
    inbox.put("talk", webhook("e1", chat_recording_path=put(bucket, chat_key(99), chat("new"), minute=99)), NOON)
    assert isinstance(next(done), Round)
    assert isinstance(next(done), Load)
    assert messages(one_engine) == ["new", *(f"old {number:02}" for number in range(3, 12))]
    list(done)
    assert len(messages(one_engine)) == 13


def test_a_slow_queue_does_not_delay_the_others_and_its_last_message_is_ingested(
    one_engine: Database, tmp_path: Path, inbox: Inbox
) -> None:
    bucket = tmp_path / "bucket"
    slow = SlowQueue(put(bucket, chat_key(), chat("late")).encode())
    inbox.put("talk", webhook("e1"), NOON)
    done = listen(
        one_engine, [address_subscription(slow), webhook_subscription(inbox, [TALK])], open_folder(bucket), quiet_s=0.5
    )
    first = next(done)
    assert isinstance(first, Round)
    assert (first.counts["events"], slow.receives) == (1, 1)
    inbox.put("talk", webhook("e2"), NOON)
    second = next(done)
    assert isinstance(second, Round)
    assert (second.counts["events"], slow.receives) == (1, 1)
    threading.Timer(1, slow.may_deliver.set).start()
    rest = list(done)
    assert [type(one) for one in rest] == [Round, Load]
    assert messages(one_engine) == ["late"]
