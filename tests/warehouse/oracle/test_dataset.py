"""The invented dataset: after the buckets, the API and the webhooks the views show what the oracle computes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from roomledger.ledger.database import Database
from roomledger.settings import BucketSource, Settings, WorkspaceSource
from sandbox.dataset import MINIMUM_SESSIONS, Dataset, generate
from tests.sandbox.test_webhooks_beside_api import events_of
from tests.stories import Change, Listing, Load, Records, Step, Webhooks, play
from tests.warehouse.oracle.comparison import differences
from tests.warehouses import fetch


def steps_of(dataset: Dataset) -> Iterator[Step]:
    """The dataset as a story: first the buckets, then the API, then the webhooks."""
    buckets = {f"{one.scheme}://{one.name}/": f"s3://{one.source}/" for one in dataset.buckets}

    def placed(value: Any) -> Any:
        text = json.dumps(value)
        for bucket, source in buckets.items():
            text = text.replace(bucket, source)
        return json.loads(text)

    # The segments of films are many and all ignored.
    objects = [thing for thing in dataset.objects if not thing.key.endswith((".ts", "/"))]
    yield Change(written={placed(thing.uri): (thing.content, minute) for minute, thing in enumerate(objects)})
    yield from (Listing(source=bucket.source) for bucket in dataset.buckets)
    yield from (Load(batch=100, most=1), Load())
    for one in dataset.workspaces:
        kinds = {"session": one.sessions, "recording": one.recordings, "live-stream": one.live_streams}
        kinds |= {"external-stream": one.external_streams, "asset": one.assets}
        records = [(kind, placed(record)) for kind, those in kinds.items() for record in those]
        yield Records(source=one.source, records=tuple(records))
    yield Load()
    for one in dataset.workspaces:
        yield Webhooks(source=one.source, bodies=tuple(placed(body) for body in events_of(one)))


def settings_of(dataset: Dataset, folder: Path, warehouse_url: str) -> Settings:
    """Create the buckets of the dataset as folders; give the settings that name them and the workspaces."""
    for bucket in dataset.buckets:
        (folder / bucket.source).mkdir()
    return Settings(
        warehouse_url=warehouse_url,
        warehouse_memory_mb=128,
        sources=(
            *(
                BucketSource(name=one.source, customer=one.customer, url=f"file://{folder / one.source}")
                for one in dataset.buckets
            ),
            *(WorkspaceSource(name=one.source, customer=one.customer, url=one.url) for one in dataset.workspaces),
        ),
        inbox_url=f"file://{folder}/inbox",
    )


def test_the_views_show_what_the_oracle_computes_of_the_dataset(ready: Database, tmp_path: Path) -> None:
    dataset = generate(sessions=MINIMUM_SESSIONS)

    def compare(step: Step) -> None:
        with ready.begin(read_only=True) as tx:
            found = differences(tx)
        assert not found, "\n".join(found)

    play(ready, settings_of(dataset, tmp_path, ready.url), steps_of(dataset), after=compare)
    matched = "SELECT count(*) FROM recording_assets WHERE object_id IS NOT NULL AND raw_type IS NOT NULL"
    assert fetch(ready, matched) > [(dataset.expected.rows["asset_records"] // 2,)]
