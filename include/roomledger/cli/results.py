"""The rows of `sql` and `audit` as a table, CSV or JSON, on standard output or in a file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from roomledger.cli.app import USERS_MISTAKE
from roomledger.cli.output import complain, note, print_json
from roomledger.cli.tables import Row, show
from roomledger.queries.audit import write_csv


class Format(StrEnum):
    """Form of a result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


Form = Annotated[
    Format | None,
    typer.Option("--format", "-f", help="Default: by the suffix of the output (.csv, .json), else a table."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        *("--output", "-o"),
        metavar="FILE",
        readable=False,  # the old file is only replaced
        help="Write to this file, which is replaced when all is written.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The same as --format json.")]


def chosen_form(form: Format | None, output: Path | None, *, as_json: bool) -> Format:
    """Choose the form, and check that the output can be written, before the query takes its time."""
    if as_json and form not in (None, Format.JSON):
        _refuse(f"--json and --format {form} contradict each other: give one of them")
    if output is not None:
        with _refused(output):
            _require_place(output)
    if as_json:
        return Format.JSON
    suffix = output.suffix.lower().removeprefix(".") if output else ""
    return form or (Format(suffix) if suffix in (Format.CSV, Format.JSON) else Format.TABLE)


def deliver(title: str, rows: Sequence[Row], form: Format, output: Path | None) -> None:
    """Print the rows, or write them to the file."""
    if output is not None:
        with _refused(output):
            _replace(output.resolve(), title, rows, form)
        note(f"Wrote {len(rows):,} {'row' if len(rows) == 1 else 'rows'} to {output}")
    elif form is Format.CSV:
        # Not sys.stdout, whose encoding and line ends depend on the terminal and the system.
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as stream:
            write_csv(rows, stream)
    else:
        _write(title, rows, form, sys.stdout)


def _write(title: str, rows: Sequence[Row], form: Format, stream: TextIO) -> None:
    match form:
        case Format.CSV:
            write_csv(rows, stream)
        case Format.JSON:
            print_json(list(rows), stream)
        case _:
            show(title, rows, empty="No rows.", stream=stream)


def _replace(path: Path, title: str, rows: Sequence[Row], form: Format) -> None:
    """Write a file beside it, and rename that: the old file stays until the new one is whole."""
    number, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as stream:
            _write(title, rows, form, stream)
        beside.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _require_place(output: Path) -> None:
    """Exit unless a file can be written there."""
    path = output.resolve()
    if path.is_dir():
        _refuse(f"{output} is a folder: name a file in it")
    if path.exists() and not path.is_file():
        _refuse(f"{output} is not a plain file: name another one, or leave out --output")
    if not path.parent.is_dir():
        _refuse(f"{output} cannot be written: there is no folder {path.parent}: create it, or name another file")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        _refuse(f"{output} cannot be written: no permission to write in {path.parent}: name a file elsewhere")


@contextmanager
def _refused(output: Path) -> Iterator[None]:
    """Exit with one sentence when the system refuses."""
    try:
        yield
    except OSError as error:
        _refuse(f"{output} cannot be written: {error.strerror}: check the folder, its permissions and its disk")


def _refuse(sentence: str) -> None:
    complain(sentence)
    raise typer.Exit(USERS_MISTAKE)
