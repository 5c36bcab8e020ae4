"""Composition: the one place that opens database, stores, workspaces and queues from the settings.

The clients of clouds and vendor, and the database, are imported when they are first opened: a process without them,
such as the webhook endpoint, starts fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from roomledger import settings as settings_module
from roomledger.settings import INBOX, BucketSource, QueueSettings, Settings, Source, WorkspaceSource
from roomledger.stores import Access, Reader, Store, split_url

if TYPE_CHECKING:
    from roomledger.hundredms.access import WorkspaceAccess
    from roomledger.hundredms.client import Client
    from roomledger.ledger.database import Database
    from roomledger.queues import Queue
    from roomledger.queues.inbox import Inbox
    from roomledger.warehouse.engine import Facts


class Connections(Protocol):
    """Resolves the connections of the settings to credentials; for Airflow see `airflow/connections.py`."""

    def bucket(self, source: BucketSource) -> Access:
        """Raises CredentialsMissing."""

    def workspace(self, source: WorkspaceSource) -> WorkspaceAccess:
        """Raises CredentialsMissing."""

    def queue(self, queue: QueueSettings) -> Access:
        """Raises CredentialsMissing, and QueueError when a library is not installed."""


class StandardConnections:
    """The standard credential chain of each cloud, AWS profiles by name, and environment variables of workspaces."""

    def bucket(self, source: BucketSource) -> Access:
        """See `Connections`. A missing AWS key is detected when the store is opened."""
        match split_url(source.url)[0]:
            case "s3":
                from roomledger.stores.aws_client import default_session

                session = default_session(source.connection)
                return Access(session=session, endpoint=source.endpoint, region=source.region)
            case "gs":
                from roomledger.stores.gcs import READ_SCOPE
                from roomledger.stores.google_credentials import default_credentials

                credentials = default_credentials(source.url, READ_SCOPE, source.endpoint)
                return Access(credentials=credentials, endpoint=source.endpoint)
        return Access()

    def workspace(self, source: WorkspaceSource) -> WorkspaceAccess:
        """See `Connections`."""
        from roomledger.hundredms.access import WorkspaceAccess, default_keys

        return WorkspaceAccess(default_keys(source.url, source.connection), source.endpoint)

    def queue(self, queue: QueueSettings) -> Access:
        """See `Connections`. A missing AWS key is detected when the queue is opened."""
        if queue.url.startswith("sqs:"):
            from roomledger.stores.aws_client import default_session

            return Access(session=default_session(queue.connection))
        from roomledger.queues.pubsub import SCOPE
        from roomledger.stores.google_credentials import default_credentials

        return Access(credentials=default_credentials(queue.url, SCOPE, queue.endpoint))


@dataclass(frozen=True, slots=True)
class Runtime:
    """The settings with their database, connections and chosen sources, ready to be opened."""

    settings: Settings
    database: Database
    """The ledger's database; also the warehouse's, unless `facts` is another one."""
    facts: Facts
    connections: Connections
    sources: tuple[Source, ...]
    """The chosen sources, without workspaces that only send webhooks."""

    def store(self, source: BucketSource) -> Store:
        """Open a bucket. Raises CredentialsMissing."""
        return open_store(source.url, self.connections.bucket(source))

    def client(self, source: WorkspaceSource) -> Client:
        """Open a workspace's API. Raises CredentialsMissing."""
        from roomledger.hundredms.storage import open_client

        return open_client(source.url, self.connections.workspace(source))

    def stores(self) -> dict[str, Store]:
        """Open every chosen bucket, by the name of its source."""
        return {source.name: self.store(source) for source in self.sources if isinstance(source, BucketSource)}

    def readers(self, stores: Mapping[str, Store] | None = None) -> dict[str, Reader]:
        """Open the readers of the chosen sources' objects, by the name of the source."""
        readers: dict[str, Reader] = dict(self.stores() if stores is None else stores)
        for source in self.sources:
            if isinstance(source, WorkspaceSource):
                from roomledger.hundredms.storage import VendorStorage

                readers[source.name] = VendorStorage(self.client(source))
        return readers


