"""Sources in the settings: the buckets and the workspaces of 100ms that are collected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from roomledger.model import ASSET_TYPES, UNKNOWN, Asset, Ignored

_KEYS = ("name", "customer", "url", "connection", "endpoint", "include", "exclude", "not_before")
_BUCKET_KEYS = ("region",)
_DAYS = ("look_back_days", "unfinished_days")
_WORKSPACE_KEYS = (*_DAYS, "api", "webhook_header")
_WORKSPACE = "100ms"
_SCHEMES = {
    "s3": "s3://bucket/prefix",
    "gs": "gs://bucket/prefix",
    "file": "file:///absolute/folder",
    _WORKSPACE: "100ms://workspace-name",
}
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
"""Allowed names of sources and queues."""
_REGION = re.compile(r"[A-Za-z0-9-]+")
_HEADER = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Settings that buckets and workspaces share."""

    name: str
    customer: str
    url: str
    connection: str | None = None
    """Airflow connection id; outside Airflow an AWS profile of that name; without it the standard credential chain."""
    endpoint: str | None = None
    asset_types: frozenset[str] = frozenset(ASSET_TYPES)
    not_before: date | None = None

    def excludes(self, asset: Asset) -> str | None:
        """Return why the settings exclude this asset, or None if they include it."""
        if asset.asset_type != UNKNOWN and asset.asset_type not in self.asset_types:
            return f"excluded_by_source: the settings leave out assets of type {asset.asset_type}"
        day = asset.session_date or asset.modified_at.date()
        if self.not_before and day < self.not_before:
            return f"before_not_before: {day} is before {self.not_before}"
        return None

    def classify(self, recognised: Asset | Ignored) -> Asset | Ignored:
        """Return the recognised asset, or the reason why the settings exclude it."""
        excluded = self.excludes(recognised) if isinstance(recognised, Asset) else None
        return Ignored(excluded) if excluded else recognised


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSource(_Source):
    """One customer's bucket and prefix, or folder: `s3://bucket/prefix`, `gs://bucket/prefix`, `file:///folder`."""

    region: str | None = None
    """S3 only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSource(_Source):
    """One customer's workspace at the vendor: `100ms://workspace`."""

    look_back_days: int = 2
    """How far before the cursor lists are read again, for records that appear late."""
    unfinished_days: int = 14
    """For how long a recording job may still get assets."""
    api: bool = True
    """Whether the vendor's API is read; otherwise webhooks are the only evidence."""
    webhook_header: str | None = None
    """The header that carries the secret of webhooks; None accepts no webhooks."""


Source = BucketSource | WorkspaceSource


def read_source(table: Mapping[str, Any], number: int, problems: list[str]) -> Source:
    """Read a [[source]]; its mistakes are added to the problems."""
    name = table.get("name")
    label = f"source {name}" if isinstance(name, str) and name else f"source number {number}"

    def report(sentence: str) -> None:
        problems.append(f"{label}: {sentence}")

    url = _source_url(table.get("url"), report)
    keys = (*_KEYS, *(_WORKSPACE_KEYS if url.startswith(f"{_WORKSPACE}://") else _BUCKET_KEYS))
    for key in sorted(table.keys() - set(keys)):
        report(f"unknown key '{key}': a source has {', '.join(keys)}")
    for key in ("name", "customer", "url"):
        if key not in table:
            report(f"'{key}' is missing: every source needs name, customer and url")
    for key in {*_KEYS, *_BUCKET_KEYS} - {"include", "exclude", "not_before"}:
        if key in table and (not isinstance(table[key], str) or not table[key].strip()):
            report(f"'{key}' must be text and not empty")
    check_server(table, report)
    if isinstance(name, str) and name and not NAME.fullmatch(name):
        report("a name has only lower-case letters, digits, '-' and '_' and starts with a letter or digit")
    not_before = table.get("not_before")
    if not_before is not None and type(not_before) is not date:
        report(f"not_before = {not_before!r}: write a date without quotes, such as not_before = 2026-01-31")
        not_before = None
    common: dict[str, Any] = {
        "name": str(name),
        "customer": str(table.get("customer")),
        "url": url,
        "connection": table.get("connection"),
        "endpoint": table.get("endpoint"),
        "asset_types": _asset_types(table, report),
        "not_before": not_before,
    }
    if not url.startswith(f"{_WORKSPACE}://"):
        return BucketSource(**common, region=table.get("region"))
    return WorkspaceSource(
        **common,
        api=_flag(table.get("api", True), "api", report),
        webhook_header=_header(table.get("webhook_header"), report),
        look_back_days=_days(table.get("look_back_days", 2), "look_back_days", report),
        unfinished_days=_days(table.get("unfinished_days", 14), "unfinished_days", report),
    )


