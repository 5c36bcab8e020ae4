"""Object notifications of buckets: the cloud resources that send an event for every new object to one of our queues.

`aws.plan` and `gcp.plan` describe what is needed, without network access. `aws.apply` and `gcp.apply` create what is
missing, correct what differs, and leave everything else unchanged. `deploy/terraform` holds the same as modules.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Document = dict[str, Any]
"""JSON in the shape of the cloud's own API."""


class ProvisioningError(Exception):
    """The cloud did not do what was requested; the same call may succeed later."""


class CannotConfigure(ProvisioningError):
    """The user has to decide or correct something first; the message names it."""


class Target(NamedTuple):
    """One source: the part of a bucket whose objects send notifications."""

    source: str
    bucket: str
    prefix: str
    """Key prefix: empty, or ending with a slash, so that `live/eu/` does not match `live/europe/`."""

    @property
    def name(self) -> str:
        """Name of the cloud resources that belong to this source."""
        return f"roomledger-{self.source}"


class Step(NamedTuple):
    """One setting that was checked, and changed if it differed."""

    changed: bool
    description: str
