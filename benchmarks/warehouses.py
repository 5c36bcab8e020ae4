"""New and copied warehouses of both engines, for benchmarks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from roomledger.ledger.tables.columns import RAW
from sandbox.servers.postgres import PostgresServer, postgres_server


@dataclass(frozen=True, slots=True)
class Engine:
    """How warehouses of one engine are made; all are URLs."""

    new: Callable[[], str]
    """Makes an empty warehouse."""
    copy: Callable[[str], str]
    """Makes a copy of a warehouse that nobody has open."""
    drop: Callable[[str], None]
    """Deletes a warehouse."""
    vacuum: Callable[[str], None]
    """Does what PostgreSQL does by itself within a minute after large changes."""
    forget_statistics: Callable[[str], None] | None
    """Forgets the statistics of PostgreSQL, as if the tables had never been analyzed; DuckDB has none."""


ENGINES = ("duckdb", "postgresql")
_OURS = f"relnamespace IN ('public'::regnamespace, '{RAW}'::regnamespace)"
_NEVER_ANALYZED = (
    f"DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE {_OURS})",
    f"UPDATE pg_class SET reltuples = -1, relpages = 0, relallvisible = 0 WHERE {_OURS} AND relkind IN ('r', 'i')",
)


@contextmanager
def engines(folder: Path) -> Iterator[Mapping[str, Engine]]:
    """Start PostgreSQL and yield both engines by name; their warehouses live in the folder, as long as the block."""
    folder.chmod(0o755)  # PostgreSQL that root starts runs as another user, who must be able to enter it
    with postgres_server(folder / "postgres") as server:
        with psycopg.connect(_plain(server.url), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET autovacuum = off")  # it would begin in the middle of some measures
            connection.execute("SELECT pg_reload_conf()")
        yield dict(zip(ENGINES, (_duckdb(folder), _postgresql(server)), strict=True))


def _duckdb(folder: Path) -> Engine:
    numbers = count(1)

    def new() -> str:
        return f"duckdb:///{folder}/{next(numbers)}.duckdb"

    def copy(url: str) -> str:
        made = new()
        shutil.copyfile(_path(url), _path(made))
        return made

    return Engine(new, copy, lambda url: _path(url).unlink(), lambda url: None, None)


def _path(url: str) -> Path:
    return Path(url.removeprefix("duckdb:///"))


def _postgresql(server: PostgresServer) -> Engine:
    numbers = count(1)

    def run(*statements: str, url: str = server.url) -> None:
        with psycopg.connect(_plain(url), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def copy(url: str) -> str:
        copied = make_url(url)
        made = copied.set(database=f"{copied.database}_copy_{next(numbers)}")
        run(f"CREATE DATABASE {made.database} TEMPLATE {copied.database} STRATEGY FILE_COPY")
        return made.render_as_string(hide_password=False)

    return Engine(
        server.new_database,
        copy,
        lambda url: run(f"DROP DATABASE {make_url(url).database}"),
        lambda url: run("VACUUM (ANALYZE)", url=url),
        lambda url: run(*_NEVER_ANALYZED, url=url),
    )


def _plain(url: str) -> str:
    return url.replace("+psycopg", "")
