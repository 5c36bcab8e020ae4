"""The contract of a store, tested for each kind with a real server."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from roomledger import stores
from roomledger.model import Observation
from sandbox.servers.gcs import GcsServer
from tests.stores.conftest import KINDS, Bucket

MEGABYTE = 1024 * 1024
LARGE = 80 * MEGABYTE

ODD_KEYS = (
    "live/chat/room/Rec-1.csv",
    "live/with space",
    "live/a+b",
    "live/100%",
    "live/100%25",
    "live/slash%2Fcoded",
    "live/hash#1",
    "live/query?x=1&y=2",
    "live/semi;colon:comma,",
    "live/quote'\"<>[]{}|^`~*",
    "live/Zoë/日本/\U0001f600",
    "live/e\u0301 is not \u00e9",
    "live/trailing space ",
    " leading space",
    "live/back\\slash",
    "live/tab\tand\nline",
    "live/\x01\x7f",
    "live/x//y",
    "live//",
    "/leading",
    "//two",
    "live/./dot",
    "live/../dotdot",
    "live/both",
    "live/both/below",
    "live/marker/",
    "live/.hidden",
)


def listed(store: stores.Store) -> list[Observation]:
    return [seen for page in store.list() for seen in page]


@pytest.fixture(scope="module", params=KINDS)
def odd(request: pytest.FixtureRequest, new_bucket: Callable[[str], Bucket]) -> Bucket:
    """A bucket with nothing but the odd keys that it supports; each object's content is its key."""
    bucket = new_bucket(request.param)
    for key in ODD_KEYS:
        if key not in bucket.cannot_hold:
            bucket.put(key, b"" if key.endswith("/") else key.encode())
    return bucket


def test_a_listing_has_every_key_as_it_is_stored(odd: Bucket) -> None:
    expected = {f"{odd.url}/{key}" for key in ODD_KEYS if key not in odd.cannot_hold}
    found = [seen.uri for seen in listed(odd.store())]
    assert sorted(found) == sorted(expected)


def test_every_listed_key_reads(odd: Bucket) -> None:
    store = odd.store()
    for seen in listed(store):
        key = seen.uri.removeprefix(f"{odd.url}/")
        content = b"" if key.endswith("/") else key.encode()
        assert b"".join(store.read(seen)) == content
        assert seen.size_bytes == len(content)


def test_stat_returns_what_the_listing_returns(odd: Bucket) -> None:
    store = odd.store()
    entries = listed(store)
    assert [store.stat(seen.uri) for seen in entries] == entries


ABSENT = ("nothing", "live", "live/", "live/chat", "live/chat/", "live/x", "live/hash", "live/both/b", "live/100%2525")


def test_stat_finds_no_object_that_the_listing_does_not_have(odd: Bucket) -> None:
    store, prefix = odd.store(), odd.below("live").store()
    for key in (*ABSENT, "live/with%20space", "odd//key", "./live/a+b", "live/a+b/"):
        assert store.stat(f"{odd.url}/{key}") is None
        assert prefix.stat(f"{odd.url}/{key}") is None


def test_stat_returns_the_current_version(bucket: Bucket) -> None:
    store = bucket.store()
    bucket.put("a/key", b"first bytes")
    first = store.stat(f"{bucket.url}/a/key")
    bucket.put("a/key", b"other bytes")
    other = store.stat(f"{bucket.url}/a/key")
    assert other == bucket.seen("a/key") != first
    assert first is not None
    assert other.size_bytes == first.size_bytes
    bucket.delete("a/key")
    assert store.stat(f"{bucket.url}/a/key") is None


def test_stat_finds_an_object_outside_the_prefix(bucket: Bucket) -> None:
    bucket.put("inside/a", b"x")
    bucket.put("outside/b", b"x")
    found = bucket.below("inside").store().stat(f"{bucket.url}/outside/b")
    assert found == (None if bucket.kind == "folder" else bucket.seen("outside/b"))


