"""The `roomledger` command: every verb of the pipeline for people and scripts, without Airflow running.

Exit codes: 0 when all went well, 2 when the user can mend it (settings, credentials, a wrong address), 1 when not.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.exc import DBAPIError

from roomledger import settings, times
from roomledger.cli import notifications
from roomledger.cli.output import complain, print_json, progress, say, show
from roomledger.ledger import migrate
from roomledger.ledger.database import Database, WarehouseError, open_database
from roomledger.ledger.outcome import Load
from roomledger.ledger.replays import request_replay
from roomledger.model import BatchRefused
from roomledger.pipeline import subscriptions
from roomledger.pipeline.collect import collect_source
from roomledger.pipeline.listen import Answered, listen_and_load
from roomledger.pipeline.load import BATCH, READS, count_pending, load_batches
from roomledger.pipeline.preflight import check as check_all
from roomledger.queries import audit
from roomledger.queries.lineage import trace_object
from roomledger.queries.status import read_status
from roomledger.queues import QueueError, default_queue_access
from roomledger.stores import (
    Access,
    AccessDenied,
    BucketMissing,
    CredentialsMissing,
    Store,
    StoreError,
    default_access,
    open_store,
)
from roomledger.warehouse import setup

USERS_MISTAKE, FAILURE, INCOMPLETE = 2, 1, 3

app = typer.Typer(
    help="Load 100ms recordings from your buckets into warehouse tables. First: `init`, then `check`, then `run`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

app.add_typer(notifications.app)

_Config = Annotated[Path, typer.Option("--config", "-c", envvar="ROOMLEDGER_CONFIG", help="The settings file.")]
_Sources = Annotated[
    list[str] | None, typer.Option("--source", "-s", help="Only this source; may be given several times.")
]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")]
_Batch = Annotated[int, typer.Option(min=1, help="Objects that are claimed and committed together.")]
_Reads = Annotated[int, typer.Option(min=1, max=256, help="Objects read at the same time.")]
_AcceptRefusals = Annotated[
    bool, typer.Option("--accept-refusals", help="Go on though most files of a batch are refused for one reason.")
]
_TOML = Path("roomledger.toml")
_COUNTED = ("loads", "objects", "loaded", "refused", "rows_loaded", "rows_refused", "rows_duplicate")
"""Counts that a load always tells; other dispositions only when there are any."""
_QUIET_S = 3.0
"""After so long without a message queues are quiet."""


@dataclass(frozen=True)
class _Run:
    """What a verb works with."""

    given: settings.Settings
    database: Database
    sources: tuple[settings.Source, ...]
    """Those that were chosen, but for workspaces of which there are only webhooks."""
    as_json: bool

    def stores(self) -> dict[str, Store]:
        return {source.name: open_store(source.url, _access(source)) for source in self.sources}

    def show(self, title: str, rows: Sequence[Any], *, empty: str = "Nothing.") -> None:
        if self.as_json:
            print_json(list(rows))
        else:
            show(title, rows, empty=empty)


def _access(source: settings.Source) -> Access:
    return default_access(source.url, connection=source.connection, endpoint=source.endpoint, region=source.region)


@contextmanager
def _opened(
    config: Path, names: Sequence[str] | None = None, as_json: bool = False, *, tables: bool = True
) -> Iterator[_Run]:
    """Open settings and warehouse for a verb, and turn what goes wrong into one sentence and an exit code."""
    try:
        given = settings.read(config, os.environ)
        database = open_database(given)
        if tables:
            migrate.require_current(database)
        sources = tuple(source for source in given.select(names or ()) if source.api)
        yield _Run(given, database, sources, as_json)
    except settings.SettingsError as error:
        for problem in error.problems:
            complain(problem)
        raise typer.Exit(USERS_MISTAKE) from None
    except (AccessDenied, BucketMissing, CredentialsMissing, WarehouseError, QueueError) as error:
        complain(str(error))
        raise typer.Exit(USERS_MISTAKE) from None
    except (StoreError, BatchRefused) as error:
        complain(str(error))
        raise typer.Exit(FAILURE) from None


@app.command()
def init(config: _Config = _TOML) -> None:
    """Create the warehouse's tables, or bring those of an older version up to date; rows stay."""
    with _opened(config, tables=False) as run:
        before, after = setup.upgrade(run.database)
        told = "had all tables already" if before == after else f"now has the tables of revision {after}"
        say(f"The warehouse {told}. Next: roomledger check")


