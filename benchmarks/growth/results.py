"""Results of the growth benchmark: seconds and memory by size, the exponents of growth, as tables and for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from statistics import linear_regression, median

from rich.table import Table

from benchmarks.growth.measures import MEASURES, Run


@dataclass(frozen=True, slots=True)
class Result:
    """The runs of one measure on one engine, by size."""

    engine: str
    measure: str
    runs: dict[int, Sequence[Run]] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    """Sizes at which a run failed or took too long; they have no runs."""

    @property
    def seconds(self) -> dict[int, float]:
        """The median of each size."""
        return {size: median(run.seconds for run in runs) for size, runs in self.runs.items()}

    @property
    def peak_mb(self) -> dict[int, float]:
        """The greatest peak of each size."""
        return {size: max(run.peak_mb for run in runs) for size, runs in self.runs.items()}

    @property
    def exponent(self) -> float | None:
        """Fit seconds = constant * size ** exponent; None with less than two sizes."""
        if len(self.runs) < 2:
            return None
        sizes, seconds = zip(*self.seconds.items(), strict=True)
        return linear_regression([*map(log, sizes)], [*map(log, seconds)]).slope

    def as_json(self) -> dict[str, object]:
        """Give everything as JSON has it."""
        return {
            "engine": self.engine,
            "measure": self.measure,
            "grows_with": MEASURES[self.measure].grows_with,
            "exponent": self.exponent,
            "sizes": [
                {
                    "size": size,
                    "seconds": self.seconds[size],
                    "all_seconds": [run.seconds for run in runs],
                    "peak_mb": self.peak_mb[size],
                }
                for size, runs in self.runs.items()
            ],
            "failures": self.failures,
        }


def table(results: Sequence[Result]) -> Table:
    """Make the table of all results: one row per measure and engine."""
    sizes = sorted({size for result in results for size in [*result.runs, *result.failures]})
    made = Table("measure", "engine", title="Seconds by number of objects, median")
    for size in sizes:
        made.add_column(f"{size:,}", justify="right", no_wrap=True)
    for column in ("exponent", "in objects", "peak MB"):
        made.add_column(column, justify="right")
    by_measure = {name: [result for result in results if result.measure == name] for name in MEASURES}
    for name, mine in by_measure.items():
        for number, result in enumerate(mine):
            exponent = "" if result.exponent is None else f"{result.exponent:.2f}"
            made.add_row(
                MEASURES[name].title if number == 0 else "",
                result.engine,
                *(f"{result.seconds[size]:.2f}" if size in result.runs else "failed" for size in sizes),
                exponent,
                MEASURES[name].grows_with,
                f"{max(result.peak_mb.values(), default=0):.0f}",
                end_section=result is mine[-1],
            )
    return made
