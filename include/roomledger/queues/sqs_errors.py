"""Errors of SQS's client, boto3, as `QueueError`s that name the problem and the way out."""

from __future__ import annotations

from botocore.exceptions import (  # type: ignore[import-untyped]  # ships no types
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoRegionError,
)

from roomledger.queues import QueueError
from roomledger.stores import aws_client, transfer

EXPIRED = {"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"}
"""Codes of one message of a batch that this receiver no longer holds."""

_MISSING = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}


def explain(error: Exception, *, url: str, endpoint: str | None) -> QueueError:
    """Return the error to raise for an error of a request about the queue at `url`."""
    code = str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""
    detail, server = transfer.summary(error), endpoint or "AWS"
    if isinstance(error, NoRegionError):
        return QueueError(f"the region of {url} is unknown: set the queue's region")
    if problem := aws_client.credentials_problem(error, code, url, server):
        return QueueError(problem)
    if code in _MISSING:
        return QueueError(
            f"{server} has no queue {url}, or none that the credentials may see: check the queue's url and region; "
            "a queue of another account is written sqs://account/queue"
        )
    if code.startswith("Kms"):
        return QueueError(f"{url} is encrypted, and the credentials need kms:Decrypt on its key ({detail})")
    if aws_client.ACCESS_DENIED.search(code):
        return QueueError(
            f"no permission for {url}: the credentials need sqs:GetQueueUrl, sqs:ReceiveMessage, "
            f"sqs:ChangeMessageVisibility and sqs:DeleteMessage on it ({detail})"
        )
    if isinstance(error, (HTTPClientError, ConnectionError)):
        return QueueError(
            f"no valid response from {server} for {url}: check the network, and the endpoint and region in the queue's "
            f"settings ({detail})"
        )
    return QueueError(f"{server} could not serve {url}: {detail}")
