"""The report of a run: what went wrong on purpose, and whether the tables are none the worse for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from benchmarks.chaos.differences import Difference
from benchmarks.chaos.faults.fault_proxy import Carrier
from benchmarks.chaos.faults.kills import Killer
from benchmarks.chaos.faults.webhooks import Webhooks
from benchmarks.chaos.probes import claimed_again, evidence
from benchmarks.chaos.scenario import Course

_SHOWN = 3
"""Rows of each kind that are shown of a table that differs; the file holds all."""


class Compared(NamedTuple):
    """The tables at one time, next to those of the undisturbed run."""

    when: str
    tables: Sequence[Difference]


def sent_table(carriers: Sequence[Carrier], webhooks: Webhooks, late_webhooks: int) -> Table:
    """Tell what became of notices and webhooks."""
    table = Table("", title="On their way", title_justify="left", title_style="bold")
    for column in ("sent", "dropped", "doubled", "late", "received"):
        table.add_column(column, justify="right")
    for one in carriers:
        figures = (one.told.total(), one.dropped, one.doubled, len(one.late), one.passed.total())
        table.add_row(one.name, *(f"{figure:,}" for figure in figures))
    figures = (len(webhooks.sent), len(webhooks.dropped), webhooks.doubled, late_webhooks, len(webhooks.taken))
    table.add_row("webhooks", *(f"{figure:,}" for figure in figures))
    return table


def kills_table(killer: Killer) -> Table:
    """Tell who died how often."""
    table = Table("part", title="Killed", title_justify="left", title_style="bold")
    for column in ("killed", "started again", "not there to be killed"):
        table.add_column(column, justify="right")
    for part in killer.parts:
        started = f"{killer.started[part]}" if part in killer.running.parts else ""
        table.add_row(part, f"{killer.killed[part]}", started, f"{killer.missed[part] or ''}")
    return table


def rows_table(compared: Sequence[Compared]) -> Table:
    """Tell for each table how many rows are those of the undisturbed run."""
    table = Table("table", title="Rows, next to the undisturbed run", title_justify="left", title_style="bold")
    for one in compared:
        table.add_column(f"equal {one.when}", justify="right")
        table.add_column("missing", justify="right")
        table.add_column("too many", justify="right")
    for differences in zip_longest(*(one.tables for one in compared)):
        cells = [
            f"{count:,}" if count or not place else ""
            for each in differences
            for place, count in enumerate((each.equal, len(each.missing), len(each.extra)))
        ]
        style = "red" if any(each.differs for each in differences) else None
        table.add_row(differences[0].table, *cells, style=style)
    return table


def differing_rows(compared: Sequence[Compared], shown: int | None = _SHOWN) -> Iterator[str]:
    """Show the first rows that are missing or too many; all of them when `shown` is None.

    Of the first ones it is told what is otherwise in those that come in their place.
    """
    for one in compared:
        for table in one.tables:
            where = f"{one.when}, {table.table}"
            for place, row in enumerate(table.missing[:shown]):
                yield f"{where}, missing: {_told(row)}"
                if place < _SHOWN and (instead := _nearest(row, table.extra)):
                    changed = {name: (row[name], cell) for name, cell in instead.items() if cell != row[name]}
                    yield f"{where}, in its place, what should be and what is: {_told(changed)}"
            for row in table.extra[:shown]:
                yield f"{where}, too many: {_told(row)}"


def _nearest(row: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The row that has most in common with this one, if that is more than half."""

    def common(other: Mapping[str, Any]) -> int:
        return sum(other[name] == cell for name, cell in row.items())

    nearest = max(others, key=common, default=None)
    return nearest if nearest and common(nearest) * 2 > len(row) else None


def _told(row: Mapping[str, Any]) -> str:
    return json.dumps({name: cell for name, cell in row.items() if cell is not None}, default=str, ensure_ascii=False)


def further(course: Course) -> Iterator[str]:
    """Tell what the tables leave out."""
    sent = course.vendor.sent
    acknowledged = sum(one.passed.total() for one in course.carriers)
    yield f"{len(sent.taken):,} webhooks and {acknowledged:,} notices were acknowledged."
    yield f"{len(sent.in_doubt):,} webhooks were posted and given up without an answer."
    yield f"{claimed_again(course.place.database):,} object versions were claimed more than once."
    yield f"{course.sweeps} sweep(s) began after the mischief: Airflow's own schedule has one each quarter of an hour."
    if course.loads:
        yield f"{course.loads} load(s) were started besides that of the sweep, for what was to be tried again."


def figures(course: Course, compared: Sequence[Compared]) -> dict[str, Any]:
    """Give the same as the tables show."""
    sent = course.vendor.sent
    return {
        "notices": {
            one.name: {
                "sent": one.told.total(),
                "dropped": one.dropped,
                "doubled": one.doubled,
                "late": len(one.late),
                "received": one.passed.total(),
            }
            for one in course.carriers
        },
        "webhooks": {
            "sent": len(sent.sent),
            "dropped": len(sent.dropped),
            "doubled": sent.doubled,
            "late": course.late_webhooks,
            "received": len(sent.taken),
            "in doubt": len(sent.in_doubt),
        },
        "killed": dict(course.killer.killed),
        "started again": dict(course.killer.started),
        "not there": dict(course.killer.missed),
        "claimed more than once": claimed_again(course.place.database),
        "sweeps": course.sweeps,
        "loads besides the sweep's": course.loads,
        "rows": {
            one.when: {
                table.table: {"equal": table.equal, "missing": len(table.missing), "too many": len(table.extra)}
                for table in one.tables
            }
            for one in compared
        },
    }


def keep_evidence(folder: Path, course: Course) -> None:
    """Write down what the warehouse knows of how it came to what is there."""
    with (folder / "evidence.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in evidence(course.place.database))


def keep(folder: Path, figures: Mapping[str, Any], compared: Sequence[Compared]) -> None:
    """Write the figures, and every row that differs, into files of this folder."""
    (folder / "chaos.json").write_text(json.dumps(figures, indent=1), "utf-8")
    lines = [*differing_rows(compared, None)]
    (folder / "differences.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
