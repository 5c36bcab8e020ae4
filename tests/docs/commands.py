"""Runs `roomledger` in this process, which saves the second that a new one takes to start."""

from __future__ import annotations

import gc
import warnings

from roomledger.cli.main import app


def run(words: list[str]) -> int:
    """Run the command; return its exit code."""
    with warnings.catch_warnings():
        # A command leaves its connections to the end of its process: here they end now.
        warnings.simplefilter("ignore", ResourceWarning)
        code: int = app(words, standalone_mode=False) or 0
        gc.collect()
    return code
