"""Buckets whose queues notify of every change, on each cloud; an inbox; a warehouse of either engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from roomledger.ledger.database import Database
from roomledger.queues.inbox import Inbox
from roomledger.runtime import open_inbox
from sandbox.servers.gcs import GcsServer, gcs_server
from sandbox.servers.pubsub.server import PubSubServer, pubsub_server
from sandbox.servers.s3 import S3Server
from tests.pipeline.listening import Place, gcs_place, s3_place
from tests.queues.conftest import pubsub_queue


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GcsServer, PubSubServer, Any]]:
    """A GCS whose buckets all tell one subscription."""
    with pubsub_server() as pubsub:
        queue = pubsub_queue(pubsub)
        topic = queue.settings.url.replace("pubsub://demo/sub-", "projects/demo/topics/topic-")
        with gcs_server(tmp_path_factory.mktemp("telling"), topic, pubsub.host) as gcs:
            yield gcs, pubsub, queue


@pytest.fixture(params=["s3", "gcs"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Of each cloud."""
    if request.param == "s3":
        return s3_place(request.getfixturevalue("s3"))
    monkeypatch.setattr("roomledger.queues.pubsub._LEAST_PATIENCE_S", 0.3)  # the stand-in is near
    return gcs_place(request.getfixturevalue("telling"))


@pytest.fixture
def any_ready(ready_postgres: Callable[[], Database]) -> Database:
    """A warehouse, where the engine makes no difference."""
    return ready_postgres()


@pytest.fixture
def s3_here(s3: S3Server) -> Place:
    return s3_place(s3)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return open_inbox(f"file://{tmp_path}/inbox")
