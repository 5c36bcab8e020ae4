"""Collectors, loaders and an uploader at once: the tables end as the bucket is, and nobody waits for ever."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from roomledger import pipeline
from roomledger.warehouse import Warehouse
from tests.worlds import ask, change, chat, chat_key, put, source_of, store_of

OBJECTS, SECONDS = 60, 6


def test_collecting_loading_and_uploading_at_once_end_as_the_bucket_is(ready: Warehouse, tmp_path: Path) -> None:
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
                key, said = chat_key(number), f"version {minute}"
                put(tmp_path / "new", key, chat(said), minute)
                (bucket / key).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / "new" / key).replace(bucket / key)
                latest[f"file://{bucket / key}"] = said
            time.sleep(0.1)

    def collect() -> None:
        while time.monotonic() < end:
            pipeline.collect(ready, source, stores["acme"])

    def load() -> None:
        while time.monotonic() < end:
            list(pipeline.load(ready, [source], stores, batch=20))

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(work) for work in (upload, collect, collect, load, load, load)]:
            done.result()
    for _ in range(2):
        pipeline.collect(ready, source, stores["acme"])
        change(ready, "UPDATE object_ledger SET retry_at = NULL")
        list(pipeline.load(ready, [source], stores))
    said = ask(ready, "SELECT l.uri, m.message FROM chat_messages m JOIN object_ledger l USING (object_id)")
    assert sorted(said) == sorted(latest.items())
    assert ask(ready, "SELECT count(*) FROM object_ledger WHERE disposition NOT IN ('loaded', 'superseded')") == [(0,)]
