"""The trigger that peeks into a queue and fires an event when messages wait. It receives nothing.

A lost event loses no message: the messages stay in the queue, and the next peek fires another event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

log = logging.getLogger(__name__)

_TIMEOUT_S = 20.0
"""Longest wait of one peek; a queue with long polling returns as soon as a message arrives."""
_MIN_PAUSE_S, _MAX_PAUSE_S = 2.0, 10.0
"""Pause after an event: a run of `listen` needs a while, and events during that time start only one more run."""
_MAX_RETRY_S = 60.0


class QueueTrigger(BaseEventTrigger):
    """Fires one event when any number of messages wait in the queue, or inbox, of this name."""

    def __init__(self, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is untyped
        self.name = name

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """See `BaseTrigger.serialize`."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"name": self.name}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire events for ever; errors are logged and retried after a pause."""
        # A thread of its own: a peek may wait long, and all triggers share the few threads of the event loop.
        thread = ThreadPoolExecutor(1, f"queue-{self.name}")
        peek = _Peek(self.name)
        pause_s = retry_s = _MIN_PAUSE_S
        try:
            while True:
                try:
                    has_messages = await asyncio.get_running_loop().run_in_executor(thread, peek)
                except Exception as error:  # a trigger that ends is restarted every second
                    log.warning("%s: the queue cannot be read; next try in %.0f s: %s", self.name, retry_s, error)
                    await asyncio.sleep(retry_s)
                    retry_s = min(2 * retry_s, _MAX_RETRY_S)
                    continue
                retry_s = _MIN_PAUSE_S
                if not has_messages:
                    pause_s = _MIN_PAUSE_S
                    continue
                yield TriggerEvent({"queue": self.name})  # type: ignore[no-untyped-call]  # Airflow's is untyped
                await asyncio.sleep(pause_s)
                pause_s = min(1.5 * pause_s, _MAX_PAUSE_S)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)


class _Peek:
    """Opens the queue at the first peek, and again after an error, so that changed settings and keys take effect."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: Any = None

    def __call__(self) -> bool:
        from roomledger.airflow import tasks

        queue, self._queue = self._queue or tasks.open_queue(self._name), None
        has_messages: bool = queue.peek(_TIMEOUT_S)
        self._queue = queue
        return has_messages
