"""Connections to Google Cloud Storage: google-cloud-storage and obstore, configured alike.

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

An error of requests is an `OSError`. google-cloud-storage raises an `AttributeError` for a JSON response that does not
have the form of Google's API, such as a proxy's.
"""


def open_bucket(name: str, endpoint: str, credentials: Credentials | None) -> Bucket:
    """Return a bucket of google-cloud-storage; no request is sent. An emulator needs no credentials."""
    # By default the library requests the bucket's metadata in the background, which needs storage.buckets.get.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    credentials = credentials or AnonymousCredentials()  # type: ignore[no-untyped-call]  # untyped
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]  # untyped
    session.hooks["response"].append(_read_error)
    # The library refuses credentials of another universe than its own, for any endpoint.
    options = {"api_endpoint": endpoint, "universe_domain": credentials.universe_domain}
    return Client(project=None, credentials=credentials, _http=session, client_options=options).bucket(name)


def open_objects(
    name: str, endpoint: str, credentials: Credentials | None, *, headers: dict[str, str] | None = None
) -> GCSStore:
    """Return the objects of a bucket for obstore; `headers` are sent with every request."""
    return GCSStore(
        name,
        # Without a provider obstore would search for credentials of its own; an emulator accepts any token.
        credential_provider=GoogleCredentialProvider(credentials) if credentials else _any_token,
        base_url=endpoint,
        client_options=transfer.http_options(endpoint) | {"default_headers": headers or {}},
        retry_config=transfer.retries(),
    )


def retry_options() -> dict[str, Any]:
    """Arguments of a call of google-cloud-storage: the timeouts and retries of `transfer`, as obstore has them."""
    longest = transfer.RETRY_TIME.total_seconds()
    delays = {"initial": transfer.FIRST_PAUSE.total_seconds(), "maximum": longest, "multiplier": 2}
    return {
        "timeout": (transfer.CONNECT_TIMEOUT.total_seconds(), transfer.READ_TIMEOUT.total_seconds()),
        "retry": DEFAULT_RETRY.with_delay(**delays).with_timeout(longest),
    }


def last_of(error: Exception) -> Exception:
    """The error after which google-cloud-storage stopped retrying."""
    return error.cause if isinstance(error, RetryError) and error.cause else error


def status_of(error: Exception) -> int | None:
    """HTTP status of the response that caused an error of google-cloud-storage; None for any other error."""
    response = getattr(last_of(error), "response", None)
    return None if response is None else response.status_code


def summary(error: Exception) -> str:
    """The text of an error in one line; for a response its status and Google's text, without the request."""
    last = last_of(error)
    response = getattr(last, "response", None)
    if response is None:
        return transfer.summary(last)
    try:
        text = response.json()["error"]["message"]
    except (ValueError, LookupError, TypeError):
        text = response.reason  # a proxy's response
    return transfer.summary(f"{response.status_code} {text}")


def _read_error(response: requests.Response, **_: Any) -> None:
    """Free the connection: the library leaves the body of a failed download unread."""
    if not response.ok:
        len(response.content)


def _any_token() -> GCSCredential:
    return {"token": "none", "expires_at": None}
