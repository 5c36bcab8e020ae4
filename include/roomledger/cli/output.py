"""Sentences and JSON on standard output, notes and errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console

from roomledger.cli.cells import visible
from roomledger.cli.tables import Row, show
from roomledger.queries.plain import plain


def complain(sentence: str) -> None:
    """Print an error on one line of standard error."""
    Console(stderr=True).print(visible(sentence), style="red", soft_wrap=True, markup=False, highlight=False)


def note(sentence: str) -> None:
    """Print what was done on standard error, beside an output for other programs."""
    Console(stderr=True).print(visible(sentence), soft_wrap=True, markup=False, highlight=False)


def say(sentence: str) -> None:
    """Print one sentence on standard output."""
    Console().print(sentence, soft_wrap=True, markup=False, highlight=False)


def show_result(title: str, rows: Sequence[Row], *, as_json: bool, empty: str = "Nothing.") -> None:
    """Print rows as a table, or as a JSON list."""
    if as_json:
        print_json(list(rows))
    else:
        show(title, rows, empty=empty)


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """Print one JSON document; see `plain` for its values."""
    stream = stream or sys.stdout
    is_unicode = (stream.encoding or "").lower().startswith("utf")
    json.dump(plain(value), stream, ensure_ascii=not is_unicode, indent=2, allow_nan=False)
    stream.write("\n")
