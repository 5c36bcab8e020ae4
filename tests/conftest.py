"""The real servers of the tests: each starts with the first test that uses it, and serves the whole run."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, make_url

from roomledger.ledger.database import Database
from roomledger.ledger.duckdb import DuckDB
from roomledger.ledger.postgres import PostgreSQL
from roomledger.warehouse import setup
from sandbox.servers.gcs import GcsServer, gcs_server
from sandbox.servers.postgres import PostgresServer, postgres_server
from sandbox.servers.s3 import S3Server, s3_server, seaweedfs_server


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep credentials, endpoints and profiles of the environment away from tests."""
    with pytest.MonkeyPatch.context() as environment:
        for name in os.environ:
            if name.startswith(("AWS_", "GOOGLE_", "STORAGE_EMULATOR")):
                environment.delenv(name)
        home = tmp_path_factory.mktemp("home")
        environment.setenv("AWS_CONFIG_FILE", str(home / "aws_config"))
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "aws_credentials"))
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.setenv("CLOUDSDK_CONFIG", str(home / "gcloud"))
        environment.setenv("NO_GCE_CHECK", "true")
        # Tests start Python a hundred times: let it store what it compiles.
        environment.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweedfs_server(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    with gcs_server(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    # Started by root, PostgreSQL runs as another user, who may not enter pytest's folders.
    with tempfile.TemporaryDirectory(prefix="roomledger-") as folder:
        Path(folder).chmod(0o755)
        with postgres_server(Path(folder)) as server:
            yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """URL of the server's own database: for queries about the server, not for tables."""
    return postgres.url


@pytest.fixture(scope="session")
def new_database(postgres: PostgresServer) -> Callable[[], str]:
    """Each call creates an empty PostgreSQL database and returns its SQLAlchemy URL."""
    return postgres.new_database


@pytest.fixture
def new_postgres(new_database: Callable[[], str]) -> Database:
    """An empty PostgreSQL warehouse, without tables."""
    return PostgreSQL(new_database())


@pytest.fixture(params=["duckdb", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty warehouse of each engine, without tables."""
    if request.param == "duckdb":
        return DuckDB(f"duckdb:///{tmp_path}/warehouse.duckdb")
    made: Database = request.getfixturevalue("new_postgres")
    return made


# Creating the tables takes a third of a second, copying a warehouse that has them a tenth of that.


@pytest.fixture(scope="session")
def ready_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Database]:
    """Each call creates a DuckDB warehouse with its tables in a folder."""
    original = tmp_path_factory.mktemp("ready") / "warehouse.duckdb"
    setup.upgrade(DuckDB(f"duckdb:///{original}"))

    def copy(folder: Path) -> Database:
        return DuckDB(f"duckdb:///{shutil.copyfile(original, folder / 'warehouse.duckdb')}")

    return copy


@pytest.fixture(scope="session")
def ready_postgres(postgres: PostgresServer) -> Callable[[], Database]:
    """Each call creates a PostgreSQL warehouse with its tables."""
    url = make_url(postgres.new_database())
    setup.upgrade(PostgreSQL(url.render_as_string(hide_password=False)))
    numbers = itertools.count(1)

    def copy() -> Database:
        name = f"{url.database}_{next(numbers)}"
        with psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name} TEMPLATE {url.database}")
        return PostgreSQL(url.set(database=name).render_as_string(hide_password=False))

    return copy


def _ready(request: pytest.FixtureRequest, folder: Path) -> Database:
    """A warehouse with its tables, of the engine that the fixture has as its parameter."""
    made: Database
    if request.param == "duckdb":
        made = request.getfixturevalue("ready_duckdb")(folder)
    else:
        made = request.getfixturevalue("ready_postgres")()
    return made


@pytest.fixture(params=["duckdb", "postgres"])
def ready(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A warehouse of each engine, with its tables."""
    return _ready(request, tmp_path)


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """One warehouse of each engine, with its tables, for all cases of a module.

    A case makes many small changes in one transaction, for each of which DuckDB takes memory until the end.
    """
    made = _ready(request, tmp_path_factory.mktemp("shared"))
    return DuckDB(made.url, memory_mb=1000) if isinstance(made, DuckDB) else made


@pytest.fixture
def tx(shared: Database) -> Iterator[Connection]:
    """A transaction in the shared warehouse, rolled back at the end."""
    with shared.begin() as opened:
        yield opened
        transaction = opened.get_transaction()
        assert transaction is not None
        transaction.rollback()
