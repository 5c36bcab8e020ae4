"""Errors of the databases' libraries as sentences that say what to do next."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy.exc import ArgumentError, DBAPIError


class Explanation(NamedTuple):
    """What an error means for its user."""

    sentence: str
    is_users_mistake: bool
    """Whether the user can correct it: settings, rights, what else is in the database."""


_DRIVERS = {"psycopg", "duckdb", "_duckdb"}
_OTHER_TABLES = "the tables are not as this version makes them: run `roomledger init`, or undo what was changed by hand"
_REMEDIES = {
    "42501": (
        "members of roomledger_loader may load, those of roomledger_reader may read, and only the owner may run "
        "`roomledger init` and `roomledger roles` (docs/operations.md, Roles on PostgreSQL)"
    ),
    **dict.fromkeys(("42P01", "42703", "CatalogException", "BinderException"), _OTHER_TABLES),
    **dict.fromkeys(
        ("42P06", "42P07", "42809"), "rename or drop it if it is not Roomledger's, or name another database"
    ),
    "25006": "name a database that can be written: this is a copy, or a session that only reads",
    "OutOfMemoryException": "set a larger memory_mb in [warehouse]",
}
"""What the user can correct, by PostgreSQL's code or DuckDB's exception."""
_LATER = {
    "53100": "make space on the disk of the server, and run it again",
    "53200": "give the server more memory, and run it again",
    "IOException": "check the disk and its space, and run it again",
}
"""What may succeed later; any other error may, too."""


def explain(error: BaseException) -> Explanation | None:
    """Explain an error of SQLAlchemy or of a driver; None for another one."""
    if isinstance(error, ArgumentError):
        return Explanation(f"the url of the database is not valid: {_first_line(error)}: correct it", True)
    cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    if cause is None or type(cause).__module__.partition(".")[0] not in _DRIVERS:
        return None
    code, name = str(getattr(cause, "sqlstate", None) or ""), type(cause).__name__
    reason = f"the database reports: {_first_line(cause)}"
    if remedy := _REMEDIES.get(code) or _REMEDIES.get(name):
        return Explanation(f"{reason}: {remedy}", True)
    if getattr(error, "connection_invalidated", False) or code.startswith(("08", "57P")):
        return Explanation(f"the database closed the connection: {_first_line(cause)}: {_AGAIN}", False)
    return Explanation(f"{reason}: {_LATER.get(code) or _LATER.get(name) or _AGAIN}", False)


_AGAIN = "run it again, which continues where this ended; `roomledger --verbose …` shows where the error arose"


def _first_line(error: BaseException) -> str:
    """The first line without the dot at its end: a sentence goes on after it."""
    return str(error).strip().partition("\n")[0].rstrip(" .:")
