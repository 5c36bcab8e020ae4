"""Random histories of a bucket whose ledger and facts are two databases, with crashes at any point.

A process dies in the middle of a step: every later call of it fails, as that of a dead process would. While it hangs
another one may do the same step, and vacuum. The oracle is the content of the bucket itself.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Connection, Table

from roomledger import times
from roomledger.hundredms import records
from roomledger.ledger.database import Database, Row, fetch_rows
from roomledger.ledger.replays import request_replay
from roomledger.ledger.vendor_records import upsert_records
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.pipeline.publish import publish
from roomledger.pipeline.vacuum import vacuum
from roomledger.settings import BucketSource
from roomledger.warehouse.engine import Facts
from tests import payloads
from tests.folders import chat, replace, source_of, store_of

KEYS = [payloads.chat_key_at("room1", minute) for minute in (1, 2, 3)]
SESSIONS = ("s1", "s2")
ACME = payloads.workspace_source(payloads.workspace())


class Crash(BaseException):
    """The process died."""


@dataclass(slots=True)
class Process:
    """Counts the points at which a process may die: before and after each transaction and each verb."""

    die_at: int | None = None
    meanwhile: Callable[[], None] | None = None
    """What others do while the process hangs at that point, instead of dying."""
    passed: int = 0
    is_dead: bool = False
    transactions: int = 0
    """How many are open: a process that hangs in one makes all others wait."""

    def point(self) -> None:
        """Die here, or hang while others go on, if it is time."""
        if self.is_dead:
            raise Crash
        self.passed += 1
        if self.die_at is None or self.passed < self.die_at:
            return
        if self.meanwhile is None:
            self.is_dead = True
            raise Crash
        if not self.transactions:
            self.die_at = None
            self.meanwhile()


class Mortal:
    """A database whose user may die; see `Database`."""

    def __init__(self, database: Database, process: Process) -> None:
        self._database, self._process = database, process

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def begin(self, *, read_only: bool = False) -> Iterator[Connection]:
        """Open a transaction: death before its commit rolls it back."""
        self._process.point()
        self._process.transactions += 1
        try:
            with self._database.begin(read_only=read_only) as tx:
                yield tx
                self._process.point()
        finally:
            self._process.transactions -= 1
        self._process.point()


class MortalFacts:
    """A facts side whose user may die before and after each verb; see `Facts`."""

    def __init__(self, facts: Facts, process: Process) -> None:
        self._facts, self._process = facts, process
        self.dialect, self.in_ledger = facts.dialect, facts.in_ledger

    def _around(self, verb: Callable[[], Any]) -> Any:
        self._process.point()
        done = verb()
        self._process.point()
        return done

    def ensure(self) -> None:
        self._around(self._facts.ensure)

    def require_current(self) -> None:
        self._facts.require_current()

    def append(self, files: Mapping[Table, Path], load_id: str, tx: Connection | None = None) -> None:
        self._around(lambda: self._facts.append(files, load_id, tx))

    def published(self) -> int:
        return int(self._around(self._facts.published))

    def publish(self, changes: Mapping[Table, pa.Table]) -> None:
        self._around(lambda: self._facts.publish(changes))

    def vacuum(self, *arguments: Any) -> Mapping[str, int]:
        return dict(self._around(lambda: self._facts.vacuum(*arguments)))

    def query(self, *arguments: Any, **options: Any) -> Sequence[Row]:
        return self._facts.query(*arguments, **options)


@dataclass(slots=True)
class World:
    """One bucket with its ledger and its facts, on a clock of its own; what it held is the oracle."""

    database: Database
    facts: Facts
    folder: Path
    chance: random.Random
    minutes: int = 0
    versions: dict[str, list[list[str]]] = field(default_factory=dict)
    """Every content that an object has had, by key; the last one is in the bucket."""
    named: dict[str, str] = field(default_factory=dict)
    """The session that the vendor names for an object last, by key."""
    excludes: bool = False
    """Whether the settings exclude the chat type now."""
    crashes: int = 0
    hangs: int = 0

    @property
    def source(self) -> BucketSource:
        types = {"transcript"} if self.excludes else {"chat"}
        return source_of(self.folder, asset_types=frozenset(types))

    def now(self) -> Any:
        """A later time with each call."""
        self.minutes += 1
        return payloads.START + timedelta(days=1, seconds=self.minutes)

    def write(self, key: str) -> None:
        """Put a new version of an object into the bucket."""
        contents = self.versions.setdefault(key, [])
        lines = [f"{key[-8:]} {len(contents)} line {n}" for n in range(self.chance.randint(1, 4))]
        contents.append(lines)
        replace(self.folder, key, chat(*lines), len(contents))

    def name(self, key: str) -> None:
        """Let the vendor name another session for an object."""
        self.named[key] = self.chance.choice(SESSIONS)

    # What a process does; each may be repeated.

    def collect(self, database: Database, facts: Facts) -> None:
        collect_bucket(database, self.source, store_of(self.source))
        publish(database, facts)

    def load(self, database: Database, facts: Facts) -> None:
        source = self.source
        batch = self.chance.randint(1, 3)
        list(load_batches(database, [source], {"acme": store_of(source)}, batch=batch, facts=facts))

    def sync(self, database: Database, facts: Facts) -> None:
        found = [
            records.asset(payloads.asset(f"a{KEYS.index(key)}", self._job(session), "chat", self._uri(key), 9))
            for key, session in sorted(self.named.items())
        ]
        with database.begin() as tx:
            upsert_records(tx, database, ACME, found, now=self.now())
        publish(database, facts)

    def replay(self, database: Database, facts: Facts) -> None:
        with database.begin() as tx:
            request_replay(tx, database, everything=True, now=self.now())
        publish(database, facts)

    def vacuum(self, database: Database, facts: Facts) -> None:
        vacuum(database, facts)

    def publish(self, database: Database, facts: Facts) -> None:
        publish(database, facts)

    def _job(self, session: str) -> dict[str, Any]:
        return payloads.job(f"j-{session}", "room1", session, 0, 30, "chat")

    def _uri(self, key: str) -> str:
        return f"file://{self.folder}/{key}"

    # The steps of a schedule.

    def step(self, verb: str) -> None:
        """Do one step: change the bucket, the vendor or the settings, or let a process work and perhaps die."""
        key = self.chance.choice(KEYS)
        match verb:
            case "write":
                self.write(key)
            case "name":
                self.name(key)
            case "settings":
                self.excludes = not self.excludes
            case "lease expires":
                self.minutes += 600
            case _:
                self.work(verb)
        self.check_visible()

    def work(self, verb: str) -> None:
        """Let a process do this; half of them die or hang somewhere."""
        process = Process()
        if self.chance.random() < 0.6:
            process.die_at = self.chance.randint(1, 14)
            if self.chance.random() < 0.4:
                process.meanwhile = self.others
        try:
            getattr(self, verb)(Mortal(self.database, process), MortalFacts(self.facts, process))
        except Crash:
            self.crashes += 1

    def others(self) -> None:
        """What other processes do while one hangs: for so long that its lease may expire, and its rows be vacuumed."""
        self.hangs += 1
        if self.chance.random() < 0.7:
            self.minutes += 600
        for verb in self.chance.sample(["load", "vacuum", "collect", "sync", "publish"], self.chance.randint(1, 3)):
            getattr(self, verb)(self.database, self.facts)
        self.check_visible()

    def recover(self) -> None:
        """Let undisturbed processes finish what is left, with the settings and the bucket as they are now."""
        self.minutes += 600
        for verb in ("collect", "sync", "load", "replay", "load", "publish"):
            getattr(self, verb)(self.database, self.facts)
        self.minutes += 3 * 86_400
        self.vacuum(self.database, self.facts)
        self.vacuum(self.database, self.facts)

    # The oracle.

    def visible(self) -> dict[str, list[tuple[str, str | None]]]:
        """The messages that a reader sees of each object, with their session."""
        found: dict[str, list[tuple[str, str | None]]] = {}
        query = """
            SELECT objects.uri, chat_messages.ordinal, chat_messages.message, chat_messages.session_id
            FROM chat_messages JOIN objects USING (object_id) ORDER BY objects.uri, chat_messages.ordinal, message
        """
        for row in self.facts.query(query, {}):
            key = row["uri"].removeprefix(self._uri(""))
            found.setdefault(key, []).append((row["message"], row["session_id"]))
        return found

    def check_visible(self) -> None:
        """A reader sees of each object all messages of one version, in one session, or none."""
        for key, messages in self.visible().items():
            assert [text for text, _ in messages] in self.versions[key], key
            assert len({session for _, session in messages}) == 1, key

    def check_end(self) -> None:
        """After the recovery a reader sees what the bucket holds, in the sessions that the vendor names, no more."""
        expected = {
            key: [(text, self.named.get(key)) for text in contents[-1]]
            for key, contents in self.versions.items()
            if not self.excludes
        }
        assert self.visible() == expected
        dead = """
            SELECT count(*) AS number FROM roomledger_raw.chat_messages AS fact WHERE NOT EXISTS (
                SELECT 1 FROM object_history AS kept
                WHERE kept.object_id = fact.object_id AND kept.load_id = fact.load_id)
        """
        assert [row["number"] for row in self.facts.query(dead, {})] == [0], "rows that never counted are left"
        counted = """
            SELECT objects.uri, rows_loaded, count(fact.object_id) AS number FROM objects
            LEFT JOIN roomledger_raw.chat_messages AS fact
                ON fact.object_id = objects.object_id AND fact.load_id = objects.load_id
            WHERE objects.load_id IS NOT NULL GROUP BY objects.uri, rows_loaded
        """
        assert all(row["rows_loaded"] == row["number"] for row in self.facts.query(counted, {}))
        for view in ("objects", "object_history", "session_changes", "sessions", "recordings", "recording_assets"):
            with self.database.begin(read_only=True) as tx:
                known = fetch_rows(tx, f"SELECT * FROM {view}")
            assert _comparable(self.facts.query(f"SELECT * FROM {view}")) == _comparable(known), view


def _comparable(rows: Sequence[Row]) -> list[list[str]]:
    """The same for equal rows of different engines: times in UTC, documents as text."""
    return sorted([f"{name}={_cell(cell)}" for name, cell in sorted(row.items())] for row in rows)


def _cell(cell: Any) -> str:
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat()
    return json.dumps(json.loads(cell) if isinstance(cell, str) and cell[:1] in "[{" else cell, sort_keys=True)


VERBS = ("write", "name", "collect", "sync", "load", "load", "replay", "vacuum", "publish", "settings", "lease expires")


def run_schedule(
    database: Database, facts: Facts, folder: Path, seed: int, patch: pytest.MonkeyPatch, steps: int = 8
) -> World:
    """Run the history with this seed in an empty installation, recover, and compare with the oracle."""
    world = World(database, facts, folder, random.Random(seed))
    patch.setattr(times, "utc_now", world.now)
    for key in KEYS[: world.chance.randint(1, 3)]:
        world.write(key)
    for verb in ("collect", *world.chance.choices(VERBS, k=steps)):
        world.step(verb)
    world.recover()
    world.check_end()
    return world