def check_server(table: Mapping[str, Any], report: Callable[[str], None], *, needs_scheme: bool = True) -> None:
    """Report an endpoint or a region that no server can have. Pub/Sub takes `host:port`, without a scheme."""
    endpoint, region = table.get("endpoint"), table.get("region")
    if isinstance(endpoint, str) and endpoint.strip() and not _is_address(endpoint, needs_scheme=needs_scheme):
        report("the endpoint is not the address of a server: use one such as https://s3.example.com:8333")
    if isinstance(region, str) and region.strip() and not _REGION.fullmatch(region):
        report(f"region = {region!r}: use the code of a region, such as eu-central-1")


def _is_address(endpoint: str, *, needs_scheme: bool) -> bool:
    scheme, separator, _ = endpoint.partition("://")
    if (scheme not in ("http", "https")) if separator else needs_scheme:
        return False
    try:
        parts = urlsplit(endpoint if separator else f"http://{endpoint}")
        return bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", endpoint)
    except ValueError:
        return False


def _days(value: Any, key: str, report: Callable[[str], None]) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 90:
        return value
    report(f"{key} = {value!r}: use whole days from 1 to 90")
    return 1


def _flag(value: Any, key: str, report: Callable[[str], None]) -> bool:
    if isinstance(value, bool):
        return value
    report(f"{key} = {value!r}: write true or false, without quotes")
    return True


def _header(value: Any, report: Callable[[str], None]) -> str | None:
    if value is None or (isinstance(value, str) and _HEADER.fullmatch(value)):
        return value
    report(f"webhook_header = {value!r}: use the name of an HTTP header, such as 'X-Roomledger-Secret'")
    return None


def _source_url(url: Any, report: Callable[[str], None]) -> str:
    if not isinstance(url, str) or not url.strip():
        return ""  # reported by the caller
    if url.startswith(f"{_WORKSPACE}://"):
        if not NAME.fullmatch(url.partition("://")[2]):
            report(f"'{url}' does not name a workspace: use {_SCHEMES[_WORKSPACE]}, with a name of your choice")
        return url
    parts = urlsplit(url, allow_fragments=False)
    if parts.scheme not in _SCHEMES:
        report(f"'{url}' is not a supported URL: use {', '.join(_SCHEMES.values())}")
    elif parts.query:
        report(f"'{url}' contains a '?': use the URL of a bucket and prefix, not a link to a file")
    elif parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        report(f"'{url}' is not an absolute folder: use {_SCHEMES['file']}, with three slashes")
    elif parts.scheme != "file" and (not parts.netloc or "@" in parts.netloc or ":" in parts.netloc):
        report(f"'{url}' does not name a bucket: use {_SCHEMES[parts.scheme]}")
    return url.rstrip("/")


def _asset_types(table: Mapping[str, Any], report: Callable[[str], None]) -> frozenset[str]:
    chosen: dict[str, frozenset[str]] = {}
    for key in ("include", "exclude"):
        value = table.get(key, list(ASSET_TYPES) if key == "include" else [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            report(f'\'{key}\' must be a list of asset types, such as {key} = ["chat", "transcript"]')
            value = []
        for unknown in sorted(set(value) - set(ASSET_TYPES)):
            report(f"{key}: '{unknown}' is not an asset type: choose from {', '.join(ASSET_TYPES)}")
        chosen[key] = frozenset(value)
    remaining = chosen["include"] - chosen["exclude"]
    if not remaining:
        report("include and exclude leave no asset type: remove one from exclude or add one to include")
    return remaining


def check_overlaps(sources: Sequence[Source], problems: list[str]) -> None:
    """Refuse sources that overlap: an object in two of them would be loaded for two customers or for none."""
    seen: dict[str, Source] = {}
    for source in sources:
        if source.name in seen:
            problems.append(f"source {source.name}: the name is used twice: use a different name for each source")
        for other in seen.values():
            inner, outer = sorted((f"{source.url}/", f"{other.url}/"), key=len, reverse=True)
            if source.url and other.url and inner.startswith(outer):
                problems.append(
                    f"source {source.name}: {source.url} and {other.url} of source {other.name} overlap: "
                    "an object belongs to one source, so use separate prefixes or remove one of them"
                )
        seen[source.name] = source
