"""What runs in the triggerer: it asks whether something waits in a queue, and rings. It takes nothing out of the queue.

Nothing is lost when a ring is: the messages stay where they are, and the next look rings again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

log = logging.getLogger(__name__)

_PATIENCE_S = 20.0
"""A queue that holds the line is asked this seldom while nothing comes, and answers at once when something does."""
_SOONEST_S, _LATEST_S = 2.0, 10.0
"""Pause after a ring: whoever answers needs a while, and rings while he is at it are one."""
_FAILED_LATEST_S = 60.0


class QueueTrigger(BaseEventTrigger):
    """Rings when something waits in the queue, or inbox, of this name; one event for however much there is."""

    def __init__(self, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is untyped
        self.name = name

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """See `BaseTrigger.serialize`."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"name": self.name}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ring for ever; errors are told in the log, and tried again after a while."""
        # A thread of its own: it may wait long, and those of the event loop are few and everybody's.
        with_thread = ThreadPoolExecutor(1, f"queue-{self.name}")
        look = _Look(self.name)
        pause = failed = _SOONEST_S
        try:
            while True:
                try:
                    waits = await asyncio.get_running_loop().run_in_executor(with_thread, look)
                except Exception as error:  # a trigger that ends is started again every second
                    log.warning("%s: cannot look, and tries again in %.0f s: %s", self.name, failed, error)
                    await asyncio.sleep(failed)
                    failed = min(2 * failed, _FAILED_LATEST_S)
                    continue
                failed = _SOONEST_S
                if not waits:
                    pause = _SOONEST_S
                    continue
                yield TriggerEvent({"queue": self.name})  # type: ignore[no-untyped-call]  # Airflow's is untyped
                await asyncio.sleep(pause)
                pause = min(1.5 * pause, _LATEST_S)
        finally:
            with_thread.shutdown(wait=False, cancel_futures=True)


class _Look:
    """Opens the queue at the first look, and anew after an error, so that changed settings and keys are taken up."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: Any = None

    def __call__(self) -> bool:
        from roomledger.airflow import tasks

        queue, self._queue = self._queue or tasks.open_queue(self._name), None
        waits: bool = queue.peek(_PATIENCE_S)
        self._queue = queue
        return waits
