"""Stores, the buckets that hold recordings: their common interface and errors.

A store is read only: `list` returns the object versions under its URL, `stat` the current one at an address, `read` the
bytes of exactly one. One module per kind of store: `s3`, `gcs`, `folder`; only `runtime`, which opens them, knows the
kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from roomledger.model import Observation

if TYPE_CHECKING:
    import boto3  # type: ignore[import-untyped]  # ships no types
    from google.auth.credentials import Credentials

PAGE_OBJECTS = 1000
"""Observations in one page of a listing, except the last."""
PIECE_BYTES = 8 * 1024 * 1024
"""A larger object is read in pieces of about this size, a smaller one in a single piece."""


class StoreError(Exception):
    """The store did not respond as expected; the call may succeed later, or after the fix that the message names."""


class AccessDenied(StoreError):
    """The store rejected the credentials, or they lack the permission."""


class BucketMissing(StoreError):
    """There is no such bucket or folder."""


class CredentialsMissing(StoreError):
    """There are no credentials for a bucket, queue or workspace."""


class ObjectChanged(Exception):
    """The store has another version of the object than the requested one."""


class ObjectMissing(Exception):
    """The store no longer has the object."""


class Reader(Protocol):
    """Reads object versions. Safe to use from many threads, which share its connections."""

    def read(self, seen: Observation) -> Iterator[bytes]:
        """Yield the bytes of exactly this version, in pieces; bytes before an error must be dropped.

        Raises `ObjectChanged`, `ObjectMissing` or `StoreError`, at the first piece or any later one.
        """
        ...


class Store(Reader, Protocol):
    """The objects of one bucket source."""

    url: str
    """The root, without a slash at its end: `s3://bucket/prefix`, `gs://bucket/prefix` or `file:///folder`."""

    def list(self) -> Iterator[list[Observation]]:
        """Yield all object versions under the root by pages, in the store's order; `live/eu` excludes `live/europe`.

        Raises `StoreError`, possibly after some pages.
        """
        ...

    def stat(self, uri: str) -> Observation | None:
        """Return the current version at this address of the store's bucket, as `list` would; None if there is none.

        Raises `StoreError`, and `ValueError` for an address in another bucket.
        """
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """Credentials and endpoint of a bucket or a queue. A folder needs none of this."""

    session: boto3.Session | None = None
    """For AWS: any kind of credentials that a session can hold, renewed before they expire."""
    credentials: Credentials | None = None
    """For Google Cloud; only an `endpoint` that requires none can be used without."""
    endpoint: str | None = None
    """Address of an S3-compatible store, a private endpoint or an emulator; None for the cloud's default."""
    region: str | None = None
    """For AWS; None for that of the session, or else of the bucket."""


def split_url(url: str) -> tuple[str, str, str]:
    """Return scheme, bucket and key of an address; the key is not decoded, since it may have `?`, `#`, `%` or `//`."""
    scheme, _, rest = url.partition("://")
    bucket, slash, key = rest.partition("/")
    if scheme == "file" and not bucket and slash:
        return scheme, "", "/" + key
    if scheme in ("s3", "gs", "100ms") and bucket:
        return scheme, bucket, key
    raise ValueError(
        f"{url!r} is not the URL of a store: use s3://bucket/prefix, gs://bucket/prefix, file:///folder or 100ms://workspace"
    )


def key_of(uri: str, store: Store) -> str:
    """Return the key of an object of this store's bucket. Raises `ValueError` for an object of another bucket."""
    scheme, bucket, key = split_url(uri)
    if (scheme, bucket) != split_url(store.url)[:2]:
        raise ValueError(f"{uri} is not in the bucket of {store.url}")
    return key
