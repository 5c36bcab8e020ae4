"""The report of a chaos run shows all counts, the first differing rows, and writes all of them to a file."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from benchmarks.chaos import report
from benchmarks.chaos.probes import TableDiff


def test_a_table_has_a_column_for_each_kind_of_count() -> None:
    console = Console(width=200, file=io.StringIO(), record=True)
    rows = {"scheduler": {"killed": 1_234, "not running": 0, "restarted": 2}, "worker": {"killed": 1, "not running": 3}}
    console.print(report.table("Kills", "component", rows))
    lines = console.export_text().splitlines()
    assert lines[0].strip() == "Kills"
    cells = [[cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]] for line in lines]
    assert [line for line in cells if line] == [
        ["component", "killed", "not running", "restarted"],
        ["scheduler", "1,234", "0", "2"],
        ["worker", "1", "3", ""],
    ]


def test_the_report_shows_the_first_differing_rows_and_the_file_has_all(tmp_path: Path) -> None:
    missing = [{"object_id": f"o{number}", "reason": "new", "size": 1, "unknown": None} for number in range(5)]
    extra = [row | {"reason": "loaded"} for row in missing]
    comparisons = {
        "first": [TableDiff("rooms", 2, [], []), TableDiff("object_ledger", 1_234, missing, extra)],
        "then": [TableDiff("rooms", 3, [], []), TableDiff("object_ledger", 1_239, [], [])],
    }
    assert report.row_counts(comparisons) == {
        "rooms": {
            "equal first": 2, "missing first": 0, "extra first": 0,
            "equal then": 3, "missing then": 0, "extra then": 0,
        },
        "object_ledger": {
            "equal first": 1_234, "missing first": 5, "extra first": 5,
            "equal then": 1_239, "missing then": 0, "extra then": 0,
        },
    }  # fmt: skip
    lines = [*report.differing_rows(comparisons)]
    assert len(lines) == 9
    assert lines[:2] == [
        'first, object_ledger, missing: {"object_id": "o0", "reason": "new", "size": 1}',
        'first, object_ledger, similar row, expected and actual cells: {"reason": ["new", "loaded"]}',
    ]
    assert lines[-1] == 'first, object_ledger, extra: {"object_id": "o2", "reason": "loaded", "size": 1}'
    report.write(tmp_path, {"seed": 1}, comparisons)
    assert len((tmp_path / "differences.txt").read_text().splitlines()) == 13
    assert json.loads((tmp_path / "chaos.json").read_text()) == {"seed": 1}
