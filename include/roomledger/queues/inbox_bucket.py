"""The inbox in a bucket: one object for each event, for API servers that share no disk with the tasks."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any

import obstore
from google.auth.exceptions import GoogleAuthError
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
from obstore.store import GCSStore, ObjectStore

from roomledger.queues import MOST_MESSAGES, Message, QueueError, inbox
from roomledger.stores import Access, StoreError, s3_errors, split_url, transfer

_LOOK_S = 2.0
_WRITE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_GOOGLE = "https://storage.googleapis.com"
_ERRORS = (*s3_errors.ERRORS, GoogleAuthError)


class BucketInbox:
    """An inbox below a prefix; `upload` takes a whole key and what to store there."""

    name = "inbox"
    visibility_timeout_s = math.inf

    def __init__(self, url: str, objects: ObjectStore, upload: Callable[[str, bytes], object]) -> None:
        self._url = url.rstrip("/")
        prefix = split_url(self._url)[2]
        self._prefix = prefix + "/" if prefix else ""
        self._objects = objects
        self._upload = upload

    def put(self, source: str, body: bytes, received_at: datetime) -> None:
        """See `Inbox.put`."""
        name = inbox.new_name(source, received_at)
        try:
            self._upload(self._prefix + name, body)
        except _ERRORS as error:
            raise self._explained(error, "write an event to") from error

    def peek(self, patience_s: float) -> bool:
        """See `Queue.waits`; lists once in two seconds."""
        return bool(inbox.poll_until(lambda: self._names(1), patience_s, _LOOK_S))

    def receive(self, patience_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """See `Queue.receive`; the oldest come first."""
        return inbox.poll_until(lambda: inbox.read_all(self._read, self._names(most)), patience_s, _LOOK_S)

    def extend(self, messages: Sequence[Message]) -> None:
        """Nothing to do: it is not kept from others in the first place."""

    def ack(self, messages: Sequence[Message]) -> None:
        """See `Queue.settle`."""
        keys = [self._prefix + each.receipt for each in messages]
        try:
            try:
                obstore.delete(self._objects, keys)
            except FileNotFoundError:
                # GCS minds that another receiver was faster, and gives up on the rest.
                with ThreadPoolExecutor(inbox.THREADS) as threads:
                    list(threads.map(self._remove, keys))
        except _ERRORS as error:
            raise self._explained(error, "remove an event from") from error

    def _remove(self, key: str) -> None:
        with suppress(FileNotFoundError):
            obstore.delete(self._objects, key)

    def _names(self, most: int) -> list[str]:
        """Names of the first events, in the order in which they came: that in which S3 and GCS list them."""
        try:
            return sorted(islice(filter(inbox.is_event, self._all_names()), most))
        except _ERRORS as error:
            raise self._explained(error, "list") from error

    def _all_names(self) -> Iterator[str]:
        for page in obstore.list(self._objects, self._prefix or None, chunk_size=MOST_MESSAGES):
            for found in page:
                yield found["path"].removeprefix(self._prefix)

    def _read(self, name: str) -> bytes:
        try:
            return bytes(obstore.get(self._objects, self._prefix + name).bytes())
        except FileNotFoundError:
            raise
        except _ERRORS as error:
            raise self._explained(error, "read an event of") from error

    def _explained(self, error: Exception, verb: str) -> QueueError:
        detail = transfer.summary(error)
        answer = getattr(error, "response", None)
        refused = answer is not None and answer.status_code in (401, 403)
        if refused or isinstance(error, PermissionDeniedError | UnauthenticatedError | GoogleAuthError):
            return QueueError(
                f"no permission to {verb} the inbox {self._url}: the API server has to create objects, the tasks have "
                f"to list, read and delete them ({detail})"
            )
        return QueueError(f"could not {verb} the inbox {self._url}: {detail}")


def open_s3(url: str) -> BucketInbox:
    """Get an inbox in S3 or what speaks its protocol. Raises `QueueError`."""
    from roomledger.stores.s3 import S3

    try:
        objects = S3(url, Access()).objects
    except StoreError as error:
        raise QueueError(f"the inbox cannot be opened: {error}") from error
    return BucketInbox(url, objects, lambda key, body: obstore.put(objects, key, body, use_multipart=False))


def open_gcs(url: str) -> BucketInbox:
    """Get an inbox in GCS. Raises `QueueError`.

    Writing goes by the JSON API, which emulators know, and all else by obstore.
    """
    import google.auth
    import requests
    from google.auth.transport.requests import AuthorizedSession
    from obstore.auth.google import GoogleCredentialProvider
    from requests.adapters import HTTPAdapter

    bucket = split_url(url)[1]
    provider: Any
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    if emulator:
        endpoint = emulator if "://" in emulator else f"http://{emulator}"
        provider = lambda: {"token": "none", "expires_at": None}  # noqa: E731  # an emulator takes any token
        session = requests.Session()
    else:
        endpoint = _GOOGLE
        try:
            credentials = google.auth.default(scopes=[_WRITE_SCOPE])[0]
        except GoogleAuthError as error:
            raise QueueError(
                f"no Google credentials for the inbox {url}: set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth "
                "application-default login`"
            ) from error
        provider = GoogleCredentialProvider(credentials)
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]  # untyped
    # The name of an event is its own: to write it a second time changes nothing.
    session.mount(endpoint, HTTPAdapter(max_retries=transfer.urllib3_retries().new(allowed_methods=None)))

    def upload(key: str, body: bytes) -> None:
        answer = session.post(
            f"{endpoint}/upload/storage/v1/b/{bucket}/o",
            params={"uploadType": "media", "name": key},
            headers={"Content-Type": "application/json"},
            data=body,
            timeout=(transfer.CONNECT_TIMEOUT.total_seconds(), transfer.READ_TIMEOUT.total_seconds()),
        )
        with answer:
            answer.raise_for_status()

    objects = GCSStore(
        bucket,
        credential_provider=provider,
        base_url=endpoint,
        client_options=transfer.http_options(endpoint),
        retry_config=transfer.retries(),
    )
    return BucketInbox(url, objects, upload)
