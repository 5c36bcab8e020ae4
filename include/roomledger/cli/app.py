"""What the verbs share: their options, and the opened runtime.

Exit codes: 0 for success, 2 when the user can fix the problem (settings, credentials, a wrong address), 1 for other
failures, 3 when an audit finds missing assets.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from roomledger import settings
from roomledger.runtime import Runtime, open_runtime

FAILURE, USERS_MISTAKE, INCOMPLETE = 1, 2, 3

log = logging.getLogger(__name__)


def _config_of_the_line(ctx: typer.Context, path: Path) -> Path:
    """Give the file named after the verb, else the one before it or of the environment."""
    source = ctx.get_parameter_source("config")
    before: Path = ctx.find_root().params.get("config", path)
    return path if source is not None and source.name == "COMMANDLINE" else before


TOML = Path("roomledger.toml")
Config = Annotated[
    Path,
    typer.Option(
        *("--config", "-c"),
        envvar="ROOMLEDGER_CONFIG",
        callback=_config_of_the_line,
        readable=False,  # our sentence says more
        help="The settings file; before or after the verb.",
    ),
]
Sources = Annotated[list[str] | None, typer.Option("--source", "-s", help="Only this source; can be repeated.")]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", min=0.001, max=86_400, help="Seconds until the query is stopped.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@contextmanager
def opened(
    config: Path, names: Sequence[str] | None = None, *, needs_tables: bool = True, only_facts: bool = False
) -> Iterator[Runtime]:
    """Open settings and warehouse for a command; `failures.explained` ends its errors."""
    log.debug("reading %s", config)
    found = settings.read(config, os.environ)
    runtime = open_runtime(found, names or (), needs_tables=needs_tables, only_facts=only_facts)
    log.debug("opened the warehouse, with the sources %s", ", ".join(one.name for one in runtime.sources))
    yield runtime
