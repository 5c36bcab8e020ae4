"""`roomledger audit`: the auditors' questions, answered as a table, as CSV or as JSON."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from roomledger import times
from roomledger.cli.app import INCOMPLETE, TOML, USERS_MISTAKE, Config, app, opened
from roomledger.cli.output import complain, print_json, show
from roomledger.queries import audit


class Format(StrEnum):
    """How the answer to an audit is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def _help() -> str:
    """Describe every audit with its parameters."""
    lines = ["Answer one of the auditors' questions. Exit code 3 when `completeness` finds something missing."]
    for each in audit.names().values():
        lines.append(f"**{each.name}**: {each.description}")
        lines += [f"- `{one.name}` {one.meaning}" for one in each.parameters if one.name != "now"]
    return "\n\n".join(lines)


@app.command("audit", help=_help())
def run_audit(
    name: Annotated[str, typer.Argument(help="Which audit.")],
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="name=value; may be given several times.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="How to print the answer.")] = Format.TABLE,
    config: Config = TOML,
) -> None:
    """Run one audit and print the answer."""
    with opened(config) as runtime:
        parameters: dict[str, Any] = dict(_parameter(one) for one in param or ())
        if name == "completeness":
            parameters.setdefault("now", times.utc_now())
        try:
            with runtime.database.begin(read_only=True) as tx:
                rows = audit.run(tx, name, parameters)
        except audit.AuditError as error:
            complain(str(error))
            raise typer.Exit(USERS_MISTAKE) from None
    match form:
        case Format.CSV:
            # Not sys.stdout: it has an encoding and line ends of its own, which the terminal or the system chooses.
            with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as stream:
                audit.write_csv(rows, stream)
        case Format.JSON:
            print_json(rows)
        case _:
            show(name, rows, empty="Nothing.")
    if name == "completeness" and audit.is_incomplete(rows):
        raise typer.Exit(INCOMPLETE)


def _parameter(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals:
        complain(f"--param {option}: write name=value, such as --param user_id=u-1001")
        raise typer.Exit(USERS_MISTAKE)
    return name, value