@pytest.mark.parametrize("kind", ["ministack", "seaweedfs"])
def test_stat_in_a_versioned_bucket_returns_the_newest_version_or_none(
    kind: str, new_bucket: Callable[[str], Bucket]
) -> None:
    bucket = new_bucket(kind)
    assert bucket.access.session is not None
    client = bucket.access.session.client("s3", endpoint_url=bucket.access.endpoint)
    name = bucket.url.removeprefix("s3://")
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    client.close()
    store = bucket.store()
    for content in (b"first bytes", b"other bytes"):
        bucket.put("key", content)
        assert store.stat(f"{bucket.url}/key") == bucket.seen("key")
    bucket.delete("key")
    assert store.stat(f"{bucket.url}/key") is None


@pytest.mark.parametrize("kind", ["ministack", "seaweedfs"])
def test_stat_of_a_multipart_object_returns_what_the_listing_returns(
    kind: str, new_bucket: Callable[[str], Bucket]
) -> None:
    bucket = new_bucket(kind)
    assert bucket.access.session is not None
    client = bucket.access.session.client("s3", endpoint_url=bucket.access.endpoint)
    where = {"Bucket": bucket.url.removeprefix("s3://"), "Key": "key"}
    where["UploadId"] = client.create_multipart_upload(**where)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": client.upload_part(**where, PartNumber=number, Body=bytes(size))["ETag"]}
        for number, size in ((1, 5 * MEGABYTE), (2, 1))
    ]
    client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    client.close()
    seen = bucket.store().stat(f"{bucket.url}/key")
    assert seen == bucket.seen("key")
    assert seen is not None
    assert seen.version.endswith("-2")


def test_a_key_that_ends_in_a_slash_or_begins_with_one_is_another_object(new_bucket: Callable[[str], Bucket]) -> None:
    bucket = new_bucket("gcs")
    contents = {"a": b"one", "a/": b"two", "/a": b"three"}
    for key, content in contents.items():
        bucket.put(key, content)
    store = bucket.store()
    found = {seen.uri.removeprefix(f"{bucket.url}/"): b"".join(store.read(seen)) for seen in listed(store)}
    assert found == contents


def test_a_prefix_ends_at_a_slash(bucket: Bucket) -> None:
    for key in ("live/eu/a", "live/eu/deeper/b", "live/europe/c", "live/eu.txt", "live/e/d"):
        bucket.put(key, b"x")
    for root in (bucket.below("live/eu"), replace(bucket, url=f"{bucket.url}/live/eu/")):
        found = {seen.uri for seen in listed(root.store())}
        assert found == {f"{bucket.url}/live/eu/a", f"{bucket.url}/live/eu/deeper/b"}


def test_an_empty_prefix_has_no_objects(bucket: Bucket) -> None:
    bucket.put("other/a", b"x")
    if bucket.kind == "folder":
        Path(bucket.url.removeprefix("file://"), "nothing").mkdir()
    assert listed(bucket.below("nothing").store()) == []


def test_a_long_listing_has_pages(bucket: Bucket) -> None:
    keys = [f"room{number % 7}/Rec-{number:05}.csv" for number in range(2500)]
    bucket.put_all(keys, b"some content")
    pages = [page for page in bucket.store().list() if page]
    assert len(pages) >= 3
    assert max(map(len, pages)) <= stores.PAGE_OBJECTS
    assert sorted(seen.uri for page in pages for seen in page) == sorted(f"{bucket.url}/{key}" for key in keys)
    assert {seen.size_bytes for page in pages for seen in page} == {len(b"some content")}


def test_repeated_listings_return_the_same_observations(bucket: Bucket) -> None:
    for key in ("a", "b/c"):
        bucket.put(key, key.encode())
    first, second = listed(bucket.store()), listed(bucket.store())
    assert sorted(first, key=lambda seen: seen.uri) == sorted(second, key=lambda seen: seen.uri)
    for seen in first:
        assert seen.modified_at.utcoffset() is not None
        assert '"' not in seen.version
        if bucket.url.startswith("s3"):
            assert seen.modified_at.microsecond == 0


