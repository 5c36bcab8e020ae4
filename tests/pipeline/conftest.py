"""Buckets that notify a queue, on each cloud; an inbox; a small dataset in folders, and its tables after a load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from roomledger.ledger.database import Database
from roomledger.queues.inbox import Inbox
from roomledger.runtime import open_inbox
from roomledger.settings import Source
from sandbox.dataset import Dataset, generate
from sandbox.servers.gcs import GcsServer, gcs_server
from sandbox.servers.pubsub.server import PubSubServer, pubsub_server
from sandbox.servers.s3 import S3Server
from tests.folders import source_of, write_dataset
from tests.pipeline.listening import NotifyingBucket, notifying_gcs_bucket, notifying_s3_bucket
from tests.pipeline.loading import run
from tests.queues.conftest import pubsub_queue
from tests.warehouses import Tables, contents


@pytest.fixture(scope="module")
def notifying_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GcsServer, PubSubServer, Any]]:
    """A GCS server whose buckets all notify one subscription."""
    with pubsub_server() as pubsub:
        queue = pubsub_queue(pubsub)
        topic = queue.settings.url.replace("pubsub://demo/sub-", "projects/demo/topics/topic-")
        with gcs_server(tmp_path_factory.mktemp("notifying_gcs"), topic, pubsub.host) as gcs:
            yield gcs, pubsub, queue


@pytest.fixture(params=["s3", "gcs"])
def notifying(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> NotifyingBucket:
    """A bucket of each cloud that notifies a queue."""
    if request.param == "s3":
        return notifying_s3_bucket(request.getfixturevalue("s3"))
    monkeypatch.setattr("roomledger.queues.pubsub._MIN_TIMEOUT_S", 0.3)  # the simulator is local
    return notifying_gcs_bucket(request.getfixturevalue("notifying_gcs"))


@pytest.fixture
def one_engine(ready_postgres: Callable[[], Database]) -> Database:
    """A warehouse with its tables, for tests in which the engine makes no difference."""
    return ready_postgres()


@pytest.fixture
def notifying_s3(s3: S3Server) -> NotifyingBucket:
    return notifying_s3_bucket(s3)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return open_inbox(f"file://{tmp_path}/inbox")


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return generate(sessions=6)


@pytest.fixture(scope="session")
def dataset_sources(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Source, ...]:
    """The buckets of the dataset, in folders."""
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(dataset.objects, folder)
    return tuple(
        source_of(folder / bucket.source, name=bucket.source, customer=bucket.customer) for bucket in dataset.buckets
    )


@pytest.fixture(scope="session")
def undisturbed(
    dataset_sources: tuple[Source, ...],
    ready_duckdb: Callable[[Path], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> Tables:
    """The tables after one undisturbed run over the dataset."""
    database = ready_duckdb(tmp_path_factory.mktemp("undisturbed"))
    run(database, *dataset_sources)
    return contents(database)
