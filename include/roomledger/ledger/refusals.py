"""What could not be understood and is no object's content: records of the vendor's API, webhooks, messages of a queue.

It is kept among the refusals, where it can be counted, looked at and taken in later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy import Connection, text


class RefusalRow(NamedTuple):
    """One thing that could not be understood."""

    customer: str
    """Empty for a message of a queue, which may be of any."""
    source: str
    """Name of the source, or of the queue."""
    address: str
    """Such as `100ms://workspace/recording-assets/<id>`; without an id, its own digest stands there."""
    reason_code: str
    detail: str
    raw: bytes
    """What it was, secrets removed."""

    @property
    def object_id(self) -> str:
        """Name of this thing as it stands, in the form of all object ids."""
        return blake2b(self.address.encode() + b"\n" + self.raw, digest_size=16).hexdigest()


def keep(tx: Connection, refuse: Sequence[RefusalRow], *, now: datetime) -> None:
    """Keep these as refusals, each once."""
    for one in refuse:
        tx.execute(text(_KEEP), one._asdict() | {"object": one.object_id, "now": now})


_KEEP = """
INSERT INTO refusals (customer, source, session_evidence, object_id, ordinal, uri, reason_code, detail, raw, refused_at)
SELECT :customer, :source, 'none', :object, 0, :address, :reason_code, :detail, :raw,
       CAST(:now AS TIMESTAMP WITH TIME ZONE)
WHERE NOT EXISTS (
    SELECT 1 FROM refusals said WHERE said.object_id = :object AND said.resolved_at IS NULL
)
"""
