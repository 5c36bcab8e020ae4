"""Google Pub/Sub as a queue: a subscription to the topic that GCS notifies.

It is pulled, not streamed: a task receives what is there and ends. Pub/Sub guarantees neither how much one pull returns
nor how soon, and messages that it sends to a cancelled pull are hidden until their deadline: so the timeout of a pull
is at least two seconds. `peek` returns to the queue what it has pulled. A retry policy of the subscription would delay
these messages, and a dead-letter policy would count a failure: the subscription should have neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from google.auth.credentials import with_scopes_if_required

from roomledger.queues import MOST_MESSAGES, Message, QueueError
from roomledger.settings import QueueSettings
from roomledger.stores import Access, google_credentials, transfer

try:
    import grpc  # type: ignore[import-untyped]  # ships no types
    from google.api_core.exceptions import Aborted, DeadlineExceeded, InternalServerError, ServiceUnavailable, Unknown
    from google.api_core.retry import Retry, if_exception_type
    from google.pubsub_v1 import ReceivedMessage, SubscriberClient
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    from roomledger.queues import pubsub_errors
except ImportError as missing:
    raise QueueError(f"Pub/Sub needs a library of Google: pip install 'roomledger[pubsub]' ({missing})") from missing

SCOPE = "https://www.googleapis.com/auth/pubsub"

_MIN_TIMEOUT_S = 2.0
_MANY = 10
"""A pull that returns fewer has emptied the queue; after one that returns as many there may be more."""
_MOST_RECEIPTS, _MOST_RECEIPT_BYTES = 1000, 400_000
"""In one request, which Pub/Sub limits to 512 KiB (vendor documentation)."""
_TRANSIENT = (Aborted, InternalServerError, ServiceUnavailable, Unknown)


class PubSub:
    """One subscription."""

    visibility_timeout_s = 120.0

    def __init__(self, settings: QueueSettings, access: Access) -> None:
        self.url = settings.url
        self._subscription = "projects/{project}/subscriptions/{subscription}".format(**settings.parts)
        endpoint = settings.endpoint or access.endpoint or SubscriberClient.DEFAULT_ENDPOINT
        scheme, _, self._endpoint = endpoint.rstrip("/").rpartition("://")
        if scheme == "http":  # an emulator, which needs no credentials
            channel = grpc.insecure_channel(self._endpoint, options=[("grpc.max_receive_message_length", -1)])
            transport = SubscriberGrpcTransport(channel=channel)
        elif access.credentials is None:
            raise google_credentials.missing(self.url)
        else:
            scoped = with_scopes_if_required(access.credentials, [SCOPE])  # type: ignore[no-untyped-call]  # untyped
            transport = SubscriberGrpcTransport(host=self._endpoint, credentials=scoped)
        self._channel = transport.grpc_channel
        self._client = SubscriberClient(transport=transport)

    def peek(self, timeout_s: float) -> bool:
        """See `Queue.peek`."""
        pulled = self._poll(1, timeout_s)
        self._change(self._client.modify_ack_deadline, [one.ack_id for one in pulled], ack_deadline_seconds=0)
        return bool(pulled)

    def receive(self, timeout_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """See `Queue.receive`. An error after the first response only ends it: if it lasts, the next call raises it."""
        pulled = self._poll(most, timeout_s)
        found = self._extended(pulled)
        while len(pulled) >= _MANY and len(found) < most:
            try:
                pulled = self._pull(most - len(found), _MIN_TIMEOUT_S)
                found += self._extended(pulled)
            except QueueError:
                break
        return found

    def extend(self, messages: Sequence[Message]) -> None:
        """See `Queue.extend`. A message that is visible again or acknowledged stays as it is, without an error."""
        receipts = [message.receipt for message in messages]
        self._change(self._client.modify_ack_deadline, receipts, ack_deadline_seconds=int(self.visibility_timeout_s))

    def ack(self, messages: Sequence[Message]) -> None:
        """See `Queue.ack`."""
        self._change(self._client.acknowledge, [message.receipt for message in messages])

    def _poll(self, most: int, timeout_s: float) -> list[ReceivedMessage]:
        """Pull until something arrives: Pub/Sub ends a long wait early with an empty response."""
        until = time.monotonic() + timeout_s
        while True:
            pulled = self._pull(most, max(until - time.monotonic(), _MIN_TIMEOUT_S))
            if pulled or time.monotonic() >= until:
                return pulled

    def _pull(self, most: int, timeout_s: float) -> list[ReceivedMessage]:
        request = {"subscription": self._subscription, "max_messages": most}
        try:
            response = self._client.pull(request=request, retry=_retries(), timeout=timeout_s)
        except DeadlineExceeded as error:
            if self._is_connected():
                return []
            raise self._explain(error) from error
        except pubsub_errors.ERRORS as error:
            raise self._explain(error) from error
        return list(response.received_messages)

    def _is_connected(self) -> bool:
        """Whether the server can be reached: a pull also ends without a response while the server is down."""
        ready = grpc.channel_ready_future(self._channel)
        try:
            ready.result(timeout=1)
        except grpc.FutureTimeoutError:
            ready.cancel()
            return False
        return True

    def _extended(self, pulled: Sequence[ReceivedMessage]) -> list[Message]:
        """Convert, and extend the deadline at once: that of the subscription may be ten seconds."""
        messages = [
            Message(one.message.message_id, one.message.data, dict(one.message.attributes), one.ack_id)
            for one in pulled
        ]
        self.extend(messages)
        return messages

    def _change(self, verb: Callable[..., None], receipts: Sequence[str], **values: int) -> None:
        for batch in _batches(receipts):
            request = {"subscription": self._subscription, "ack_ids": batch} | values
            try:
                verb(request=request, retry=_retries(), timeout=transfer.READ_TIMEOUT.total_seconds())
            except pubsub_errors.ERRORS as error:
                if not pubsub_errors.is_expired(error):
                    raise self._explain(error) from error

    def _explain(self, error: Exception) -> QueueError:
        return pubsub_errors.explain(error, url=self.url, endpoint=self._endpoint)


def _retries() -> Retry:
    return Retry(
        predicate=if_exception_type(*_TRANSIENT),
        initial=transfer.FIRST_PAUSE.total_seconds(),
        maximum=transfer.RETRY_TIME.total_seconds(),
        timeout=transfer.RETRY_TIME.total_seconds(),
    )


def _batches(receipts: Sequence[str]) -> Iterator[list[str]]:
    """Split receipts into requests of a size that Pub/Sub accepts."""
    batch: list[str] = []
    size = 0
    for receipt in receipts:
        if len(batch) == _MOST_RECEIPTS or size + len(receipt) > _MOST_RECEIPT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(receipt)
        size += len(receipt)
    if batch:
        yield batch
