"""The commands that write: `init`, `check`, `collect`, `load`, `run`, `replay`, `publish`, `vacuum`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from roomledger import times
from roomledger.cli.app import TOML, USERS_MISTAKE, AsJson, Config, Sources, opened
from roomledger.cli.output import complain, say, show_result
from roomledger.cli.progress import progress
from roomledger.ledger.replays import request_replay
from roomledger.pipeline import preflight
from roomledger.pipeline.collect import collect_source
from roomledger.pipeline.load import BATCH, READS, count_pending, load_batches
from roomledger.pipeline.publish import publish as publish_changes
from roomledger.pipeline.vacuum import vacuum as vacuum_rows
from roomledger.runtime import Runtime
from roomledger.settings import WorkspaceSource
from roomledger.stores import Reader, StoreError
from roomledger.warehouse import setup
from roomledger.warehouse.roles import create as create_roles
from roomledger.warehouse.transactional import DatabaseFacts

verbs = typer.Typer(rich_markup_mode="markdown")

_Batch = Annotated[int, typer.Option(min=1, max=1_000_000, help="Objects per batch: claimed and committed together.")]
_Reads = Annotated[int, typer.Option(min=1, max=256, help="Concurrent reads.")]
_AcceptRefusals = Annotated[
    bool, typer.Option("--accept-refusals", help="Continue even if most files of a batch are refused for one reason.")
]
_COLLECTED = (
    *("listed", "new_seen", "new_ignored", "new_superseded", "restored", "missing"),
    *("vendor_records", "records_refused", "rekeyed", "requests"),
)
"""Counts that are shown for every source."""
_LOADED = (
    *("loads", "objects", "objects_loaded", "objects_refused"),
    *("rows_loaded", "rows_refused", "rows_duplicate"),
)
"""Counts that are always shown for loads; other dispositions only when there are any."""


@verbs.command()
def init(config: Config = TOML) -> None:
    """Create the tables of the warehouse, or upgrade those of an older version. Rows are kept.

    Example: `roomledger init`
    """
    with opened(config, needs_tables=False) as runtime:
        before, after = setup.initialise(runtime.database, runtime.facts)
        done = "is up to date" if before == after else f"now has the tables of revision {after}"
        say(f"The warehouse {done}. Next: roomledger check")


@verbs.command()
def roles(config: Config = TOML) -> None:
    """Create the PostgreSQL roles `roomledger_loader` and `roomledger_reader`, and grant them what they need.

    Run it as the user that runs `init`, who owns the tables. Then grant the loader to the user of Airflow, and the
    reader to users of BI: `GRANT roomledger_reader TO ana`. The loader cannot create, change or drop tables. The reader
    reads the views and the ledger, but no raw rows, no bytes of refusals and no records of the vendor.

    Example: `roomledger roles`
    """
    with opened(config) as runtime:
        create_roles(runtime.database)
        if not runtime.facts.in_ledger and isinstance(runtime.facts, DatabaseFacts):
            create_roles(runtime.facts.database)
        say("The roles roomledger_loader and roomledger_reader have their privileges. Next: GRANT them to your users")


@verbs.command()
def check(config: Config = TOML, source: Sources = None, as_json: AsJson = False) -> None:
    """Check settings, credentials, permissions and warehouse, without changes. Exit code 2 when a check fails.

    Example: `roomledger check --source acme-eu`
    """
    with opened(config, source, needs_tables=False) as runtime:
        findings = preflight.check(runtime)
        rows = [
            {
                "subject": finding.subject,
                "state": "failed" if finding.problem else "look" if finding.note else "ok",
                "problem": finding.problem or finding.note,
            }
            for finding in findings
        ]
        show_result("Check", rows, as_json=as_json)
    if any(finding.problem for finding in findings):
        raise typer.Exit(USERS_MISTAKE)


@verbs.command()
def collect(config: Config = TOML, source: Sources = None, as_json: AsJson = False) -> None:
    """List the sources and record new and missing objects in the ledger. Reads no content; `load` does.

    Example: `roomledger collect --source acme-eu`
    """
    with opened(config, source) as runtime:
        collected, errors = _collect(runtime, quiet=as_json)
        show_result("Collected", [{"source": name, **counts} for name, counts in collected.items()], as_json=as_json)
        _raise_first(errors)


def _collect(runtime: Runtime, *, quiet: bool) -> tuple[dict[str, Counter[str]], list[StoreError]]:
    """Collect every source; return the counts, and the errors of those that cannot be listed."""
    collected: dict[str, Counter[str]] = {}
    errors: list[StoreError] = []
    with progress(quiet=quiet) as begin:
        for source in runtime.sources:
            is_workspace = isinstance(source, WorkspaceSource)
            work = begin(f"{source.name}:", "records read" if is_workspace else "objects listed")
            try:
                counts = collect_source(runtime, source, on_progress=work.advance)
            except StoreError as error:
                errors.append(error)
            else:
                collected[source.name] = Counter({name: counts[name] for name in _COLLECTED})
    return collected, errors


def _raise_first(errors: Sequence[StoreError]) -> None:
    for error in errors[1:]:
        complain(str(error))
    if errors:
        raise errors[0]


@verbs.command()
def load(
    config: Config = TOML,
    source: Sources = None,
    batch: _Batch = BATCH,
    reads: _Reads = READS,
    accept_refusals: _AcceptRefusals = False,
    as_json: AsJson = False,
) -> None:
    """Load the pending objects of the ledger, batch by batch. Can be interrupted and repeated.

    Example: `roomledger load --source acme-eu --batch 1000`
    """
    with opened(config, source) as runtime:
        options = {"batch": batch, "reads": reads, "accept_refusals": accept_refusals}
        counts = _load(runtime, runtime.readers(), quiet=as_json, **options)
        show_result("Loaded", [counts], as_json=as_json)


def _load(runtime: Runtime, readers: Mapping[str, Reader], *, quiet: bool, **options: Any) -> dict[str, int]:
    """Load until nothing is pending; return the counts."""
    counts: Counter[str] = Counter()
    with progress(quiet=quiet) as begin:
        work = begin("loading", total=count_pending(runtime.database, runtime.sources))
        for done in load_batches(
            runtime.database, runtime.sources, readers, facts=runtime.facts, on_progress=work.advance, **options
        ):
            counts += done.counts
    return dict.fromkeys(_LOADED, 0) | counts


@verbs.command()
def run(
    config: Config = TOML,
    source: Sources = None,
    batch: _Batch = BATCH,
    reads: _Reads = READS,
    accept_refusals: _AcceptRefusals = False,
    as_json: AsJson = False,
) -> None:
    """Collect and load until nothing is pending. A later run retries the objects that could not be read.

    Example: `roomledger run --json`
    """
    with opened(config, source) as runtime:
        readers = runtime.readers()
        options = {"batch": batch, "reads": reads, "accept_refusals": accept_refusals}
        collected, loaded = Counter(dict.fromkeys(_COLLECTED, 0)), Counter(dict.fromkeys(_LOADED, 0))
        del collected["listed"]
        records_refused: Counter[str] = Counter()
        errors: list[StoreError] = []
        has_pending = True
        while has_pending:
            by_source, errors = _collect(runtime, quiet=as_json)
            for name, counts in by_source.items():
                # Every sync retries the same refused records: report the largest count, not the sum.
                records_refused |= Counter({name: counts.pop("records_refused")})
                del counts["listed"]
                collected.update(counts)
            has_pending = count_pending(runtime.database, runtime.sources) > 0
            if has_pending:
                loaded.update(_load(runtime, readers, quiet=as_json, **options))
        collected["records_refused"] = records_refused.total()
        show_result("Collected and loaded", [dict(collected) | dict(loaded)], as_json=as_json)
        _raise_first(errors)


@verbs.command()
def replay(
    config: Config = TOML,
    uri: Annotated[str | None, typer.Option(help="Only this object, whatever its disposition.")] = None,
    source: Annotated[str | None, typer.Option("--source", "-s", help="Only objects of this source.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only refused or ignored objects with this reason code.")] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything", help="All loaded, refused and ignored objects, instead of only those with refusals."
        ),
    ] = False,
    queue_only: Annotated[
        bool,
        typer.Option("--queue-only", help="Only queue them for the next load, such as Airflow's."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load objects with refusals again, after a fix. Rows are replaced, and refusals of good records are resolved.

    Example: `roomledger replay --reason missing_column`
    """
    with opened(config, [source] if source else None) as runtime:
        readers = {} if queue_only else runtime.readers()
        with runtime.database.begin() as tx:
            choice = {"uri": uri, "source": source, "reason": reason}
            number = request_replay(tx, runtime.database, **choice, everything=everything, now=times.utc_now())
        if uri and not number:
            complain(f"{uri} has nothing to replay: see `roomledger where`")
            raise typer.Exit(USERS_MISTAKE)
        publish_changes(runtime.database, runtime.facts)
        counts = {} if queue_only else _load(runtime, readers, quiet=as_json, accept_refusals=True)
        show_result("Replayed", [{"replayed": number, **counts}], as_json=as_json)


@verbs.command()
def publish(config: Config = TOML, as_json: AsJson = False) -> None:
    """Bring the warehouse up to date with the ledger, where `[control]` is another database. All commands do it.

    Example: `roomledger publish`
    """
    with opened(config) as runtime:
        number = publish_changes(runtime.database, runtime.facts)
        show_result("Published", [{"publications": number}], as_json=as_json)


@verbs.command()
def vacuum(config: Config = TOML, as_json: AsJson = False) -> None:
    """Delete rows of loads that died, and history older than `history_days`. Rows that count are never deleted.

    Example: `roomledger vacuum`
    """
    with opened(config) as runtime:
        counts = vacuum_rows(runtime.database, runtime.facts, history_days=runtime.settings.history_days)
        show_result("Vacuumed", [dict.fromkeys(("loads", "versions"), 0) | counts], as_json=as_json)
