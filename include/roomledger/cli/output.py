"""Output of the command line: tables and JSON on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_WIDE = 200
"""Width of tables in a file or a pipe."""

Row = Mapping[str, Any]


def complain(sentence: str) -> None:
    """Print an error on one line of standard error."""
    Console(stderr=True).print(sentence, style="red", soft_wrap=True, markup=False, highlight=False)


def say(sentence: str) -> None:
    """Print one sentence on standard output."""
    Console().print(sentence, soft_wrap=True, markup=False, highlight=False)


def show(title: str, rows: Sequence[Row], *, empty: str) -> None:
    """Print rows as a table; a single row as a list of its columns."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    if not rows:
        console.print(empty, highlight=False)
        return
    table = Table(title=title, title_justify="left", title_style="bold", show_header=len(rows) > 1)
    if len(rows) == 1:
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for name, cell in rows[0].items():
            table.add_row(name.replace("_", " "), _shown(cell))
    else:
        for name, cell in rows[0].items():
            table.add_column(name.replace("_", " "), justify="right" if _is_number(cell) else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_shown(cell) for cell in row.values()))
    console.print(table)


def show_result(title: str, rows: Sequence[Row], *, as_json: bool, empty: str = "Nothing.") -> None:
    """Print rows as a table, or as a JSON list."""
    if as_json:
        print_json(list(rows))
    else:
        show(title, rows, empty=empty)


def print_json(value: Any) -> None:
    """Print one JSON document; times are ISO 8601, bytes are hexadecimal."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=_for_json)
    sys.stdout.write("\n")


def progress(*, quiet: bool) -> Progress:
    """Give progress bars that vanish when done; none without a terminal."""
    console = Console(stderr=True)
    description = TextColumn("{task.description}")
    columns = (SpinnerColumn(), description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _shown(cell: Any) -> Text:
    match cell:
        case None:
            return Text("")
        case bool():
            return Text(str(cell).lower())
        case int():
            return Text(f"{cell:,}")
        case datetime():
            return Text(f"{cell:%Y-%m-%d %H:%M:%S%z}".replace("+0000", "Z"))
        case dict() | list():
            return Text(json.dumps(cell, ensure_ascii=False))
        case bytes():
            return Text(cell.decode("utf-8", "backslashreplace"))
    return Text(str(cell))


def _for_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else str(value)
