"""Google Cloud Storage as a store: names, generations and MD5 from listings, bytes from GETs of one generation.

google-cloud-storage lists, since only its API tells generations and MD5; obstore reads, except the names that it cannot
take (see `s3`). A generation is a number that never comes back for another version.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import google.auth
import obstore
import requests
from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, Unauthorized
from google.auth.credentials import AnonymousCredentials, Credentials, with_scopes_if_required
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]  # ships no types
from obstore.auth.google import GoogleCredentialProvider
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import GCSStore

from roomledger import stores
from roomledger.model import Observation
from roomledger.stores import transfer

if TYPE_CHECKING:
    from obstore.store import GCSCredential

READ_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"

_ERRORS = (BaseError, GoogleAPIError, GoogleAuthError, requests.RequestException, OSError)


class Gcs:
    """The objects of one bucket below a prefix."""

    def __init__(self, url: str, access: stores.Access) -> None:
        self.url = url.rstrip("/")
        _, self._bucket, prefix = stores.split(self.url)
        self._prefix = prefix + "/" if prefix else ""
        self._endpoint = access.endpoint or "https://storage.googleapis.com"
        if access.credentials is None and access.endpoint is None:
            raise stores.CredentialsMissing(_no_credentials(self.url))
        credentials = with_scopes_if_required(  # type: ignore[no-untyped-call]  # google-auth left it without types
            access.credentials or AnonymousCredentials(),  # type: ignore[no-untyped-call]  # and this
            [READ_SCOPE],
        )
        options = {"api_endpoint": access.endpoint} if access.endpoint else {}
        self._client = storage.Client(project=None, credentials=credentials, client_options=options)
        self._patience: dict[str, Any] = {
            "timeout": (transfer.CONNECT_TIMEOUT.total_seconds(), transfer.READ_TIMEOUT.total_seconds()),
            "retry": DEFAULT_RETRY.with_delay(initial=transfer.FIRST_PAUSE.total_seconds()).with_timeout(
                transfer.RETRY_TIME.total_seconds()
            ),
        }
        self._objects = GCSStore(
            self._bucket,
            # An emulator takes any token. Without a provider obstore would look for credentials of its own.
            credential_provider=GoogleCredentialProvider(credentials) if access.credentials else _any_token,
            base_url=self._endpoint,
            # What is stored compressed comes as it is stored, of the size that the listing says.
            client_options=transfer.http_options(self._endpoint) | {"default_headers": {"Accept-Encoding": "gzip"}},
            retry_config=transfer.retries(),
        )

    def list(self) -> Iterator[list[Observation]]:
        """See `Store.list`."""
        try:
            for page in self._listing(prefix=self._prefix, page_size=stores.PAGE_OBJECTS).pages:
                yield [self._observed(blob) for blob in page]
        except _ERRORS as error:
            raise self._explained(error, self.url, "list") from error

    def read(self, seen: Observation) -> Iterator[bytes]:
        """See `Store.read`."""
        key = stores.key_of(seen, self)
        pieces = self._pieces if transfer.is_plain(key) else self._pieces_of_odd_key
        try:
            yield from transfer.whole(pieces(key, seen), seen)
        except (FileNotFoundError, NotFound) as error:
            raise self._absent(key, seen) from error
        except _ERRORS as error:
            raise self._explained(error, seen.uri, "read") from error

    def _listing(self, **options: Any) -> Any:
        fields = "items(name,generation,size,md5Hash,timeCreated),nextPageToken"
        return self._client.list_blobs(self._bucket, fields=fields, **options, **self._patience)

    def _observed(self, blob: Any) -> Observation:
        # A generation's creation time stays; its `updated` moves with every change of metadata.
        return Observation(
            f"gs://{self._bucket}/{blob.name}", str(blob.generation), blob.time_created, blob.size, blob.md5_hash
        )

    def _pieces(self, key: str, seen: Observation) -> Iterator[bytes]:
        found = obstore.get(self._objects, key, options={"version": seen.version})
        if found.meta["version"] != seen.version:
            raise stores.ObjectChanged(f"{seen.uri} is generation {found.meta['version']} now, not {seen.version}")
        yield from transfer.pieces(found, seen)

    def _pieces_of_odd_key(self, key: str, seen: Observation) -> Iterator[bytes]:
        blob = self._client.bucket(self._bucket).blob(key, generation=int(seen.version))
        with blob.open("rb", chunk_size=stores.PIECE_BYTES, raw_download=True, **self._patience) as reader:
            while piece := reader.read(stores.PIECE_BYTES):
                yield piece

    def _absent(self, key: str, seen: Observation) -> Exception:
        """What it means that there is no such generation: a look at the name tells a new one, none, or no bucket."""
        try:
            now = {blob.name: blob.generation for blob in self._listing(prefix=key, max_results=1)}
        except _ERRORS as error:
            return self._explained(error, self.url, "list")
        if key in now:
            return stores.ObjectChanged(f"{seen.uri} is generation {now[key]} now, not {seen.version}")
        return stores.ObjectGone(f"{seen.uri} is no longer there")

    def _explained(self, error: Exception, uri: str, verb: str) -> stores.StoreError:
        """The one place where the words of obstore and Google's libraries become ours."""
        detail = transfer.summary(error)
        match error:
            case NotFound():
                return stores.BucketMissing(f"{self._endpoint} has no bucket {self._bucket}: check the source's url")
            case Forbidden() | PermissionDeniedError():
                right = {"list": "storage.objects.list on the bucket", "read": "storage.objects.get on it"}[verb]
                return stores.AccessDenied(f"no permission to {verb} {uri}: the credentials need {right}")
            case Unauthorized() | UnauthenticatedError() | GoogleAuthError():
                return stores.AccessDenied(f"Google does not accept the credentials for {uri}: {detail}")
            case requests.RequestException():
                return stores.StoreError(
                    f"no proper answer from {self._endpoint} to the request to {verb} {uri}: check the network, "
                    f"and the endpoint in the source's settings ({detail})"
                )
            case _:
                return stores.StoreError(f"{self._endpoint} could not {verb} {uri}: {detail}")


def default_credentials(url: str) -> Credentials:
    """Google's application default credentials. Raises `CredentialsMissing`."""
    try:
        credentials: Credentials = google.auth.default(scopes=[READ_SCOPE])[0]
    except DefaultCredentialsError as error:
        raise stores.CredentialsMissing(_no_credentials(url)) from error
    return credentials


def _no_credentials(url: str) -> str:
    return (
        f"no Google credentials for {url}: run `gcloud auth application-default login`, set "
        "GOOGLE_APPLICATION_CREDENTIALS, or name an Airflow connection in the source's settings"
    )


def _any_token() -> GCSCredential:
    return {"token": "none", "expires_at": None}
