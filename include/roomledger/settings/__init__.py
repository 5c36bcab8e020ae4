"""Settings from `roomledger.toml` and the environment, as frozen data.

One pass finds all mistakes and reports each as one sentence that names the source and the way out.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roomledger.settings.database_urls import URLS, read_url
from roomledger.settings.queues import QueueSettings, check_duplicates, read_queue
from roomledger.settings.sources import BucketSource, Source, WorkspaceSource, check_overlaps, read_source

__all__ = [
    "DEFAULT_MEMORY_MB",
    "INBOX",
    "BucketSource",
    "QueueSettings",
    "Settings",
    "SettingsError",
    "Source",
    "WorkspaceSource",
    "from_environment",
    "queue_names",
    "read",
]

DEFAULT_MEMORY_MB = 128
"""Enough to load a chat file of 1 GB in less than 500 MB, as fast as with more."""

_WAREHOUSE_KEYS = ("url", "memory_mb", "history_days")
_INBOX_EXAMPLE = 'inbox = "file:///absolute/folder"'
_INBOX = re.compile(r"file:///.+|(?:s3|gs)://[^/]+(?:/.+)?")


class SettingsError(Exception):
    """The settings hold mistakes; `problems` has one sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a run."""

    warehouse_url: str
    warehouse_memory_mb: int
    """Memory of DuckDB before it spills to disk; PostgreSQL has its own settings."""
    control_url: str | None = None
    """Database of the ledger, where it is not the warehouse's."""
    history_days: int | None = None
    """How long replaced rows are kept; None means for ever."""
    sources: tuple[Source, ...]
    queues: tuple[QueueSettings, ...] = ()
    inbox_url: str | None = None
    """Where webhooks are stored until they are ingested: `file:///folder`, `s3://bucket/prefix` or `gs://…`."""

    @property
    def buckets(self) -> tuple[BucketSource, ...]:
        """The sources that are buckets."""
        return tuple(source for source in self.sources if isinstance(source, BucketSource))

    def queue(self, name: str) -> QueueSettings:
        """Return the queue of this name. Raises KeyError."""
        return {queue.name: queue for queue in self.queues}[name]

    def select(self, names: Sequence[str] = ()) -> tuple[Source, ...]:
        """Return the sources with these names, or all if there are none. Raises SettingsError for an unknown name."""
        known = {source.name: source for source in self.sources}
        if unknown := [name for name in names if name not in known]:
            have = ", ".join(known)
            raise SettingsError([f"no source is called {name}: the settings name {have}" for name in unknown])
        return tuple(known[name] for name in names) or self.sources


INBOX = "webhooks"
"""Name of the inbox among the queues."""


def queue_names(settings: Settings) -> list[str]:
    """Name all queues, and the inbox of webhooks if there is one."""
    return [queue.name for queue in settings.queues] + [INBOX] * (settings.inbox_url is not None)


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings file that `ROOMLEDGER_CONFIG` names, else `roomledger.toml`. Raises SettingsError."""
    return read(Path(environ.get("ROOMLEDGER_CONFIG", "roomledger.toml")), environ)


def read(path: Path, environ: Mapping[str, str]) -> Settings:
    """Read `roomledger.toml`; `ROOMLEDGER_WAREHOUSE_URL` in the environment overrides the warehouse's URL.

    The override keeps the warehouse's password out of files. A relative DuckDB path is relative to the folder
    of the settings file. Raises SettingsError.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            [f"there is no settings file at {path}: write one (see docs/configuration.md) or name it with --config"]
        ) from None
    except OSError as error:
        raise SettingsError(
            [f"{path} cannot be read: {error.strerror}: check its path and permissions, or name a file with --config"]
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path} is not UTF-8 text, at byte {error.start}: save it as UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path} cannot be read as TOML: {error}"]) from None
    problems: list[str] = []
    problems += [
        f"{path}: unknown table or key '{key}': use [warehouse], [control], [[source]], [[queue]] and [webhooks]"
        for key in sorted(document.keys() - {"warehouse", "control", "source", "queue", "webhooks"})
    ]
    warehouse = _table(document, "warehouse", _WAREHOUSE_KEYS, path, problems)
    memory_mb = _whole(warehouse, "memory_mb", 64, "megabytes", problems)
    history_days = _whole(warehouse, "history_days", 1, "days", problems, most=36_500)
    warehouse_url = read_url("warehouse", warehouse, path, environ, problems)
    if not warehouse_url and isinstance(document.get("warehouse", {}), dict):
        problems.append(f"{path}: [warehouse] has no url: {URLS}")
    control_url = read_url("control", _table(document, "control", ("url",), path, problems), path, environ, problems)
    if "control" in document and not control_url:
        problems.append(f"{path}: [control] has no url: {URLS}, or leave out [control]")
    if control_url == warehouse_url != "":
        problems.append(
            f"{path}: [control] has the url of [warehouse]: leave out [control] to have both in one database"
        )
    tables = _tables(document, "source", path, problems)
    sources = [read_source(table, number, problems) for number, table in enumerate(tables, 1)]
    if not document.get("source", []):
        problems.append(f"{path} has no source: add a [[source]] with name, customer and url")
    check_overlaps(sources, problems)
    tables = _tables(document, "queue", path, problems)
    queues = [read_queue(table, number, problems) for number, table in enumerate(tables, 1)]
    check_duplicates(queues, problems)
    inbox = _inbox(document.get("webhooks", {}), sources, path, problems)
    if problems:
        raise SettingsError(problems)
    return Settings(
        warehouse_url=warehouse_url,
        warehouse_memory_mb=memory_mb or DEFAULT_MEMORY_MB,
        control_url=control_url or None,
        history_days=history_days,
        sources=tuple(sources),
        queues=tuple(queues),
        inbox_url=inbox,
    )


