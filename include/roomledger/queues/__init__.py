"""Queues of notifications: bucket events (`sqs`, `pubsub`) and the `inbox` of the vendor's webhooks, all read alike.

A notification only says where to look; it may be doubled, late, out of order or lost. A message is acknowledged, which
removes it for good, after the ledger holds what it says: until then it is delivered again. `s3_events` and `gcs_events`
decode messages of buckets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from roomledger.model import Observation, Rejected

MOST_MESSAGES = 1000
"""Messages of one `receive` at most."""
_LONGEST_KEY_BYTES = 1024
"""Of S3 and GCS alike (vendor documentation)."""


class QueueError(Exception):
    """The queue did not answer as it should; the same call may work later or after the fix that the message names."""


class Message(NamedTuple):
    """One delivery of a message."""

    message_id: str
    body: bytes
    attributes: Mapping[str, str]
    receipt: str
    """What the queue wants back to extend or acknowledge this delivery."""


class Notification(NamedTuple):
    """What a message says of one object."""

    uri: str
    """Address as in every table: `s3://bucket/key`, the key not URL-encoded."""
    seen: Observation | None
    """The version that it names; None when the current one has to be looked up, as after a deletion."""


class Queue(Protocol):
    """One queue. Safe to use from many threads. All verbs raise `QueueError`.

    A kind of queue may need some patience of its own before it can say that nothing waits, as Pub/Sub does.
    """

    name: str
    """Its name in `roomledger.toml`."""
    visibility_timeout_s: float
    """For how long what `receive` or `hold` gave is kept from other receivers."""

    def peek(self, patience_s: float) -> bool:
        """Whether something waits: at once when it does, else after `patience_s` at most. Takes nothing away."""
        ...

    def receive(self, patience_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """What waits, up to `most`; waits for the first for `patience_s` at most, and not for any other."""
        ...

    def extend(self, messages: Sequence[Message]) -> None:
        """Keep these from other receivers for `visibility_timeout_s` more; one whose time is over stays as it is."""
        ...

    def ack(self, messages: Sequence[Message]) -> None:
        """Remove these for good; what is removed already is no error."""
        ...


def uri_of(scheme: str, bucket: str, key: str) -> str:
    """Address of an object that a message names. Raises `Rejected` when no store can hold an object there."""
    uri = f"{scheme}://{bucket}/{key}"
    try:
        too_long = len(key.encode()) > _LONGEST_KEY_BYTES
    except UnicodeEncodeError:
        raise Rejected("bad_address", f"The message names {uri[:200]!r}, which is no Unicode text.") from None
    if not bucket or "/" in bucket or not key or "\0" in uri or too_long:
        raise Rejected("bad_address", f"The message names {uri[:200]!r}, where there can be no object.")
    return uri