@app.command()
def check(config: _Config = _TOML, source: _Sources = None, as_json: _AsJson = False) -> None:
    """Look at settings, credentials, permissions and warehouse; change nothing. Exit code 2 when something is wrong."""
    with _opened(config, source, as_json, tables=False) as run:
        findings = check_all(run.database, run.sources, _access)
        rows = [
            {"what": finding.subject, "state": "wrong" if finding.problem else "well", "problem": finding.problem}
            for finding in findings
        ]
        run.show("Check", rows)
    if any(finding.problem for finding in findings):
        raise typer.Exit(USERS_MISTAKE)


@app.command()
def collect(config: _Config = _TOML, source: _Sources = None, as_json: _AsJson = False) -> None:
    """List the sources and write what is new, or gone, into the ledger."""
    with _opened(config, source, as_json) as run:
        found, errors = _collect(run, run.stores())
        run.show("Collected", found)
        _raise_first(errors)


def _collect(run: _Run, stores: dict[str, Store]) -> tuple[list[dict[str, Any]], list[StoreError]]:
    """List every source; one that cannot be listed does not keep the others from it."""
    rows: list[dict[str, Any]] = []
    errors: list[StoreError] = []
    with progress(quiet=run.as_json) as bars:
        for source in run.sources:
            doing = "asking" if source.is_workspace else "listing"
            bar = bars.add_task(f"{doing} {source.name}", total=None)

            def advance(objects: int, bar: Any = bar) -> None:
                bars.advance(bar, objects)

            try:
                found = collect_source(
                    run.database, source, stores[source.name], sources=run.given.sources, on_page=advance
                )
            except StoreError as error:
                errors.append(error)
            else:
                new = {f"new_{name}": found.new[name] for name in ("seen", "ignored", "superseded")}
                back = {"back": found.new["back"], "gone": found.gone}
                told = {"told": found.told, "records_refused": found.refused, "moved": found.moved}
                asked = {"requests": found.requests}
                rows.append({"source": found.source, "listed": found.listed, **new, **back, **told, **asked})
    return rows, errors


def _raise_first(errors: Sequence[StoreError]) -> None:
    for error in errors[1:]:
        complain(str(error))
    if errors:
        raise errors[0]


@app.command()
def load(
    config: _Config = _TOML,
    source: _Sources = None,
    batch: _Batch = BATCH,
    reads: _Reads = READS,
    accept_refusals: _AcceptRefusals = False,
    as_json: _AsJson = False,
) -> None:
    """Read what waits in the ledger and load it, batch by batch, until nothing waits."""
    with _opened(config, source, as_json) as run:
        totals = _load(run, run.stores(), batch=batch, reads=reads, accept_refusals=accept_refusals)
        run.show("Loaded", [totals])


def _load(run: _Run, stores: dict[str, Store], **options: Any) -> Counter[str]:
    """Load until nothing waits; give the counts."""
    totals = Counter(dict.fromkeys(_COUNTED, 0))
    with progress(quiet=run.as_json) as bars:
        bar = bars.add_task("loading", total=count_pending(run.database, run.sources))
        for done in load_batches(run.database, run.sources, stores, **options):
            bars.advance(bar, sum(done.objects.values()))
            totals["loads"] += 1
            totals["objects"] += sum(done.objects.values())
            totals.update({"tried_again_later" if kind == "seen" else kind: n for kind, n in done.objects.items()})
            totals["rows_loaded"] += done.rows_loaded
            totals["rows_refused"] += done.rows_refused
            totals["rows_duplicate"] += done.rows_duplicate
    return totals


@app.command()
def run(
    config: _Config = _TOML,
    source: _Sources = None,
    batch: _Batch = BATCH,
    reads: _Reads = READS,
    accept_refusals: _AcceptRefusals = False,
    as_json: _AsJson = False,
) -> None:
    """Collect and load until nothing is left to load. What could not be read yet is tried again by a later run."""
    with _opened(config, source, as_json) as opened:
        stores = opened.stores()
        collected: Counter[str] = Counter()
        records_refused: Counter[str] = Counter()
        loaded = Counter(dict.fromkeys(_COUNTED, 0))
        errors: list[StoreError] = []
        waiting = True
        while waiting:
            found, errors = _collect(opened, stores)
            for row in found:
                collected.update({name: row[name] for name in row.keys() - {"source", "listed", "records_refused"}})
                # Every look meets the same ones again: the most that one look met, not the sum.
                records_refused |= {row["source"]: row["records_refused"]}
            waiting = count_pending(opened.database, opened.sources) > 0
            if waiting:
                loaded.update(_load(opened, stores, batch=batch, reads=reads, accept_refusals=accept_refusals))
        collected["records_refused"] = records_refused.total()
        opened.show("Collected and loaded", [dict(sorted(collected.items())) | loaded])
        _raise_first(errors)


