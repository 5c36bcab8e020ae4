"""Connections to Google Cloud Storage for the store and the inbox: google-cloud-storage and obstore set up alike.

Both use the same credentials, the same endpoint, and the timeouts and retries of `transfer`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import GoogleAPIError, RetryError
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Bucket, Client  # type: ignore[import-untyped]  # ships no types
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]  # ships no types
from obstore.auth.google import GoogleCredentialProvider
from obstore.exceptions import BaseError
from obstore.store import GCSStore

from roomledger.stores import transfer

if TYPE_CHECKING:
    import requests
    from obstore.store import GCSCredential

ENDPOINT = "https://storage.googleapis.com"
ERRORS = (BaseError, GoogleAPIError, GoogleAuthError, OSError, AttributeError)
"""All that obstore and google-cloud-storage raise.

An error of requests is an `OSError`. google-cloud-storage raises an `AttributeError` for an answer in JSON that has not
the form of Google's API, such as a proxy's.
"""


def open_bucket(name: str, endpoint: str, credentials: Credentials | None) -> Bucket:
    """Get a bucket ready for google-cloud-storage, which sends no request for it; an emulator needs no credentials."""
    # By default the library requests the bucket's metadata in the background, which needs storage.buckets.get.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    credentials = credentials or AnonymousCredentials()  # type: ignore[no-untyped-call]  # untyped
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]  # untyped
    session.hooks["response"].append(_read_error)
    # The library refuses credentials of another universe than its own, whatever the endpoint.
    options = {"api_endpoint": endpoint, "universe_domain": credentials.universe_domain}
    return Client(project=None, credentials=credentials, _http=session, client_options=options).bucket(name)


def open_objects(
    name: str, endpoint: str, credentials: Credentials | None, *, headers: dict[str, str] | None = None
) -> GCSStore:
    """Get the objects of a bucket for obstore; `headers` go with every request."""
    return GCSStore(
        name,
        # Without a provider obstore would look for credentials of its own; an emulator takes any token.
        credential_provider=GoogleCredentialProvider(credentials) if credentials else _any_token,
        base_url=endpoint,
        client_options=transfer.http_options(endpoint) | {"default_headers": headers or {}},
        retry_config=transfer.retries(),
    )


def patience() -> dict[str, Any]:
    """Arguments of a call of google-cloud-storage: the timeouts and retries that obstore has from `transfer`."""
    longest = transfer.RETRY_TIME.total_seconds()
    delays = {"initial": transfer.FIRST_PAUSE.total_seconds(), "maximum": longest, "multiplier": 2}
    return {
        "timeout": (transfer.CONNECT_TIMEOUT.total_seconds(), transfer.READ_TIMEOUT.total_seconds()),
        "retry": DEFAULT_RETRY.with_delay(**delays).with_timeout(longest),
    }


def last_of(error: Exception) -> Exception:
    """The error after which google-cloud-storage has stopped trying again."""
    return error.cause if isinstance(error, RetryError) and error.cause else error


def status_of(error: Exception) -> int | None:
    """HTTP status of the answer that an error of google-cloud-storage is about; None for any other error."""
    response = getattr(last_of(error), "response", None)
    return None if response is None else response.status_code


def summary(error: Exception) -> str:
    """The text of an error in one line; for an answer its status and Google's text, without the request."""
    last = last_of(error)
    response = getattr(last, "response", None)
    if response is None:
        return transfer.summary(last)
    try:
        text = response.json()["error"]["message"]
    except (ValueError, LookupError, TypeError):
        text = response.reason  # a proxy's answer
    return transfer.summary(f"{response.status_code} {text}")


def _read_error(response: requests.Response, **_: Any) -> None:
    """Free the connection: the library leaves the body of a failed download unread."""
    if not response.ok:
        len(response.content)


def _any_token() -> GCSCredential:
    return {"token": "none", "expires_at": None}
