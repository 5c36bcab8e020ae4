"""Google Cloud Storage as a store: names, generations and MD5 from listings, bytes from GETs of one generation.

The JSON API lists, since it alone tells generations and MD5; obstore reads, except the names that it cannot take (see
`s3`). Google's storage library would list slower, and asks in the background for rights that a reader does not need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import google.auth
import obstore
import requests
import urllib3
from google.auth.credentials import Credentials, with_scopes_if_required
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from obstore.auth.google import GoogleCredentialProvider
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import GCSStore
from requests.adapters import HTTPAdapter

from roomledger import stores
from roomledger.model import Observation
from roomledger.stores import transfer

if TYPE_CHECKING:
    from obstore.store import GCSCredential, GCSCredentialProvider

READ_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"

_FIELDS = "name,generation,size,md5Hash,timeCreated"
_ERRORS = (BaseError, GoogleAuthError, requests.RequestException, urllib3.exceptions.HTTPError, OSError)
# What is stored compressed is to come as it is stored, of the size that the listing says.
_AS_STORED = {"Accept-Encoding": "gzip"}


class Gcs:
    """The objects of one bucket below a prefix."""

    def __init__(self, url: str, access: stores.Access) -> None:
        self.url = url.rstrip("/")
        _, self._bucket, prefix = stores.split_url(self.url)
        self._prefix = prefix + "/" if prefix else ""
        self._endpoint = (access.endpoint or "https://storage.googleapis.com").rstrip("/")
        provider: GCSCredentialProvider
        if access.credentials is not None:
            scoped = with_scopes_if_required(access.credentials, [READ_SCOPE])  # type: ignore[no-untyped-call]  # untyped
            provider = GoogleCredentialProvider(scoped)
            self._session: requests.Session = AuthorizedSession(scoped)  # type: ignore[no-untyped-call]  # untyped
        elif access.endpoint is not None:
            # An emulator takes any token. Without a provider obstore would look for credentials of its own.
            provider = _any_token
            self._session = requests.Session()
        else:
            raise stores.CredentialsMissing(_no_credentials(self.url))
        self._session.mount(self._endpoint, HTTPAdapter(max_retries=transfer.urllib3_retries()))
        self._objects = GCSStore(
            self._bucket,
            credential_provider=provider,
            base_url=self._endpoint,
            client_options=transfer.http_options(self._endpoint) | {"default_headers": _AS_STORED},
            retry_config=transfer.retries(),
        )

    def list(self) -> Iterator[list[Observation]]:
        """See `Store.list`."""
        token = None
        try:
            while True:
                page = self._page(prefix=self._prefix, maxResults=stores.PAGE_OBJECTS, pageToken=token)
                yield [observed(self._bucket, entry) for entry in page.get("items", ())]
                token = page.get("nextPageToken")
                if not token:
                    return
        except _ERRORS as error:
            raise self._explained(error, self.url, "list") from error

    def stat(self, uri: str) -> Observation | None:
        """See `Store.look`."""
        key = stores.key_of(uri, self)
        try:
            with self._get(f"/{quote(key, safe='')}", fields=_FIELDS) as answer:
                return observed(self._bucket, answer.json())
        except _ERRORS as error:
            if _status(error) != 404:
                raise self._explained(error, uri, "read") from error
        try:
            entry = self._listed(key)
        except _ERRORS as error:
            raise self._explained(error, uri, "list") from error
        return observed(self._bucket, entry) if entry else None

    def read(self, seen: Observation) -> Iterator[bytes]:
        """See `Store.read`."""
        key = stores.key_of(seen.uri, self)
        pieces = self._pieces if transfer.is_plain(key) else self._pieces_of_odd_key
        try:
            yield from transfer.whole(pieces(key, seen), seen)
        except _ERRORS as error:
            if isinstance(error, FileNotFoundError) or _status(error) == 404:
                raise self._absent(key, seen) from error
            raise self._explained(error, seen.uri, "read") from error

    def _page(self, **parameters: Any) -> dict[str, Any]:
        with self._get("", fields=f"items({_FIELDS}),nextPageToken", **parameters) as answer:
            page: dict[str, Any] = answer.json()
            return page

    def _listed(self, key: str) -> dict[str, Any] | None:
        """What the listing says of one key, which unlike an object's own 404 tells a missing bucket."""
        entries = self._page(prefix=key, maxResults=1).get("items", ())
        return next((entry for entry in entries if entry["name"] == key), None)

    def _get(self, name: str, **parameters: Any) -> requests.Response:
        answer: requests.Response = self._session.get(
            f"{self._endpoint}/storage/v1/b/{quote(self._bucket, safe='')}/o{name}",
            params=parameters,
            headers=_AS_STORED,
            timeout=(transfer.CONNECT_TIMEOUT.total_seconds(), transfer.READ_TIMEOUT.total_seconds()),
            stream="alt" in parameters,
        )
        if not answer.ok:
            with answer:
                answer.raise_for_status()
        return answer

    def _pieces(self, key: str, seen: Observation) -> Iterator[bytes]:
        found = obstore.get(self._objects, key, options={"version": seen.version})
        _check(found.meta["version"], seen)
        yield from transfer.pieces(found, seen)

    def _pieces_of_odd_key(self, key: str, seen: Observation) -> Iterator[bytes]:
        with self._get(f"/{quote(key, safe='')}", alt="media", generation=seen.version) as answer:
            _check(answer.headers.get("x-goog-generation"), seen)
            yield from answer.raw.stream(stores.PIECE_BYTES, decode_content=False)

    def _absent(self, key: str, seen: Observation) -> Exception:
        """What it means that there is no such generation: a look at the name tells a new one, none, or no bucket."""
        try:
            entry = self._listed(key)
        except _ERRORS as error:
            return self._explained(error, self.url, "list")
        if entry:
            return stores.ObjectChanged(f"{seen.uri} is generation {entry['generation']} now, not {seen.version}")
        return stores.ObjectGone(f"{seen.uri} is no longer there")

    def _explained(self, error: Exception, uri: str, verb: str) -> stores.StoreError:
        """The one place where the words of obstore and Google become ours."""
        detail, status = transfer.summary(error), _status(error)
        if status == 404:
            return stores.BucketMissing(f"{self._endpoint} has no bucket {self._bucket}: check the source's url")
        if status == 403 or isinstance(error, PermissionDeniedError):
            right = {"list": "storage.objects.list on the bucket", "read": "storage.objects.get on it"}[verb]
            return stores.AccessDenied(f"no permission to {verb} {uri}: the credentials need {right} ({detail})")
        if status == 401 or isinstance(error, UnauthenticatedError | GoogleAuthError):
            return stores.AccessDenied(f"{self._endpoint} does not accept the credentials for {uri}: {detail}")
        if status is None and isinstance(error, requests.RequestException):
            return stores.StoreError(
                f"no proper answer from {self._endpoint} to the request to {verb} {uri}: check the network, "
                f"and the endpoint in the source's settings ({detail})"
            )
        return stores.StoreError(f"{self._endpoint} could not {verb} {uri}: {detail}")


def observed(bucket: str, resource: Mapping[str, Any]) -> Observation:
    """What an object resource of the JSON API says of its object; listings, answers and notifications bring it."""
    # The creation time of a generation stays; `updated` moves with every change of metadata.
    created_at = datetime.fromisoformat(resource["timeCreated"])
    uri = f"gs://{bucket}/{resource['name']}"
    return Observation(uri, resource["generation"], created_at, int(resource["size"]), resource.get("md5Hash"))


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


def _check(generation: str | None, seen: Observation) -> None:
    """A proxy or an emulator may not heed the generation."""
    if generation != seen.version:
        raise stores.ObjectChanged(f"{seen.uri} is generation {generation} now, not {seen.version}")


def _status(error: Exception) -> int | None:
    response = error.response if isinstance(error, requests.RequestException) else None
    return None if response is None else response.status_code
