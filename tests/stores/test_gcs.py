"""Permissions that the GCS store uses, and errors that only GCS has."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import google.auth.credentials
import pytest

from roomledger import stores
from roomledger.runtime import open_store
from roomledger.stores import gcs, transfer
from tests.stores.object_rights import GENERATION, OBJECTS, ObjectRights, object_rights
from tests.stores.test_errors import answering, list_all, observed

BUCKET_METADATA = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"
LIST = "GET /storage/v1/b/acme/o"


@pytest.fixture
def server() -> Iterator[ObjectRights]:
    with object_rights() as started:
        yield started


class ScopedTokens(google.auth.credentials.Scoped, google.auth.credentials.Credentials):
    """Google credentials whose token is the list of their scopes."""

    def __init__(self, scopes: Sequence[str] = ()) -> None:
        super().__init__()
        self._scopes = scopes

    @property
    def requires_scopes(self) -> bool:
        return not self._scopes

    def with_scopes(self, scopes: Sequence[str], default_scopes: object = None) -> ScopedTokens:
        return ScopedTokens(scopes)

    def refresh(self, request: object) -> None:
        self.token = " ".join(self._scopes)
        self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)


def use_every_verb(endpoint: str) -> None:
    store = open_store("gs://acme/live", stores.Access(credentials=ScopedTokens(), endpoint=endpoint))
    [page] = store.list()
    assert [seen.uri for seen in page] == ["gs://acme/live/key", "gs://acme/live//odd"]
    assert [store.stat(seen.uri) for seen in page] == page
    assert store.stat("gs://acme/live/absent") is None
    assert [b"".join(store.read(seen)) for seen in page] == [OBJECTS["live/key"], OBJECTS["live//odd"]]


def test_only_the_permissions_to_list_and_get_objects_are_used(
    server: ObjectRights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(BUCKET_METADATA, raising=False)
    use_every_verb(server.endpoint)
    time.sleep(0.5)  # a request in the background would come now
    assert server.requests == [
        LIST,
        "GET /storage/v1/b/acme/o/live%2Fkey",
        "GET /storage/v1/b/acme/o/live%2F%2Fodd",
        "GET /storage/v1/b/acme/o/live%2Fabsent",
        LIST,  # distinguishes a missing object from a missing bucket
        "GET /acme/live%2Fkey",
        "GET /download/storage/v1/b/acme/o/live%2F%2Fodd",
    ]
    assert server.tokens == {f"Bearer {gcs.READ_SCOPE}"}


def test_the_simulator_records_a_request_in_the_background(
    server: ObjectRights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BUCKET_METADATA, "false")
    use_every_verb(server.endpoint)
    deadline = time.monotonic() + 10
    while "GET /storage/v1/b/acme" not in server.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "GET /storage/v1/b/acme" in server.requests


def test_a_source_may_be_in_another_universe_of_google_cloud(server: ObjectRights) -> None:
    credentials = ScopedTokens([gcs.READ_SCOPE])
    credentials._universe_domain = "apis.example"
    store = open_store("gs://acme/other", stores.Access(credentials=credentials, endpoint=server.endpoint))
    assert [seen.uri for seen in list_all(store)] == ["gs://acme/other/key"]


def test_a_listing_requests_no_fields_that_are_not_used(server: ObjectRights) -> None:
    list_all(open_store("gs://acme/live", stores.Access(endpoint=server.endpoint)))
    [query] = server.queries
    assert query["fields"] == ["items(name,generation,size,md5Hash,timeCreated),nextPageToken"]
    assert query["maxResults"] == ["1000"]


def test_an_odd_key_is_downloaded_by_its_generation(server: ObjectRights) -> None:
    store = open_store("gs://acme/live", stores.Access(endpoint=server.endpoint))
    [*_, odd] = list_all(store)
    assert list(store.read(odd)) == [b"odd"]
    assert server.queries[-1] == {"alt": ["media"], "generation": [GENERATION]}


@pytest.mark.parametrize("key", ["key", "odd//key"])
def test_a_generation_that_was_not_requested_is_refused(key: str) -> None:
    with answering(200, b"four", tag="1" * 16) as endpoint:
        store = open_store("gs://bucket", stores.Access(endpoint=endpoint))
        with pytest.raises(stores.ObjectChanged, match="is generation 1111111111111111 now"):
            list(store.read(observed(f"gs://bucket/{key}", size=4)))


PROXY = [(200, b""), (200, b"<html>"), (200, b"[]"), (403, b'{"error": "denied"}')]


@pytest.mark.parametrize(("status", "body"), PROXY)
def test_a_response_that_is_not_of_googles_api_is_an_error(status: int, body: bytes) -> None:
    with answering(status, body) as endpoint:
        store = open_store("gs://bucket", stores.Access(endpoint=endpoint))
        for attempt in (lambda: list_all(store), lambda: store.stat("gs://bucket/key")):
            with pytest.raises(stores.StoreError, match=f"no valid response from {endpoint}"):
                attempt()


def test_googles_own_text_is_part_of_the_message() -> None:
    text = "reader@acme.example does not have storage.objects.list access to the Google Cloud Storage bucket."
    with answering(403, b'{"error": {"code": 403, "message": "%s"}}' % text.encode()) as endpoint:
        store = open_store("gs://bucket", stores.Access(endpoint=endpoint))
        with pytest.raises(stores.AccessDenied) as failure:
            list_all(store)
    assert str(failure.value) == (
        f"no permission to list gs://bucket: the credentials need storage.objects.list on the bucket (403 {text})"
    )


def test_a_lasting_error_is_reported_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "RETRY_TIME", timedelta(seconds=1))
    with answering(503) as endpoint:
        store = open_store("gs://bucket", stores.Access(endpoint=endpoint))
        began = time.monotonic()
        with pytest.raises(stores.StoreError, match="could not list gs://bucket: 503"):
            list_all(store)
        assert time.monotonic() - began < 3


def test_googles_library_is_imported_only_for_gcs(tmp_path: object) -> None:
    code = f"""
import sys
from roomledger import stores
from roomledger.cli.main import app
from roomledger.queues import gcs_events, inbox_bucket
from roomledger.runtime import open_inbox, open_store
open_store("file://{tmp_path}", stores.Access())
open_inbox("file://{tmp_path}/inbox")
print("google.cloud.storage" in sys.modules)
open_store("gs://bucket", stores.Access(endpoint="http://127.0.0.1:1"))
print("google.cloud.storage" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]
