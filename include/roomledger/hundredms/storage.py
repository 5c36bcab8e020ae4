"""Assets in the vendor's own storage: their bytes, by pre-signed URLs that are never stored.

The vendor deletes them after `RETENTION`. No listing shows them; only the vendor's records name them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from roomledger.hundredms import RETENTION
from roomledger.hundredms.access import WorkspaceAccess
from roomledger.hundredms.client import BASE_URL, Client
from roomledger.model import Observation
from roomledger.stores import CredentialsMissing, ObjectMissing, StoreError


class VendorStorage:
    """The text assets of one workspace that only the vendor stores; a `stores.Reader`."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def read(self, seen: Observation) -> Iterator[bytes]:
        """See `Reader.read`.

        Raises `StoreError` for a missing asset that is younger than `RETENTION`: it may still appear.
        """
        asset_id = seen.version.rpartition("-")[0]  # a version is asset id and size
        try:
            yield from self.client.content(asset_id)
        except ObjectMissing as error:
            if seen.modified_at < datetime.now(UTC) - RETENTION:
                raise
            raise StoreError(f"{error}, but it is less than {RETENTION.days} days old") from None


def open_client(url: str, access: WorkspaceAccess) -> Client:
    """Create the client of the workspace at `100ms://name`, without any request. Raises CredentialsMissing."""
    if not access.keys:
        raise CredentialsMissing(f"{url}: the connection has no access key and app secret: set its login and password")
    return Client(access.endpoint or BASE_URL, access.keys)
