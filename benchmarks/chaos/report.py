"""The report of a run: which faults occurred, and how its tables differ from those of the baseline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from sqlalchemy import text

from benchmarks.chaos.probes import TableDiff, count_reclaimed
from benchmarks.chaos.scenario import Scenario
from roomledger.ledger.database import Database

Comparisons = Mapping[str, Sequence[TableDiff]]
"""The differences of all tables, by the time of the comparison."""
_SHOWN = 3
"""Number of missing and of extra rows to show per table; the file has all."""


def figures(scenario: Scenario, comparisons: Comparisons) -> dict[str, Any]:
    """Return the counts of a run, for JSON and for the tables."""
    return {
        "deliveries": {name: counts._asdict() for name, counts in scenario.counts.items()},
        "kills": scenario.killer.counts,
        "rows": row_counts(comparisons),
        "unacknowledged_webhooks": len(scenario.webhooks.log.unacknowledged),
        "claimed_more_than_once": count_reclaimed(scenario.installation.database),
        "sweeps": scenario.sweeps,
        "extra_loads": scenario.extra_loads,
    }


def row_counts(comparisons: Comparisons) -> dict[str, dict[str, int]]:
    """Count the equal, missing and extra rows of each table at each time."""
    found: dict[str, dict[str, int]] = {}
    for when, diffs in comparisons.items():
        for diff in diffs:
            counts = {"equal": diff.equal, "missing": len(diff.missing), "extra": len(diff.extra)}
            found.setdefault(diff.table, {}).update({f"{kind} {when}": count for kind, count in counts.items()})
    return found


def table(title: str, first: str, rows: Mapping[str, Mapping[str, int]]) -> Table:
    """Make a table of counts: one row for each key, one column for each kind of count."""
    made = Table(title=title, title_justify="left", title_style="bold")
    made.add_column(first, no_wrap=True)
    kinds = dict.fromkeys(kind for counts in rows.values() for kind in counts)
    for kind in kinds:
        made.add_column(kind, justify="right")
    for name, counts in rows.items():
        made.add_row(name, *(f"{counts[kind]:,}" if kind in counts else "" for kind in kinds))
    return made


def sentences(counts: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences about the figures that are in no table."""
    yield f"{counts['unacknowledged_webhooks']:,} webhooks were posted but never acknowledged."
    yield f"{counts['claimed_more_than_once']:,} object versions were claimed more than once."
    yield f"{counts['sweeps']} sweep(s) began after the faults; Airflow's own schedule adds one every 15 minutes."
    yield f"{counts['extra_loads']} load(s) were triggered for retries, besides the one of the sweep."


def differing_rows(comparisons: Comparisons, shown: int | None = _SHOWN) -> Iterator[str]:
    """Yield the first missing and extra rows of each table; all of them if `shown` is None.

    The first missing rows are followed by the changed cells of the extra row that resembles them most.
    """
    for when, diffs in comparisons.items():
        for diff in diffs:
            where = f"{when}, {diff.table}"
            for index, row in enumerate(diff.missing[:shown]):
                yield f"{where}, missing: {_json(row)}"
                if index < _SHOWN and (similar := _most_similar(row, diff.extra)):
                    changed = {name: (row[name], cell) for name, cell in similar.items() if cell != row[name]}
                    yield f"{where}, similar row, expected and actual cells: {_json(changed)}"
            for row in diff.extra[:shown]:
                yield f"{where}, extra: {_json(row)}"


def _most_similar(row: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the row that has most cells in common with this one, if those are more than half."""

    def common(other: Mapping[str, Any]) -> int:
        return sum(other[name] == cell for name, cell in row.items())

    most_similar = max(others, key=common, default=None)
    return most_similar if most_similar and common(most_similar) * 2 > len(row) else None


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps({name: cell for name, cell in row.items() if cell is not None}, default=str, ensure_ascii=False)


def write_evidence(folder: Path, database: Database) -> None:
    """Write all rows of the tables that explain the state of the warehouse to `evidence.jsonl`."""
    with (folder / "evidence.jsonl").open("w", encoding="utf-8") as file, database.begin(read_only=True) as tx:
        for name in ("loads", "object_ledger", "observations", "vendor_events", "refusals"):
            for row in tx.execute(text(f"SELECT * FROM {name}")).mappings():
                file.write(json.dumps({"table": name, **row}, default=str) + "\n")


def write(folder: Path, counts: Mapping[str, Any], comparisons: Comparisons) -> None:
    """Write the figures to `chaos.json`, and every differing row to `differences.txt`."""
    (folder / "chaos.json").write_text(json.dumps(counts, indent=1), "utf-8")
    lines = differing_rows(comparisons, None)
    (folder / "differences.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
