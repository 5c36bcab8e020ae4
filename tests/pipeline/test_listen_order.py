"""Lost, doubled, late and shuffled notifications leave the tables that a listing alone leaves."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from roomledger import times
from roomledger.formats import object_keys
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.pipeline.subscriptions import Decoded
from roomledger.queues import Notification
from roomledger.queues.inbox import Inbox
from roomledger.runtime import open_inbox
from sandbox.dataset import Dataset
from tests.folders import chat, chat_key, put, source_of, store_of, write_dataset
from tests.pipeline.listening import (
    NOON,
    WAITS_FOR_A_LOCK,
    Opened,
    address_subscription,
    dispositions,
    ingest_once,
    listen,
    open_folder,
)
from tests.warehouses import Tables, contents, execute, fetch


class SweptDataset(NamedTuple):
    """Sources with their stores, and the tables after a sweep alone."""

    opened: list[Opened]
    tables: Tables


@pytest.fixture(scope="module")
def swept_dataset(
    dataset: Dataset, tmp_path_factory: pytest.TempPathFactory, ready_duckdb: Callable[[Path], Database]
) -> SweptDataset:
    """A small dataset in folders, without the many segments of films, which are all alike."""
    folder = tmp_path_factory.mktemp("without segments")
    write_dataset([thing for thing in dataset.objects if not thing.key.endswith(".ts")], folder)
    opened = []
    for bucket in dataset.buckets:
        source = source_of(folder / bucket.source, name=bucket.source, customer=bucket.customer)
        opened.append((source, store_of(source)))
    database = ready_duckdb(tmp_path_factory.mktemp("swept"))
    sweep(database, opened)
    return SweptDataset(opened, contents(database, past=False))


def sweep(database: Database, opened: Sequence[Opened]) -> None:
    for source, store in opened:
        collect_bucket(database, source, store)
    execute(database, "UPDATE object_ledger SET retry_at = NULL")
    list(load_batches(database, [s for s, _ in opened], {s.name: store for s, store in opened}, accept_refusals=True))


def test_recording_objects_in_another_order_than_a_listing_waits_for_the_listing(
    ready_postgres: Callable[[], Database], tmp_path: Path, inbox: Inbox
) -> None:
    """Otherwise each would lock rows that the other waits for."""
    database, (source, store) = ready_postgres(), open_folder(tmp_path / "bucket")
    for number in range(20):
        inbox.put("any", put(tmp_path / "bucket", chat_key(number), chat("hello")).encode(), NOON)
    [seen] = store.list()
    classified = [(one, object_keys.recognise(one)) for one in seen]
    with ThreadPoolExecutor(1) as pool:
        with database.begin() as tx:
            record_observations(tx, database, source, classified[:1], observed_by="listing", now=times.utc_now())
            ingesting = pool.submit(ingest_once, database, [source], {"acme": store}, [address_subscription(inbox)])
            deadline = time.monotonic() + 20
            while not ingesting.done() and not fetch(database, WAITS_FOR_A_LOCK) and time.monotonic() < deadline:
                time.sleep(0.05)
            record_observations(tx, database, source, classified[1:], observed_by="listing", now=times.utc_now())
        assert ingesting.result().counts["messages"] == 20
    assert dispositions(database) == ["seen"] * 20


def check_that_notifications_change_nothing_in_the_end(
    database: Database, swept: SweptDataset, seed: int, folder: Path
) -> None:
    """Notifications are lost, doubled, shuffled and late, name replaced versions, and arrive in batches of any size.

    By the clock of the program hours pass between them, and a day before the last of them.
    """
    chance, passed = random.Random(seed), timedelta()
    listed = [seen for _, store in swept.opened for page in store.list() for seen in page]
    notifications = [
        Notification(seen.uri, seen if chance.random() < 0.5 else None) for seen in listed if chance.random() < 0.7
    ]
    notifications += chance.sample(notifications, len(notifications) * 3 // 10)
    old = [replace(seen, version="old", modified_at=seen.modified_at - timedelta(hours=1)) for seen in listed]
    notifications += [Notification(seen.uri, seen) for seen in chance.sample(old, len(old) // 10)]
    notifications += [Notification(f"{source.url}/nothing/is/here.csv", None) for source, _ in swept.opened]
    chance.shuffle(notifications)
    inbox = open_inbox(f"file://{folder}/inbox")
    subscription = replace(
        address_subscription(inbox), decode=lambda message: Decoded(notifications[slice(*json.loads(message.body))])
    )

    def arrive(first: int, end: int) -> None:
        nonlocal passed
        while first < end:
            passed += timedelta(hours=chance.uniform(0, 3))
            some = range(first, end)[: chance.choice([1, 30, 200])]
            for start in some[::10]:
                inbox.put("any", json.dumps([start, min(start + 10, some.stop)]).encode(), NOON)
            if some.stop == end or chance.random() < 0.5:
                list(listen(database, [subscription], *swept.opened, batch=chance.choice([50, 1000])))
            first = some.stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(times, "utc_now", lambda: datetime.now(UTC) + passed)
        arrive(0, in_time := len(notifications) * 9 // 10)
        sweep(database, swept.opened)
        passed += timedelta(days=1)
        arrive(in_time, len(notifications))
    assert not inbox.peek(0)
    assert fetch(database, "SELECT count(*) FROM object_ledger WHERE first_seen_by = 's3_event'") > [
        (len(listed) // 2,)
    ]
    execute(database, "UPDATE object_ledger SET first_seen_by = 'listing'")
    found = contents(database, past=False)
    for table, rows in swept.tables.items():
        assert found[table] == rows, table


@settings(deadline=None, max_examples=2, phases=[Phase.generate])
@given(seed=st.integers(0, 1 << 32))
def test_notifications_of_any_order_end_as_a_sweep_alone_on_duckdb(
    seed: int,
    swept_dataset: SweptDataset,
    ready_duckdb: Callable[[Path], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("notifications")
    check_that_notifications_change_nothing_in_the_end(ready_duckdb(folder), swept_dataset, seed, folder)


def test_notifications_of_any_order_end_as_a_sweep_alone_on_postgresql(
    swept_dataset: SweptDataset, ready_postgres: Callable[[], Database], tmp_path: Path
) -> None:
    check_that_notifications_change_nothing_in_the_end(ready_postgres(), swept_dataset, 7, tmp_path)
