"""Vacuum deletes rows that nobody can see, and history that is too old: never a row that counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from roomledger import times
from roomledger.hundredms import records
from roomledger.ledger.claims import LEASE
from roomledger.ledger.database import Database, stage_ids
from roomledger.ledger.duckdb import DuckDB
from roomledger.ledger.objects import publish_objects
from roomledger.ledger.postgres import PostgreSQL
from roomledger.ledger.replays import request_replay
from roomledger.ledger.vendor_records import upsert_records
from roomledger.model import Observation
from roomledger.pipeline import load as loading
from roomledger.pipeline import vacuum as vacuuming
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.pipeline.publish import publish
from roomledger.pipeline.vacuum import vacuum
from roomledger.settings import BucketSource
from roomledger.stores import Reader
from roomledger.warehouse import setup
from roomledger.warehouse.transactional import DatabaseFacts
from tests import payloads
from tests.folders import chat, chat_key, put, source_of, store_of
from tests.warehouses import execute

RAW_MESSAGES = "SELECT message FROM roomledger_raw.chat_messages ORDER BY message"
MESSAGES = "SELECT message FROM chat_messages ORDER BY message"
VERSIONS = "SELECT publication FROM roomledger_raw.objects ORDER BY publication"


@dataclass(frozen=True, slots=True)
class Installation:
    """A ledger and its facts, and a bucket of chat files."""

    database: Database
    facts: DatabaseFacts
    bucket: Path

    @property
    def source(self) -> BucketSource:
        return source_of(self.bucket)

    def write(self, *lines: str, number: int = 1, minute: int = 0) -> None:
        put(self.bucket, chat_key(number), chat(*lines), minute)

    def load(self, reader: Callable[[BucketSource], Reader] = store_of) -> None:
        collect_bucket(self.database, self.source, store_of(self.source))
        list(load_batches(self.database, [self.source], {"acme": reader(self.source)}, facts=self.facts))

    def replay(self) -> None:
        with self.database.begin() as tx:
            request_replay(tx, self.database, everything=True, now=times.utc_now())
        self.load()

    def vacuum(self, history_days: int | None = None) -> dict[str, int]:
        return dict(vacuum(self.database, self.facts, history_days=history_days))

    def column(self, query: str) -> list[object]:
        return [cell for row in self.facts.query(query) for cell in row.values()]

    def in_ledger(self, query: str) -> list[object]:
        with self.database.begin(read_only=True) as tx:
            return list(tx.execute(text(query)).scalars())

    def age(self, days: int) -> None:
        """Let everything have happened so many days earlier."""
        for database in {self.database.url: self.database, self.facts.database.url: self.facts.database}.values():
            execute(database, f"UPDATE roomledger_raw.objects SET valid_from = valid_from - INTERVAL '{days} days'")


@pytest.fixture(params=["duckdb", "postgresql", "two databases"])
def installation(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    new_database: Callable[[], str],
    ready_duckdb: Callable[[Path], Database],
    ready_postgres: Callable[[], Database],
) -> Installation:
    """One database for both sides, of each engine, and the facts in DuckDB with the ledger in PostgreSQL."""
    if request.param == "two databases":
        database: Database = PostgreSQL(new_database())
        facts = DatabaseFacts(DuckDB(f"duckdb:///{tmp_path}/facts.duckdb"), in_ledger=False)
        setup.initialise(database, facts)
    else:
        database = ready_duckdb(tmp_path) if request.param == "duckdb" else ready_postgres()
        facts = DatabaseFacts(database, in_ledger=True)
    return Installation(database, facts, tmp_path / "bucket")


def corrected(installation: Installation) -> None:
    """Load a file of two messages, and a correction with three."""
    installation.write("one", "two")
    installation.load()
    installation.write("ONE", "TWO", "THREE", minute=1)
    installation.load()


def test_all_history_is_kept_by_default(installation: Installation) -> None:
    corrected(installation)
    installation.age(5000)
    assert installation.vacuum() == {}
    assert installation.column(RAW_MESSAGES) == ["ONE", "THREE", "TWO", "one", "two"]
    query = "SELECT replaced_because FROM object_history ORDER BY valid_from"
    assert installation.column(query) == [
        "loaded: all of it was read",
        "newer_version: a newer version of the object was loaded",
        None,
    ]


def test_history_older_than_its_bound_is_deleted_with_its_rows(installation: Installation) -> None:
    corrected(installation)
    installation.age(40)
    assert installation.vacuum(history_days=41) == {}
    assert len(installation.column(VERSIONS)) == 3, "it waited, its first version, the correction"
    assert installation.vacuum(history_days=39) == {"versions": 2, "rows_chat_messages": 2}
    assert installation.column(RAW_MESSAGES) == installation.column(MESSAGES) == ["ONE", "THREE", "TWO"]
    assert installation.column("SELECT replaced_because FROM object_history") == [None]
    assert installation.in_ledger(VERSIONS) == installation.column(VERSIONS)
    assert installation.vacuum(history_days=39) == {}


def test_the_age_of_history_counts_from_when_it_was_replaced(installation: Installation) -> None:
    installation.write("one", "two")
    installation.load()
    installation.age(400)
    installation.write("ONE", minute=1)
    installation.load()
    assert installation.vacuum(history_days=30) == {"versions": 1}, "it counted until now, and waited before"
    assert installation.vacuum(history_days=0) == {"versions": 1, "rows_chat_messages": 2}


def test_an_old_place_of_rows_that_still_count_takes_no_rows_with_it(installation: Installation) -> None:
    corrected(installation)
    with installation.database.begin() as tx:
        tx.execute(text("UPDATE object_ledger SET session_id = 'elsewhere' WHERE disposition = 'loaded'"))
    with installation.database.begin() as tx:
        uris = stage_ids(tx, installation.database, [f"file://{installation.bucket / chat_key()}"], "uri")
        publish_objects(tx, installation.database, uris, changed_by="api", now=times.utc_now())
    publish(installation.database, installation.facts)
    installation.age(40)
    assert installation.vacuum(history_days=30) == {"versions": 3, "rows_chat_messages": 2}
    assert installation.column(MESSAGES) == ["ONE", "THREE", "TWO"]
    assert installation.column("SELECT DISTINCT session_id FROM chat_messages") == ["elsewhere"]


def test_after_a_vacuum_a_file_can_be_replayed_and_corrected_again(installation: Installation) -> None:
    corrected(installation)
    installation.age(40)
    installation.vacuum(history_days=30)
    installation.replay()
    assert installation.column(MESSAGES) == ["ONE", "THREE", "TWO"]
    installation.write("last", minute=2)
    installation.load()
    installation.age(40)
    # The loads of the correction and of its replay had three rows each.
    assert installation.vacuum(history_days=30) == {"versions": 2, "rows_chat_messages": 6}
    assert installation.column(RAW_MESSAGES) == installation.column(MESSAGES) == ["last"]


def test_rows_of_a_load_that_died_are_deleted_after_its_lease(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    installation.write("one", "two")
    with monkeypatch.context() as patch:
        patch.setattr(loading, "settle", die)
        with pytest.raises(KeyboardInterrupt):
            installation.load()
    # In one database the transaction is rolled back.
    left = [] if installation.facts.in_ledger else ["one", "two"]
    assert installation.column(RAW_MESSAGES) == left
    assert installation.vacuum() == {}, "its lease has not expired: it may still be settled"
    now = times.utc_now
    monkeypatch.setattr(times, "utc_now", lambda: now() + LEASE + timedelta(minutes=1))
    assert installation.vacuum() == ({"loads": 1, "rows_chat_messages": 2} if left else {})
    assert installation.column(RAW_MESSAGES) == []
    installation.load()
    assert installation.vacuum() == {}
    assert installation.column(RAW_MESSAGES) == installation.column(MESSAGES) == ["one", "two"]


@pytest.mark.parametrize("installation", ["two databases"], indirect=True)
def test_a_load_that_wakes_after_its_rows_were_vacuumed_does_not_count(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It appended, slept longer than its lease, and was taken for dead."""
    append, now = installation.facts.append, times.utc_now

    def sleep(*arguments: Any) -> None:
        append(*arguments)
        monkeypatch.undo()
        monkeypatch.setattr(times, "utc_now", lambda: now() + LEASE + timedelta(minutes=1))
        assert installation.vacuum() == {"loads": 1, "rows_chat_messages": 2}

    installation.write("one", "two")
    monkeypatch.setattr(DatabaseFacts, "append", lambda _, *arguments: sleep(*arguments))
    installation.load()
    installation.load()
    assert installation.column(RAW_MESSAGES) == installation.column(MESSAGES) == ["one", "two"]


