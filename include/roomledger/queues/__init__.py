"""Queues of notifications: bucket events (`sqs`, `pubsub`) and the `inbox` of webhooks, with one interface.

A notification only names an object to inspect; it may be duplicated, late, out of order or lost. A message is
acknowledged, and thereby deleted, after its content is in the ledger: until then it is delivered again. `s3_events` and
`gcs_events` decode messages of buckets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from roomledger.model import Observation, Rejected

MOST_MESSAGES = 1000
"""Messages of one `receive` at most."""
_LONGEST_KEY_BYTES = 1024
"""For both S3 and GCS (vendor documentation)."""


class QueueError(Exception):
    """The queue did not respond as expected; the call may succeed later, or after the fix that the message names."""


class Message(NamedTuple):
    """One delivery of a message."""

    message_id: str
    body: bytes
    attributes: Mapping[str, str]
    receipt: str
    """Identifies this delivery in `extend` and `ack`."""


class Notification(NamedTuple):
    """What a message states about one object."""

    uri: str
    """Address as in every table: `s3://bucket/key`, the key not URL-encoded."""
    seen: Observation | None
    """The version that it names; None when the object must be inspected, as after a deletion."""


class Queue(Protocol):
    """One queue. Safe to use from many threads. All methods raise `QueueError`.

    Some kinds, such as Pub/Sub, wait longer than `timeout_s` before they report that no message waits.
    """

    visibility_timeout_s: float
    """How long messages are hidden from other receivers after `receive` or `extend`."""

    def peek(self, timeout_s: float) -> bool:
        """Whether a message waits: at once if so, else after `timeout_s` at most. Removes nothing."""
        ...

    def receive(self, timeout_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """Return up to `most` messages; wait for the first for `timeout_s` at most, and not for more."""
        ...

    def extend(self, messages: Sequence[Message]) -> None:
        """Hide these from other receivers for another `visibility_timeout_s`; an expired delivery stays as it is."""
        ...

    def ack(self, messages: Sequence[Message]) -> None:
        """Delete these; a message that is deleted already is not an error."""
        ...


def uri_of(scheme: str, bucket: str, key: str) -> str:
    """Return the address of an object that a message names. Raises `Rejected` for an address that no store allows."""
    uri = f"{scheme}://{bucket}/{key}"
    try:
        too_long = len(key.encode()) > _LONGEST_KEY_BYTES
    except UnicodeEncodeError:
        raise Rejected("bad_address", f"The message names {uri[:200]!r}, which is not Unicode text.") from None
    if not bucket or "/" in bucket or not key or "\0" in uri or too_long:
        raise Rejected("bad_address", f"The message names {uri[:200]!r}, which is not a possible address of an object.")
    return uri
