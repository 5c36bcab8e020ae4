"""The end of an error: one sentence that says what to do next, and an exit code."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from roomledger.cli.app import FAILURE, USERS_MISTAKE
from roomledger.cli.log import is_verbose
from roomledger.cli.output import complain

log = logging.getLogger(__name__)


@contextmanager
def explained() -> Iterator[None]:
    """Print an error as one sentence, after its traceback with `--verbose`, and exit with its code."""
    try:
        yield
    except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
        raise
    except Exception as error:
        if is_verbose():
            log.exception("where the error arose:")
        sentences, code = explain(error)
        for sentence in sentences:
            complain(" ".join(sentence.split()))
        raise typer.Exit(code) from None


def explain(error: Exception) -> tuple[list[str], int]:
    """Give the sentences for an error, one for each mistake, and the exit code."""
    # The libraries of databases and clouds take a while to import; only errors need all of them.
    from roomledger import settings
    from roomledger.ledger import database_errors
    from roomledger.ledger.database import QueryError, WarehouseError
    from roomledger.model import BatchRefused
    from roomledger.provisioning import CannotConfigure, ProvisioningError
    from roomledger.queries.audit import AuditError
    from roomledger.queues import QueueError
    from roomledger.stores import AccessDenied, BucketMissing, CredentialsMissing, StoreError

    match error:
        case settings.SettingsError():
            return list(error.problems), USERS_MISTAKE
        case QueryError():
            return [f"the query cannot be run: {error}"], USERS_MISTAKE
        case AccessDenied() | BucketMissing() | CredentialsMissing() | WarehouseError() | QueueError():
            return [str(error)], USERS_MISTAKE
        case CannotConfigure() | AuditError():
            return [str(error)], USERS_MISTAKE
        case MemoryError():
            return ["there is not enough memory: of a query aggregate or add LIMIT, or use a larger machine"], FAILURE
        case StoreError() | BatchRefused() | ProvisioningError():
            return [str(error)], FAILURE
    if found := database_errors.explain(error):
        return [found.sentence], USERS_MISTAKE if found.is_users_mistake else FAILURE
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return [f"{where}{error.strerror}: check the path, its permissions and the space of the disk"], FAILURE
    return [
        f"unexpected {type(error).__name__}: {str(error) or 'without a message'}: run it again as "
        "`roomledger --verbose …`, and report what it prints"
    ], FAILURE
