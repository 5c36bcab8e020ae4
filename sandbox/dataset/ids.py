"""Ids in the formats of 100ms, from a seeded random generator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def hex_id(created_at: datetime, rng: Random) -> str:
    """24 hex digits; the first 8 are the creation time in Unix seconds."""
    return f"{epoch_ms(created_at) // 1000:08x}{rng.getrandbits(64):016x}"


def creation_time(hex_digits: str) -> datetime:
    """The creation time in an id, in whole seconds."""
    return _EPOCH + timedelta(seconds=int(hex_digits[:8], 16))


def uuid_text(rng: Random) -> str:
    """A random UUID."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def epoch_ms(moment: datetime) -> int:
    """Unix milliseconds, computed without floats."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
