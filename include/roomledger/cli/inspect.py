"""The commands that only read: `status`, `where`, `sql`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from roomledger import times
from roomledger.cli.app import TOML, USERS_MISTAKE, AsJson, Config, TimeLimit, opened
from roomledger.cli.deadline import deadline
from roomledger.cli.output import complain, print_json
from roomledger.cli.results import AsJson as SameAsJson
from roomledger.cli.results import Form, Output, chosen_form, deliver
from roomledger.cli.tables import show
from roomledger.ledger.database import QUERY_TIME_S
from roomledger.queries.lineage import trace_object
from roomledger.queries.status import read_status

verbs = typer.Typer(rich_markup_mode="markdown")


@verbs.command()
def status(config: Config = TOML, as_json: AsJson = False) -> None:
    """Show objects by disposition, refusals, retries, vendor-stored assets, and the freshness of the tables.

    Example: `roomledger status --json`
    """
    with opened(config) as runtime, runtime.database.begin(read_only=True) as tx:
        found = read_status(tx, times.utc_now())
    if as_json:
        print_json(asdict(found))
        return
    show("Objects", found.objects, empty="No objects yet: run `roomledger collect`.")
    show("Open refusals", found.refusals, empty="No open refusals.")
    retries = _first_of("Retries", found.retries, found.retries_total)
    show(retries, found.retries, empty="No retries.")
    unsafe = _first_of("Assets stored by 100ms only", found.unsafe, found.unsafe_total)
    show(unsafe, found.unsafe, empty="No assets are stored by 100ms only.")
    show(
        "Freshness of the last 24 hours",
        found.freshness,
        empty="No objects were loaded in the last 24 hours.",
    )
    show("Last load", [found.last_load] if found.last_load else [], empty="No loads yet.")


def _first_of(title: str, rows: Sequence[Any], total: int) -> str:
    return title if len(rows) == total else f"{title}: the {len(rows)} soonest of {total:,}"


@verbs.command()
def where(
    uri: Annotated[str, typer.Argument(help="Address of the object, such as s3://bucket/prefix/chat/…/Rec-….csv")],
    config: Config = TOML,
    as_json: AsJson = False,
) -> None:
    """Show one object: its versions with their disposition and reason, its observations, rows and refusals.

    Example: `roomledger where s3://acme-recordings/live/eu/chat/room1/20260302/Rec-room1-1772445660000.csv`
    """
    with opened(config) as runtime:
        found = trace_object(runtime.database, runtime.facts, uri)
    if as_json:
        print_json(asdict(found))
    elif found.versions:
        columns = ("object_id", "version", "modified_at", "size_bytes", "asset_type", "disposition", "reason")
        show("Versions, newest first", [{name: row[name] for name in columns} for row in found.versions], empty="")
        show("Observations", found.observations, empty="")
        show("History, newest first", found.history, empty="It was never shown in the tables.")
        show("Rows", found.rows, empty="No rows.")
        show("Refusals", found.refusals, empty="No refusals.")
    if not found.versions:
        complain(
            f"{uri} was never observed: check the address "
            "(`roomledger sql \"SELECT uri FROM object_ledger WHERE uri LIKE '%…%'\"`), "
            "or run `roomledger collect` if it is new"
        )
        raise typer.Exit(USERS_MISTAKE)


@verbs.command()
def sql(
    query: Annotated[str, typer.Argument(help='One SELECT, such as "SELECT * FROM chat_messages LIMIT 5"')],
    form: Form = None,
    output: Output = None,
    as_json: SameAsJson = False,
    time_limit: TimeLimit = QUERY_TIME_S,
    config: Config = TOML,
) -> None:
    """Run one query, which cannot change anything. `docs/data-dictionary.md` describes tables and views.

    Example: `roomledger sql "SELECT sender_name, message FROM chat_messages LIMIT 5"`

    Example: `roomledger sql "SELECT * FROM statements" --output statements.csv`
    """
    chosen = chosen_form(form, output, as_json=as_json)
    with deadline(time_limit), opened(config, only_facts=True) as runtime:
        rows = runtime.facts.query(query, time_limit_s=time_limit)
    deliver("Result", rows, chosen, output)
