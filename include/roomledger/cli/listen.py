"""`roomledger listen`: drain the queues and load what is new, until Ctrl-C."""

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
from roomledger.cli.app import FAILURE, TOML, USERS_MISTAKE, Config, app, opened
from roomledger.cli.output import complain, say
from roomledger.ledger.outcome import Load
from roomledger.pipeline.listen import Round, listen_and_load
from roomledger.pipeline.subscriptions import subscribe
from roomledger.runtime import open_queue
from roomledger.settings import queue_names

_INGESTED = ("messages", "events", "rekeyed", "new_seen", "missing", "foreign", "messages_refused", "messages_left")
"""Counts of a round that machines always get; others only when there are any."""
_QUIET_S = 3.0
"""After so long without a message queues are quiet."""


@app.command()
def listen(
    config: Config = TOML,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing has arrived for some seconds, instead of at Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line, for machines.")] = False,
) -> None:
    """Drain every `[[queue]]` of the settings and the inbox of webhooks, and load what is new within seconds.

    Runs until Ctrl-C. Each round prints one line. A message leaves its queue when the warehouse has it, so nothing is
    lost however this ends. But a cloud may lose a notification: run `roomledger run` now and then, such as by cron.

    With `--once` the exit code is 1 when a queue, or an object that it names, could not be read in the last round.
    """
    problems: set[str] = set()
    with opened(config) as runtime:
        names = queue_names(runtime.settings)
        if not names:
            complain(
                f"{config} names no [[queue]] and no [webhooks] inbox to listen to: add one, or let `roomledger run` "
                "find what is new"
            )
            raise typer.Exit(USERS_MISTAKE)
        subscriptions = [
            subscribe(runtime.settings, name, open_queue(runtime.settings, name, runtime.connections)) for name in names
        ]
        is_over = _until_ctrl_c()
        if not as_json:
            say(f"Listening to {', '.join(names)}" + ("" if once else "; Ctrl-C ends it"))
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
        )
        for done in rounds:
            problems = _print_round(done, problems, as_json=as_json)
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
        os.write(sys.stderr.fileno(), b"Ends when this round is done; Ctrl-C once more ends at once\n")
        for number, handler in usual.items():
            signal.signal(number, handler)

    for number in usual:
        signal.signal(number, press)
    return pressed.is_set


def _print_round(done: Round | Load, problems: set[str], *, as_json: bool) -> set[str]:
    """Print what a round did, and problems that the one before did not have; give those that there are now."""
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
