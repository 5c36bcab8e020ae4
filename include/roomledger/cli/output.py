"""Sentences and JSON on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from roomledger.cli.cells import visible
from roomledger.cli.tables import Row, show


def complain(sentence: str) -> None:
    """Print an error on one line of standard error."""
    Console(stderr=True).print(visible(sentence), style="red", soft_wrap=True, markup=False, highlight=False)


def say(sentence: str) -> None:
    """Print one sentence on standard output."""
    Console().print(sentence, soft_wrap=True, markup=False, highlight=False)


def show_result(title: str, rows: Sequence[Row], *, as_json: bool, empty: str = "Nothing.") -> None:
    """Print rows as a table, or as a JSON list."""
    if as_json:
        print_json(list(rows))
    else:
        show(title, rows, empty=empty)


def print_json(value: Any) -> None:
    """Print one JSON document; times are ISO 8601, bytes are hexadecimal."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    json.dump(value, sys.stdout, ensure_ascii=not is_unicode, indent=2, default=_for_json)
    sys.stdout.write("\n")


def progress(*, quiet: bool) -> Progress:
    """Give progress bars that vanish when done; none without a terminal."""
    console = Console(stderr=True)
    description = TextColumn("{task.description}")
    columns = (SpinnerColumn(), description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)


def _for_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else str(value)
