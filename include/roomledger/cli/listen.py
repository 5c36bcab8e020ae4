"""`roomledger listen`: drain the queues and load new objects, until Ctrl-C."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Annotated, Any

import typer

from roomledger import times
from roomledger.cli.app import FAILURE, TOML, USERS_MISTAKE, Config, opened
from roomledger.cli.output import complain, say
from roomledger.ledger.outcome import Load
from roomledger.pipeline.listen import Round, listen_and_load
from roomledger.pipeline.subscriptions import subscribe
from roomledger.runtime import open_queue
from roomledger.settings import queue_names

verbs = typer.Typer(rich_markup_mode="markdown")

_INGESTED = ("messages", "events", "rekeyed", "new_seen", "missing", "foreign", "messages_refused", "messages_left")
"""Counts that the JSON of a round always has; others only when there are any."""
_QUIET_S = 3.0
"""Queues are quiet after this time without a message."""


@verbs.command()
def listen(
    config: Config = TOML,
    once: Annotated[
        bool, typer.Option("--once", help="Exit after some seconds without a message, instead of at Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Drain every `[[queue]]` of the settings and the inbox of webhooks, and load new objects within seconds.

    Runs until Ctrl-C and prints one line per round. A message is acknowledged after its commit, so an interruption
    loses nothing. But a cloud may lose a notification: also schedule `roomledger run`, such as by cron.

    With `--once` the exit code is 1 when a queue, or an object named by a message, could not be read in the last round.

    Example: `roomledger listen --once`
    """
    problems: set[str] = set()
    with opened(config) as runtime:
        names = queue_names(runtime.settings)
        if not names:
            complain(
                f"{config} has no [[queue]] and no [webhooks] inbox to listen to: add one, or use `roomledger run`"
            )
            raise typer.Exit(USERS_MISTAKE)
        subscriptions = [
            subscribe(runtime.settings, name, open_queue(runtime.settings, name, runtime.connections)) for name in names
        ]
        is_over = _until_ctrl_c()
        if not as_json:
            say(f"Listening to {', '.join(names)}" + ("" if once else "; stop with Ctrl-C"))
        stores = runtime.stores()
        rounds = listen_and_load(
            runtime.database,
            runtime.settings.sources,
            runtime.readers(stores),
            stores,
            subscriptions,
            quiet_s=_QUIET_S if once else math.inf,
            most_s=math.inf,
            is_over=is_over,
            facts=runtime.facts,
        )
        for done in rounds:
            problems = _print_round(done, problems, as_json=as_json)
    if once and problems:
        raise typer.Exit(FAILURE)


def _until_ctrl_c() -> Callable[[], bool]:
    """Handle Ctrl-C and SIGTERM from now on: the first one makes the returned function true, the second ends at once.

    An exception instead could interrupt any statement, and DuckDB loses some of them.
    """
    pressed = threading.Event()
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def press(*_: object) -> None:
        pressed.set()
        os.write(sys.stderr.fileno(), b"Stopping after this round; press Ctrl-C again to stop at once\n")
        for number, handler in usual.items():
            signal.signal(number, handler)

    for number in usual:
        signal.signal(number, press)
    return pressed.is_set


def _print_round(done: Round | Load, problems: set[str], *, as_json: bool) -> set[str]:
    """Print the counts of a round, and its new problems; return its problems."""
    did, now = ("loaded", problems) if isinstance(done, Load) else ("ingested", done.problems)
    at = times.utc_now()
    if as_json:
        line: dict[str, Any] = {"at": at.isoformat(), "did": did, **done.counts}
        if isinstance(done, Round):
            line = line | dict.fromkeys(_INGESTED, 0) | done.counts | {"problems": sorted(now)}
        print(json.dumps(line), flush=True)
        return now
    counts = (f"{name.replace('_', ' ')} {number:,}" for name, number in done.counts.items() if number)
    if shown := ", ".join(counts):
        say(f"{at:%H:%M:%S}Z {did}: {shown}")
    for problem in sorted(now - problems):
        complain(problem)
    return now
