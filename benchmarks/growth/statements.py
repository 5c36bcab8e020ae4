"""Where the time of a run goes: the statements, commits and stagings of a database, with plans of the slowest ones.

The engines explain the statements as they run (`auto_explain` of PostgreSQL, the profiler of DuckDB): a statement that
is repeated for its plan would find its own changes, and no staged tables.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from roomledger.ledger.database import Database, Rows, Staged

_NUMBERED = re.compile(r"\b(staged_\w+?|sa_savepoint)_\d+\b")
_EXPLAIN = (
    "LOAD 'auto_explain'",
    "SET auto_explain.log_min_duration = 0",
    "SET auto_explain.log_analyze = on",
    "SET auto_explain.log_buffers = on",
    "SET auto_explain.log_level = notice",
)


@dataclass(slots=True)
class Work:
    """All executions of one statement, or of one step that is none."""

    calls: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    plan: str = ""
    """Of the slowest execution."""


@dataclass(slots=True)
class Recorder:
    """The work of the databases that it has wrapped, by statement; numbers of staged tables are left out."""

    works: dict[str, Work] = field(default_factory=dict)

    def add(self, name: str, seconds: float, plan: str = "") -> None:
        """Add one execution."""
        work = self.works.setdefault(_NUMBERED.sub(r"\1", " ".join(name.split())), Work())
        work.calls += 1
        work.seconds += seconds
        if seconds >= work.slowest:
            work.slowest, work.plan = seconds, plan

    def report(self, total: float, *, most: int = 12, plans: int = 3) -> str:
        """Describe the slowest statements and steps of a run that took `total` seconds."""
        ranked = sorted(self.works.items(), key=lambda item: -item[1].seconds)
        rest = total - sum(work.seconds for work in self.works.values())
        lines = [f"{total:8.3f} s in all, of which {rest:.3f} s in Python and, on DuckDB, in `stage_query`"]
        lines += [f"{work.seconds:8.3f} s {work.calls:6} x  {name[:2000]}" for name, work in ranked[:most]]
        shown = [(name, work) for name, work in ranked[:most] if work.plan][:plans]
        lines += [f"\nPlan of {work.slowest:.3f} s: {name[:200]}\n{work.plan}" for name, work in shown]
        return "\n".join(lines) + "\n"


@contextmanager
def recorded(database: Database) -> Iterator[tuple[Database, Recorder]]:
    """Yield the database so that its work is recorded during the block, and the recorder."""
    recorder = Recorder()
    notices: list[str] = []
    began: list[float] = []

    def connected(connection: Any, _: object) -> None:
        if hasattr(connection, "add_notice_handler"):
            for statement in _EXPLAIN:
                connection.execute(statement)
            connection.commit()
            connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        else:
            connection.execute("SET enable_profiling = 'no_output'")

    def before(*_: object) -> None:
        notices.clear()
        began.append(time.perf_counter())

    def after(connection: sa.Connection, _: object, statement: str, *__: object) -> None:
        seconds = time.perf_counter() - began.pop()
        driver: Any = connection.connection.driver_connection
        if hasattr(driver, "add_notice_handler"):
            driver.execute("SHOW server_version")  # PostgreSQL explains a SELECT when the next command ends it
            plan = "\n".join(notices)
        else:
            plan = driver.get_profiling_information("query_tree")
        recorder.add(statement, seconds, plan)

    listeners = (
        (sa.pool.Pool, "connect", connected),
        (sa.Engine, "before_cursor_execute", before),
        (sa.Engine, "after_cursor_execute", after),
    )
    for listener in listeners:
        event.listen(*listener)
    try:
        yield _Recorded(database, recorder), recorder
    finally:
        for listener in listeners:
            event.remove(*listener)


class _Recorded:
    """A database that also records what is no statement: opening, commits and stagings."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self.url, self.lock, self.skip_locked = database.url, database.lock, database.skip_locked
        self._database = database
        self._recorder = recorder

    @contextmanager
    def begin(self, *, read_only: bool = False) -> Iterator[sa.Connection]:
        began = time.perf_counter()
        with self._database.begin(read_only=read_only) as tx:
            self._recorder.add("(open)", time.perf_counter() - began)
            yield tx
            began = time.perf_counter()
        self._recorder.add("(commit and close)", time.perf_counter() - began)

    def hold_evidence(self, tx: sa.Connection, *, change: bool) -> None:
        self._database.hold_evidence(tx, change=change)

    def lock_publications(self, tx: sa.Connection) -> None:
        self._database.lock_publications(tx)

    def append(self, tx: sa.Connection, table: sa.Table, rows: Rows) -> None:
        began = time.perf_counter()
        self._database.append(tx, table, rows)
        self._recorder.add(f"(append {table.name})", time.perf_counter() - began)

    def analyze(self) -> None:
        began = time.perf_counter()
        self._database.analyze()
        self._recorder.add("(analyze)", time.perf_counter() - began)

    def stage(self, tx: sa.Connection, rows: Rows, label: str) -> Staged:
        before = sum(work.seconds for work in self._recorder.works.values())
        began = time.perf_counter()
        staged = self._database.stage(tx, rows, label)
        inner = sum(work.seconds for work in self._recorder.works.values()) - before
        self._recorder.add(f"(stage {label})", time.perf_counter() - began - inner)
        return staged
