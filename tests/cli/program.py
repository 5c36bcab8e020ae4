"""Runs `roomledger` as a user does: a process without a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-W", "error", "-c", "from roomledger.cli.main import app; app()"]


def roomledger(*words: str, config: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command without a terminal, like a script."""
    given = {"ROOMLEDGER_CONFIG": str(config)} if config else {}
    return subprocess.run(
        [*COMMAND, *words], env=os.environ | given | environ, capture_output=True, text=True, check=False, timeout=120
    )


def run_json(*words: str, config: Path) -> Any:
    """Run the command with --json and parse its output."""
    done = roomledger(*words, "--json", config=config)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)
