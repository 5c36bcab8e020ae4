"""The log of `--verbose`: what our modules and libraries do, with its time, on standard error."""

from __future__ import annotations

import logging
import time

OURS = logging.getLogger("roomledger")


class _SinceStart(logging.Formatter):
    """Lines such as `+  0.412 s roomledger.pipeline.load: …`: seconds since the first one."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.time()

    def formatMessage(self, record: logging.LogRecord) -> str:
        since = max(0.0, record.created - self._began)
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return f"+{since:8.3f} s {record.name}: {level}{record.message}"


def write_log() -> None:
    """Log to standard error from now on.

    Libraries log from INFO: what they log for debugging holds tokens and signatures.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_SinceStart())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    OURS.setLevel(logging.DEBUG)
    # Their statements hold the rows of the load.
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)


def is_verbose() -> bool:
    """Whether `--verbose` is given."""
    return OURS.isEnabledFor(logging.DEBUG)