def test_what_a_load_settled_and_did_not_publish_is_published_by_the_next_one(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    installation.write("one", "two")
    with monkeypatch.context() as patch:
        patch.setattr(loading, "publish", die)
        with pytest.raises(KeyboardInterrupt):
            installation.load()
    installation.load()
    assert installation.column(MESSAGES) == ["one", "two"]


def test_the_session_of_a_waiting_object_is_changed_by_who_named_it(installation: Installation) -> None:
    installation.write("one")
    collect_bucket(installation.database, installation.source, store_of(installation.source))
    uri = f"file://{installation.bucket / chat_key()}"
    record = records.asset(payloads.asset("a1", payloads.job("j1", "room1", "s1", 0, 30, "chat"), "chat", uri, 9))
    with installation.database.begin() as tx:
        workspace = payloads.workspace_source(payloads.workspace())
        upsert_records(tx, installation.database, workspace, [record], now=times.utc_now())
    installation.load()
    assert installation.facts.query("SELECT to_session_id, changed_by FROM session_changes") == [
        {"to_session_id": "s1", "changed_by": "api"}
    ]
    query = "SELECT disposition, session_id, changed_by FROM object_history ORDER BY publication"
    assert [tuple(row.values()) for row in installation.facts.query(query)] == [
        ("seen", None, "listing"),
        ("seen", "s1", "api"),
        ("loaded", "s1", "load"),
    ]


@pytest.mark.parametrize("installation", ["two databases"], indirect=True)
def test_an_append_that_is_repeated_changes_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = DatabaseFacts.append

    def twice(*arguments: Any) -> None:
        append(*arguments)
        append(*arguments)

    monkeypatch.setattr(DatabaseFacts, "append", twice)
    installation.write("one", "two")
    installation.load()
    assert installation.column(RAW_MESSAGES) == installation.column(MESSAGES) == ["one", "two"]


@pytest.mark.parametrize("installation", ["two databases"], indirect=True)
def test_an_older_publication_that_comes_late_changes_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process read it from the ledger, and was asleep while newer ones were published."""
    published: list[Any] = []
    publish_changes = DatabaseFacts.publish

    def remember(facts: DatabaseFacts, changes: Any) -> None:
        published.append(changes)
        publish_changes(facts, changes)

    monkeypatch.setattr(DatabaseFacts, "publish", remember)
    workspace = payloads.workspace_source(payloads.workspace())
    for session in ("s1", "s2"):
        job = payloads.job("j1", "room1", session, 0, 30, "chat")
        with installation.database.begin() as tx:
            upsert_records(
                tx, installation.database, workspace, [records.recording(job, "recording")[0]], now=times.utc_now()
            )
        publish(installation.database, installation.facts)
    corrected(installation)
    views = ("recordings", "objects", "object_history", "chat_messages")
    before = [installation.facts.query(f"SELECT * FROM {view} ORDER BY ALL") for view in views]
    assert installation.column("SELECT session_id FROM recordings") == ["s2"]
    for changes in reversed(published):
        publish_changes(installation.facts, changes)
    assert [installation.facts.query(f"SELECT * FROM {view} ORDER BY ALL") for view in views] == before


class Overtaken:
    """A store in which, after the first read, another process takes the object over and loads it."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._store = store_of(installation.source)
        self.url = self._store.url

    def read(self, seen: Observation) -> Iterator[bytes]:
        yield from self._store.read(seen)
        later = times.utc_now() + LEASE + timedelta(minutes=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(times, "utc_now", lambda: later)
            list(
                load_batches(
                    self._installation.database,
                    [self._installation.source],
                    {"acme": self._store},
                    facts=self._installation.facts,
                )
            )


def test_rows_of_a_load_that_another_overtook_are_deleted(installation: Installation) -> None:
    installation.write("one", "two")
    installation.load(lambda source: Overtaken(installation))
    assert installation.column(MESSAGES) == ["one", "two"]
    assert len(installation.column(RAW_MESSAGES)) == 4, "both loads have appended"
    assert installation.vacuum() == {"rows_chat_messages": 2}
    assert installation.column(RAW_MESSAGES) == installation.column(MESSAGES) == ["one", "two"]
    assert installation.in_ledger("SELECT count(*) FROM discarded_rows") == [0]
    assert installation.vacuum() == {}


def test_a_long_history_is_deleted_in_parts(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vacuuming, "_TOGETHER", 2)
    for minute in range(6):
        for number in (1, 2):
            installation.write(*["again"] * (minute + 1), number=number, minute=minute)
        installation.load()
    assert len(installation.column(VERSIONS)) == 14
    assert installation.vacuum(history_days=0) == {"versions": 12, "rows_chat_messages": 30}
    assert len(installation.column(VERSIONS)) == 2
    assert len(installation.column(RAW_MESSAGES)) == len(installation.column(MESSAGES)) == 12
