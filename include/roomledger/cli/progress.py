"""Progress of long work on standard error: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from roomledger.cli.cells import duration

LINE_EVERY_S = 10.0
"""Seconds between two lines of one work, where there is no terminal."""
_BAR = 10
"""Width of a bar: the text beside it fits a terminal of 80 columns."""


@dataclass(slots=True)
class Work:
    """Work of which a part is done: `line` says how much, how fast, and how long the rest takes."""

    verb: str
    unit: str = "objects"
    total: int | None = None
    clock: Callable[[], float] = time.monotonic
    on_change: Callable[[Work], None] = lambda work: None
    done: int = 0
    rows: int = 0
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def advance(self, number: int = 1, rows: int = 0) -> None:
        """Count what was done."""
        self.reach(self.done + number, self.rows + rows)

    def reach(self, done: int, rows: int = 0) -> None:
        """Set what is done in all."""
        self.done, self.rows = done, rows
        if self.total is not None:
            self.total = max(self.total, done)
        self.on_change(self)

    def line(self) -> str:
        """Say how far it is, such as `loading 1,200 of 12,000 objects, 812/s, 12,300 rows/s, 14 s left`."""
        share = f"{self.done:,}" if self.total is None else f"{self.done:,} of {self.total:,}"
        parts = [f"{self.verb} {share} {self.unit}"]
        seconds = self.clock() - self.began
        if self.done and seconds > 0:
            parts.append(f"{_rate(self.done / seconds)}/s")
            if self.rows:
                parts.append(f"{_rate(self.rows / seconds)} rows/s")
            if self.total is not None and self.done < self.total:
                parts.append(f"{duration(seconds / self.done * (self.total - self.done))} left")
        return ", ".join(parts)


def _rate(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


@contextmanager
def progress(*, quiet: bool = False, stream: TextIO | None = None) -> Iterator[Callable[..., Work]]:
    """Yield a function that begins a `Work` and shows it, such as `begin("loading", total=12)`.

    Bars vanish at the end. Nothing is shown when `quiet`. `stream` is standard error by default.
    """
    console = Console(file=stream, stderr=stream is None)
    if quiet:
        yield Work
    elif console.is_terminal:
        bar, text = BarColumn(bar_width=_BAR), TextColumn("{task.description}", markup=False)
        with Progress(SpinnerColumn(), bar, text, console=console, transient=True) as bars:

            def begin(verb: str, unit: str = "objects", total: int | None = None) -> Work:
                work = Work(verb, unit, total)
                task = bars.add_task(work.line(), total=total)
                work.on_change = lambda work: bars.update(
                    task, description=work.line(), completed=work.done, total=work.total
                )
                return work

            yield begin
    else:
        yield lambda verb, unit="objects", total=None: Work(verb, unit, total, on_change=_Lines(console))


class _Lines:
    """Prints a work's line, but not often."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next: float | None = None

    def __call__(self, work: Work) -> None:
        now = work.clock()
        if now >= (work.began + LINE_EVERY_S if self._next is None else self._next):
            self._next = now + LINE_EVERY_S
            self._console.print(work.line(), soft_wrap=True, markup=False, highlight=False)
