"""Collectors, loaders and an uploader at once: the tables end as bucket and vendor are, without deadlocks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from roomledger import times
from roomledger.formats.object_keys import recognise
from roomledger.ledger import observations, versions
from roomledger.ledger.database import Database, stage_ids
from roomledger.ledger.replays import request_replay
from roomledger.model import Observation
from roomledger.pipeline.load import load_batches
from sandbox.hundredms_api import vendor_server
from tests import payloads
from tests.folders import chat, chat_key, replace, source_of, store_of
from tests.rows import at, put_object
from tests.warehouses import collect_from, contents, execute, fetch

OBJECTS, SECONDS = 60, 6


def test_collecting_loading_and_uploading_at_once_end_as_the_bucket_is(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    stores = {"acme": store_of(source)}
    latest: dict[str, str] = {}
    end = time.monotonic() + SECONDS

    def upload() -> None:
        chance = random.Random(3)
        minute = 0
        while time.monotonic() < end:
            minute += 1
            for number in chance.sample(range(OBJECTS), 20):
                content = f"version {minute}"
                latest[replace(bucket, chat_key(number), chat(content), minute)] = content
            time.sleep(0.1)

    def collect() -> None:
        while time.monotonic() < end:
            collect_from(ready, source, stores["acme"])

    def load() -> None:
        while time.monotonic() < end:
            list(load_batches(ready, [source], stores, batch=20))

    def replay() -> None:
        while time.monotonic() < end:
            with ready.begin() as tx:
                request_replay(tx, ready, everything=True, now=times.utc_now())
            time.sleep(0.05)

    with ThreadPoolExecutor(7) as pool:
        for done in [pool.submit(work) for work in (upload, collect, collect, load, load, load, replay)]:
            done.result()
    for _ in range(2):
        collect_from(ready, source, stores["acme"])
        execute(ready, "UPDATE object_ledger SET retry_at = NULL")
        list(load_batches(ready, [source], stores))
    content = fetch(ready, "SELECT l.uri, m.message FROM chat_messages m JOIN object_ledger l USING (object_id)")
    assert sorted(content) == sorted(latest.items())
    assert fetch(ready, "SELECT count(*) FROM object_ledger WHERE disposition NOT IN ('loaded', 'superseded')") == [
        (0,)
    ]


def test_a_replay_waits_for_the_load_that_settles_the_same_objects(ready_postgres: Callable[[], Database]) -> None:
    """A transaction that locks the objects in another order than the others would deadlock with them."""
    database = ready_postgres()
    with database.begin() as tx:
        for number in range(20, 0, -1):
            put_object(tx, f"{number:02}", uri=f"s3://acme/{number * 7 % 20}")

    def replay() -> int:
        with database.begin() as tx:
            return request_replay(tx, database, everything=True, now=times.utc_now())

    lock = text("SELECT 1 FROM object_ledger WHERE object_id <= :last ORDER BY object_id FOR UPDATE")
    with ThreadPoolExecutor(1) as pool, database.begin() as tx:
        tx.execute(lock, {"last": "01"})
        replaying = pool.submit(replay)
        while not replaying.done() and not fetch(database, WAITS_FOR_A_LOCK):
            time.sleep(0.05)
        tx.execute(lock, {"last": "20"})
        tx.commit()
        assert replaying.result() == 20


def test_a_listing_locks_all_versions_before_it_changes_one(
    ready_postgres: Callable[[], Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It restores one object and supersedes a version of another: a load that locks both would deadlock with it."""
    database, source = ready_postgres(), source_of(tmp_path)
    keys = sorted(range(1, 9), key=lambda number: seen(number, 1).object_id)
    first, last = seen(keys[0], 1), seen(keys[-1], 1)
    with database.begin() as tx:
        put_object(tx, first.object_id, uri=first.uri, disposition="seen")
        put_object(tx, last.object_id, uri=last.uri, disposition="missing")

    def settle() -> None:
        with database.begin() as tx:
            locked = versions.lock_versions(tx, database, "TRUE")
            assert locked == [first.object_id, last.object_id]

    def supersede(*arguments: Any) -> None:
        settling.append(pool.submit(settle))
        while not settling[0].done() and not fetch(database, WAITS_FOR_A_LOCK):
            time.sleep(0.05)
        versions.supersede_unread(*arguments)

    monkeypatch.setattr(observations, "supersede_unread", supersede)
    settling: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:
        with database.begin() as tx:
            found = [(one, recognise(one)) for one in (last, seen(keys[0], 2))]
            record = observations.record_observations
            counts = record(tx, database, source, found, observed_by="listing", now=times.utc_now())
        settling[0].result()
    assert counts == {"restored": 1, "new_seen": 1}


def test_a_version_that_is_added_while_others_wait_for_its_object_is_locked_too(
    ready_postgres: Callable[[], Database],
) -> None:
    database = ready_postgres()
    with database.begin() as tx:
        put_object(tx, "b", uri="s3://acme/k")

    def lock() -> list[str]:
        with database.begin() as tx:
            versions.lock_objects(tx, database, stage_ids(tx, database, ["s3://acme/k"], "uri"))
            with database.begin() as other:
                return list(other.execute(text("SELECT object_id FROM object_ledger FOR UPDATE SKIP LOCKED")).scalars())

    with ThreadPoolExecutor(1) as pool:
        with database.begin() as tx:
            versions.lock_versions(tx, database, "TRUE")
            locking = pool.submit(lock)
            while not locking.done() and not fetch(database, WAITS_FOR_A_LOCK):
                time.sleep(0.05)
            put_object(tx, "a", uri="s3://acme/k")
        assert locking.result() == []


