"""Delivery faults of notifications and webhooks: their rates, the random choice for each, and the counts of a run."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Which shares of the notifications and webhooks meet which fault."""

    dropped: float = 0.3
    duplicated: float = 0.3
    """Share of those that are not dropped."""
    late: float = 0.1
    """Share of all copies: these are delivered after the sweep."""
    max_delay_s: float = 20.0
    """Every other copy has its own delay up to this, which also changes the order."""


class DeliveryCounts(NamedTuple):
    """What became of the notifications of one bucket service, or of the webhooks."""

    sent: int
    dropped: int
    duplicated: int
    late: int
    received: int
    """Deliveries to Roomledger, duplicates included; of webhooks, the events that were answered by 200."""


class RandomDelays:
    """Draws the fault of each notification from the seed, the URL of its object, and its number for that object."""

    def __init__(self, seed: int, rates: FaultRates) -> None:
        self._seed = seed
        self._rates = rates
        self._numbers: Counter[str] = Counter()

    def next(self, uri: str) -> list[float | None]:
        """Return one delay in seconds for each copy of this object's next notification; None is after the sweep."""
        self._numbers[uri] += 1
        # A generator of its own for each: the order of the notifications of several objects varies from run to run.
        rng = random.Random(f"{self._seed} {uri} {self._numbers[uri]}")
        if rng.random() < self._rates.dropped:
            return []
        copies = 2 if rng.random() < self._rates.duplicated else 1
        return [
            None if rng.random() < self._rates.late else rng.uniform(0, self._rates.max_delay_s) for _ in range(copies)
        ]
