"""Objects have the type that the vendor's records name, whether listing or record comes first."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from roomledger.formats.object_keys import recognise
from roomledger.hundredms import records
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.ledger.vendor_records import upsert_records
from roomledger.model import Observation
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from tests import payloads
from tests.folders import chat, put, source_of, store_of
from tests.warehouses import fetch

NOW = datetime(2026, 3, 3, tzinfo=UTC)
JOB = payloads.job("j1", "room1", "s1", 1, 30, "chat")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


def named(database: Database, folder: Path, key: str, asset_type: str = "chat", asset_id: str = "a1") -> int:
    """Upsert a record that names the object under this key; give how many versions are to be read again."""
    asset = records.asset(payloads.asset(asset_id, JOB, asset_type, f"file://{folder / key}", 9))
    with database.begin() as tx:
        counts = upsert_records(tx, database, payloads.workspace_source(payloads.workspace()), [asset], now=NOW)
        return counts["new_seen"]


def listed(database: Database, folder: Path, key: str, *minutes: int) -> dict[str, int]:
    """Record that listings show these versions of the object under this key."""
    source = source_of(folder)
    moments = [datetime(2026, 3, 2, 10, minute, tzinfo=UTC) for minute in minutes]
    seen = [Observation(f"file://{folder / key}", str(moment), moment, 9) for moment in moments]
    with database.begin() as tx:
        found = [(one, recognise(one)) for one in seen]
        return dict(record_observations(tx, database, source, found, observed_by="listing", now=NOW))


def dispositions(database: Database) -> list[tuple[str, str | None]]:
    return fetch(database, "SELECT disposition, asset_type FROM object_ledger ORDER BY modified_at")


def test_of_several_versions_that_only_the_vendor_names_the_newest_is_loaded(ready: Database, folder: Path) -> None:
    assert listed(ready, folder, "x/one.bin", 1, 2, 3) == {"new_ignored": 3}
    assert named(ready, folder, "x/one.bin") == 3
    assert dispositions(ready) == [("superseded", "chat"), ("superseded", "chat"), ("seen", "chat")]
    assert named(ready, folder, "x/one.bin") == 0


def test_an_object_that_was_named_before_it_is_listed_has_the_named_type(ready: Database, folder: Path) -> None:
    named(ready, folder, "x/one.bin")
    assert listed(ready, folder, "x/one.bin", 1) == {"new_seen": 1}
    named(ready, folder, "room1/20260302/s1/Rec-s1-1772445600000.mp4", "track", "a2")
    assert listed(ready, folder, "room1/20260302/s1/Rec-s1-1772445600000.mp4", 1) == {"new_seen": 1}
    assert dispositions(ready) == [("seen", "chat"), ("seen", "track")]


@pytest.fixture
def loaded(ready: Database, folder: Path) -> Database:
    """A chat under a key that does not tell its type, named, listed and loaded."""
    put(folder, "x/one.bin", chat("hello"))
    source = source_of(folder)
    named(ready, folder, "x/one.bin")
    stores = {source.name: store_of(source)}
    collect_bucket(ready, source, stores[source.name])
    list(load_batches(ready, [source], stores))
    return ready


def test_an_object_whose_type_the_vendor_changes_is_loaded_again_as_that_type(loaded: Database, folder: Path) -> None:
    source = source_of(folder)
    assert fetch(loaded, "SELECT message, session_id FROM chat_messages") == [("hello", "s1")]
    assert named(loaded, folder, "x/one.bin", "track") == 1
    list(load_batches(loaded, [source], {source.name: store_of(source)}))
    assert dispositions(loaded) == [("loaded", "track")]
    assert fetch(loaded, "SELECT count(*) FROM chat_messages") == [(0,)]
    assert fetch(loaded, "SELECT asset_type, session_id FROM object_assets") == [("track", "s1")]


def test_an_excluded_type_stays_ignored_when_the_vendor_names_it(ready: Database, folder: Path) -> None:
    source = source_of(folder, asset_types=("transcript",))
    stores = {source.name: store_of(source)}
    put(folder, "x/one.bin", chat("hello"))
    assert collect_bucket(ready, source, stores[source.name])["new_ignored"] == 1
    assert named(ready, folder, "x/one.bin") == 1
    [done] = load_batches(ready, [source], stores)
    assert dict(done.objects) == {"ignored": 1}
    assert dispositions(ready) == [("ignored", "chat")]
    assert named(ready, folder, "x/one.bin") == 0


def test_an_ignored_object_is_loaded_when_the_vendor_names_an_included_type(ready: Database, folder: Path) -> None:
    source = source_of(folder, asset_types=("track",))
    stores = {source.name: store_of(source)}
    key = "chat/room1/20260302/Rec-room1-1772445600000.csv"
    put(folder, key, chat("hello"))
    assert collect_bucket(ready, source, stores[source.name])["new_ignored"] == 1
    assert named(ready, folder, key, "track") == 1
    [done] = load_batches(ready, [source], stores)
    assert dict(done.objects) == {"loaded": 1}
    assert dispositions(ready) == [("loaded", "track")]
