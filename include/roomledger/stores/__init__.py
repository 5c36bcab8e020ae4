"""Stores, the buckets that hold recordings: what each of them offers, whatever holds its bytes, and what may go wrong.

A store is read only: `list` gives the object versions under its URL, `stat` the current one at an address, `read` the
bytes of exactly one. One module per kind of store: `s3`, `gcs`, `folder`; `runtime` opens them, and nothing else knows
which kind it talks to.
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
"""Observations in one page of a listing, the last page excepted."""
PIECE_BYTES = 8 * 1024 * 1024
"""A larger object is read in pieces of about this size, a smaller one in a single piece."""


class StoreError(Exception):
    """The store did not answer as it should; the same call may work later or after the fix that the message names."""


class AccessDenied(StoreError):
    """The store refused the credentials, or these have no right to do this."""


class BucketMissing(StoreError):
    """There is no such bucket or folder."""


class CredentialsMissing(StoreError):
    """No credentials were found to ask with."""


class ObjectChanged(Exception):
    """The store holds another version of the object than the one asked for."""


class ObjectGone(Exception):
    """The store holds the object no more."""


class Reader(Protocol):
    """Whatever gives the bytes of object versions. Safe to use from many threads, which then share its connections."""

    def read(self, seen: Observation) -> Iterator[bytes]:
        """Give the bytes of exactly this version, in pieces; bytes that came before an error are to be dropped.

        Raises `ObjectChanged`, `ObjectGone` or `StoreError`, with the first piece or any later one.
        """
        ...


class Store(Reader, Protocol):
    """The objects of one bucket source."""

    url: str
    """The root, without a slash at its end: `s3://bucket/prefix`, `gs://bucket/prefix` or `file:///folder`."""

    def list(self) -> Iterator[list[Observation]]:
        """Give all object versions under the root by pages, in the store's order; `live/eu` excludes `live/europe`.

        Raises `StoreError`, possibly after some pages.
        """
        ...

    def stat(self, uri: str) -> Observation | None:
        """Give the current version at this address of the store's bucket, as `list` would; None when there is none.

        Raises `StoreError`, and `ValueError` for an address that lies elsewhere.
        """
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a bucket or a queue, credentials looked up. A folder needs none of this."""

    session: boto3.Session | None = None
    """For S3: any kind of credentials that a session can hold, renewed as they run out."""
    credentials: Credentials | None = None
    """For GCS; without them only an `endpoint` that wants none can be asked."""
    endpoint: str | None = None
    """Address of an S3-compatible store, a private endpoint or an emulator; None for the cloud's own."""
    region: str | None = None
    """For S3; None takes the session's, or else the bucket's own."""


def split_url(url: str) -> tuple[str, str, str]:
    """Scheme, bucket and key of an address; the key stays as it is, since it may hold `?`, `#`, `%` or `//`."""
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
    """The key of an object of this store's bucket. Raises `ValueError` for an object that lies elsewhere."""
    scheme, bucket, key = split_url(uri)
    if (scheme, bucket) != split_url(store.url)[:2]:
        raise ValueError(f"{uri} does not lie in the bucket of {store.url}")
    return key