@app.command()
def listen(
    config: _Config = _TOML,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing has come for some seconds, instead of at Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on each line, for machines.")] = False,
) -> None:
    """Answer every `[[queue]]` of the settings and the inbox of webhooks, and load what they tell of within seconds.

    Goes on until Ctrl-C. Each round is told on a line. A message leaves its queue when the warehouse has it, so nothing
    is lost however this ends. But a cloud may lose a notice: let `roomledger run` look now and then, such as by cron.

    With `--once` the exit code is 1 when a queue, or an object that it names, could not be read in the last round.
    """
    with _opened(config, as_json=as_json) as run:
        names = settings.queue_names(run.given)
        if not names:
            complain(
                f"{config} names no [[queue]] and no [webhooks] inbox to listen to: add one, or let `roomledger run` "
                "look for what is new"
            )
            raise typer.Exit(USERS_MISTAKE)
        opened = [subscriptions.open_subscription(run.given, name, default_queue_access) for name in names]
        is_over = _until_ctrl_c()
        if not as_json:
            say(f"Listening to {', '.join(names)}" + ("" if once else "; Ctrl-C ends it"))
        rounds = listen_and_load(
            run.database,
            run.given.sources,
            run.stores(),
            opened,
            quiet_s=_QUIET_S if once else math.inf,
            most_s=math.inf,
            is_over=is_over,
        )
        problems: set[str] = set()
        for done in rounds:
            problems = _tell_round(done, problems, as_json=as_json)
    if once and problems:
        raise typer.Exit(FAILURE)


def _until_ctrl_c() -> Callable[[], bool]:
    """Tell, from now on, whether Ctrl-C was pressed, or the process told to end; the second time ends it at once.

    An exception could come in the middle of anything, and DuckDB loses some.
    """
    pressed = threading.Event()
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def press(*_: object) -> None:
        pressed.set()
        os.write(sys.stderr.fileno(), b"Ends when what is at hand is done; Ctrl-C once more ends at once\n")
        for number, handler in usual.items():
            signal.signal(number, handler)

    for number in usual:
        signal.signal(number, press)
    return pressed.is_set


def _tell_round(done: Answered | Load, problems: set[str], *, as_json: bool) -> set[str]:
    """Print what a round did, and problems that the one before had not; give those that there are now."""
    if isinstance(done, Load):
        did, now = "loaded", problems
        counts = {"objects": sum(done.objects.values()), **done.objects}
        counts |= {"rows_loaded": done.rows_loaded, "rows_refused": done.rows_refused}
        counts |= {"rows_duplicate": done.rows_duplicate}
    else:
        did, now = "answered", done.problems
        counts = {"messages": done.messages, "events": done.events, "moved": done.moved}
        counts |= {"back" if name == "back" else f"new_{name}": found for name, found in done.new.items()}
        counts |= {"gone": done.gone, "foreign": done.foreign, "refused": done.refused, "left": done.left}
    at = times.utc_now()
    if as_json:
        told = {"problems": sorted(now)} if did == "answered" else {}
        print(json.dumps({"at": at.isoformat(), "did": did, **counts, **told}), flush=True)
        return now
    if some := ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in counts.items() if number):
        say(f"{at:%H:%M:%S}Z {did}: {some}")
    for problem in sorted(now - problems):
        complain(problem)
    return now


@app.command()
def status(config: _Config = _TOML, as_json: _AsJson = False) -> None:
    """Show how far things are: objects, refusals, retries, what only the vendor holds, how fresh the tables are."""
    with _opened(config) as run, run.database.begin(read_only=True) as tx:
        found = read_status(tx, times.utc_now())
    if as_json:
        print_json(asdict(found))
        return
    show("Objects", found.objects, empty="Nothing was collected yet: roomledger collect")
    show("Open refusals", found.refusals, empty="Nothing is refused.")
    retries = _first_of("To be tried again", found.retries, found.retries_total)
    show(retries, found.retries, empty="Nothing waits for another try.")
    unsafe = _first_of("Held by the vendor alone", found.unsafe, found.unsafe_total)
    show(unsafe, found.unsafe, empty="Nothing is held by the vendor alone.")
    show("Freshness: seconds, last 24 hours", found.freshness, empty="Nothing became queryable in the last 24 hours.")
    show("Last load", [found.last_load] if found.last_load else [], empty="Nothing was loaded yet.")


