"""What makes a bucket ring: the cloud's own settings that put word of every new object into one of our queues.

`aws` and `google` say what is needed, as one document each, without asking anybody. It is printed as it is, or as
Terraform (`terraform`); or `aws_apply` and `google_apply` set it, touch nothing else, and change nothing that is set.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Document = dict[str, Any]
"""Something as the cloud's own interface takes it."""


class ProvisioningError(Exception):
    """The cloud did not do what was asked; the same call may work later."""


class CannotConfigure(ProvisioningError):
    """Somebody has to decide or mend something first; the message says what."""


class Target(NamedTuple):
    """The part of a bucket that is to ring: one source."""

    source: str
    bucket: str
    prefix: str
    """Of the keys: empty, or with a slash at its end, so that `live/eu/` leaves out `live/europe/`."""

    @property
    def name(self) -> str:
        """What the parts of this source are called."""
        return f"roomledger-{self.source}"


class Step(NamedTuple):
    """One thing that was looked at, and set where it was not as it should be."""

    changed: bool
    sentence: str
