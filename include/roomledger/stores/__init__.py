"""Where recordings lie: what every store can tell and give, whatever holds its bytes, and what may go wrong.

A store is read only: `list` says which object versions there are under its URL, `look` which one there is now under one
address, `read` gives the bytes of exactly one. One module per kind of store: `s3`, `gcs`, `folder`; nothing outside
them knows which one it talks to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from roomledger.model import Observation

if TYPE_CHECKING:
    import boto3  # type: ignore[import-untyped]  # ships no types
    from google.auth.credentials import Credentials

    from roomledger.hundredms.tokens import Keys

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


class Store(Protocol):
    """One source's objects. Safe to use from many threads, which then share its connections."""

    url: str
    """The root, without a slash at its end: `s3://bucket/prefix`, `gs://bucket/prefix` or `file:///folder`."""

    def list(self) -> Iterator[list[Observation]]:
        """Everything under the root, a page at a time, in the store's own order; `live/eu` leaves out `live/europe`.

        Raises `StoreError`, possibly after some pages.
        """
        ...

    def stat(self, uri: str) -> Observation | None:
        """What is there now under this address in the store's bucket, just as `list` would tell it; None for nothing.

        Raises `StoreError`, and `ValueError` for an address that lies elsewhere.
        """
        ...

    def read(self, seen: Observation) -> Iterator[bytes]:
        """The bytes of exactly this version, in pieces; bytes that were given before an error are to be dropped.

        Raises `ObjectChanged`, `ObjectGone` or `StoreError`, with the first piece or any later one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a store; whoever opens it has looked up the credentials. A folder needs none of this."""

    session: boto3.Session | None = None
    """For S3: any kind of credentials that a session can hold, renewed as they run out."""
    credentials: Credentials | None = None
    """For GCS; without them only an `endpoint` that wants none can be asked."""
    keys: Keys | None = None
    """For a workspace: the access key and app secret of the vendor's dashboard."""
    endpoint: str | None = None
    """Address of an S3-compatible store, a private endpoint or an emulator; None for the cloud's own."""
    region: str | None = None
    """For S3; None takes the session's, or else the bucket's own."""


def open_store(url: str, access: Access) -> Store:
    """Get the store at `url` ready for use; nothing is written there, and little or nothing asked yet.

    Raises `CredentialsMissing`, and `ValueError` for a URL that names no store.
    """
    match split(url)[0]:
        case "s3":
            from roomledger.stores.s3 import S3

            return S3(url, access)
        case "gs":
            from roomledger.stores.gcs import Gcs

            return Gcs(url, access)
        case "100ms":
            from roomledger.hundredms.storage import open_workspace

            return open_workspace(url, access)
        case _:
            from roomledger.stores.folder import Folder

            return Folder(url)


def default_access(
    url: str, *, connection: str | None = None, endpoint: str | None = None, region: str | None = None
) -> Access:
    """Find credentials as each cloud's own tools do; on S3, `connection` may name an AWS profile.

    The keys of a workspace come from environment variables that its connection, or else the workspace, gives the name.

    Raises `CredentialsMissing` when Google's tools find none; a missing AWS key shows when the store is opened.
    """
    match split(url)[0]:
        case "s3":
            from roomledger.stores.s3 import default_session

            return Access(session=default_session(connection), endpoint=endpoint, region=region)
        case "gs":
            from roomledger.stores.gcs import default_credentials

            # An emulator is the only endpoint without TLS, and wants no credentials.
            emulator = (endpoint or "").startswith("http://")
            return Access(credentials=None if emulator else default_credentials(url), endpoint=endpoint)
        case "100ms":
            from roomledger.hundredms.storage import default_keys

            return Access(keys=default_keys(url, connection), endpoint=endpoint)
        case _:
            return Access()


def split(url: str) -> tuple[str, str, str]:
    """Scheme, bucket and key of an address; the key stays as it is, since it may hold `?`, `#`, `%` or `//`."""
    scheme, _, rest = url.partition("://")
    bucket, slash, key = rest.partition("/")
    if scheme == "file" and not bucket and slash:
        return scheme, "", "/" + key
    if scheme in ("s3", "gs", "100ms") and bucket:
        return scheme, bucket, key
    raise ValueError(
        f"{url!r} names no store: it should be s3://bucket/prefix, gs://bucket/prefix, file:///folder or 100ms://workspace"
    )


def key_of(uri: str, store: Store) -> str:
    """The key of an object of this store's bucket. Raises `ValueError` for an object that lies elsewhere."""
    scheme, bucket, key = split(uri)
    if (scheme, bucket) != split(store.url)[:2]:
        raise ValueError(f"{uri} does not lie in the bucket of {store.url}")
    return key
