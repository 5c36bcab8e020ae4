"""Access to a workspace's API: the keys from the vendor's dashboard, and the environment variables for them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from roomledger.stores import CredentialsMissing


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a workspace, from the vendor's dashboard."""

    access_key: str
    secret: str = field(repr=False)
    """The app secret."""


@dataclass(frozen=True, slots=True)
class WorkspaceAccess:
    """Keys and endpoint of a workspace's API."""

    keys: Keys | None
    endpoint: str | None = None
    """Base URL; None for the vendor's default."""


def default_keys(url: str, connection: str | None) -> Keys:
    """Read the keys from the environment. Raises CredentialsMissing."""
    name = re.sub(r"[^A-Z0-9]", "_", (connection or url.partition("://")[2]).upper())
    names = (f"ROOMLEDGER_ACCESS_KEY_{name}", f"ROOMLEDGER_APP_SECRET_{name}")
    access_key, secret = (os.environ.get(variable, "") for variable in names)
    if not access_key or not secret:
        raise CredentialsMissing(
            f"{url}: the workspace has no keys: set {names[0]} and {names[1]} to the access key and app secret "
            "from the vendor's dashboard (Developer), or name an Airflow connection"
        )
    return Keys(access_key, secret)
