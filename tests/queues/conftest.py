"""One empty queue of each kind of cloud queue, and how to send to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

import boto3
import pytest

from roomledger import queues
from roomledger.runtime import open_bucket_queue
from roomledger.settings import QueueSettings
from roomledger.stores import Access
from sandbox.servers.pubsub.server import PubSubServer, pubsub_server
from sandbox.servers.s3 import S3Server

KINDS = ("sqs", "pubsub")
numbers = count(1)


@pytest.fixture(scope="session")
def pubsub() -> Iterator[PubSubServer]:
    with pubsub_server() as server:
        yield server


def aws(server: S3Server, service: str) -> Any:
    return session(server).client(service, endpoint_url=server.endpoint)


def session(server: S3Server) -> boto3.Session:
    return _session(server.access_key, server.secret_key, server.region)


# A session caches boto3's service descriptions, and reading them takes longer than most tests.
@cache
def _session(access_key: str, secret_key: str, region: str) -> boto3.Session:
    return boto3.Session(access_key, secret_key, region_name=region)


@dataclass(frozen=True)
class CloudQueue:
    """An empty queue: how to send to it, and how to open it."""

    settings: QueueSettings
    access: Access
    send: Callable[[Sequence[bytes], dict[str, str]], None]

    def open(self) -> queues.Queue:
        return open_bucket_queue(self.settings, self.access)


def sqs_queue(server: S3Server) -> CloudQueue:
    name, client = f"queue-{next(numbers)}", aws(server, "sqs")
    url = client.create_queue(QueueName=name)["QueueUrl"]

    def send(bodies: Sequence[bytes], attributes: dict[str, str]) -> None:
        values = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()}
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(number), "MessageBody": body.decode(), "MessageAttributes": values}
                for number, body in enumerate(bodies[start : start + 10])
            ]
            assert not client.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")

    settings = QueueSettings(name="events", url=f"sqs://{name}", endpoint=server.endpoint)
    return CloudQueue(settings, Access(session=session(server)), send)


def pubsub_queue(server: PubSubServer, **subscription: Any) -> CloudQueue:
    number = next(numbers)
    settings = QueueSettings(name="events", url=f"pubsub://demo/sub-{number}", endpoint=server.endpoint)
    server.subscribe(settings.url, f"topic-{number}", **subscription)

    def send(bodies: Sequence[bytes], attributes: dict[str, str]) -> None:
        server.publish(f"projects/demo/topics/topic-{number}", bodies, **attributes)

    return CloudQueue(settings, Access(), send)


@pytest.fixture(params=KINDS)
def cloud_queue(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> CloudQueue:
    if request.param == "sqs":
        return sqs_queue(request.getfixturevalue("s3"))
    # The simulator responds at once.
    monkeypatch.setattr("roomledger.queues.pubsub._MIN_TIMEOUT_S", 0.5)
    return pubsub_queue(request.getfixturevalue("pubsub"))
