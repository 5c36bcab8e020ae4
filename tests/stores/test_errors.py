"""Errors of stores: the message names the problem and the way out."""

from __future__ import annotations

import http.server
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import google.auth.credentials
import pytest
from botocore.credentials import RefreshableCredentials
from botocore.session import get_session

from roomledger import stores
from roomledger.model import Observation
from roomledger.runtime import StandardConnections, open_store
from roomledger.settings import BucketSource
from roomledger.stores import transfer
from sandbox.servers.s3 import S3Server
from tests.stores.conftest import KINDS, Bucket, session

NO_SERVER = "http://127.0.0.1:1"


def observed(uri: str, size: int = 100) -> Observation:
    return Observation(uri, "0" * 32, datetime(2026, 1, 2, tzinfo=UTC), size)


def list_all(store: stores.Store) -> list[Observation]:
    return [seen for page in store.list() for seen in page]


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors are reported at once."""
    monkeypatch.setattr(transfer, "RETRIES", 0)
    monkeypatch.setattr(transfer, "RETRY_TIME", timedelta(seconds=0.1))


@pytest.mark.parametrize(
    "url", ["", "bucket/prefix", "s3://", "gs:///key", "file://relative", "https://host/x", "oss://b"]
)
def test_an_unsupported_url_is_rejected(url: str) -> None:
    with pytest.raises(
        ValueError, match=r"s3://bucket/prefix, gs://bucket/prefix, file:///folder or 100ms://workspace"
    ):
        open_store(url, stores.Access())


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_of_another_bucket_is_not_read(kind: str, new_bucket: Callable[[str], Bucket]) -> None:
    bucket = new_bucket(kind)
    elsewhere = bucket.url.replace(kind, "other") + "/key"
    if kind != "folder":  # a folder has no bucket: `stat` returns None for a file elsewhere
        with pytest.raises(ValueError, match=re.escape(elsewhere)):
            bucket.store().stat(elsewhere)
    with pytest.raises(ValueError, match=re.escape(elsewhere)):
        list(bucket.store().read(observed(elsewhere)))


def test_stat_does_not_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    for name in ("inside/file", "outside"):
        (tmp_path / name).write_text("x")
    store = open_store(f"file://{tmp_path}/inside", stores.Access())
    assert store.stat(f"file://{tmp_path}/inside/file") is not None
    for name in ("outside", "inside/../outside", "inside/../inside/file", "inside/./file", "inside//file"):
        assert store.stat(f"file://{tmp_path}/{name}") is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_bucket_is_not_an_empty_one(kind: str, new_bucket: Callable[[str], Bucket]) -> None:
    bucket = replace(new_bucket(kind), url=f"{new_bucket(kind).url}-missing")
    for attempt in (lambda: list_all(bucket.store()), lambda: bucket.store().stat(f"{bucket.url}/key")):
        with pytest.raises(stores.BucketMissing, match="missing"):
            attempt()


@pytest.mark.parametrize("kind", ["ministack", "seaweedfs", "gcs"])
def test_the_objects_of_a_missing_bucket_are_not_reported_missing(
    kind: str, new_bucket: Callable[[str], Bucket]
) -> None:
    bucket = replace(new_bucket(kind), url=f"{new_bucket(kind).url}-missing")
    with pytest.raises(stores.BucketMissing, match=r"has no bucket .*-missing: check the source's url"):
        list(bucket.store().read(observed(f"{bucket.url}/key")))


def test_a_file_whose_name_is_not_utf_8_is_named(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv")).write_bytes(b"x")
    with pytest.raises(stores.StoreError, match=r"caf\\xe9\.csv' is not UTF-8: rename the file"):
        list_all(open_store(f"file://{tmp_path}", stores.Access()))


WRONG_KEYS = {"SignatureDoesNotMatch": ("owner", "not its secret"), "InvalidAccessKeyId": ("nobody", "owner-secret")}


@pytest.mark.parametrize("code", WRONG_KEYS)
def test_wrong_credentials_are_named(code: str, new_bucket: Callable[[str], Bucket]) -> None:
    bucket = new_bucket("seaweedfs")
    bucket.put("key", b"content")
    seen = bucket.seen("key")
    store = open_store(bucket.url, replace(bucket.access, session=session(*WRONG_KEYS[code])))
    for attempt in (lambda: list_all(store), lambda: store.stat(seen.uri), lambda: list(store.read(seen))):
        with pytest.raises(stores.AccessDenied, match=rf"does not accept the credentials for s3://seaweedfs-.*{code}"):
            attempt()


def test_a_missing_permission_is_named(seaweedfs: S3Server, new_bucket: Callable[[str], Bucket]) -> None:
    bucket = new_bucket("seaweedfs")
    bucket.put("key", b"content")
    seen = bucket.seen("key")

    def store(name: str) -> stores.Store:
        return open_store(bucket.url, replace(bucket.access, session=session(name, seaweedfs.others[name])))

    with pytest.raises(
        stores.AccessDenied, match=rf"no permission to list {bucket.url}: .* s3:ListBucket on the bucket"
    ):
        list_all(store("uploader"))
    with pytest.raises(stores.AccessDenied, match=rf"no permission to read {bucket.url}/key: .* s3:GetObject on it"):
        list(store("lister").read(seen))
    absent = f"{bucket.url}/absent"
    with pytest.raises(stores.AccessDenied, match=rf"no permission to list {absent}: .* s3:ListBucket on the bucket"):
        store("uploader").stat(absent)
    assert list_all(store("lister")) == [seen]
    assert b"".join(store("uploader").read(seen)) == b"content"
    assert store("uploader").stat(seen.uri) == seen
    assert store("lister").stat(seen.uri) == seen
    assert store("lister").stat(absent) is None


ACCESS = {
    "s3": stores.Access(session=session("key", "secret"), endpoint=NO_SERVER),
    "gs": stores.Access(endpoint=NO_SERVER),
}


@pytest.mark.usefixtures("no_retries")
@pytest.mark.parametrize("scheme", ACCESS)
@pytest.mark.parametrize("verb", ["list", "stat", "read"])
def test_a_server_that_is_not_there_is_named(scheme: str, verb: str) -> None:
    store, uri = open_store(f"{scheme}://bucket/prefix", ACCESS[scheme]), f"{scheme}://bucket/prefix/key"
    attempts = {
        "list": lambda: list_all(store),
        "stat": lambda: store.stat(uri),
        "read": lambda: list(store.read(observed(uri))),
    }
    verbs = {"list": "list", "stat": "(list|read)", "read": "read"}[verb]
    with pytest.raises(stores.StoreError, match=rf"{NO_SERVER} .*{verbs} {scheme}://bucket/prefix") as failure:
        attempts[verb]()
    assert failure.type is stores.StoreError


class Answer(http.server.BaseHTTPRequestHandler):
    """A server that returns `status` and `body` for every request, and announces `length` bytes."""

    protocol_version = "HTTP/1.1"
    timeout = 1
    status, body, length, tag, requests = 200, b"", 0, "", 0

    def do_GET(self) -> None:
        type(self).requests += 1
        self.send_response(self.status)
        self.send_header("Content-Length", str(self.length))
        self.send_header("Last-Modified", "Fri, 02 Jan 2026 00:00:00 GMT")
        self.send_header("ETag", f'"{self.tag}"')
        self.send_header("x-goog-generation", self.tag)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.body)
        self.close_connection = len(self.body) < self.length

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(handler: type[Answer]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def answering(status: int, body: bytes = b"", *, length: int | None = None, tag: str = "0" * 32) -> Any:
    fields = {"status": status, "body": body, "tag": tag, "length": len(body) if length is None else length}
    return serving(type("ThisAnswer", (Answer,), fields))


STATUSES = [
    (401, stores.AccessDenied, "credentials"),
    (403, stores.AccessDenied, "no permission to"),
    (500, stores.StoreError, "500"),
    (503, stores.StoreError, "503"),
]


@pytest.mark.usefixtures("no_retries")
@pytest.mark.parametrize("key", ["key", "odd//key"])
@pytest.mark.parametrize("scheme", ACCESS)
@pytest.mark.parametrize(("status", "kind", "message"), STATUSES)
def test_a_status_without_a_body_is_explained(
    scheme: str, key: str, status: int, kind: type[Exception], message: str
) -> None:
    with answering(status, b"a proxy's own text") as endpoint:
        store = open_store(f"{scheme}://bucket", replace(ACCESS[scheme], endpoint=endpoint))
        uri = f"{scheme}://bucket/{key}"
        attempts = (lambda: list_all(store), lambda: store.stat(uri), lambda: list(store.read(observed(uri))))
        for attempt in attempts:
            with pytest.raises(stores.StoreError, match=message) as failure:
                attempt()
            assert failure.type is kind


@pytest.mark.usefixtures("no_retries")
@pytest.mark.parametrize("scheme", ACCESS)
def test_a_truncated_body_is_an_error(scheme: str) -> None:
    with answering(200, b"half", length=100) as endpoint:
        store = open_store(f"{scheme}://bucket", replace(ACCESS[scheme], endpoint=endpoint))
        with pytest.raises(stores.StoreError):
            list(store.read(observed(f"{scheme}://bucket/key", size=100)))


@pytest.mark.parametrize("scheme", ACCESS)
@pytest.mark.parametrize("size", [3, 5])
def test_a_size_that_differs_from_the_listing_is_an_error(scheme: str, size: int) -> None:
    with answering(200, b"four") as endpoint:
        store = open_store(f"{scheme}://bucket", replace(ACCESS[scheme], endpoint=endpoint))
        with pytest.raises(stores.StoreError, match=f"of {size} bytes"):
            list(store.read(observed(f"{scheme}://bucket/key", size=size)))


@pytest.mark.parametrize("key", ["key", "odd//key"])
def test_a_server_that_ignores_the_version_is_caught(key: str) -> None:
    with answering(200, b"four", tag="1" * 32) as endpoint:
        store = open_store("s3://bucket", replace(ACCESS["s3"], endpoint=endpoint))
        with pytest.raises(stores.ObjectChanged):
            list(store.read(observed(f"s3://bucket/{key}", size=4)))


def test_a_file_in_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(stores.BucketMissing, match=f"no folder file://{tmp_path}/file"):
        list_all(open_store(f"file://{tmp_path}/file", stores.Access()))


def test_links_in_a_folder_are_followed_without_loops(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("x")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "file-link").symlink_to(tmp_path / "a" / "b" / "file")
    (tmp_path / "a" / "nowhere").symlink_to(tmp_path / "nothing")
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    found = [seen.uri for seen in list_all(open_store(f"file://{tmp_path}", stores.Access()))]
    assert found == [f"file://{tmp_path}/{name}" for name in ("a/b/file", "a/file-link", "link/file")]


@pytest.mark.parametrize("scheme", ACCESS)
def test_missing_credentials_are_named_with_the_way_out(scheme: str) -> None:
    source = BucketSource(name="acme", customer="Acme", url=f"{scheme}://bucket/prefix")
    with pytest.raises(
        stores.CredentialsMissing, match=rf"no .* credentials for {scheme}://bucket/prefix: .*connection"
    ):
        open_store(source.url, StandardConnections().bucket(source))


def test_a_connection_may_be_an_aws_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_bucket: Callable[[str], Bucket]
) -> None:
    bucket = new_bucket("seaweedfs")
    bucket.put("key", b"content")
    credentials = tmp_path / "credentials"
    credentials.write_text("[customer]\naws_access_key_id = owner\naws_secret_access_key = owner-secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "else")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", NO_SERVER)

    def content(connection: str) -> bytes:
        source = BucketSource(
            name="acme", customer="Acme", url=bucket.url, connection=connection, endpoint=bucket.access.endpoint
        )
        access = StandardConnections().bucket(source)
        return b"".join(open_store(bucket.url, access).read(bucket.seen("key")))

    assert content("customer") == b"content"
    with pytest.raises(stores.AccessDenied, match="InvalidAccessKeyId"):
        content("no_profile")


def refreshing(renew: Callable[[], dict[str, str]]) -> boto3.Session:
    """A session like that of an assumed role, whose first keys have expired."""
    core = get_session()
    core._credentials = RefreshableCredentials("old", "old", "old", datetime(2026, 1, 1, tzinfo=UTC), renew, "test")
    return boto3.Session(botocore_session=core, region_name="us-east-1")


def test_expired_credentials_are_renewed(new_bucket: Callable[[str], Bucket]) -> None:
    bucket = new_bucket("seaweedfs")
    bucket.put("key", b"content")
    renewed = []

    def renew() -> dict[str, str]:
        renewed.append(1)
        until = datetime.now(UTC) + timedelta(hours=1)
        return {"access_key": "owner", "secret_key": "owner-secret", "token": "", "expiry_time": until.isoformat()}

    store = open_store(bucket.url, replace(bucket.access, session=refreshing(renew)))
    assert [b"".join(store.read(seen)) for seen in list_all(store)] == [b"content"]
    assert renewed == [1]


@pytest.mark.parametrize("verb", ["list", "read"])
def test_credentials_that_cannot_be_renewed_are_named(verb: str, new_bucket: Callable[[str], Bucket]) -> None:
    bucket = new_bucket("seaweedfs")
    bucket.put("key", b"content")
    seen = bucket.seen("key")

    def renew() -> dict[str, str]:
        raise PermissionError("the role may not be assumed")

    store = open_store(bucket.url, replace(bucket.access, session=refreshing(renew)))
    with pytest.raises(stores.StoreError, match="the role may not be assumed"):
        _ = list_all(store) if verb == "list" else list(store.read(seen))


class Tokens(google.auth.credentials.Credentials):
    """Google credentials whose tokens are `token-1`, `token-2` …, each for an hour."""

    renewals = 0

    def refresh(self, request: object) -> None:
        self.renewals += 1
        self.token, self.expiry = f"token-{self.renewals}", datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)


def test_google_credentials_are_renewed_and_sent() -> None:
    class Strict(Answer):
        body, length, tag = b"four", 4, "1" * 16

        @property
        def status(self) -> int:
            return 200 if self.headers["Authorization"].startswith("Bearer token-") else 401

    with serving(Strict) as endpoint:
        access = stores.Access(credentials=Tokens(), endpoint=endpoint)
        store = open_store("gs://bucket", access)
        for key in ("key", "odd//key"):
            seen = replace(observed(f"gs://bucket/{key}", size=4), version="1" * 16)
            assert list(store.read(seen)) == [b"four"]


def test_the_region_of_a_bucket_is_requested_only_if_it_is_unknown() -> None:
    class Regional(Answer):
        body, length, tag = b"four", 4, "0" * 32

        @property
        def status(self) -> int:
            return 200 if self.command == "HEAD" or "/eu-central-1/s3/" in self.headers["Authorization"] else 400

        def end_headers(self) -> None:
            self.send_header("x-amz-bucket-region", "eu-central-1")
            super().end_headers()

    with serving(Regional) as endpoint:
        access = stores.Access(session=boto3.Session("key", "secret"), endpoint=endpoint)
        for known, known_access in ((None, access), ("eu-central-1", replace(access, region="eu-central-1"))):
            Regional.requests = 0
            store = open_store("s3://bucket", known_access)
            assert list(store.read(observed("s3://bucket/key", size=4))) == [b"four"]
            assert Regional.requests == (2 if known is None else 1)


def test_a_transient_error_is_not_reported() -> None:
    failures = iter([503, 500])

    class Recovering(Answer):
        body, length, tag = b"four", 4, "0" * 32

        @property
        def status(self) -> int:
            return next(failures, 200)

    with serving(Recovering) as endpoint:
        store = open_store("s3://bucket", replace(ACCESS["s3"], endpoint=endpoint))
        assert list(store.read(observed("s3://bucket/key", size=4))) == [b"four"]
    assert Recovering.requests == 3
