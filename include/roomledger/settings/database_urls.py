"""URLs of databases in the settings: a DuckDB file, or a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

URLS = "use duckdb:///roomledger.duckdb or postgresql+psycopg://user@host/database"
_DUCKDB, _POSTGRESQL = "duckdb:///", "postgresql+psycopg://"


def read_url(name: str, table: Mapping[str, Any], path: Path, environ: Mapping[str, str], problems: list[str]) -> str:
    """Give the URL of a database; empty without one. The environment overrides the settings file.

    A relative DuckDB path is relative to the folder of the settings file.
    """
    url = environ.get(f"ROOMLEDGER_{name.upper()}_URL") or table.get("url")
    if not isinstance(url, str) or not url:
        return ""
    if url.startswith(_DUCKDB):
        file = url.removeprefix(_DUCKDB)
        if not file.strip() or file.endswith("/"):
            problems.append(f"[{name}] url: {url} names no file: use duckdb:///roomledger.duckdb")
        elif "?" in file or file.startswith(":"):
            problems.append(
                f"[{name}] url: {url} has to be a plain file, without options: use duckdb:///roomledger.duckdb"
            )
        return f"{_DUCKDB}{path.parent.resolve() / Path(file)}"
    if not url.startswith(_POSTGRESQL):
        scheme = url.split("://")[0]
        problems.append(f"[{name}] url: unsupported engine '{scheme}': use duckdb:///… or postgresql+psycopg://…")
    elif not _has_address(url):
        # Not the URL itself, which may have a password.
        problems.append(
            f"[{name}] url: the host or the port cannot be read: use {_POSTGRESQL}user@host:5432/database, and write "
            "special characters of user and password as in %40 for @"
        )
    return url


def _has_address(url: str) -> bool:
    """Whether host and port can be read; without a host it is the server's socket."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False
