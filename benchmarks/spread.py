"""How figures are spread: their quantiles, as `percentile_cont` of SQL gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """What is told of many figures."""

    number: int
    p50: float
    p95: float
    most: float


def spread(figures: Sequence[float]) -> Spread | None:
    """Sum the figures up; None when there are none."""
    if not figures:
        return None
    return Spread(len(figures), quantile(figures, 0.5), quantile(figures, 0.95), max(figures))


def quantile(figures: Sequence[float], share: float) -> float:
    """Give the figure that this share of them does not exceed, between two of them in proportion."""
    ordered = sorted(figures)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
