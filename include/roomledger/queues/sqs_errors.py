"""What SQS answers when it does not do what was asked, in our words: nothing else knows the words of its client."""

from __future__ import annotations

from botocore.exceptions import (  # type: ignore[import-untyped]  # ships no types
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    SSOError,
    TokenRetrievalError,
)

from roomledger.queues import QueueError
from roomledger.stores import transfer

ERRORS = (BotoCoreError, ClientError, OSError)
"""All that boto3 raises."""
GONE = {"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"}
"""Codes of a single message of a batch that is in nobody's hands any more."""

_MISSING = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
_ACCESS_DENIED = {"403", "AccessDenied", "AccessDeniedException", "InvalidSecurity"}
_BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NO_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, SSOError, TokenRetrievalError)


def no_credentials(url: str) -> QueueError:
    """The error to raise when a session holds no keys."""
    return QueueError(
        f"no AWS credentials for {url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name an AWS profile or an "
        "Airflow connection in the queue's settings"
    )


def explain(error: Exception, *, url: str, endpoint: str | None) -> QueueError:
    """The error to raise when a request about the queue at `url` came to this."""
    code = str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""
    detail, server = transfer.summary(error), endpoint or "AWS"
    if isinstance(error, NoRegionError):
        return QueueError(f"nothing says in which region {url} is: set the queue's region")
    if isinstance(error, _NO_CREDENTIALS) or getattr(error, "operation_name", "").startswith("AssumeRole"):
        return QueueError(f"the credentials for {url} could not be had or renewed: {detail}")
    if code in _MISSING:
        return QueueError(
            f"{server} has no queue {url}, or none that the credentials may know of: check the queue's url and region; "
            "a queue of another account is written sqs://account/queue"
        )
    if code in _BAD_CREDENTIALS:
        return QueueError(f"{server} does not accept the credentials for {url}: {code}")
    if code in _ACCESS_DENIED:
        return QueueError(
            f"no permission for {url}: the credentials need sqs:GetQueueUrl, sqs:ReceiveMessage, "
            f"sqs:ChangeMessageVisibility and sqs:DeleteMessage on it ({detail})"
        )
    if code.startswith("Kms"):
        return QueueError(f"{url} is encrypted, and the credentials need kms:Decrypt on its key ({detail})")
    if isinstance(error, (HTTPClientError, ConnectionError)):
        return QueueError(
            f"no proper answer from {server} for {url}: check the network, and the endpoint and region in the queue's "
            f"settings ({detail})"
        )
    return QueueError(f"{server} could not serve {url}: {detail}")
