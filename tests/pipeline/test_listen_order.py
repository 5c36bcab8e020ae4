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
from sandbox.dataset import generate
from tests.folders import chat, chat_key, put, source_of, store_of, write_dataset
from tests.pipeline.listening import (
    NOON,
    WAITS,
    Where,
    dispositions,
    in_folder,
    one_round,
    plain_bell,
    work,
)
from tests.warehouses import Tables, contents, execute, fetch


class World(NamedTuple):
    """Sources, and what a sweep alone makes of them."""

    where: list[Where]
    swept: Tables


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, ready_duckdb: Callable[[Path], Database]) -> World:
    """A small world in folders; segments of films are many, and all alike."""
    made, folder = generate(sessions=6), tmp_path_factory.mktemp("world")
    write_dataset([thing for thing in made.objects if not thing.key.endswith(".ts")], folder)
    where = []
    for bucket in made.buckets:
        source = source_of(folder / bucket.source, name=bucket.source, customer=bucket.customer)
        where.append((source, store_of(source)))
    database = ready_duckdb(tmp_path_factory.mktemp("swept"))
    sweep(database, where)
    return World(where, contents(database, past=False))


def sweep(database: Database, where: Sequence[Where]) -> None:
    for source, store in where:
        collect_bucket(database, source, store)
    execute(database, "UPDATE object_ledger SET retry_at = NULL")
    list(load_batches(database, [s for s, _ in where], {s.name: store for s, store in where}, accept_refusals=True))


def test_recording_objects_in_another_order_than_a_listing_waits_for_the_listing(
    ready_postgres: Callable[[], Database], tmp_path: Path, inbox: Inbox
) -> None:
    """Each would hold what the other waits for."""
    database, (source, store) = ready_postgres(), in_folder(tmp_path / "bucket")
    for number in range(20):
        inbox.put("any", put(tmp_path / "bucket", chat_key(number), chat("hello")).encode(), NOON)
    [seen] = store.list()
    noted = [(one, object_keys.recognise(one)) for one in seen]
    with ThreadPoolExecutor(1) as pool:
        with database.begin() as tx:
            record_observations(tx, database, source, noted[:1], observed_by="listing", now=times.utc_now())
            answering = pool.submit(one_round, database, [source], {"acme": store}, [plain_bell(inbox)])
            deadline = time.monotonic() + 20
            while not answering.done() and not fetch(database, WAITS) and time.monotonic() < deadline:
                time.sleep(0.05)
            record_observations(tx, database, source, noted[1:], observed_by="listing", now=times.utc_now())
        assert answering.result().counts["messages"] == 20
    assert dispositions(database) == ["seen"] * 20


def check_that_notifications_change_nothing_in_the_end(
    database: Database, world: World, seed: int, folder: Path
) -> None:
    """Notices get lost, doubled, shuffled and late, tell of versions long replaced, and come in batches of any size.

    By the clock that the program reads hours pass between them, and a day before the last of them.
    """
    chance, passed = random.Random(seed), timedelta()
    told = [seen for _, store in world.where for page in store.list() for seen in page]
    notices = [
        Notification(seen.uri, seen if chance.random() < 0.5 else None) for seen in told if chance.random() < 0.7
    ]
    notices += chance.sample(notices, len(notices) * 3 // 10)
    old = [replace(seen, version="old", modified_at=seen.modified_at - timedelta(hours=1)) for seen in told]
    notices += [Notification(seen.uri, seen) for seen in chance.sample(old, len(old) // 10)]
    notices += [Notification(f"{source.url}/nothing/is/here.csv", None) for source, _ in world.where]
    chance.shuffle(notices)
    inbox = open_inbox(f"file://{folder}/inbox")
    subscription = replace(plain_bell(inbox), decode=lambda message: Decoded(notices[slice(*json.loads(message.body))]))

    def come(first: int, end: int) -> None:
        nonlocal passed
        while first < end:
            passed += timedelta(hours=chance.uniform(0, 3))
            some = range(first, end)[: chance.choice([1, 30, 200])]
            for start in some[::10]:
                inbox.put("any", json.dumps([start, min(start + 10, some.stop)]).encode(), NOON)
            if some.stop == end or chance.random() < 0.5:
                list(work(database, [subscription], *world.where, batch=chance.choice([50, 1000])))
            first = some.stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(times, "utc_now", lambda: datetime.now(UTC) + passed)
        come(0, in_time := len(notices) * 9 // 10)
        sweep(database, world.where)
        passed += timedelta(days=1)
        come(in_time, len(notices))
    assert not inbox.peek(0)
    assert fetch(database, "SELECT count(*) FROM object_ledger WHERE first_seen_by = 's3_event'") > [(len(told) // 2,)]
    execute(database, "UPDATE object_ledger SET first_seen_by = 'listing'")
    found = contents(database, past=False)
    for table, rows in world.swept.items():
        assert found[table] == rows, table


@settings(deadline=None, max_examples=2, phases=[Phase.generate])
@given(seed=st.integers(0, 1 << 32))
def test_notifications_of_any_order_end_as_a_sweep_alone_on_duckdb(
    seed: int,
    world: World,
    ready_duckdb: Callable[[Path], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("notices")
    check_that_notifications_change_nothing_in_the_end(ready_duckdb(folder), world, seed, folder)


def test_notifications_of_any_order_end_as_a_sweep_alone_on_postgresql(
    world: World, ready_postgres: Callable[[], Database], tmp_path: Path
) -> None:
    check_that_notifications_change_nothing_in_the_end(ready_postgres(), world, 7, tmp_path)
