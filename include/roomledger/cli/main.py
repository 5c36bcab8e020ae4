"""The `roomledger` program: its list of verbs, the options before the verb, and the end of every error.

A verb's module is imported when the verb is used: modules open databases and clouds, whose libraries take a while.
"""

from __future__ import annotations

import sys
from importlib import metadata
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from roomledger.cli.app import TOML, Config
from roomledger.cli.failures import explained
from roomledger.cli.log import write_log

VERBS = {
    "init": "Create the tables of the warehouse, or upgrade those of an older version. Rows are kept.",
    "roles": "Create the PostgreSQL roles `roomledger_loader` and `roomledger_reader`, and grant them what they need.",
    "check": "Check settings, credentials, permissions and warehouse, without changes.",
    "collect": "List the sources and record new and missing objects in the ledger.",
    "load": "Load the pending objects of the ledger, batch by batch. Can be interrupted and repeated.",
    "run": "Collect and load until nothing is pending.",
    "replay": "Load objects with refusals again, after a fix.",
    "publish": "Bring the warehouse up to date with the ledger, where `[control]` is another database.",
    "vacuum": "Delete rows of loads that died, and history older than `history_days`.",
    "listen": "Drain every `[[queue]]` of the settings and the inbox of webhooks, and load new objects within seconds.",
    "status": "Show objects by disposition, refusals, retries, vendor-stored assets, and the freshness of the tables.",
    "where": "Show one object: its versions with their disposition and reason, its observations, rows and refusals.",
    "sql": "Run one query, which cannot change anything.",
    "audit": "Run one audit and print its result.",
    "notifications": "Configure buckets to notify a queue of every new object, so that it is loaded within seconds.",
}
"""The verbs in the order of use, each with the start of its help."""


class Verbs(TyperGroup):
    """The verbs; a line of text each until they are used."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, short_help=line) for name, line in VERBS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the verb that is used."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and load_verb(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; an error ends as one sentence."""
        with explained():
            return super().invoke(ctx)


def load_verb(name: str) -> Any:
    """Import a verb and return its command, or its group of commands."""
    match name:
        case "status" | "where" | "sql":
            from roomledger.cli.inspect import verbs
        case "audit":
            from roomledger.cli.audit import verbs
        case "listen":
            from roomledger.cli.listen import verbs
        case "notifications":
            from roomledger.cli.notifications import app

            return get_group(app)
        case _:
            from roomledger.cli.pipeline import verbs
    return get_group(verbs).commands[name]


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"roomledger {metadata.version('roomledger')}")
        raise typer.Exit


@app.callback()
def before_the_verb(
    config: Config = TOML,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Log each step with its time to stderr, and show where errors arise."),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Load 100ms recordings from your buckets into warehouse tables. Start with `init`, `check` and `run`.

    `roomledger VERB --help` describes a verb, with examples.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal's encoding does not have
    if verbose:
        write_log()
