"""Heartbeat: repeat an action in a thread while a block runs, so that a lease or a message does not expire under it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def heartbeat(action: Callable[[], object], interval_s: float) -> Iterator[None]:
    """Call `action` every `interval_s` until the block ends."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(min(interval_s, threading.TIMEOUT_MAX)):
            action()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
