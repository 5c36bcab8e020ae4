"""What auditors ask: questions in SQL with named parameters, their answers, and those as CSV that no spreadsheet runs.

Each file of `audits/` is one question. Its head says what it answers and describes each parameter by a line
`-- :name (kind) meaning`, where a kind is `text`, `number` or `time`, and then perhaps how it is needed: `optional`,
`or other` (give one of the two) or `with other` (give it together with the other).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources
from typing import Any, TextIO

from sqlalchemy import Connection, text

from roomledger.times import parse_rfc3339

Row = Mapping[str, Any]

INCOMPLETE = frozenset({"failed", "late", "missing", "refused"})
"""States of `completeness` that mean that something ought to be there and is not."""


class AuditError(Exception):
    """The question cannot be put like this; the message says what to give."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a question must be told."""

    name: str
    kind: str
    """`text`, `number` or `time`."""
    need: str
    """`required`, `optional`, `or` or `with`; the last two concern `other`."""
    other: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Audit:
    """One question."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    query: str


def names() -> dict[str, Audit]:
    """Give every question by its name, in alphabetical order."""
    files = (file for file in resources.files(__package__).joinpath("audits").iterdir())
    read = (_read(file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in files if _is_sql(file.name))
    return {audit.name: audit for audit in sorted(read, key=lambda audit: audit.name)}


def run(tx: Connection, name: str, params: Mapping[str, Any]) -> list[Row]:
    """Put a question; raises AuditError when it is unknown or not told what it must be.

    Parameters are text as somebody types it, or the values themselves (an int, a datetime with its zone); one that is
    None or empty counts as not given.
    """
    known = names()
    if name not in known:
        raise AuditError(f"there is no audit {name!r}: give one of {', '.join(known)}")
    return [dict(row) for row in tx.execute(text(known[name].query), _bound(known[name], params)).mappings()]


def is_incomplete(rows: Sequence[Row]) -> bool:
    """Tell whether rows of `completeness` hold anything that ought to be there and is not."""
    return any(row["state"] in INCOMPLETE for row in rows)


_PARAMETER = re.compile(r":(\w+) \((text|number|time)(?:, (?:(optional)|(or|with) (\w+)))?\) (.+)")


def _is_sql(name: str) -> bool:
    return name.endswith(".sql")


def _read(name: str, content: str) -> Audit:
    """Take a file apart. Its head is kept out of the query: a database would see parameters in it."""
    lines = content.splitlines()
    size = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    head = [line.removeprefix("--").strip() for line in lines[:size]]
    told = [line for line in head if not line.startswith(":")]
    return Audit(name, " ".join(told), tuple(map(_parameter, head[len(told) :])), "\n".join(lines[size:]))


def _parameter(line: str) -> Parameter:
    match = _PARAMETER.fullmatch(line)
    if match is None:
        raise ValueError(f"no description of a parameter: {line}")
    name, kind, optional, need, other, meaning = match.groups()
    return Parameter(name, kind, need or optional or "required", other or "", meaning)


def _bound(audit: Audit, params: Mapping[str, Any]) -> dict[str, Any]:
    """Check what was given and make it the values that the query takes."""
    takes = ", ".join(parameter.name for parameter in audit.parameters)
    for name in params:
        if name not in {parameter.name for parameter in audit.parameters}:
            raise AuditError(f"{audit.name} knows no parameter {name!r}: it takes {takes}")
    given = {name: value for name, value in params.items() if value is not None and value != ""}
    for parameter in audit.parameters:
        _require(audit, parameter, given)
    values = {p.name: _value(p, given[p.name]) if p.name in given else None for p in audit.parameters}
    since, until = values.get("since"), values.get("until")
    if since and until and since >= until:
        raise AuditError(f"since ({since:%Y-%m-%dT%H:%M:%SZ}) must be before until ({until:%Y-%m-%dT%H:%M:%SZ})")
    return values


def _require(audit: Audit, parameter: Parameter, given: Mapping[str, Any]) -> None:
    name, other, meaning = parameter.name, parameter.other, parameter.meaning
    if parameter.need == "required" and name not in given:
        raise AuditError(f"{audit.name} needs {name}: {meaning}")
    if parameter.need == "or" and (name in given) == (other in given):
        wanted = f"either {name} or {other}, not both" if name in given else f"{name} or {other}"
        raise AuditError(f"{audit.name} needs {wanted}")
    if parameter.need == "with" and (name in given) != (other in given):
        raise AuditError(f"{audit.name} needs {name} and {other} together: {meaning}")


def _value(parameter: Parameter, given: Any) -> Any:
    try:
        match parameter.kind:
            case "number":
                return _number(given)
            case "time":
                return _time(given)
        return str(given)
    except ValueError:
        raise AuditError(f"{parameter.name} cannot be {given!r}: {_EXAMPLES[parameter.kind]}") from None


_EXAMPLES = {
    "number": "give a whole number, such as 1",
    "time": "give a day such as 2024-08-31 (its midnight, UTC) or a time such as 2024-08-31T17:30:00Z",
}


def _number(given: Any) -> int:
    number = int(given)
    if abs(number) >= 1 << 63:
        raise ValueError("the database counts in 64 bits")
    return number


def _time(given: Any) -> datetime:
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ValueError("a time needs its zone")
        return given.astimezone(UTC)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", str(given), re.ASCII):
        day = date.fromisoformat(str(given))
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    moment = parse_rfc3339(str(given))
    if moment is None:
        raise ValueError("the year 1 means no time")
    return moment


# Spreadsheets take such cells for formulas, some of them behind blanks and invisible characters, too.
_FORMULA = re.compile("[\\s\\x00-\\x1f\\x7f\\ufeff\\u200b-\\u200f\\u2060]*[=+\\-@＝＋－＠]|[\\t\\r\\n]")


def write_csv(rows: Sequence[Row], stream: TextIO) -> None:
    """Write rows as CSV (RFC 4180) with a header; of no rows nothing is written.

    Text that a spreadsheet would take for a formula gets an apostrophe in front, by which spreadsheets know text.
    Numbers stay numbers. Open the stream with `newline=""`.
    """
    if rows:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(rows[0])
        writer.writerows([_cell(cell) for cell in row.values()] for row in rows)


def _cell(cell: Any) -> Any:
    match cell:
        case bool():
            return str(cell).lower()
        case None | int() | float() | Decimal():
            return cell
        case datetime():
            return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case dict() | list():
            return _as_text(json.dumps(cell, ensure_ascii=False))
        case bytes():
            return cell.hex()
    return _as_text(str(cell))


def _as_text(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
