"""The one style of tables: never wider than the screen, and long text folded, not cut.

Rows with more columns than the screen can show are printed below each other, as records: one line per column.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from roomledger.cli.cells import fold, is_number, shown, title

Row = Mapping[str, Any]

_WIDTH_OF_FILES = 120
"""Width of tables in a file or a pipe, unless COLUMNS says otherwise."""
_NARROWEST = 40
_READABLE = 16
"""A column of text is not narrower than this, if its text is wider."""
_BORDER = 3
"""What a column needs besides its text, with one more for the table."""


def screen_width() -> int:
    """Give the columns of the terminal, or those of a file."""
    return max(_NARROWEST, shutil.get_terminal_size((_WIDTH_OF_FILES, 0)).columns)


def show(heading: str, rows: Sequence[Row], *, empty: str, stream: TextIO | None = None) -> None:
    """Print rows as a table, or as records: a single row, and rows of too many columns."""
    console = Console(file=stream or sys.stdout, width=screen_width(), highlight=False, markup=False, emoji=False)
    if not rows:
        console.print(empty)
        return
    console.print(heading, style="bold")
    columns = list(rows[0])
    cells = {name: [row[name] for row in rows] for name in columns}
    texts = {name: [shown(name, cell) for cell in cells[name]] for name in columns}
    titles = {name: title(name, cells[name]) for name in columns}
    are_numbers = {name: all(cell is None or is_number(cell) for cell in cells[name]) for name in columns}
    wanted = [max(map(_widest, (titles[name], *texts[name]))) for name in columns]
    needed = [
        width if _is_short(cells[name]) else min(width, max(_READABLE, _widest_word(titles[name])))
        for name, width in zip(columns, wanted, strict=True)
    ]
    widths = share(wanted, needed, console.width - _BORDER * len(columns) - 1)
    if widths is None or len(rows) == 1:
        _print_records(console, titles, texts)
        return
    table = Table()
    for name, width in zip(columns, widths, strict=True):
        table.add_column(
            _cell(titles[name], width), justify="right" if are_numbers[name] else "left", width=width, no_wrap=True
        )
    for row in zip(*texts.values(), strict=True):
        table.add_row(*(_cell(text, width) for text, width in zip(row, widths, strict=True)))
    console.print(table)


def share(wanted: Sequence[int], needed: Sequence[int], space: int) -> list[int] | None:
    """Share the space among columns, those that want least first; None if they need more than there is."""
    if sum(needed) > space:
        return None
    widths = list(needed)
    spare = space - sum(needed)
    waiting = sorted(range(len(wanted)), key=lambda at: wanted[at] - needed[at])
    for done, at in enumerate(waiting):
        more = min(wanted[at] - needed[at], spare // (len(waiting) - done))
        widths[at] += more
        spare -= more
    return widths


def _print_records(console: Console, titles: Mapping[str, str], texts: Mapping[str, Sequence[str]]) -> None:
    """Print each row as a block of lines: column and value."""
    space = console.width - 2 * _BORDER - 1
    first = min(max(map(_widest, titles.values())), space // 2)
    second = min(max(1, *(_widest(text) for column in texts.values() for text in column)), space - first)
    table = Table(show_header=False)
    for width in (first, second):
        table.add_column(width=width, no_wrap=True)
    for row in zip(*texts.values(), strict=True):
        table.add_section()
        for name, text in zip(titles.values(), row, strict=True):
            table.add_row(_cell(name, first), _cell(text, second))
    console.print(table)


def _is_short(cells: Sequence[Any]) -> bool:
    """Whether a column is not folded: numbers and times."""
    return all(cell is None or is_number(cell) or isinstance(cell, datetime) for cell in cells)


def _cell(text: str, width: int) -> Text:
    return Text(fold(text, width))


def _widest(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def _widest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)
