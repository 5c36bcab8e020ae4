"""One connection to the Google Cloud project of the buckets; its errors are raised as ours."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import google.auth
import requests
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError

from roomledger.provisioning import CannotConfigure, ProvisioningError
from roomledger.provisioning.selection import Selection
from roomledger.stores import transfer

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client  # type: ignore[import-untyped]  # ships no types
    from google.pubsub_v1 import PublisherClient, SubscriberClient

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""Changing settings needs more than a read-only scope; the roles of the credentials limit what they may do."""
_TIMEOUT_S = 10.0
_WAY_OUT = "run `gcloud auth application-default login` or set GOOGLE_APPLICATION_CREDENTIALS"


class Google:
    """Clients of storage and Pub/Sub. Nothing is requested before it is needed.

    An endpoint that starts with `http://` is an emulator and gets no credentials.
    """

    def __init__(self, selection: Selection, project: str | None) -> None:
        """Raise `CannotConfigure` when Google's client libraries are not installed."""
        try:
            for name in ("google.cloud.storage", "google.pubsub_v1"):
                import_module(name)
        except ImportError as error:
            way_out = "pip install google-cloud-storage google-cloud-pubsub"
            raise CannotConfigure(f"{error.name} is not installed: {way_out}") from error
        queue = selection.queue
        self._project = queue.parts["project"] if queue else project
        self._endpoint = selection.source.endpoint
        self._queue_endpoint = (queue.endpoint if queue else None) or ""

    @contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """Raise errors of an action as `CannotConfigure` or `ProvisioningError`."""
        from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound, RetryError, Unauthorized

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

    @cached_property
    def _storage(self) -> Client:
        from google.cloud.storage import Client

        emulator = (self._endpoint or "").startswith("http://")
        return Client(
            project=self._project or "none",  # the constructor requires a project; no call here uses it
            credentials=AnonymousCredentials() if emulator else self._default[0],  # type: ignore[no-untyped-call]  # untyped
            client_options={"api_endpoint": self._endpoint} if self._endpoint else None,
        )

    def bucket(self, name: str) -> Bucket:
        """Return the bucket with its metadata."""
        with self.errors(f"get bucket {name} (storage.buckets.get)"):
            from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]  # ships no types

            # This is the first request: with the default timeout a wrong endpoint is reported after two minutes.
            return self._storage.get_bucket(name, retry=DEFAULT_RETRY.with_timeout(_TIMEOUT_S))

    def agents(self, buckets: Iterable[str]) -> dict[str, str]:
        """Addresses of the storage service agents of the buckets' projects; the request creates a missing agent."""
        numbers = {name: str(self.bucket(name).project_number) for name in buckets}
        with self.errors("get the storage service agent of the bucket's project (resourcemanager.projects.get)"):
            return {name: str(self._storage.get_service_account_email(project=numbers[name])) for name in numbers}

    @cached_property
    def publisher(self) -> PublisherClient:
        """Client for topics."""
        from google.pubsub_v1 import PublisherClient

        return PublisherClient(transport=self._transport(PublisherClient))

    @cached_property
    def subscriber(self) -> SubscriberClient:
        """Client for subscriptions."""
        from google.pubsub_v1 import SubscriberClient

        return SubscriberClient(transport=self._transport(SubscriberClient))

    def _transport(self, client: type[PublisherClient | SubscriberClient]) -> Any:
        import grpc  # type: ignore[import-untyped]  # ships no types

        transport = client.get_transport_class("grpc")
        scheme, _, host = self._queue_endpoint.rpartition("://")
        if emulator := host if scheme == "http" else os.environ.get("PUBSUB_EMULATOR_HOST"):
            return transport(channel=grpc.insecure_channel(emulator))
        return transport(host=host or client.DEFAULT_ENDPOINT, credentials=self._default[0])
