"""Google Cloud Storage as a store: names, generations and MD5 from listings, bytes from GETs of one generation.

google-cloud-storage lists and stats, since obstore reports neither generation nor MD5 of a listed object. obstore
reads, with less work per object; google-cloud-storage reads the keys that obstore cannot name (see `s3`).
The reader needs `storage.objects.list` and `storage.objects.get`, and no request here needs more.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import obstore
import requests
from google.auth.credentials import with_scopes_if_required
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Blob, Bucket  # type: ignore[import-untyped]  # ships no types
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from roomledger import stores
from roomledger.model import Observation
from roomledger.stores import gcs_client, google_credentials, transfer
from roomledger.stores.gcs_client import ERRORS, retry_options

READ_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"

_FIELDS = "items(name,generation,size,md5Hash,timeCreated),nextPageToken"
# An object stored compressed is read as stored: its size is then the one that the listing states.
_AS_STORED = {"Accept-Encoding": "gzip"}


class Gcs:
    """The objects of one bucket below a prefix."""

    def __init__(self, url: str, access: stores.Access) -> None:
        self.url = url.rstrip("/")
        _, self._name, prefix = stores.split_url(self.url)
        self._prefix = prefix + "/" if prefix else ""
        self._endpoint = (access.endpoint or gcs_client.ENDPOINT).rstrip("/")
        if access.credentials is None and access.endpoint is None:
            raise google_credentials.missing(self.url)
        self._credentials = with_scopes_if_required(access.credentials, [READ_SCOPE])  # type: ignore[no-untyped-call]  # untyped
        self._objects = gcs_client.open_objects(self._name, self._endpoint, self._credentials, headers=_AS_STORED)

    @cached_property
    def _bucket(self) -> Bucket:
        # Not opened with the store: some credentials request a metadata server first, and that may fail.
        return gcs_client.open_bucket(self._name, self._endpoint, self._credentials)

    def list(self) -> Iterator[list[Observation]]:
        """See `Store.list`."""
        try:
            blobs = self._bucket.list_blobs(
                prefix=self._prefix, fields=_FIELDS, page_size=stores.PAGE_OBJECTS, **retry_options()
            )
            for page in blobs.pages:
                yield [self._observed(blob) for blob in page]
        except ERRORS as error:
            raise self._explain(error, self.url, "list") from error

    def stat(self, uri: str) -> Observation | None:
        """See `Store.stat`."""
        key = stores.key_of(uri, self)
        try:
            if blob := self._bucket.get_blob(key, **retry_options()):
                return self._observed(blob)
        except ERRORS as error:
            raise self._explain(error, uri, "read") from error
        try:
            blob = self._find(key)
        except ERRORS as error:
            raise self._explain(error, uri, "list") from error
        return self._observed(blob) if blob else None

    def read(self, seen: Observation) -> Iterator[bytes]:
        """See `Store.read`."""
        key = stores.key_of(seen.uri, self)
        pieces = self._pieces if transfer.is_plain(key) else self._pieces_of_odd_key
        try:
            yield from transfer.check_size(pieces(key, seen), seen)
        except ERRORS as error:
            if isinstance(error, FileNotFoundError) or gcs_client.status_of(error) == 404:
                raise self._explain_absent(key, seen) from error
            raise self._explain(error, seen.uri, "read") from error

    def _observed(self, blob: Blob) -> Observation:
        # The creation time of a generation is fixed; `updated` changes with the object's metadata.
        uri = f"gs://{self._name}/{blob.name}"
        return Observation(uri, str(blob.generation), blob.time_created, blob.size, blob.md5_hash)

    def _find(self, key: str) -> Blob | None:
        """Find one key by listing: unlike the 404 of an object, that of a listing means that there is no bucket."""
        blobs = self._bucket.list_blobs(prefix=key, fields=_FIELDS, max_results=1, **retry_options())
        return next((blob for blob in blobs if blob.name == key), None)

    def _pieces(self, key: str, seen: Observation) -> Iterator[bytes]:
        result = obstore.get(self._objects, key, options={"version": seen.version})
        _check(result.meta["version"], seen)
        yield from transfer.pieces(result, seen)

    def _pieces_of_odd_key(self, key: str, seen: Observation) -> Iterator[bytes]:
        blob = self._bucket.blob(key, generation=int(seen.version))
        with blob.open("rb", chunk_size=stores.PIECE_BYTES, raw_download=True, **retry_options()) as body:
            for _ in range(0, max(seen.size_bytes, 1), stores.PIECE_BYTES):
                piece: bytes = body.read(stores.PIECE_BYTES)
                _check(str(blob.generation), seen)
                yield piece

    def _explain_absent(self, key: str, seen: Observation) -> Exception:
        """Explain a missing generation: the listing shows a newer one, or none, or that there is no bucket."""
        try:
            blob = self._find(key)
        except ERRORS as error:
            return self._explain(error, self.url, "list")
        if blob:
            return stores.ObjectChanged(f"{seen.uri} is generation {blob.generation} now, not {seen.version}")
        return stores.ObjectMissing(f"{seen.uri} no longer exists")

    def _explain(self, error: Exception, uri: str, verb: str) -> stores.StoreError:
        """Translate an error of obstore or Google into one of `stores`."""
        detail, status = gcs_client.summary(error), gcs_client.status_of(error)
        if status == 404:
            return stores.BucketMissing(f"{self._endpoint} has no bucket {self._name}: check the source's url")
        if status == 403 or isinstance(error, PermissionDeniedError):
            right = {"list": "storage.objects.list on the bucket", "read": "storage.objects.get on it"}[verb]
            return stores.AccessDenied(f"no permission to {verb} {uri}: the credentials need {right} ({detail})")
        if status == 401 or isinstance(error, UnauthenticatedError | GoogleAuthError):
            return stores.AccessDenied(f"{self._endpoint} does not accept the credentials for {uri}: {detail}")
        if isinstance(gcs_client.last_of(error), requests.RequestException | AttributeError):
            return stores.StoreError(
                f"no valid response from {self._endpoint} to the request to {verb} {uri}: check the network, "
                f"and the endpoint in the source's settings ({detail})"
            )
        return stores.StoreError(f"{self._endpoint} could not {verb} {uri}: {detail}")


def _check(generation: str | None, seen: Observation) -> None:
    """Catch a proxy or an emulator that ignores the generation."""
    if generation != seen.version:
        raise stores.ObjectChanged(f"{seen.uri} is generation {generation} now, not {seen.version}")
