"""One connection to the Google Cloud project of the buckets; its errors are raised as ours."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import google.auth
import requests
from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound, RetryError, Unauthorized
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.cloud.storage import Bucket  # type: ignore[import-untyped]  # ships no types

from roomledger.provisioning import CannotConfigure, ProvisioningError
from roomledger.provisioning.selection import Selection
from roomledger.stores import gcs_client, transfer

try:
    import grpc  # type: ignore[import-untyped]  # ships no types
    from google.pubsub_v1 import PublisherClient, SubscriberClient
except ImportError as missing:
    raise CannotConfigure(f"{missing.name} is not installed: pip install 'roomledger[pubsub]'") from missing

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""Changing settings needs more than a read-only scope; the roles of the credentials limit what they may do."""
_WAY_OUT = "run `gcloud auth application-default login` or set GOOGLE_APPLICATION_CREDENTIALS"


class Google:
    """Clients of storage and Pub/Sub. Nothing is requested before it is needed.

    An endpoint that starts with `http://` is an emulator and gets no credentials.
    """

    def __init__(self, selection: Selection, project: str | None) -> None:
        queue = selection.queue
        self._project = queue.parts["project"] if queue else project
        self._endpoint = selection.source.endpoint or gcs_client.ENDPOINT
        self._queue_endpoint = (queue.endpoint if queue else None) or ""

    @contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """Raise errors of an action as `CannotConfigure` or `ProvisioningError`."""
        try:
            yield
        except Forbidden as error:
            raise CannotConfigure(f"the credentials lack the permission to {action}: {error.message}") from error
        except (Unauthorized, RefreshError) as error:
            reason = transfer.summary(error)
            raise CannotConfigure(f"Google does not accept the credentials ({reason}): {_WAY_OUT}") from error
        except NotFound as error:
            raise CannotConfigure(f"cannot {action}: {error.message}") from error
        except DefaultCredentialsError as error:
            raise CannotConfigure(f"no Google credentials were found: {_WAY_OUT}") from error
        except (GoogleAPICallError, RetryError, GoogleAuthError, requests.RequestException, OSError) as error:
            raise ProvisioningError(f"Google did not {action}: {transfer.summary(error)}") from error

    @property
    def project(self) -> str | None:
        """The project of the queue or of the command, or else of the credentials, if they have one."""
        return self._project or self._default[1]

    @cached_property
    def _default(self) -> tuple[Credentials, str | None]:
        with self.errors("find credentials"):
            found: tuple[Credentials, str | None] = google.auth.default(scopes=[_SCOPE])
            return found

    def bucket(self, name: str) -> Bucket:
        """Return the bucket with its metadata."""
        with self.errors(f"get bucket {name} (storage.buckets.get)"):
            credentials = None if self._endpoint.startswith("http://") else self._default[0]
            bucket = gcs_client.open_bucket(name, self._endpoint, credentials)
            # The first request: with the default timeouts a wrong endpoint would be reported after two minutes.
            bucket.reload(**gcs_client.retry_options())
            return bucket

    def agents(self, buckets: Iterable[str]) -> dict[str, str]:
        """Addresses of the storage service agents of the buckets' projects; the request creates a missing agent."""
        found = [self.bucket(name) for name in buckets]
        with self.errors("get the storage service agent of the bucket's project (resourcemanager.projects.get)"):
            return {one.name: one.client.get_service_account_email(project=str(one.project_number)) for one in found}

    @cached_property
    def publisher(self) -> PublisherClient:
        """Client for topics."""
        return PublisherClient(transport=self._transport(PublisherClient))

    @cached_property
    def subscriber(self) -> SubscriberClient:
        """Client for subscriptions."""
        return SubscriberClient(transport=self._transport(SubscriberClient))

    def _transport(self, client: type[PublisherClient | SubscriberClient]) -> Any:
        transport = client.get_transport_class("grpc")
        scheme, _, host = self._queue_endpoint.rpartition("://")
        if emulator := host if scheme == "http" else os.environ.get("PUBSUB_EMULATOR_HOST"):
            return transport(channel=grpc.insecure_channel(emulator))
        return transport(host=host or client.DEFAULT_ENDPOINT, credentials=self._default[0])
