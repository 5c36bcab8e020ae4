"""A hard limit for the commands that run a query.

The database stops a query itself. It cannot while it waits for a lock before the query, and some functions of DuckDB
ignore that they are to stop.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from roomledger.cli.app import USERS_MISTAKE
from roomledger.cli.output import complain
from roomledger.ledger.database import took_too_long

_GRACE_S = 2
"""Time in which the database may stop the query itself."""


@contextmanager
def deadline(time_limit_s: float) -> Iterator[None]:
    """End the process when the block takes much longer than the limit; it must only read."""
    timer = threading.Timer(time_limit_s + _GRACE_S, _end, [f"the query cannot be run: {took_too_long(time_limit_s)}"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(sentence: str) -> None:
    complain(sentence)
    os._exit(USERS_MISTAKE)  # an exception would wait for the thread that hangs
