"""How to reach a workspace's API: the keys of the vendor's dashboard, and where they come from outside Airflow."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from roomledger.stores import CredentialsMissing


@dataclass(frozen=True, slots=True)
class Keys:
    """What the vendor's dashboard gives for a workspace."""

    access_key: str
    secret: str = field(repr=False)
    """The app secret."""


@dataclass(frozen=True, slots=True)
class WorkspaceAccess:
    """How to reach a workspace's API."""

    keys: Keys | None
    endpoint: str | None = None
    """Base URL; None for the vendor's own."""


def default_keys(url: str, connection: str | None) -> Keys:
    """Take the keys from the environment. Raises CredentialsMissing."""
    name = re.sub(r"[^A-Z0-9]", "_", (connection or url.partition("://")[2]).upper())
    names = (f"ROOMLEDGER_ACCESS_KEY_{name}", f"ROOMLEDGER_APP_SECRET_{name}")
    access_key, secret = (os.environ.get(variable, "") for variable in names)
    if not access_key or not secret:
        raise CredentialsMissing(
            f"{url}: no keys of the workspace: set {names[0]} and {names[1]} to the access key and app secret of the "
            "vendor's dashboard (Developer), or name an Airflow connection"
        )
    return Keys(access_key, secret)