def open_runtime(
    settings: Settings,
    names: Sequence[str] = (),
    connections: Connections | None = None,
    *,
    needs_tables: bool = True,
    only_facts: bool = False,
) -> Runtime:
    """Open the database and choose these sources, or all.

    Raises SettingsError for an unknown source, and WarehouseError unless the tables are current (`needs_tables`).
    With `only_facts` the ledger is not connected to, where it is in another database.
    """
    database, facts = open_database(settings), open_facts(settings)
    if only_facts:
        facts.require_current()
    elif needs_tables:
        require_current(database, facts)
    sources = tuple(source for source in settings.select(names) if isinstance(source, BucketSource) or source.api)
    return Runtime(settings, database, facts, connections or StandardConnections(), sources)


def require_current(database: Database, facts: Facts) -> None:
    """Raise WarehouseError unless both sides have the tables of this version, and belong together."""
    from roomledger.ledger import installation, migrate

    facts.require_current(None if facts.in_ledger else migrate.require_current(database, installation.LEDGER))


def open_database(settings: Settings) -> Database:
    """Give the database of the ledger, not yet connected."""
    return _open_engine(settings.control_url or settings.warehouse_url, settings)


def open_facts(settings: Settings) -> Facts:
    """Give the facts side, not yet connected."""
    from roomledger.warehouse.transactional import DatabaseFacts

    return DatabaseFacts(_open_engine(settings.warehouse_url, settings), in_ledger=settings.control_url is None)


def _open_engine(url: str, settings: Settings) -> Database:
    if url.startswith("duckdb:"):
        from roomledger.ledger.duckdb import DuckDB

        return DuckDB(url, settings.warehouse_memory_mb)
    from roomledger.ledger.postgres import PostgreSQL

    return PostgreSQL(url)


def open_store(url: str, access: Access) -> Store:
    """Open the bucket or folder at `url`, with few or no requests.

    Raises `CredentialsMissing`, and `ValueError` for a URL that is not a store.
    """
    match split_url(url)[0]:
        case "s3":
            from roomledger.stores.s3 import S3

            return S3(url, access)
        case "gs":
            from roomledger.stores.gcs import Gcs

            return Gcs(url, access)
        case "file":
            from roomledger.stores.folder import Folder

            return Folder(url)
    raise ValueError(f"{url} is a workspace, which has no listing")


def open_queue(settings: Settings, name: str, connections: Connections) -> Queue:
    """Open the queue of this name, or the inbox; nothing is received yet.

    Raises CredentialsMissing, QueueError, and KeyError for an unknown name.
    """
    if name == INBOX and settings.inbox_url:
        return open_inbox(settings.inbox_url)
    queue = settings.queue(name)
    return open_bucket_queue(queue, connections.queue(queue))


def open_bucket_queue(queue: QueueSettings, access: Access) -> Queue:
    """Open a queue of bucket events; endpoint and region of the settings take precedence over `access`.

    Raises CredentialsMissing, and QueueError when the library that Pub/Sub needs is not installed.
    """
    if queue.url.startswith("sqs:"):
        from roomledger.queues.sqs import Sqs

        return Sqs(queue, access)
    from roomledger.queues.pubsub import PubSub

    return PubSub(queue, access)


def open_inbox(url: str) -> Inbox:
    """Open the inbox of webhooks at `file:///folder`, `s3://bucket/prefix` or `gs://bucket/prefix`.

    A folder is created with its first event. A bucket uses the credentials of the cloud's standard chain, and its
    endpoint can be set by `AWS_ENDPOINT_URL_S3` or `STORAGE_EMULATOR_HOST`. Raises `QueueError`.
    """
    scheme, _, path = split_url(url)
    match scheme:
        case "s3":
            from roomledger.queues.inbox_bucket import open_s3

            return open_s3(url)
        case "gs":
            from roomledger.queues.inbox_bucket import open_gcs

            return open_gcs(url)
        case "file":
            from roomledger.queues.inbox_folder import FolderInbox

            return FolderInbox(Path(path))
    raise ValueError(f"{url} is not an inbox: use file:///folder, s3://bucket/prefix or gs://bucket/prefix")


def from_environment(names: Sequence[str] = (), connections: Connections | None = None) -> Runtime:
    """Open the settings file that the environment names. Raises SettingsError and WarehouseError."""
    return open_runtime(settings_module.from_environment(), names, connections)
