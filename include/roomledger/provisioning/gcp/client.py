"""The Google Cloud project in which buckets are to ring: one connection to its services, its refusals in our words."""

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
from roomledger.provisioning.selection import Choice
from roomledger.stores import transfer

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client  # type: ignore[import-untyped]  # ships no types
    from google.pubsub_v1 import PublisherClient, SubscriberClient

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""Unlike reading, setting wants all that the credentials may do."""
_PATIENCE_S = 10.0
_WAY_OUT = (
    "run `gcloud auth application-default login` or set GOOGLE_APPLICATION_CREDENTIALS; --format terraform needs none"
)


class Google:
    """Clients of storage and Pub/Sub; nothing is asked before it is needed.

    An endpoint that opens with `http://` is an emulator and gets no credentials.
    """

    def __init__(self, choice: Choice, project: str | None) -> None:
        """Raise `CannotRing` when Google's libraries are not there."""
        try:
            for name in ("google.cloud.storage", "google.pubsub_v1"):
                import_module(name)
        except ImportError as error:
            raise CannotConfigure(
                f"{error.name} is not installed: pip install google-cloud-storage google-cloud-pubsub; "
                "--format terraform needs neither"
            ) from error
        self._project = choice.queue.parts["project"] if choice.queue else project
        self._endpoint = choice.source.endpoint
        self._queue_endpoint = (choice.queue.endpoint if choice.queue else None) or ""

    @contextmanager
    def asked(self, what: str) -> Iterator[None]:
        """Raise what goes wrong inside, while `what` is done, as `CannotRing` or `BellError`."""
        from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound, RetryError, Unauthorized

        try:
            yield
        except Forbidden as error:
            raise CannotConfigure(f"the credentials lack the right to {what}: {error.message}") from error
        except (Unauthorized, RefreshError) as error:
            told = transfer.summary(error)
            raise CannotConfigure(f"Google does not accept the credentials ({told}): {_WAY_OUT}") from error
        except NotFound as error:
            raise CannotConfigure(f"to {what}, something is missing: {error.message}") from error
        except DefaultCredentialsError as error:
            raise CannotConfigure(f"no Google credentials were found: {_WAY_OUT}") from error
        except (GoogleAPICallError, RetryError, GoogleAuthError, requests.RequestException, OSError) as error:
            raise ProvisioningError(f"Google did not {what}: {transfer.summary(error)}") from error

    @property
    def project(self) -> str | None:
        """The project of the queue, or the one that was given, or else that of the credentials, if they have one."""
        return self._project or self._found[1]

    @cached_property
    def _found(self) -> tuple[Credentials, str | None]:
        with self.asked("find credentials"):
            found: tuple[Credentials, str | None] = google.auth.default(scopes=[_SCOPE])
            return found

    @cached_property
    def _storage(self) -> Client:
        from google.cloud.storage import Client

        emulator = (self._endpoint or "").startswith("http://")
        return Client(
            project=self._project or "none",  # it needs some to begin with; no call that is made here uses it
            credentials=AnonymousCredentials() if emulator else self._found[0],  # type: ignore[no-untyped-call]  # untyped
            client_options={"api_endpoint": self._endpoint} if self._endpoint else None,
        )

    def bucket(self, name: str) -> Bucket:
        """What the bucket says of itself."""
        with self.asked(f"look at bucket {name} (storage.buckets.get)"):
            from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]  # ships no types

            # It is the first that is asked: by its own default a wrong address would take two minutes to be told.
            return self._storage.get_bucket(name, retry=DEFAULT_RETRY.with_timeout(_PATIENCE_S))

    def agents(self, buckets: Iterable[str]) -> dict[str, str]:
        """By bucket: the address of its project's service agent, which is made by asking for it."""
        numbers = {name: str(self.bucket(name).project_number) for name in buckets}
        with self.asked("look at the service agent of the bucket's project (resourcemanager.projects.get)"):
            return {name: str(self._storage.get_service_account_email(project=numbers[name])) for name in numbers}

    @cached_property
    def publisher(self) -> PublisherClient:
        """The client of topics."""
        from google.pubsub_v1 import PublisherClient

        return PublisherClient(transport=self._transport(PublisherClient))

    @cached_property
    def subscriber(self) -> SubscriberClient:
        """The client of subscriptions."""
        from google.pubsub_v1 import SubscriberClient

        return SubscriberClient(transport=self._transport(SubscriberClient))

    def _transport(self, client: type[PublisherClient | SubscriberClient]) -> Any:
        import grpc  # type: ignore[import-untyped]  # ships no types

        transport = client.get_transport_class("grpc")
        scheme, _, host = self._queue_endpoint.rpartition("://")
        if emulator := host if scheme == "http" else os.environ.get("PUBSUB_EMULATOR_HOST"):
            return transport(channel=grpc.insecure_channel(emulator))
        return transport(host=host or client.DEFAULT_ENDPOINT, credentials=self._found[0])
