"""Errors of Pub/Sub's library as `QueueError`s that name the problem and the way out."""

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

_EXPIRED = "PERMANENT_FAILURE_INVALID_ACK_ID"


def is_expired(error: Exception) -> bool:
    """Whether a request failed only for deliveries that have expired, and succeeded for all others.

    Only a subscription with exactly-once delivery reports this (vendor documentation).
    """
    reasons = set((error.metadata or {}).values()) if isinstance(error, GoogleAPICallError) else set()
    return reasons == {_EXPIRED}


def explain(error: Exception, *, url: str, endpoint: str) -> QueueError:
    """Return the error to raise for an error of a request about the subscription at `url`."""
    if isinstance(error, RetryError) and error.cause is not None:
        error = error.cause
    detail = transfer.summary(error)
    if isinstance(error, NotFound):
        return QueueError(f"{endpoint} has no subscription {url}: create it, or check the queue's url ({detail})")
    if isinstance(error, PermissionDenied):
        return QueueError(
            f"no permission for {url}: the credentials need pubsub.subscriptions.consume on the subscription, which "
            f"the role roles/pubsub.subscriber has ({detail})"
        )
    if isinstance(error, (Unauthenticated, GoogleAuthError)):
        return QueueError(
            f"{endpoint} does not accept the credentials for {url}, or they could not be obtained: {detail}"
        )
    if isinstance(error, (DeadlineExceeded, ServiceUnavailable)):
        return QueueError(
            f"no valid response from {endpoint} for {url}: check the network, and the endpoint in the queue's settings "
            f"({detail})"
        )
    return QueueError(f"{endpoint} could not serve {url}: {detail}")
