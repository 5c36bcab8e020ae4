"""The Google Cloud project in which buckets are to ring: one connection to its services, its refusals in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import google.auth
import requests
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError

from roomledger.cloud import BellError, CannotRing
from roomledger.cloud.choice import Choice
from roomledger.stores import transfer

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client  # type: ignore[import-untyped]  # ships no types
    from google.pubsub_v1 import PublisherClient, SubscriberClient

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""Unlike reading, setting wants all that the credentials may do."""
_PATIENCE_S = 10.0
_EMULATOR = "PUBSUB_EMULATOR_HOST"
_WITHOUT_CREDENTIALS = (
    "run `gcloud auth application-default login` or set GOOGLE_APPLICATION_CREDENTIALS; --format terraform needs none"
)


class Google:
    """Clients of storage and Pub/Sub; nothing is asked before it is needed.

    An endpoint that opens with `http://` is an emulator and gets no credentials.
    """

    def __init__(self, *, project: str | None, endpoint: str | None, queue_endpoint: str | None) -> None:
        self._project = project
        self._endpoint = endpoint
        self._queue_endpoint = queue_endpoint

    @contextmanager
    def asked(self, what: str) -> Iterator[None]:
        """Raise what goes wrong inside, while `what` is done, as `CannotRing` or `BellError`."""
        from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound, RetryError, Unauthorized

        try:
            yield
        except Forbidden as error:
            raise CannotRing(f"the credentials lack the right to {what}: {error.message}") from error
        except (Unauthorized, RefreshError) as error:
            told = transfer.summary(error)
            raise CannotRing(f"Google does not accept the credentials ({told}): {_WITHOUT_CREDENTIALS}") from error
        except NotFound as error:
            raise CannotRing(f"to {what}, something is missing: {error.message}") from error
        except DefaultCredentialsError as error:
            raise CannotRing(f"no Google credentials were found: {_WITHOUT_CREDENTIALS}") from error
        except (GoogleAPICallError, RetryError, GoogleAuthError, requests.RequestException, OSError) as error:
            raise BellError(f"Google did not {what}: {transfer.summary(error)}") from error

    @property
    def project(self) -> str | None:
        """The project of the credentials, if they have one."""
        return self._project or self._found[1]

    @cached_property
    def _found(self) -> tuple[Credentials, str | None]:
        with self.asked("find credentials"):
            found: tuple[Credentials, str | None] = google.auth.default(scopes=[_SCOPE])
            return found

    @cached_property
    def storage(self) -> Client:
        """The client of storage."""
        from google.cloud.storage import Client

        if self._endpoint is None:
            return Client(project=self.project, credentials=self._found[0])
        emulator = self._endpoint.startswith("http://")
        credentials = AnonymousCredentials() if emulator else self._found[0]  # type: ignore[no-untyped-call]  # untyped
        # It needs some project to begin with; no call that is made here uses it.
        project = self._project or "none"
        return Client(project=project, credentials=credentials, client_options={"api_endpoint": self._endpoint})

    def bucket(self, name: str) -> Bucket:
        """What the bucket says of itself."""
        with self.asked(f"look at bucket {name} (storage.buckets.get)"):
            from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]  # ships no types

            # It is the first that is asked: by its own default a wrong address would take two minutes to be told.
            return self.storage.get_bucket(name, retry=DEFAULT_RETRY.with_timeout(_PATIENCE_S))

    def agent(self, bucket: Bucket) -> str:
        """The address of the service agent of the bucket's project, which is made by asking for it."""
        number = str(bucket.project_number)
        with self.asked(f"look at the service agent of project {number} (resourcemanager.projects.get)"):
            return str(self.storage.get_service_account_email(project=number))

    @cached_property
    def publisher(self) -> PublisherClient:
        """The client of topics."""
        from google.pubsub_v1 import PublisherClient
        from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

        return PublisherClient(transport=PublisherGrpcTransport(**self._channel()))

    @cached_property
    def subscriber(self) -> SubscriberClient:
        """The client of subscriptions."""
        from google.pubsub_v1 import SubscriberClient
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

        return SubscriberClient(transport=SubscriberGrpcTransport(**self._channel()))

    def _channel(self) -> dict[str, Any]:
        import grpc  # type: ignore[import-untyped]  # ships no types

        endpoint = self._queue_endpoint or ""
        emulator = endpoint.removeprefix("http://") if endpoint.startswith("http://") else os.environ.get(_EMULATOR)
        if emulator:
            return {"channel": grpc.insecure_channel(emulator)}
        host = endpoint.removeprefix("https://") or "pubsub.googleapis.com"
        return {"host": host, "credentials": self._found[0]}


def connect(choice: Choice, project: str | None) -> Google:
    """Use Google's application default credentials. Raises `CannotRing` when Google's libraries are not there."""
    try:
        for name in ("google.cloud.storage", "google.pubsub_v1"):
            import_module(name)
    except ImportError as error:
        raise CannotRing(
            f"{error.name} is not installed: pip install google-cloud-storage google-cloud-pubsub; "
            "--format terraform needs neither"
        ) from error
    named = choice.queue.parts["project"] if choice.queue else project
    queue_endpoint = choice.queue.endpoint if choice.queue else None
    return Google(project=named, endpoint=choice.source.endpoint, queue_endpoint=queue_endpoint)
