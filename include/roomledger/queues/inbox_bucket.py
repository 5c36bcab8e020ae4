"""The inbox of webhooks in a bucket: one object per event, for API servers that share no disk with the tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from itertools import islice

import obstore
from google.auth.exceptions import GoogleAuthError
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore

from roomledger.queues import MOST_MESSAGES, Message, QueueError, inbox
from roomledger.stores import Access, StoreError, s3_errors, split_url, transfer

_LIST_INTERVAL_S = 2.0
_WRITE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_ERRORS = (*s3_errors.ERRORS, GoogleAuthError)


class BucketInbox(inbox.Inbox):
    """An inbox below a prefix; `upload` stores an object under a key with this content."""

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
            raise self._explain(error, "write an event to") from error

    def peek(self, timeout_s: float) -> bool:
        """See `Queue.peek`; lists every two seconds."""
        return bool(inbox.poll_until(lambda: self._names(1), timeout_s, _LIST_INTERVAL_S))

    def receive(self, timeout_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """See `Queue.receive`; the oldest come first."""
        return inbox.poll_until(lambda: inbox.read_all(self._read, self._names(most)), timeout_s, _LIST_INTERVAL_S)

    def ack(self, messages: Sequence[Message]) -> None:
        """See `Queue.ack`."""
        keys = [self._prefix + each.receipt for each in messages]
        try:
            try:
                obstore.delete(self._objects, keys)
            except FileNotFoundError:
                # GCS reports an object that another receiver has removed, and skips the others.
                with ThreadPoolExecutor(inbox.THREADS) as threads:
                    list(threads.map(self._remove, keys))
        except _ERRORS as error:
            raise self._explain(error, "remove an event from") from error

    def _remove(self, key: str) -> None:
        with suppress(FileNotFoundError):
            obstore.delete(self._objects, key)

    def _names(self, most: int) -> list[str]:
        """Names of the first events in the order of arrival, in which S3 and GCS list them."""
        try:
            return sorted(islice(filter(inbox.is_event, self._all_names()), most))
        except _ERRORS as error:
            raise self._explain(error, "list") from error

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
            raise self._explain(error, "read an event of") from error

    def _explain(self, error: Exception, verb: str) -> QueueError:
        detail = transfer.summary(error)
        if isinstance(error, PermissionError | PermissionDeniedError | UnauthenticatedError | GoogleAuthError):
            return QueueError(
                f"no permission to {verb} the inbox {self._url}: the API server must be able to create objects, "
                f"the tasks to list, read and delete them ({detail})"
            )
        return QueueError(f"could not {verb} the inbox {self._url}: {detail}")


def open_s3(url: str) -> BucketInbox:
    """Open an inbox in S3 or an S3-compatible store. Raises `QueueError`."""
    from roomledger.stores.s3 import S3

    try:
        objects = S3(url, Access()).objects
    except StoreError as error:
        raise QueueError(f"the inbox {url} cannot be opened: {error}") from error
    return BucketInbox(url, objects, lambda key, body: obstore.put(objects, key, body, use_multipart=False))


def open_gcs(url: str) -> BucketInbox:
    """Open an inbox in GCS, or in an emulator if STORAGE_EMULATOR_HOST names one. Raises `QueueError`.

    google-cloud-storage writes, since emulators do not support the requests that obstore writes with.
    """
    from google.api_core.exceptions import GoogleAPIError

    from roomledger.stores import gcs_client
    from roomledger.stores.google_credentials import default_credentials

    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    name, endpoint = split_url(url)[1], emulator or gcs_client.ENDPOINT
    endpoint = endpoint if "://" in endpoint else f"http://{endpoint}"
    try:
        credentials = None if emulator else default_credentials(url, _WRITE_SCOPE)
        bucket = gcs_client.open_bucket(name, endpoint, credentials)
    except (StoreError, GoogleAuthError) as error:
        raise QueueError(f"the inbox {url} cannot be opened: {gcs_client.summary(error)}") from error

    def upload(key: str, body: bytes) -> None:
        try:
            # The name of an event is unique: a second write changes nothing, so every failure may be retried.
            bucket.blob(key).upload_from_string(body, content_type="application/json", **gcs_client.retry_options())
        except GoogleAPIError as error:
            kind = PermissionError if gcs_client.status_of(error) in (401, 403) else OSError
            raise kind(gcs_client.summary(error)) from error

    return BucketInbox(url, gcs_client.open_objects(name, endpoint, credentials), upload)
