"""Assets that lie in the vendor's own storage, read like those of any other store.

The vendor deletes them after 15 days (vendor documentation). They are found by the workspace's reading, not by listing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from roomledger.hundredms.client import BASE_URL, Api
from roomledger.hundredms.tokens import Keys
from roomledger.ledger.vendor_assets import VENDOR_KEEPS, asset_of
from roomledger.model import Observation
from roomledger.stores import Access, CredentialsMissing, ObjectGone, StoreError


class VendorStorage:
    """The text assets of one workspace that the vendor holds."""

    def __init__(self, url: str, api: Api) -> None:
        self.url = url
        self.api = api

    def list(self) -> Iterator[list[Observation]]:
        """Nothing: what there is to read is named by the vendor's records."""
        return iter(())

    def stat(self, uri: str) -> Observation | None:
        """Nothing: the vendor's storage tells of itself only in the vendor's records."""
        return None

    def read(self, seen: Observation) -> Iterator[bytes]:
        """Fetch the bytes through a pre-signed URL, which is never kept.

        What is not there although the vendor should hold it still may come yet: that is a `StoreError`.
        """
        try:
            yield from self.api.content(asset_of(seen))
        except ObjectGone as error:
            if seen.modified_at < datetime.now(UTC) - VENDOR_KEEPS:
                raise
            raise StoreError(f"{error}, though it is not {VENDOR_KEEPS.days} days old") from None


def open_workspace(url: str, access: Access) -> VendorStorage:
    """Get the workspace at `100ms://name` ready; nothing is asked yet. Raises CredentialsMissing."""
    if not access.keys:
        raise CredentialsMissing(f"{url}: its connection holds no access key and app secret: set login and password")
    return VendorStorage(url, Api(access.endpoint or BASE_URL, access.keys))


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
