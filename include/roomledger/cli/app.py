"""The `roomledger` command and what its verbs share: options, opened settings, errors as one sentence and an exit code.

Exit codes: 0 when all went well, 2 when the user can fix it (settings, credentials, a wrong address), 1 when not, 3
when an audit finds something missing.
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
from roomledger.ledger.database import WarehouseError
from roomledger.model import BatchRefused
from roomledger.provisioning import CannotConfigure, ProvisioningError
from roomledger.queues import QueueError
from roomledger.runtime import Runtime, open_runtime
from roomledger.stores import AccessDenied, BucketMissing, CredentialsMissing, StoreError

FAILURE, USERS_MISTAKE, INCOMPLETE = 1, 2, 3

app = typer.Typer(
    help="Load 100ms recordings from your buckets into warehouse tables. First: `init`, then `check`, then `run`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

TOML = Path("roomledger.toml")
Config = Annotated[Path, typer.Option("--config", "-c", envvar="ROOMLEDGER_CONFIG", help="The settings file.")]
Sources = Annotated[
    list[str] | None, typer.Option("--source", "-s", help="Only this source; may be given several times.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")]


@contextmanager
def opened(config: Path, names: Sequence[str] | None = None, *, needs_tables: bool = True) -> Iterator[Runtime]:
    """Open settings and warehouse for a verb, and turn what goes wrong into one sentence and an exit code."""
    with explained():
        yield open_runtime(settings.read(config, os.environ), names or (), needs_tables=needs_tables)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what a user, a server or a file did wrong into one sentence and an exit code."""
    try:
        yield
    except settings.SettingsError as error:
        for problem in error.problems:
            complain(problem)
        raise typer.Exit(USERS_MISTAKE) from None
    except (AccessDenied, BucketMissing, CredentialsMissing, WarehouseError, QueueError, CannotConfigure) as error:
        complain(str(error))
        raise typer.Exit(USERS_MISTAKE) from None
    except (StoreError, BatchRefused, ProvisioningError) as error:
        complain(str(error))
        raise typer.Exit(FAILURE) from None
