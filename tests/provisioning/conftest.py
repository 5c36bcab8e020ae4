"""Servers to provision: an AWS simulator that enforces policies, and a simulator of the Google APIs in use."""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest

from roomledger import settings
from roomledger.settings import Settings
from sandbox.servers.process_group import HOST, START_SECONDS, free_ports, running
from tests.provisioning.gcp_server import GoogleCloud, google_cloud

ROOT_KEY = "root-key"


@dataclass(frozen=True)
class Account:
    """An account on a server that enforces IAM and the policies of queues and topics."""

    endpoint: str
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def session(self, key: str = ROOT_KEY, secret: str = "root-secret") -> boto3.Session:
        return boto3.Session(key, secret, region_name="us-east-1")

    def client(self, service: str, session: boto3.Session | None = None) -> Any:
        key = (session.get_credentials().access_key if session else ROOT_KEY, service)
        if key not in self.clients:
            self.clients[key] = (session or self.session()).client(service, endpoint_url=self.endpoint)
        return self.clients[key]

    def environ(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": "root-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def new_bucket(self) -> str:
        name = f"bucket-{next(self.numbers)}"
        self.client("s3").create_bucket(Bucket=name)
        return name

    def new_user(self, name: str) -> tuple[str, boto3.Session]:
        """The ARN of a user without permissions, and its credentials."""
        iam = self.client("iam")
        arn = iam.create_user(UserName=name)["User"]["Arn"]
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return arn, self.session(key["AccessKeyId"], key["SecretAccessKey"])

    def messages(self, queue: str, session: boto3.Session | None = None, least: int = 0) -> list[Any]:
        """Receive and delete at least this many messages and all that are left; S3's test events are omitted."""
        sqs = self.client("sqs", session)
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        bodies: list[str] = []
        deadline = time.monotonic() + 20
        while len(bodies) < least and time.monotonic() < deadline:
            bodies += self._receive(sqs, url, wait_s=1)
        time.sleep(0.2)  # for messages that should not arrive
        return bodies + self._receive(sqs, url, wait_s=0)

    def _receive(self, sqs: Any, url: str, wait_s: int) -> list[str]:
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_s).get("Messages", [])
        for message in found:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=9)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in found if "s3:TestEvent" not in message["Body"]]


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("aws")
    (port,) = free_ports(1)
    endpoint = f"http://{HOST}:{port}"
    environment = {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": "root-secret",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,sqs,sns,sts,iam,events",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_REGION": "us-east-1",
    }
    with running([sys.executable, "-m", "ministack"], folder, environment):
        _wait(f"{endpoint}/_ministack/health")
        yield Account(endpoint)


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.fixture
def google() -> Iterator[GoogleCloud]:
    with google_cloud() as cloud:
        yield cloud


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write a settings file with these tables and a warehouse."""

    def write_file(tables: str) -> Path:
        path = tmp_path / "roomledger.toml"
        path.write_text(f'[warehouse]\nurl = "duckdb:///w.duckdb"\n{tables}', "utf-8")
        return path

    return write_file


@pytest.fixture
def read(write: Callable[[str], Path]) -> Callable[[str], Settings]:
    """Read settings with these tables."""
    return lambda tables: settings.read(write(tables), {})
