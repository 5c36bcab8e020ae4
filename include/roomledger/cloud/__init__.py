"""What makes a bucket ring: the cloud's own settings that put word of every new object into one of our queues.

They are written from the settings, without asking anybody: as a JSON document (`aws`, `google`) or as Terraform
(`terraform`). `aws_apply` and `google_apply` set them, touch nothing else, and change nothing where they are set.
"""

from __future__ import annotations

from typing import NamedTuple


class BellError(Exception):
    """The cloud did not do what was asked; the same call may work later."""


class CannotRing(BellError):
    """Somebody has to decide or mend something first; the message says what."""


class Ring(NamedTuple):
    """The part of a bucket that is to ring: one source."""

    source: str
    bucket: str
    prefix: str
    """Of the keys: empty, or with a slash at its end, so that `live/eu/` leaves out `live/europe/`."""


class Step(NamedTuple):
    """One thing that was looked at, and set where it was not as it should be."""

    changed: bool
    sentence: str
