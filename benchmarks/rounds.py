"""A doorbell, and what it brought: how each object that was written fared, as tables and as a plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.table import Table

from benchmarks import cpu
from benchmarks.plot import Panel, distributions, permilles

_FEW = 0.1
"""Share of the objects that `collect` may see first: it looks every quarter of an hour, and is fast."""


class Doorbell(Protocol):
    """A way in which somebody hears of new objects: what writes one, and what rings."""

    @property
    def name(self) -> str:
        """As tables and plot show it."""

    @property
    def observed_by(self) -> str:
        """As whose word the ledger has what it tells: `s3_event`, `gcs_event` or `webhook`."""

    def write(self, number: int) -> str:
        """Write an object that was never there, small and a recording asset; return its address when it is stored."""

    def ring(self, uri: str) -> None:
        """Tell of the object that was just written, where its store does not do so itself."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How one object fared; seconds count from when it was written, None while it did not get so far."""

    uri: str
    written_at: float
    """Unix time."""
    seen_by: str | None
    seen_s: float | None
    claimed_s: float | None
    queryable_s: float | None


@dataclass(frozen=True, slots=True)
class Round:
    """What one doorbell brought."""

    name: str
    observed_by: str
    arrivals: Sequence[Arrival]
    cpu: Mapping[str, float]
    """Percent of one processor that each part used while objects were written."""

    @property
    def missing(self) -> int:
        """How many objects never became queryable."""
        return sum(arrival.queryable_s is None for arrival in self.arrivals)

    @property
    def strangers(self) -> int:
        """How many objects another witness saw first: their figures are not this doorbell's."""
        return sum(arrival.seen_by not in (None, self.observed_by) for arrival in self.arrivals)

    @property
    def failed(self) -> bool:
        """Whether its figures are not to be trusted: something is missing, or others saw more than a few first."""
        return self.missing > 0 or self.strangers > _FEW * len(self.arrivals)


STEPS: Mapping[str, Callable[[Arrival], float | None]] = {
    "written to seen": lambda one: one.seen_s,
    "seen to claimed": lambda one: _less(one.claimed_s, one.seen_s),
    "claimed to queryable": lambda one: _less(one.queryable_s, one.claimed_s),
    "written to queryable": lambda one: one.queryable_s,
}


def _less(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else later - earlier


def figures(of: Callable[[Arrival], float | None], fared: Sequence[Arrival]) -> list[float]:
    """Give the seconds of those that got so far."""
    return [seconds for seconds in map(of, fared) if seconds is not None]


def times_table(rounds: Sequence[Round]) -> Table:
    """Tell the seconds of each step, by doorbell."""
    table = Table("doorbell", "objects", title="Seconds from step to step")
    table.add_column("step", no_wrap=True)
    for column in ("median", "95%", "longest"):
        table.add_column(column, justify="right")
    for done in rounds:
        counted = [done.name, f"{len(done.arrivals):,}"]
        if done.missing:
            counted[1] += f", {done.missing:,} missing"
        if done.strangers:
            counted[1] += f", {done.strangers:,} seen by others"
        for step, of in STEPS.items():
            found = figures(of, done.arrivals)
            cells = [f"{permilles(found)[index]:.2f}" if found else "" for index in (500, 950, 1000)]
            table.add_row(*counted, step, *cells, end_section=step == list(STEPS)[-1])
            counted = ["", ""]
    return table


def cpu_table(idle: Mapping[str, float], rounds: Sequence[Round]) -> Table:
    """Tell what each part used of the processor: at rest, and while each doorbell rang."""
    columns = {"at rest": idle} | {done.name: done.cpu for done in rounds}
    table = Table("part", title="Processor, percent of one core")
    for name in columns:
        table.add_column(name, justify="right")
    parts = dict.fromkeys(part for used in columns.values() for part in used)
    for part in sorted(parts, key=lambda part: (part == cpu.MACHINE, part == cpu.REST, part)):
        table.add_row(part, *(f"{used[part]:.0f}" if part in used else "" for used in columns.values()))
    return table


def draw(rounds: Sequence[Round], per_second: float, seconds: float) -> str:
    """Draw how long the objects of each doorbell took; give the SVG."""
    curves: Mapping[str, Callable[[Arrival], float | None]] = {
        "seen": lambda one: one.seen_s,
        "claimed": lambda one: one.claimed_s,
        "queryable": lambda one: one.queryable_s,
    }
    panels = [
        Panel(done.name, len(done.arrivals), {name: figures(of, done.arrivals) for name, of in curves.items()})
        for done in rounds
    ]
    return distributions(
        "From written to queryable",
        f"Share of the objects that were seen, claimed, queryable; {per_second:g} a second for {seconds:g} s",
        panels,
        "seconds since the object was written",
    )
