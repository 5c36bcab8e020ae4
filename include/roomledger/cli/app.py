"""The `roomledger` program and what its commands share: options, the opened runtime, errors and exit codes.

Exit codes: 0 for success, 2 when the user can fix the problem (settings, credentials, a wrong address), 1 for other
failures, 3 when an audit finds missing assets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from roomledger import settings
from roomledger.cli.output import complain
from roomledger.ledger.database import QueryError, WarehouseError
from roomledger.model import BatchRefused
from roomledger.provisioning import CannotConfigure, ProvisioningError
from roomledger.queues import QueueError
from roomledger.runtime import Runtime, open_runtime
from roomledger.stores import AccessDenied, BucketMissing, CredentialsMissing, StoreError

FAILURE, USERS_MISTAKE, INCOMPLETE = 1, 2, 3

app = typer.Typer(
    help="Load 100ms recordings from your buckets into warehouse tables. Start with `init`, `check` and `run`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

TOML = Path("roomledger.toml")
Config = Annotated[Path, typer.Option("--config", "-c", envvar="ROOMLEDGER_CONFIG", help="The settings file.")]
Sources = Annotated[list[str] | None, typer.Option("--source", "-s", help="Only this source; can be repeated.")]
TimeLimit = Annotated[float, typer.Option("--time-limit", min=0.001, help="Seconds until the query is stopped.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@contextmanager
def opened(config: Path, names: Sequence[str] | None = None, *, needs_tables: bool = True) -> Iterator[Runtime]:
    """Open settings and warehouse for a command; see `explained` for errors."""
    with explained():
        yield open_runtime(settings.read(config, os.environ), names or (), needs_tables=needs_tables)


@contextmanager
def explained() -> Iterator[None]:
    """Print an expected error as one sentence and exit with its code."""
    try:
        yield
    except settings.SettingsError as error:
        for problem in error.problems:
            complain(problem)
        raise typer.Exit(USERS_MISTAKE) from None
    except (AccessDenied, BucketMissing, CredentialsMissing, WarehouseError, QueueError, CannotConfigure) as error:
        complain(str(error))
        raise typer.Exit(USERS_MISTAKE) from None
    except QueryError as error:
        complain(f"the query cannot be run: {error}")
        raise typer.Exit(USERS_MISTAKE) from None
    except (StoreError, BatchRefused, ProvisioningError) as error:
        complain(str(error))
        raise typer.Exit(FAILURE) from None
