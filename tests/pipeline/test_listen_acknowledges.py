"""A message leaves its queue after the commit and never before: failed commits, locked warehouses, killed processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy import event as engine_event

from roomledger.ledger.database import Database, WarehouseError
from roomledger.ledger.duckdb import DuckDB
from roomledger.model import Observation
from roomledger.pipeline.subscriptions import webhook_subscription
from roomledger.queues import QueueError
from roomledger.queues.inbox import Inbox
from roomledger.queues.inbox_folder import FolderInbox
from roomledger.queues.sqs import Sqs
from roomledger.stores import Store
from tests.folders import chat, chat_key, put
from tests.pipeline.listening import (
    NOON,
    TALK,
    NotifyingBucket,
    dispositions,
    ingest_once,
    listen_once,
    messages,
    new_versions,
    open_folder,
    webhook,
)
from tests.warehouses import contents, fetch


def test_messages_stay_in_their_queue_when_the_commit_fails(
    ready: Database, notifying_s3: NotifyingBucket, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sqs, "visibility_timeout_s", 1.0)
    inbox.put("talk", webhook("e1", chat_recording_path=notifying_s3.put(chat_key(), chat("hello"))), NOON)
    waiting, subscriptions = (
        notifying_s3.unacknowledged(),
        [notifying_s3.subscription, webhook_subscription(inbox, [TALK])],
    )

    def fail(_: Any) -> None:
        raise OSError("no space left on device")

    engine_event.listen(Engine, "commit", fail)
    try:
        with pytest.raises(OSError, match="no space"):
            ingest_once(ready, [notifying_s3.source, TALK], {"acme": notifying_s3.store}, subscriptions)
    finally:
        engine_event.remove(Engine, "commit", fail)
    assert (notifying_s3.unacknowledged(), len(inbox.receive(0)), dispositions(ready)) == (waiting, 1, [])
    time.sleep(1.1)
    assert listen_once(ready, subscriptions, notifying_s3.opened).counts["messages"] == waiting + 1
    assert (notifying_s3.unacknowledged(), inbox.peek(0), messages(ready)) == (0, False, ["hello"])


LOCKER = "import duckdb, sys; locked = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"


def test_messages_stay_in_their_queue_while_another_process_locks_the_warehouse(
    ready_duckdb: Callable[[Path], Database], tmp_path: Path, inbox: Inbox
) -> None:
    url = ready_duckdb(tmp_path).url
    inbox.put("talk", webhook("e1"), NOON)
    subscriptions = [webhook_subscription(inbox, [TALK])]
    command = [sys.executable, "-c", LOCKER, url.removeprefix("duckdb:///")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as locker:
        assert locker.stdout
        locker.stdout.readline()
        with pytest.raises(WarehouseError, match="another process has held"):
            ingest_once(DuckDB(url, lock_wait_s=0.2), [TALK], {}, subscriptions)
        assert inbox.peek(0)
        locker.communicate()
    assert ingest_once(DuckDB(url), [TALK], {}, subscriptions).counts["events"] == 1
    assert not inbox.peek(0)


KILLED = """
import os, signal
from roomledger.cli.main import app
from roomledger.queues.inbox_folder import FolderInbox

FolderInbox.ack = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
app()
"""
"""The command line, killed when it is about to acknowledge."""


def test_messages_of_a_process_killed_before_it_acknowledged_change_nothing_the_second_time(
    ready: Database, tmp_path: Path, inbox: Inbox
) -> None:
    folder = open_folder(tmp_path / "bucket")
    inbox.put("talk", webhook("e1", chat_recording_path=put(tmp_path / "bucket", chat_key(), chat("hello"))), NOON)
    inbox.put("talk", b"\0 no event", NOON)
    inbox.put("unknown", webhook("e2"), NOON)
    config = tmp_path / "roomledger.toml"
    config.write_text(
        f'[warehouse]\nurl = "{ready.url}"\n[webhooks]\ninbox = "file://{tmp_path}/inbox"\n'
        f'[[source]]\nname = "acme"\ncustomer = "Acme"\nurl = "{folder[0].url}"\n'
        '[[source]]\nname = "talk"\ncustomer = "Acme"\nurl = "100ms://acme"\napi = false\nwebhook_header = "X-A"\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", KILLED, "listen", "--once"],
        env=os.environ | {"ROOMLEDGER_CONFIG": str(config)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    queries = ("contents", "SELECT * FROM observations", "SELECT * FROM vendor_events", "SELECT * FROM refusals")

    def tables() -> list[Any]:
        return [contents(ready), *(sorted(fetch(ready, query), key=repr) for query in queries[1:])]

    before = tables()
    assert [len(found) for found in before[1:]] == [1, 1, 2]
    subscription = webhook_subscription(inbox, [TALK])
    found = ingest_once(ready, [folder[0], TALK], {"acme": folder[1]}, [subscription])
    assert (
        found.counts["messages"],
        found.counts["events"],
        new_versions(found),
        found.counts["messages_refused"],
    ) == (
        3,
        0,
        {},
        2,
    )
    assert tables() == before
    assert not inbox.peek(0)


def test_a_message_that_cannot_be_acknowledged_is_delivered_again(
    one_engine: Database, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriptions = [webhook_subscription(inbox, [TALK])]
    inbox.put("talk", webhook("e1"), NOON)

    def fail(*_: Any) -> None:
        raise QueueError("the folder is read-only")

    with monkeypatch.context() as patched:
        patched.setattr(FolderInbox, "ack", fail)
        assert ingest_once(one_engine, [TALK], {}, subscriptions).problems == {"the folder is read-only"}
    found = ingest_once(one_engine, [TALK], {}, subscriptions)
    assert (found.counts["messages"], found.counts["events"], found.problems) == (1, 0, set())
    assert not inbox.peek(0)


class Slow:
    """A store that takes some seconds to inspect an object."""

    def __init__(self, store: Store, seconds: float) -> None:
        self.url, self.list, self.read = store.url, store.list, store.read
        self._store, self._seconds = store, seconds

    def stat(self, uri: str) -> Observation | None:
        time.sleep(self._seconds)
        return self._store.stat(uri)


def test_messages_stay_hidden_from_other_receivers_while_they_are_processed(
    one_engine: Database, notifying_s3: NotifyingBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sqs, "visibility_timeout_s", 1.0)
    notifying_s3.put(chat_key(), chat("hello"))
    listen_once(one_engine, [notifying_s3.subscription], notifying_s3.opened)
    notifying_s3.put(chat_key(2), chat("hello again"))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(
            listen_once, one_engine, [notifying_s3.subscription], (notifying_s3.source, Slow(notifying_s3.store, 2.5))
        )
        while notifying_s3.subscription.queue.peek(0):
            pass  # until it is received
        others = []
        while not slow.done():
            others += notifying_s3.subscription.queue.receive(0)
        assert (slow.result().counts["messages"], others) == (1, [])
    assert notifying_s3.unacknowledged() == 0
