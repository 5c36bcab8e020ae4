"""Results of the freshness benchmark: how long each object took, per notification path, as tables and as a plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from benchmarks import cpu
from benchmarks.plot import Panel, distributions, permilles

_LISTED_FIRST = 0.1
"""Share of the objects that `collect` may list before their notification arrives: it runs every quarter of an hour."""


@dataclass(frozen=True, slots=True)
class ObjectTimes:
    """Seconds from the write of one object until each step; None if it has not reached the step."""

    uri: str
    written_at: float
    """Unix time."""
    seen_by: str | None
    """Observer channel that reported the object first."""
    seen_s: float | None
    claimed_s: float | None
    queryable_s: float | None


@dataclass(frozen=True, slots=True)
class PathResult:
    """What was measured for one notification path."""

    name: str
    observed_by: str
    objects: Sequence[ObjectTimes]
    cpu_percent: Mapping[str, float]
    """CPU use of each component while objects were written, in percent of one core."""

    @property
    def missing(self) -> int:
        """Number of objects that did not become queryable."""
        return sum(one.queryable_s is None for one in self.objects)

    @property
    def seen_by_others(self) -> int:
        """Number of objects that another channel reported first; their times do not measure this path."""
        return sum(one.seen_by not in (None, self.observed_by) for one in self.objects)

    @property
    def failed(self) -> bool:
        """Whether the result is invalid: objects are missing, or too many were reported first by other channels."""
        return self.missing > 0 or self.seen_by_others > _LISTED_FIRST * len(self.objects)


Seconds = Callable[[ObjectTimes], float | None]
STEPS: Mapping[str, Seconds] = {
    "written to seen": lambda one: one.seen_s,
    "seen to claimed": lambda one: _minus(one.claimed_s, one.seen_s),
    "claimed to queryable": lambda one: _minus(one.queryable_s, one.claimed_s),
    "written to queryable": lambda one: one.queryable_s,
}


def _minus(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else later - earlier


def _known(step: Seconds, objects: Sequence[ObjectTimes]) -> list[float]:
    return [seconds for seconds in map(step, objects) if seconds is not None]


def times_table(results: Sequence[PathResult]) -> Table:
    """Make the table of the seconds that each step took, per notification path."""
    table = Table("notification path", "objects", title="Seconds per step")
    table.add_column("step", no_wrap=True)
    for column in ("median", "95%", "max"):
        table.add_column(column, justify="right")
    for result in results:
        first = [result.name, f"{len(result.objects):,}"]
        if result.missing:
            first[1] += f", {result.missing:,} missing"
        if result.seen_by_others:
            first[1] += f", {result.seen_by_others:,} seen first by others"
        for name, step in STEPS.items():
            seconds = _known(step, result.objects)
            cells = [f"{permilles(seconds)[index]:.2f}" if seconds else "" for index in (500, 950, 1000)]
            table.add_row(*first, name, *cells, end_section=name == list(STEPS)[-1])
            first = ["", ""]
    return table


def cpu_table(idle_percent: Mapping[str, float], results: Sequence[PathResult]) -> Table:
    """Make the table of the CPU use of each component: while idle, and under load per notification path."""
    columns = {"idle": idle_percent} | {result.name: result.cpu_percent for result in results}
    table = Table("component", title="CPU, percent of one core")
    for name in columns:
        table.add_column(name, justify="right")
    components = dict.fromkeys(name for percent in columns.values() for name in percent)
    for name in sorted(components, key=lambda name: (name == cpu.MACHINE, name == cpu.OTHER, name)):
        table.add_row(name, *(f"{percent[name]:.0f}" if name in percent else "" for percent in columns.values()))
    return table


def plot(results: Sequence[PathResult], per_second: float, seconds: float) -> str:
    """Draw the distributions of the times of each notification path; return the SVG."""
    curves: Mapping[str, Seconds] = {
        "seen": lambda one: one.seen_s,
        "claimed": lambda one: one.claimed_s,
        "queryable": lambda one: one.queryable_s,
    }
    panels = [
        Panel(result.name, len(result.objects), {name: _known(step, result.objects) for name, step in curves.items()})
        for result in results
    ]
    return distributions(
        "From written to queryable",
        f"Share of the objects that were seen, claimed, queryable; {per_second:g} per second for {seconds:g} s",
        panels,
        "seconds since the object was written",
    )
