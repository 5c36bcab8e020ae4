"""One bucket per kind of store, and how to write to it; the code under test only lists and reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
import requests
from botocore.config import Config

from roomledger import stores
from roomledger.model import Observation
from roomledger.runtime import open_store
from sandbox.servers.gcs import GcsServer
from sandbox.servers.s3 import S3Server


@dataclass(frozen=True)
class Bucket:
    """How to write objects, and the URL under which the store finds them."""

    kind: str
    url: str
    access: stores.Access
    put: Callable[[str, bytes], None]
    """Key below the URL, content."""
    delete: Callable[[str], None]
    cannot_hold: frozenset[str] = frozenset()

    def store(self) -> stores.Store:
        return open_store(self.url, self.access)

    def below(self, prefix: str) -> Bucket:
        return replace(
            self,
            url=f"{self.url}/{prefix}",
            put=lambda key, content: self.put(f"{prefix}/{key}", content),
            delete=lambda key: self.delete(f"{prefix}/{key}"),
        )

    def put_all(self, keys: Iterable[str], content: bytes) -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda key: self.put(key, content), keys))

    def seen(self, key: str) -> Observation:
        (found,) = [seen for page in self.store().list() for seen in page if seen.uri == f"{self.url}/{key}"]
        return found


def session(access_key: str, secret_key: str) -> boto3.Session:
    return boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name="us-east-1")


def s3_bucket(kind: str, server: S3Server, name: str, cannot_hold: frozenset[str] = frozenset()) -> Bucket:
    keys = session(server.access_key, server.secret_key)
    client = keys.client("s3", endpoint_url=server.endpoint, config=Config(max_pool_connections=16))
    client.create_bucket(Bucket=name)
    return Bucket(
        kind,
        f"s3://{name}",
        stores.Access(session=keys, endpoint=server.endpoint),
        put=lambda key, content: client.put_object(Bucket=name, Key=key, Body=content),
        delete=lambda key: client.delete_object(Bucket=name, Key=key),
        cannot_hold=cannot_hold,
    )


def gcs_bucket(server: GcsServer, name: str) -> Bucket:
    api = requests.Session()

    def request(method: str, path: str, **parameters: Any) -> None:
        with api.request(method, f"{server.endpoint}{path}", timeout=30, **parameters) as response:
            response.raise_for_status()

    def put(key: str, content: bytes) -> None:
        request("POST", f"/upload/storage/v1/b/{name}/o", params={"uploadType": "media", "name": key}, data=content)

    request("POST", "/storage/v1/b", params={"project": "demo"}, json={"name": name})
    return Bucket(
        "gcs",
        f"gs://{name}",
        stores.Access(endpoint=server.endpoint),
        put=put,
        delete=lambda key: request("DELETE", f"/storage/v1/b/{name}/o/{quote(key, safe='')}"),
    )


def folder_bucket(root: Path, cannot_hold: frozenset[str]) -> Bucket:
    def put(key: str, content: bytes) -> None:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.stat().st_mtime_ns if path.exists() else None
        path.write_bytes(content)
        while path.stat().st_mtime_ns == before:  # the file system's clock ticks every few milliseconds
            time.sleep(0.001)
            path.write_bytes(content)

    root.mkdir(parents=True)
    delete = lambda key: (root / key).unlink()  # noqa: E731  # the other stores have one-line lambdas, too
    return Bucket("folder", f"file://{root}", stores.Access(), put=put, delete=delete, cannot_hold=cannot_hold)


KINDS = ("ministack", "seaweedfs", "gcs", "folder")

# Names that only an object store supports; SeaweedFS stores objects as a file system does.
NO_FILE_NAMES = frozenset({"live/x//y", "live//", "/leading", "//two", "live/./dot", "live/../dotdot"})
CANNOT_HOLD = {
    "seaweedfs": NO_FILE_NAMES | {"live/back\\slash"},
    "folder": NO_FILE_NAMES | {"live/marker/", "live/both"},
}


@pytest.fixture(scope="session")
def new_bucket(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bucket]:
    """Creates an empty bucket of one of `KINDS`; only servers that are requested are started."""
    numbers = iter(range(1000))

    def create(kind: str) -> Bucket:
        name, cannot_hold = f"{kind}-{next(numbers)}", CANNOT_HOLD.get(kind, frozenset())
        match kind:
            case "ministack":
                return s3_bucket(kind, request.getfixturevalue("s3"), name, cannot_hold)
            case "seaweedfs":
                return s3_bucket(kind, request.getfixturevalue("seaweedfs"), name, cannot_hold)
            case "gcs":
                return gcs_bucket(request.getfixturevalue("gcs"), name)
            case _:
                return folder_bucket(tmp_path_factory.mktemp(kind) / name, cannot_hold)

    return create


@pytest.fixture(scope="session", params=KINDS)
def shared_bucket(request: pytest.FixtureRequest, new_bucket: Callable[[str], Bucket]) -> Bucket:
    """One bucket of each kind for all tests that need only a prefix of their own."""
    return new_bucket(request.param)


@pytest.fixture
def bucket(shared_bucket: Bucket, request: pytest.FixtureRequest) -> Bucket:
    """A prefix of its own for each test."""
    return shared_bucket.below(request.node.originalname)