VERSION = {
    "ministack": r"[0-9a-f]{32}",
    "seaweedfs": r"[0-9a-f]{32}",
    "gcs": r"\d{16}",
    "folder": r"\d{19}-7",
}


def test_a_version_is_the_identifier_of_the_store(bucket: Bucket) -> None:
    bucket.put("key", b"content")
    assert re.fullmatch(VERSION[bucket.kind], bucket.seen("key").version)


def test_the_same_bytes_put_again_have_the_same_content_tag(bucket: Bucket) -> None:
    bucket.put("key", b"the same")
    first = bucket.seen("key")
    bucket.put("key", b"other")
    other = bucket.seen("key")
    bucket.put("key", b"the same")
    again = bucket.seen("key")
    if bucket.kind == "folder":
        assert first.content_tag is None
    else:
        assert first.content_tag is not None
        assert first.content_tag == again.content_tag != other.content_tag
    assert first.version != other.version


def test_an_overwritten_version_is_not_read(bucket: Bucket) -> None:
    bucket.put("key", b"first bytes")
    old = bucket.seen("key")
    bucket.put("key", b"other bytes")
    with pytest.raises(stores.ObjectChanged, match=re.escape(old.uri)):
        list(bucket.store().read(old))
    assert b"".join(bucket.store().read(bucket.seen("key"))) == b"other bytes"


def test_a_deleted_object_is_missing(bucket: Bucket) -> None:
    bucket.put("key", b"first bytes")
    old = bucket.seen("key")
    bucket.delete("key")
    with pytest.raises(stores.ObjectMissing, match=re.escape(old.uri)):
        list(bucket.store().read(old))


@pytest.mark.parametrize("kind", ["ministack", "gcs"])
def test_an_odd_key_is_overwritten_and_deleted_like_any_other(kind: str, new_bucket: Callable[[str], Bucket]) -> None:
    bucket = new_bucket(kind)
    bucket.put("x//y", b"first bytes")
    old = bucket.seen("x//y")
    bucket.put("x//y", b"other bytes")
    with pytest.raises(stores.ObjectChanged):
        list(bucket.store().read(old))
    bucket.delete("x//y")
    with pytest.raises(stores.ObjectMissing):
        list(bucket.store().read(old))


def test_a_large_object_is_read_in_pieces(bucket: Bucket) -> None:
    reads_in_pieces(bucket, "key")


@pytest.mark.parametrize("kind", ["ministack", "gcs"])
def test_a_large_object_with_an_odd_key_is_read_in_pieces(kind: str, new_bucket: Callable[[str], Bucket]) -> None:
    reads_in_pieces(new_bucket(kind), "odd//key")


@pytest.mark.parametrize("kind", ["ministack", "seaweedfs"])
def test_a_version_with_an_id_can_be_read_after_it_was_overwritten(
    kind: str, new_bucket: Callable[[str], Bucket]
) -> None:
    bucket = new_bucket(kind)
    assert bucket.access.session is not None
    client = bucket.access.session.client("s3", endpoint_url=bucket.access.endpoint)
    where = {"Bucket": bucket.url.removeprefix("s3://"), "Key": "key"}
    client.put_bucket_versioning(Bucket=where["Bucket"], VersioningConfiguration={"Status": "Enabled"})
    old_id = client.put_object(**where, Body=b"first bytes")["VersionId"]
    seen = replace(bucket.seen("key"), version_id=old_id)
    bucket.put("key", b"other bytes")
    store = bucket.store()
    assert b"".join(store.read(seen)) == b"first bytes"
    client.delete_object(**where, VersionId=old_id)
    with pytest.raises(stores.ObjectChanged):
        list(store.read(seen))
    bucket.delete("key")
    with pytest.raises(stores.ObjectMissing):
        list(store.read(seen))
    client.close()


