"""What Pub/Sub answers when it does not do what was asked, in our words: nothing else knows those of its library."""

from __future__ import annotations

import grpc  # type: ignore[import-untyped]  # ships no types
from google.api_core.exceptions import (
    DeadlineExceeded,
    GoogleAPICallError,
    GoogleAPIError,
    NotFound,
    PermissionDenied,
    RetryError,
    ServiceUnavailable,
    Unauthenticated,
)
from google.auth.exceptions import GoogleAuthError

from roomledger.queues import QueueError
from roomledger.stores import transfer

ERRORS = (GoogleAPIError, GoogleAuthError, grpc.RpcError, OSError)
"""All that Google's library raises."""

_GONE = "PERMANENT_FAILURE_INVALID_ACK_ID"


def is_gone(error: Exception) -> bool:
    """Whether a request failed only for messages that are in nobody's hands any more, and was done for all others.

    Only a subscription with exactly-once delivery says so; the others say nothing (vendor documentation).
    """
    reasons = set((error.metadata or {}).values()) if isinstance(error, GoogleAPICallError) else set()
    return reasons == {_GONE}


def no_credentials(url: str) -> QueueError:
    """The error to raise when there are none."""
    return QueueError(
        f"no Google credentials for {url}: run `gcloud auth application-default login`, set "
        "GOOGLE_APPLICATION_CREDENTIALS, or name an Airflow connection in the queue's settings"
    )


def explain(error: Exception, *, url: str, endpoint: str) -> QueueError:
    """The error to raise when a request about the subscription at `url` came to this."""
    if isinstance(error, RetryError) and error.cause is not None:
        error = error.cause
    detail = transfer.summary(error)
    if isinstance(error, NotFound):
        return QueueError(f"{endpoint} has no subscription {url}: create it, or check the queue's url ({detail})")
    if isinstance(error, PermissionDenied):
        return QueueError(
            f"no permission for {url}: the credentials need pubsub.subscriptions.consume on the subscription, as the "
            f"role roles/pubsub.subscriber has it ({detail})"
        )
    if isinstance(error, (Unauthenticated, GoogleAuthError)):
        return QueueError(f"{endpoint} does not accept the credentials for {url}, or they could not be had: {detail}")
    if isinstance(error, (DeadlineExceeded, ServiceUnavailable)):
        return QueueError(
            f"no proper answer from {endpoint} for {url}: check the network, and the endpoint in the queue's settings "
            f"({detail})"
        )
    return QueueError(f"{endpoint} could not serve {url}: {detail}")
