"""Audits: SQL queries with named parameters, and their results as CSV without spreadsheet formulas.

Each file of `audits/` is one audit. Its head describes the result, and each parameter by `-- :name (kind) meaning`. A
kind is `text`, `number` or `time`, and may be followed by `optional`, `or other` (exactly one of the two is required)
or `with other` (both or none).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib import resources
from typing import Any, TextIO

from roomledger.ledger.database import QUERY_TIME_S, Row
from roomledger.queries.plain import plain
from roomledger.times import parse_rfc3339
from roomledger.warehouse.engine import Facts

INCOMPLETE = frozenset({"failed", "late", "missing", "refused"})
"""States of `completeness` for assets that should have arrived and did not."""


class AuditError(Exception):
    """The audit or its parameters are invalid; the message contains the remedy."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an audit."""

    name: str
    kind: str
    """`text`, `number` or `time`."""
    need: str
    """`required`, `optional`, `or` or `with`; the last two refer to `other`."""
    other: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Audit:
    """One audit."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    query: str


def names() -> dict[str, Audit]:
    """Give every audit by its name, in alphabetical order."""
    files = [file for file in resources.files(__package__).joinpath("audits").iterdir() if file.name.endswith(".sql")]
    audits = [_parse(file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in files]
    return {audit.name: audit for audit in sorted(audits, key=lambda audit: audit.name)}


def run(facts: Facts, name: str, params: Mapping[str, Any], *, time_limit_s: float = QUERY_TIME_S) -> Sequence[Row]:
    """Run an audit; raises AuditError for an unknown one, and for missing or invalid parameters.

    Parameters are text, such as from a command line, or values (an int, a datetime with a zone); None and empty text
    count as missing.
    """
    return facts.query(*prepare(name, params), time_limit_s=time_limit_s)


def prepare(name: str, params: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Give the query of an audit and the values of its parameters; raises as `run` does."""
    known = names()
    if name not in known:
        raise AuditError(f"there is no audit {name!r}: use one of {', '.join(known)}")
    return known[name].query, _values(known[name], params)


def is_incomplete(rows: Sequence[Row]) -> bool:
    """Whether rows of `completeness` contain an asset that should have arrived and did not."""
    return any(row["state"] in INCOMPLETE for row in rows)


_PARAMETER = re.compile(r":(\w+) \((text|number|time)(?:, (?:(optional)|(or|with) (\w+)))?\) (.+)")


def _parse(name: str, content: str) -> Audit:
    """Parse a file. The query excludes its head: SQLAlchemy would find parameters in it."""
    lines = content.splitlines()
    size = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    head = [line.removeprefix("--").strip() for line in lines[:size]]
    text = [line for line in head if not line.startswith(":")]
    return Audit(name, " ".join(text), tuple(map(_parameter, head[len(text) :])), "\n".join(lines[size:]))


def _parameter(line: str) -> Parameter:
    match = _PARAMETER.fullmatch(line)
    if match is None:
        raise ValueError(f"not a description of a parameter: {line}")
    name, kind, optional, need, other, meaning = match.groups()
    return Parameter(name, kind, need or optional or "required", other or "", meaning)


def _values(audit: Audit, params: Mapping[str, Any]) -> dict[str, Any]:
    """Check the parameters, and convert them to the values of the query."""
    known = [parameter.name for parameter in audit.parameters]
    for name in params:
        if name not in known:
            raise AuditError(f"{audit.name} has no parameter {name!r}: use {', '.join(known)}")
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
        raise ValueError("the database has 64-bit numbers")
    return number


def _time(given: Any) -> datetime:
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ValueError("a time needs a zone")
        return given.astimezone(UTC)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", str(given), re.ASCII):
        return datetime.fromisoformat(str(given)).replace(tzinfo=UTC)
    moment = parse_rfc3339(str(given))
    if moment is None:
        raise ValueError("the year 1 means no time")
    return moment


# Spreadsheets read such cells as formulas, some of them also after blanks and invisible characters.
_FORMULA = re.compile("[\\s\\x00-\\x1f\\x7f\\ufeff\\u200b-\\u200f\\u2060]*[=+\\-@＝＋－＠]|[\\t\\r\\n]")


def write_csv(rows: Sequence[Row], stream: TextIO) -> None:
    """Write rows as CSV (RFC 4180) with a header; without rows nothing is written.

    Text that a spreadsheet would read as a formula gets an apostrophe in front, which marks text in spreadsheets.
    Numbers stay numbers. Open the stream with `newline=""`.
    """
    if rows:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(map(_as_text, rows[0]))
        writer.writerows([_cell(cell) for cell in row.values()] for row in rows)


def _cell(cell: Any) -> Any:
    match cell:
        case bool():
            return str(cell).lower()
        case None | int() | float() | Decimal():
            return cell
        case datetime():
            return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case dict() | list() | tuple():
            return _as_text(json.dumps(plain(cell), ensure_ascii=False))
        case bytes():
            return cell.hex()
    return _as_text(str(cell))


def _as_text(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
