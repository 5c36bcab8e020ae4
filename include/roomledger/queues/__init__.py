"""Where notices wait: queues of bucket events, and the inbox of the vendor's webhooks, all read in one way.

A queue only says that something happened; it may say so twice, late, in any order or not at all. What it said is
settled, which means removed for good, after the ledger holds it: until then it comes again. One module per kind: `sqs`,
`pubsub`, `inbox`; `s3_events` and `gcs_events` understand what the first two bring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from roomledger.model import Observation, Rejected

if TYPE_CHECKING:
    from roomledger.settings import QueueSettings
    from roomledger.stores import Access

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
    """What the queue wants back to hold or settle this delivery."""


class Notice(NamedTuple):
    """What a message says of one object."""

    uri: str
    """Address as in every table: `s3://bucket/key`, the key not URL-encoded."""
    seen: Observation | None
    """The version that it names; None when what is there now has to be looked up, as after a deletion."""


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


def open_queue(settings: QueueSettings, access: Access) -> Queue:
    """Get a queue of bucket events ready for use; nothing is asked of it yet.

    SQS takes the session of `access`, Pub/Sub its credentials; endpoint and region of the settings go before those of
    `access`. Raises `QueueError` when there are no credentials, or the library that Pub/Sub needs is not installed.
    """
    if settings.url.startswith("sqs:"):
        from roomledger.queues.sqs import Sqs

        return Sqs(settings, access)
    from roomledger.queues.pubsub import PubSub

    return PubSub(settings, access)


def default_queue_access(settings: QueueSettings) -> Access:
    """Find credentials as each cloud's own tools do; for SQS the connection may name an AWS profile.

    Raises `QueueError` when Google's tools find none; a missing AWS key shows when the queue is opened.
    """
    from roomledger.stores import Access

    if settings.url.startswith("sqs:"):
        from roomledger.stores.s3 import default_session

        return Access(session=default_session(settings.connection))
    from roomledger.queues.pubsub import default_credentials

    # An emulator is the only endpoint without TLS, and wants no credentials.
    emulator = (settings.endpoint or "").startswith("http://")
    return Access(credentials=None if emulator else default_credentials(settings.url))


def notices(settings: QueueSettings, message: Message) -> list[Notice]:
    """Understand a message of this queue of bucket events: of S3 in SQS, of GCS in Pub/Sub. Raises `Rejected`."""
    if settings.url.startswith("sqs:"):
        from roomledger.queues import s3_events

        return s3_events.notices(message)
    from roomledger.queues import gcs_events

    return gcs_events.notices(message)


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
