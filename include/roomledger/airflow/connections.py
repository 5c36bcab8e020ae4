"""Airflow connections become store credentials, through the hooks of the providers, as Airflow's users know them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from roomledger import queues
from roomledger.hundredms.tokens import Keys
from roomledger.settings import QueueSettings, Source
from roomledger.stores import Access, default_access


def access(source: Source) -> Access:
    """Resolve the source's connection: AWS for s3://, Google for gs://, login and password of any for 100ms://.

    Without one, the standard credential chain serves, or the environment's keys of the workspace.
    """
    if not source.connection or source.url.startswith("file:"):
        return default_access(source.url, connection=None, endpoint=source.endpoint, region=source.region)
    if source.is_workspace:
        found = _keys(source.connection)
    else:
        found = _google(source.connection) if source.url.startswith("gs:") else _aws(source.connection)
    return replace(found, endpoint=source.endpoint or found.endpoint, region=source.region or found.region)


def queue_access(queue: QueueSettings) -> Access:
    """Resolve the queue's connection: AWS for SQS, Google for Pub/Sub; without one, the standard credential chain."""
    if not queue.connection:
        return queues.default_queue_access(queue)
    return _google(queue.connection) if queue.url.startswith("pubsub:") else _aws(queue.connection, "sqs")


def _aws(connection: str, service: str = "s3") -> Access:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

    hook: AwsGenericHook[Any] = AwsGenericHook(aws_conn_id=connection, client_type=service)
    return Access(
        session=hook.get_session(),
        endpoint=hook.conn_config.get_service_endpoint_url(service),
        region=hook.region_name,
    )


def _keys(connection: str) -> Access:
    from airflow.sdk import BaseHook

    found = BaseHook.get_connection(connection)
    if not found.login or not found.password:
        return Access()
    return Access(keys=Keys(found.login, found.password), endpoint=found.host or None)


def _google(connection: str) -> Access:
    from airflow.providers.google.cloud.hooks.gcs import GCSHook
    from google.auth.credentials import AnonymousCredentials

    credentials = GCSHook(gcp_conn_id=connection).get_credentials()
    # An anonymous connection is how one reaches an emulator, which wants no credentials at all.
    return Access(credentials=None if isinstance(credentials, AnonymousCredentials) else credentials)
