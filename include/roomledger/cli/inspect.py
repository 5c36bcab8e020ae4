"""The verbs that only read: `status`, `where`, `sql`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from roomledger import times
from roomledger.cli.app import TOML, USERS_MISTAKE, AsJson, Config, app, opened
from roomledger.cli.output import complain, print_json, show, show_result
from roomledger.queries.adhoc import QueryError, run_query
from roomledger.queries.lineage import trace_object
from roomledger.queries.status import read_status


@app.command()
def status(config: Config = TOML, as_json: AsJson = False) -> None:
    """Show objects by disposition, refusals, retries, what only the vendor stores, and how fresh the tables are."""
    with opened(config) as runtime, runtime.database.begin(read_only=True) as tx:
        found = read_status(tx, times.utc_now())
    if as_json:
        print_json(asdict(found))
        return
    show("Objects", found.objects, empty="Nothing was collected yet: roomledger collect")
    show("Open refusals", found.refusals, empty="Nothing is refused.")
    retries = _first_of("Waiting for another try", found.retries, found.retries_total)
    show(retries, found.retries, empty="Nothing waits for another try.")
    unsafe = _first_of("Stored by the vendor only", found.unsafe, found.unsafe_total)
    show(unsafe, found.unsafe, empty="Nothing is stored by the vendor only.")
    show("Freshness: seconds, last 24 hours", found.freshness, empty="Nothing became queryable in the last 24 hours.")
    show("Last load", [found.last_load] if found.last_load else [], empty="Nothing was loaded yet.")


def _first_of(title: str, rows: Sequence[Any], total: int) -> str:
    return title if len(rows) == total else f"{title}: the {len(rows)} soonest of {total:,}"


@app.command()
def where(
    uri: Annotated[str, typer.Argument(help="Address of the object, such as s3://bucket/prefix/chat/…/Rec-….csv")],
    config: Config = TOML,
    as_json: AsJson = False,
) -> None:
    """Show what became of one object, and why: its versions, who observed it, its rows and refusals."""
    with opened(config) as runtime, runtime.database.begin(read_only=True) as tx:
        found = trace_object(tx, uri)
    if as_json:
        print_json(asdict(found))
    elif found.versions:
        columns = ("object_id", "version", "modified_at", "size_bytes", "asset_type", "disposition", "reason")
        show("Versions, newest first", [{name: row[name] for name in columns} for row in found.versions], empty="")
        show("Observations", found.observations, empty="")
        show("Rows", found.rows, empty="No rows come from it.")
        show("Refusals", found.refusals, empty="Nothing of it was refused.")
    if not found.versions:
        complain(
            f"{uri} was never observed: check the address "
            "(`roomledger sql \"SELECT uri FROM object_ledger WHERE uri LIKE '%…%'\"`), "
            "or run `roomledger collect` if it is new"
        )
        raise typer.Exit(USERS_MISTAKE)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help='One SELECT, such as "SELECT * FROM chat_messages LIMIT 5"')],
    config: Config = TOML,
    as_json: AsJson = False,
) -> None:
    """Query the warehouse; nothing can be changed this way."""
    with opened(config) as runtime:
        try:
            with runtime.database.begin(read_only=True) as tx:
                rows = run_query(tx, query)
        except QueryError as error:
            complain(f"the warehouse says: {error}")
            raise typer.Exit(USERS_MISTAKE) from None
        show_result("Result", rows, as_json=as_json, empty="No rows.")
