"""Google's application default credentials, for buckets and queues."""

from __future__ import annotations

import google.auth
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError

from roomledger.stores import CredentialsMissing


def default_credentials(url: str, scope: str, endpoint: str | None = None) -> Credentials | None:
    """Return the credentials for the bucket or queue at `url`; none for an emulator. Raises `CredentialsMissing`."""
    if endpoint and endpoint.startswith("http://"):  # only emulators have no TLS
        return None
    try:
        credentials: Credentials = google.auth.default(scopes=[scope])[0]
    except DefaultCredentialsError as error:
        raise missing(url) from error
    return credentials


def missing(url: str) -> CredentialsMissing:
    """Return the error to raise when there are no credentials."""
    return CredentialsMissing(
        f"no Google credentials for {url}: run `gcloud auth application-default login`, set "
        "GOOGLE_APPLICATION_CREDENTIALS, or set `connection` in the settings to an Airflow connection"
    )
