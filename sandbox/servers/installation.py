"""A complete installation on loopback: buckets, queues, the simulated vendor, settings and Airflow connections."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roomledger.ledger.database import Database
from roomledger.runtime import open_database
from roomledger.settings import read
from roomledger.warehouse import setup
from sandbox.dataset import Bucket, Dataset, Workspace
from sandbox.hundredms_api import Vendor, vendor_server
from sandbox.servers.gcs import GcsServer, gcs_server
from sandbox.servers.pubsub.server import PubSubServer, pubsub_server
from sandbox.servers.s3 import S3Server, s3_server

SECRET_HEADER = "X-Demo-Secret"
SECRET = "invented-secret-of-the-demo"
QUEUE, SUBSCRIPTION, TOPIC = "new-recordings", "new-recordings", "new-recordings"
_PROJECT = "demo"


@dataclass(frozen=True, slots=True)
class Installation:
    """The running servers, and the settings for Airflow."""

    dataset: Dataset
    s3: S3Server
    gcs: GcsServer
    vendor: Vendor
    pubsub: PubSubServer | None
    """None without notifications."""
    config: Path
    environment: dict[str, str]
    database: Database


@contextmanager
def run_installation(
    dataset: Dataset, folder: Path, *, notifications: bool = False, warehouse_url: str = "duckdb:///warehouse.duckdb"
) -> Iterator[Installation]:
    """Start the servers, write the settings and create the tables; `notifications` adds queues and webhooks.

    It does not create the buckets.
    """
    with ExitStack() as stack:
        s3 = stack.enter_context(s3_server(folder / "s3"))
        pubsub = stack.enter_context(pubsub_server()) if notifications else None
        topic: tuple[str, ...] = ()
        if pubsub:
            pubsub.subscribe(f"pubsub://{_PROJECT}/{SUBSCRIPTION}", TOPIC)
            topic = (f"projects/{_PROJECT}/topics/{TOPIC}", pubsub.host)
        gcs = stack.enter_context(gcs_server(folder / "gcs", *topic))
        vendor = stack.enter_context(vendor_server(dataset.workspaces))
        config = folder / "roomledger.toml"
        endpoints = {"s3": s3.endpoint, "gs": gcs.endpoint, "100ms": vendor.endpoint}
        queues = _queues(s3, pubsub, folder) if pubsub else ()
        config.write_text("\n".join(_settings(dataset, endpoints, warehouse_url, queues)) + "\n")
        environment = {"ROOMLEDGER_CONFIG": str(config)} | _connections(dataset, s3)
        if notifications:
            environment |= {
                f"ROOMLEDGER_WEBHOOK_SECRETS_{workspace.source.upper().replace('-', '_')}": SECRET
                for workspace in dataset.workspaces
            }
        database = open_database(read(config, {}))
        setup.upgrade(database)
        yield Installation(dataset, s3, gcs, vendor, pubsub, config, environment, database)


def _settings(
    dataset: Dataset, endpoints: Mapping[str, str], warehouse_url: str, queues: Sequence[str] = ()
) -> Iterator[str]:
    yield from ("[warehouse]", f'url = "{warehouse_url}"')
    sources: Sequence[Bucket | Workspace] = (*dataset.buckets, *dataset.workspaces)
    for one in sources:
        scheme = one.url.partition("://")[0]
        connection = one.name if scheme == "100ms" else scheme
        yield from ("", "[[source]]", f'name = "{one.source}"', f'customer = "{one.customer}"', f'url = "{one.url}"')
        yield from (f'connection = "{connection}_demo"', f'endpoint = "{endpoints[scheme]}"')
        if queues and scheme == "100ms":
            yield f'webhook_header = "{SECRET_HEADER}"'
    yield from queues


def _queues(s3: S3Server, pubsub: PubSubServer, folder: Path) -> Sequence[str]:
    return (
        *("", "[[queue]]", 'name = "s3-events"', f'url = "sqs://{QUEUE}"', 'connection = "s3_demo"'),
        *(f'endpoint = "{s3.endpoint}"', f'region = "{s3.region}"'),
        *("", "[[queue]]", 'name = "gcs-events"', f'url = "pubsub://{_PROJECT}/{SUBSCRIPTION}"'),
        *(f'endpoint = "{pubsub.endpoint}"', "", "[webhooks]", f'inbox = "file://{folder / "inbox"}"'),
    )


def _connections(dataset: Dataset, s3: S3Server) -> dict[str, str]:
    """Airflow connections as environment variables; the credentials are not secret."""
    connections: dict[str, dict[str, Any]] = {
        "s3_demo": {
            "conn_type": "aws",
            "login": s3.access_key,
            "password": s3.secret_key,
            "extra": {"region_name": s3.region},
        },
        "gs_demo": {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": _PROJECT}},
    }
    for workspace in dataset.workspaces:
        keys = {"conn_type": "generic", "login": workspace.access_key, "password": workspace.secret}
        connections[f"{workspace.name}_demo"] = keys
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connections.items()}
