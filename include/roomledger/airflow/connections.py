"""Credentials from Airflow connections, through the hooks of Airflow's providers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from roomledger.hundredms.access import Keys, WorkspaceAccess
from roomledger.runtime import StandardConnections
from roomledger.settings import BucketSource, QueueSettings, WorkspaceSource
from roomledger.stores import Access

_STANDARD = StandardConnections()


class AirflowConnections:
    """AWS connections for S3 and SQS, Google's for GCS and Pub/Sub, any kind with login and password for a workspace.

    Without a connection in the settings: `StandardConnections`.
    """

    def bucket(self, source: BucketSource) -> Access:
        """See `Connections`."""
        if not source.connection or source.url.startswith("file:"):
            return _STANDARD.bucket(source)
        found = _google(source.connection) if source.url.startswith("gs:") else _aws(source.connection, "s3")
        return replace(found, endpoint=source.endpoint or found.endpoint, region=source.region or found.region)

    def workspace(self, source: WorkspaceSource) -> WorkspaceAccess:
        """See `Connections`."""
        if not source.connection:
            return _STANDARD.workspace(source)
        from airflow.sdk import BaseHook

        found = BaseHook.get_connection(source.connection)
        keys = Keys(found.login, found.password) if found.login and found.password else None
        return WorkspaceAccess(keys, source.endpoint or found.host or None)

    def queue(self, queue: QueueSettings) -> Access:
        """See `Connections`."""
        if not queue.connection:
            return _STANDARD.queue(queue)
        return _google(queue.connection) if queue.url.startswith("pubsub:") else _aws(queue.connection, "sqs")


def _aws(connection: str, service: str) -> Access:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

    hook: AwsGenericHook[Any] = AwsGenericHook(aws_conn_id=connection, client_type=service)
    return Access(
        session=hook.get_session(),
        endpoint=hook.conn_config.get_service_endpoint_url(service),
        region=hook.region_name,
    )


def _google(connection: str) -> Access:
    from airflow.providers.google.cloud.hooks.gcs import GCSHook
    from google.auth.credentials import AnonymousCredentials

    credentials = GCSHook(gcp_conn_id=connection).get_credentials()
    # An anonymous connection is for an emulator, which needs no credentials.
    return Access(credentials=None if isinstance(credentials, AnonymousCredentials) else credentials)
