"""Where notices wait: queues of bucket events, and the inbox of the vendor's webhooks, all read in one way.

A queue only says that something happened; it may say so twice, late, in any order or not at all. What it said is
settled, which means removed for good, after the ledger holds it: until then it comes again. One module per kind: `sqs`,
`pubsub`, `inbox`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from roomledger.model import Observation

MOST_MESSAGES = 1000
"""Messages of one `receive` at most."""


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


class NotUnderstood(Exception):
    """The message is nothing that this queue brings: `reason_code` for counting, `detail` for a person."""

    def __init__(self, reason_code: str, detail: str) -> None:
        super().__init__(f"{reason_code}: {detail}")
        self.reason_code = reason_code
        self.detail = detail


class Queue(Protocol):
    """One queue. Safe to use from many threads. All verbs raise `QueueError`."""

    name: str
    """Its name in `roomledger.toml`."""
    hold_s: float
    """For how long what `receive` or `hold` gave is kept from other receivers."""

    def waits(self, patience_s: float) -> bool:
        """Whether something waits: at once when it does, else after `patience_s` at most. Takes nothing away."""
        ...

    def receive(self, patience_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """What waits, up to `most`; waits for the first for `patience_s` at most, and not for any other."""
        ...

    def hold(self, messages: Sequence[Message]) -> None:
        """Keep these from other receivers for `hold_s` more: work on them goes on."""
        ...

    def settle(self, messages: Sequence[Message]) -> None:
        """Remove these for good; what is removed already is no error."""
        ...