def _tables(document: Mapping[str, Any], name: str, path: Path, problems: list[str]) -> list[Mapping[str, Any]]:
    tables = document.get(name, [])
    if isinstance(tables, list) and all(isinstance(table, dict) for table in tables):
        return tables
    problems.append(f"{path}: write every {name} as [[{name}]], with two brackets")
    return []


def _table(
    document: Mapping[str, Any], name: str, keys: Sequence[str], path: Path, problems: list[str]
) -> Mapping[str, Any]:
    """Give a table of the document, without keys that it should not have."""
    table = document.get(name, {})
    if not isinstance(table, dict):
        problems.append(f"{path}: write {name} as a table: [{name}] and below it url = …")
        return {}
    unknown = sorted(table.keys() - set(keys))
    problems += [f"[{name}]: unknown key '{key}': use {', '.join(keys)}" for key in unknown]
    return table


def _whole(
    table: Mapping[str, Any], key: str, least: int, unit: str, problems: list[str], *, most: int | None = None
) -> int | None:
    """Give a whole number of [warehouse]; None without one."""
    number = table.get(key)
    if number is None:
        return None
    if type(number) is not int or number < least or (most and number > most):
        bound = f", at most {most:,}" if most else ""
        problems.append(f"[warehouse] {key} = {number!r}: use whole {unit}, at least {least}{bound}")
        return None
    return number


def _inbox(table: Any, sources: Sequence[Source], path: Path, problems: list[str]) -> str | None:
    receivers = [source.name for source in sources if isinstance(source, WorkspaceSource) and source.webhook_header]
    problems += [
        f"source {name}: {other} accepts webhooks, too, and the names differ only in '-' and '_', which are the same "
        "in the names of environment variables: rename one"
        for number, name in enumerate(receivers)
        for other in receivers[:number]
        if name.replace("-", "_") == other.replace("-", "_")
    ]
    if not isinstance(table, dict) or table.keys() - {"inbox"}:
        problems.append(f"{path}: write the inbox of webhooks as [webhooks] and below it {_INBOX_EXAMPLE}")
        return None
    inbox = table.get("inbox")
    if inbox is None:
        if receivers:
            problems.append(
                f"source {receivers[0]} accepts webhooks, but they have no inbox: add [webhooks] with {_INBOX_EXAMPLE}"
            )
        return None
    if not isinstance(inbox, str) or not _INBOX.fullmatch(inbox):
        problems.append(f"[webhooks] inbox = {inbox!r}: use {_INBOX_EXAMPLE}, s3://bucket/prefix or gs://bucket/prefix")
        return None
    problems += [
        f"[webhooks] inbox: {inbox} lies within source {source.name}: use a separate location"
        for source in sources
        if source.url and f"{inbox.rstrip('/')}/".startswith(f"{source.url}/")
    ]
    return inbox.rstrip("/")
