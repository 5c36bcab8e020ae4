"""The real servers that tests talk to: each is started when the first test asks for it, and serves the whole run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import servers
from roomledger.warehouse import Warehouse, migrate
from roomledger.warehouse.duck import DuckWarehouse
from roomledger.warehouse.postgres import PostgresWarehouse


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nobody's own credentials, endpoints and profiles reach a test."""
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
        yield


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    with servers.s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    with servers.seaweedfs_server(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.GcsServer]:
    with servers.gcs_server(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.PostgresServer]:
    # Started by root, PostgreSQL runs as a user of its own, who may not enter pytest's folders.
    with tempfile.TemporaryDirectory(prefix="roomledger-") as folder:
        Path(folder).chmod(0o755)
        with servers.postgres_server(Path(folder)) as server:
            yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: servers.PostgresServer) -> str:
    """URL of the server's own database: for questions about the server, not for tables."""
    return postgres.url


@pytest.fixture(scope="session")
def new_database(postgres: servers.PostgresServer) -> Callable[[], str]:
    """Each call creates an empty PostgreSQL database and returns its SQLAlchemy URL."""
    return postgres.new_database


@pytest.fixture
def new_postgres(new_database: Callable[[], str]) -> Warehouse:
    """An empty PostgreSQL warehouse, without tables."""
    return PostgresWarehouse(new_database())


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """An empty warehouse of each engine, without tables."""
    if request.param == "duckdb":
        return DuckWarehouse(f"duckdb:///{tmp_path}/warehouse.duckdb")
    made: Warehouse = request.getfixturevalue("new_postgres")
    return made


@pytest.fixture
def ready(warehouse: Warehouse) -> Warehouse:
    """A warehouse of each engine, with its tables."""
    migrate.upgrade(warehouse)
    return warehouse