def seen(number: int, version: int) -> Observation:
    """A version of a chat file."""
    return Observation(f"s3://b/{chat_key(number)}", str(version), modified_at=at(version), size_bytes=1)


WAITS_FOR_A_LOCK = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def test_syncing_the_workspace_beside_all_other_steps_ends_as_one_step_after_the_other(
    ready: Database,
    ready_duckdb: Callable[[Path], Database],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Versions, sessions and records appear at random, while others list, sync and load."""
    bucket = tmp_path / "bucket"
    source, acme = source_of(bucket), payloads.workspace()
    sources = (source, payloads.workspace_source(acme))
    end = time.monotonic() + SECONDS

    def upload() -> None:
        chance, keys, minute = random.Random(5), [key for number in range(OBJECTS // 3) for key in keys_of(number)], 0
        while time.monotonic() < end:
            for key in chance.sample(keys, 10):
                minute += 1
                content = f"version {minute}"
                content = (
                    payloads.TRANSCRIPT.replace(b"Good morning", content.encode()) if "x/" in key else chat(content)
                )
                replace(bucket, key, content, minute)
            time.sleep(0.1)

    def write_records() -> None:
        records = [
            (at, name, record)
            for number in range(OBJECTS // 3)
            for at, name, record in records_of(number, f"file://{bucket}")
        ]
        records.sort(key=lambda one: one[0])
        for when, name, record in records:
            time.sleep(max(0, end - SECONDS * (1 - when) - time.monotonic()))
            others = [other for other in getattr(acme, name) if other["id"] != record["id"]]
            if record.get("path", "").startswith("s3:"):
                acme.contents[record["id"]] = chat("vendor-stored")
            setattr(acme, name, [*others, record])

    def collect(database: Database, which: int) -> None:
        with payloads.open_workspace(acme, vendor.endpoint) as workspace:
            collect_from(database, sources[which], (store_of(source), workspace)[which], sources=sources)

    def load(database: Database, batch: int) -> None:
        with payloads.open_workspace(acme, vendor.endpoint) as workspace:
            stores = {source.name: store_of(source), acme.source: workspace}
            list(load_batches(database, sources, stores, batch=batch))

    def until_the_end(work: Callable[[Database, int], None], what: int) -> None:
        while time.monotonic() < end:
            work(ready, what)

    with vendor_server([acme]) as vendor:
        with ThreadPoolExecutor() as pool:
            works = [pool.submit(upload), pool.submit(write_records)]
            works += [pool.submit(until_the_end, collect, which) for which in (0, 1)]
            works += [pool.submit(until_the_end, load, 10) for _ in range(2)]
            for done in works:
                done.result()
        plain = ready_duckdb(tmp_path_factory.mktemp("plain"))
        for database in (ready, ready, plain):
            collect(database, 0)
            collect(database, 1)
            execute(database, "UPDATE object_ledger SET retry_at = NULL")
            load(database, 1000)
    found, expected = contents(ready, past=False), contents(plain, past=False)
    for table, rows in expected.items():
        assert found[table] == rows, table
    assert {len(rows) for table, rows in expected.items() if table in ("object_assets", "recording_assets")} == {
        OBJECTS + OBJECTS // 3
    }


def keys_of(number: int) -> tuple[str, str, str]:
    """A chat whose key names the room, a text recognised by its content, and a film that only the vendor names."""
    return payloads.chat_key_at(f"room{number % 4}", number), f"x/{number}.json", f"films/{number}.mp4"


def records_of(number: int, bucket: str) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """The vendor's records of these three and of a chat that only it stores, each with its part of the whole time.

    A session that goes on ends; the chat is named at another address before its own.
    """
    room_id, session_id = f"room{number % 4}", f"s{number}"
    chance = random.Random(number)
    chat_key, text, film = keys_of(number)
    job = payloads.job(f"j{number}", room_id, session_id, number, number + 0.5, "chat", "transcript", "room-composite")
    moments = sorted(chance.uniform(0, 0.9) for _ in range(2))
    yield moments[0], "sessions", payloads.session(session_id, room_id, number, None)
    yield moments[1], "sessions", payloads.session(session_id, room_id, number, number + 1)
    yield chance.uniform(0, 0.9), "recordings", job
    yield chance.uniform(0, 0.9), "assets", payloads.asset(f"text{number}", job, "transcript", f"{bucket}/{text}", 9)
    yield (
        chance.uniform(0, 0.9),
        "assets",
        payloads.asset(f"film{number}", job, "room-composite", f"{bucket}/{film}", 9),
    )
    yield (
        chance.uniform(0, 0.9),
        "assets",
        payloads.asset(f"stored{number}", job, "chat", f"s3://100ms-storage/{number}.csv", 9),
    )
    moments = sorted(chance.uniform(0, 0.9) for _ in range(2))
    for moment, key in zip(moments, (keys_of(number + 4)[0], chat_key), strict=True):
        yield moment, "assets", payloads.asset(f"chat{number}", job, "chat", f"{bucket}/{key}", 9)