def _first_of(title: str, rows: Sequence[Any], total: int) -> str:
    return title if len(rows) == total else f"{title}: the {len(rows)} soonest of {total:,}"


@app.command()
def where(
    uri: Annotated[str, typer.Argument(help="Address of the object, such as s3://bucket/prefix/chat/…/Rec-….csv")],
    config: _Config = _TOML,
    as_json: _AsJson = False,
) -> None:
    """Tell what became of one object, and why: its versions, who saw it, its rows and refusals."""
    with _opened(config) as run, run.database.begin(read_only=True) as tx:
        found = trace_object(tx, uri)
    if as_json:
        print_json(asdict(found))
    elif found.versions:
        columns = ("object_id", "version", "modified_at", "size_bytes", "asset_type", "disposition", "reason")
        show("Versions, newest first", [{name: row[name] for name in columns} for row in found.versions], empty="")
        show("Seen by", found.observations, empty="")
        show("Rows", found.rows, empty="No rows come from it.")
        show("Refusals", found.refusals, empty="Nothing of it was refused.")
    if not found.versions:
        complain(
            f'nobody has seen {uri}: check the address (`roomledger sql "SELECT uri FROM object_ledger WHERE uri LIKE '
            "'%…%'\"`), or run `roomledger collect` if it is new"
        )
        raise typer.Exit(USERS_MISTAKE)


@app.command()
def replay(
    config: _Config = _TOML,
    uri: Annotated[str | None, typer.Option(help="Only this object, whatever became of it.")] = None,
    source: Annotated[str | None, typer.Option("--source", "-s", help="Only objects of this source.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only objects refused, or ignored, with this reason code.")] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="All that was loaded, refused or ignored, not only what was refused.")
    ] = False,
    queue_only: Annotated[
        bool,
        typer.Option("--queue-only", help="Only put them back in the queue; the next load, such as Airflow's, reads."),
    ] = False,
    as_json: _AsJson = False,
) -> None:
    """Read refused objects again after a fix. Rows are replaced, never doubled; what is good now is marked resolved."""
    with _opened(config, [source] if source else None, as_json) as run:
        stores = {} if queue_only else run.stores()
        with run.database.begin() as tx:
            count = request_replay(
                tx, run.database, uri=uri, source=source, reason=reason, everything=everything, now=times.utc_now()
            )
        if uri and not count:
            complain(f"{uri} holds nothing to replay: `roomledger where` tells why")
            raise typer.Exit(USERS_MISTAKE)
        totals = {} if queue_only else _load(run, stores, accept_refusals=True)
        run.show("Replayed", [{"replayed": count, **totals}])


class Format(StrEnum):
    """How the answer to an audit is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def _audits() -> str:
    """Describe every audit with its parameters, for the help."""
    told = ["Answer one of the auditors' questions. Exit code 3 when `completeness` finds something missing."]
    for each in audit.names().values():
        told.append(f"**{each.name}**: {each.description}")
        told += [f"- `{one.name}` {one.meaning}" for one in each.parameters if one.name != "now"]
    return "\n\n".join(told)


@app.command("audit", help=_audits())
def run_audit(
    name: Annotated[str, typer.Argument(help="Which audit.")],
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="name=value; may be given several times.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="How to print the answer.")] = Format.TABLE,
    config: _Config = _TOML,
) -> None:
    """Put a question and print the answer."""
    with _opened(config) as run:
        params: dict[str, Any] = dict(_parameter(given) for given in param or ())
        if name == "completeness":
            params.setdefault("now", times.utc_now())
        try:
            with run.database.begin(read_only=True) as tx:
                rows = audit.run(tx, name, params)
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


def _parameter(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        complain(f"--param {given}: write name=value, such as --param user_id=u-1001")
        raise typer.Exit(USERS_MISTAKE)
    return name, value


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help='One SELECT, such as "SELECT * FROM chat_messages LIMIT 5"')],
    config: _Config = _TOML,
    as_json: _AsJson = False,
) -> None:
    """Ask the warehouse; nothing can be changed this way."""
    with _opened(config, as_json=as_json) as run:
        try:
            with run.database.begin(read_only=True) as tx:
                rows = [dict(row) for row in tx.exec_driver_sql(query).mappings()]
        except DBAPIError as error:
            complain(f"the warehouse says: {error.orig}")
            raise typer.Exit(USERS_MISTAKE) from None
        run.show("Result", rows, empty="No rows.")
