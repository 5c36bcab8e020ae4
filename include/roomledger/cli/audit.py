"""`roomledger audit`: the audits, printed as a table, as CSV or as JSON."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from roomledger import times
from roomledger.cli.app import INCOMPLETE, TOML, USERS_MISTAKE, Config, TimeLimit, opened
from roomledger.cli.deadline import deadline
from roomledger.cli.output import complain
from roomledger.cli.results import AsJson, Form, Output, chosen_form, deliver
from roomledger.ledger.database import QUERY_TIME_S
from roomledger.queries import audit

verbs = typer.Typer(rich_markup_mode="markdown")


def _help() -> str:
    """Describe every audit with its parameters."""
    lines = ["Run one audit and print its result. Exit code 3 when `completeness` finds missing assets."]
    lines += ["Example: `roomledger audit session-record -p session_id=66be3a4e91c2d3e4f5061728 -o record.csv`"]
    for each in audit.names().values():
        lines.append(f"**{each.name}**: {each.description}")
        needs = ((one, f"{one.need} {one.other}".strip()) for one in each.parameters if one.name != "now")
        lines += [f"- `{one.name}` ({need}): {one.meaning}" for one, need in needs]
    return "\n\n".join(lines)


@verbs.command("audit", help=_help())
def run_audit(
    name: Annotated[str, typer.Argument(help="Name of the audit.")],
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="name=value; can be repeated.")] = None,
    form: Form = None,
    output: Output = None,
    as_json: AsJson = False,
    time_limit: TimeLimit = QUERY_TIME_S,
    config: Config = TOML,
) -> None:
    """Run one audit and print its result."""
    chosen = chosen_form(form, output, as_json=as_json)
    with deadline(time_limit), opened(config, only_facts=True) as runtime:
        parameters: dict[str, Any] = dict(_parameter(one) for one in param or ())
        if name == "completeness":
            parameters.setdefault("now", times.utc_now())
        rows = audit.run(runtime.facts, name, parameters, time_limit_s=time_limit)
    deliver(name, rows, chosen, output)
    if name == "completeness" and audit.is_incomplete(rows):
        raise typer.Exit(INCOMPLETE)


def _parameter(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals:
        complain(f"--param {option}: write name=value, such as --param user_id=u-1001")
        raise typer.Exit(USERS_MISTAKE)
    return name, value
