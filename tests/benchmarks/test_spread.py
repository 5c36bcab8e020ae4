"""Quantiles are those of `percentile_cont`."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.spread import Spread, quantile, spread


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ([7.0], Spread(1, 7, 7, 7)),
        ([4.0, 1.0, 2.0], Spread(3, 2, 3.8, 4)),
        ([8.0, 1.0, 2.0, 4.0], Spread(4, 3, 7.4, 8)),
        ([-1.0, 1.0], Spread(2, 0, 0.9, 1)),
    ],
)
def test_figures_are_summed_up(figures: list[float], expected: Spread) -> None:
    assert spread(figures) == pytest.approx(expected)


def test_of_nothing_nothing_is_told() -> None:
    assert spread([]) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_quantiles_are_those_of_the_standard_library(figures: list[float]) -> None:
    expected = statistics.quantiles(figures, n=20, method="inclusive")
    assert [quantile(figures, n / 20) for n in range(1, 20)] == pytest.approx(expected, abs=1e-6)
    assert (quantile(figures, 0), quantile(figures, 1)) == (min(figures), max(figures))