def test_a_noncurrent_generation_can_be_read(gcs: GcsServer, new_bucket: Callable[[str], Bucket]) -> None:
    bucket = new_bucket("gcs")
    settings = f"{gcs.endpoint}/storage/v1/b/{bucket.url.removeprefix('gs://')}"
    requests.patch(settings, json={"versioning": {"enabled": True}}, timeout=30).raise_for_status()
    for key in ("key", "odd//key"):
        bucket.put(key, b"first bytes")
        old = bucket.seen(key)
        bucket.put(key, b"other bytes")
        assert b"".join(bucket.store().read(old)) == b"first bytes"


def test_a_compressed_object_is_read_as_it_is_stored(gcs: GcsServer, new_bucket: Callable[[str], Bucket]) -> None:
    bucket, content = new_bucket("gcs"), gzip.compress(b"a chat " * 100)
    for key in ("key", "odd//key"):
        upload = f"{gcs.endpoint}/upload/storage/v1/b/{bucket.url.removeprefix('gs://')}/o"
        parameters = {"uploadType": "media", "name": key, "contentEncoding": "gzip"}
        requests.post(upload, params=parameters, data=content, timeout=30).raise_for_status()
        assert b"".join(bucket.store().read(bucket.seen(key))) == content


@pytest.mark.parametrize("kind", ["ministack", "seaweedfs"])
def test_an_object_stored_with_an_encoding_is_read_as_it_is_stored(
    kind: str, new_bucket: Callable[[str], Bucket]
) -> None:
    bucket, content = new_bucket(kind), gzip.compress(b"a chat " * 100)
    assert bucket.access.session is not None
    client = bucket.access.session.client("s3", endpoint_url=bucket.access.endpoint)
    name = bucket.url.removeprefix("s3://")
    for key in ("key", "with\ttab"):  # obstore reads the first, boto3 the second
        client.put_object(Bucket=name, Key=key, Body=content, ContentEncoding="gzip", ContentType="text/csv")
        assert b"".join(bucket.store().read(bucket.seen(key))) == content
    client.close()


def reads_in_pieces(bucket: Bucket, key: str) -> None:
    bucket.put(key, bytes(LARGE))
    bucket.put("small", b"x")
    seen, store = bucket.seen(key), bucket.store()
    assert b"".join(store.read(bucket.seen("small"))) == b"x"  # the first request allocates connections and threads
    before = _memory("VmRSS", reset_peak=True)
    sizes = [len(piece) for piece in store.read(seen)]
    assert sum(sizes) == seen.size_bytes == LARGE
    assert max(sizes) <= 2 * stores.PIECE_BYTES
    assert _memory("VmHWM") - before < 6 * stores.PIECE_BYTES


def test_an_object_that_changes_while_it_is_read_is_never_mixed(bucket: Bucket) -> None:
    size = 40 * MEGABYTE
    first, second = b"1" * size, b"2" * size
    bucket.put("key", first)
    reading = bucket.store().read(bucket.seen("key"))
    received = [next(reading)]
    bucket.put("key", second)
    try:
        received += reading
    except (stores.ObjectChanged, stores.ObjectMissing, stores.StoreError):
        assert bucket.kind != "gcs", "a generation does not change"
    else:
        assert bucket.kind != "folder", "a changed file was not detected"
        assert sum(map(len, received)) == size
    assert set(b"".join(received)) == {ord("1")}


def test_many_threads_share_a_store(bucket: Bucket) -> None:
    bucket.put_all([f"{number}" for number in range(200)], b"content of one")
    store = bucket.store()
    with ThreadPoolExecutor(8) as threads:
        contents = set(threads.map(lambda seen: b"".join(store.read(seen)), listed(store)))
        stats = list(threads.map(lambda seen: store.stat(seen.uri), listed(store)))
    assert contents == {b"content of one"}
    assert stats == listed(store)


def _memory(figure: str, *, reset_peak: bool = False) -> int:
    """Bytes of memory that this process uses (`VmRSS`) or has used at most (`VmHWM`), as Linux counts them."""
    if reset_peak:
        Path("/proc/self/clear_refs").write_text("5")
    (kilobytes,) = re.findall(rf"{figure}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024
