"""The AWS account in which buckets are to ring: one connection to its services, and its refusals in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types
from botocore.exceptions import (  # type: ignore[import-untyped]  # ships no types
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
    UnknownRegionError,
)

from roomledger.cloud import BellError, CannotRing
from roomledger.cloud.choice import Choice
from roomledger.stores import default_access, transfer

_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
_DENIED = {"403", "AccessDenied", "AccessDeniedException", "AuthorizationError", "AllAccessDisabled"}
_BAD_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_RIGHTS = {
    "HeadBucket": "s3:ListBucket",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "PutBucketNotificationConfiguration": "s3:PutBucketNotification",
}
"""Where the right is not called as the operation is (AWS manual)."""
_WITHOUT_CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or name an AWS profile with --profile; "
    "--format terraform needs none"
)


class Aws:
    """Clients for one set of credentials; nothing is asked before it is needed."""

    def __init__(self, session: boto3.Session, *, endpoint: str | None, queue_endpoint: str | None) -> None:
        self._session = session
        self._endpoint = endpoint
        self._queue_endpoint = queue_endpoint
        self._clients: dict[tuple[str, str], Any] = {}
        self.region: str | None = None
        """Of the buckets, once it is known."""

    @contextmanager
    def asked(self) -> Iterator[Callable[[str], Any]]:
        """Give clients by service; what goes wrong inside is raised as `CannotRing` or `BellError`."""
        try:
            yield self._client
        except ClientError as error:
            raise _explained(error) from error
        except _CREDENTIALS as error:
            told = transfer.summary(error)
            raise CannotRing(f"no AWS credentials were found ({told}): {_WITHOUT_CREDENTIALS}") from error
        except BotoCoreError as error:
            raise BellError(f"no proper answer from AWS: {transfer.summary(error)}") from error

    def _client(self, service: str) -> Any:
        region = self.region or self._session.region_name or "us-east-1"
        if (service, region) not in self._clients:
            config = Config(
                connect_timeout=transfer.CONNECT_TIMEOUT.total_seconds(),
                read_timeout=transfer.READ_TIMEOUT.total_seconds(),
                retries={"mode": "standard", "total_max_attempts": transfer.RETRIES + 1},
                s3={"addressing_style": "path" if self._endpoint else "auto"},
            )
            endpoint = self._endpoint if service == "s3" else self._queue_endpoint
            self._clients[service, region] = self._session.client(
                service, region_name=region, endpoint_url=endpoint, config=config
            )
        return self._clients[service, region]

    @cached_property
    def account(self) -> str:
        """The account of the credentials."""
        with self.asked() as client:
            return str(client("sts").get_caller_identity()["Account"])

    def place(self, choice: Choice, *, ask: bool) -> tuple[str, str]:
        """Account and region of the buckets: what the settings say of the queue, or else, or with `ask`, what AWS says.

        Raises `CannotRing` when AWS says something else than the settings.
        """
        queue = choice.queue
        account = queue.parts["account"] if queue else None
        region = (queue and queue.region) or choice.source.region
        if ask or not account:
            if account and account != self.account:
                raise CannotRing(
                    f"queue {choice.name} is to lie in account {account}, and the credentials are of {self.account}: a "
                    "bucket rings in its own account, so use credentials of that one"
                )
            account = self.account
        if ask or not region:
            regions = {ring.bucket: self._region_of(ring.bucket, account) for ring in choice.rings}
            lie = ", ".join(f"{bucket} in {found}" for bucket, found in regions.items())
            if len(set(regions.values())) > 1:
                raise CannotRing(f"the buckets lie in several regions ({lie}): let each ring in a queue of its own")
            if region and region != regions[choice.rings[0].bucket]:
                raise CannotRing(
                    f"the settings say region {region}, and {lie}: a queue has to lie in its bucket's region"
                )
            region = regions[choice.rings[0].bucket]
        self.region = region
        return account, region

    def partition(self, region: str) -> str:
        """The second part of ARNs there: `aws`, and other words in China and for governments."""
        try:
            return str(self._session.get_partition_for_region(region))
        except UnknownRegionError:
            return "aws"

    def notifications(self, bucket: str) -> Mapping[str, Any]:
        """The notification configuration that a bucket has."""
        with self.asked() as client:
            found: Mapping[str, Any] = client("s3").get_bucket_notification_configuration(
                Bucket=bucket, ExpectedBucketOwner=self.account
            )
            return found

    def accepted(self, answer: Mapping[str, Any]) -> None:
        """Raise `BellError` for an answer of EventBridge that says success and holds failures."""
        for entry in answer.get("FailedEntries", ()):
            raise BellError(f"EventBridge did not take a target: {entry.get('ErrorCode')} {entry.get('ErrorMessage')}")

    def _region_of(self, bucket: str, account: str) -> str:
        with self.asked() as client:
            s3 = client("s3")
            try:
                answer = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
            except ClientError as error:
                if error.response["Error"]["Code"] == "404":
                    raise CannotRing(f"there is no bucket {bucket}: check the url of the source") from error
                if error.response["Error"]["Code"] == "403":
                    raise CannotRing(
                        f"bucket {bucket} cannot be reached: either the credentials lack s3:ListBucket on it, or it is "
                        f"not of their account {account}"
                    ) from error
                raise
            return str(answer.get("BucketRegion") or s3.meta.region_name)


def connect(choice: Choice, profile: str | None) -> Aws:
    """Use the credentials of this AWS profile, or those of the source. Raises `CannotRing`."""
    source, queue = choice.source, choice.queue
    try:
        if profile:
            session = boto3.Session(profile_name=profile)
        else:
            session = default_access(source.url, connection=source.connection).session
    except ProfileNotFound as error:
        raise CannotRing(
            f"{transfer.summary(error)}: `aws configure list-profiles` lists those that there are"
        ) from error
    return Aws(session, endpoint=source.endpoint, queue_endpoint=queue.endpoint if queue else source.endpoint)


def unreachable(error: ClientError) -> bool:
    """Whether S3 could not send to the queue or topic of a notification."""
    return "Unable to validate" in error.response["Error"].get("Message", "")


def _explained(error: ClientError) -> BellError:
    code, message = str(error.response["Error"]["Code"]), error.response["Error"].get("Message", "")
    operation = error.operation_name
    if code in _BAD_CREDENTIALS:
        return CannotRing(f"AWS does not accept the credentials: {code}: {_WITHOUT_CREDENTIALS}")
    if code in _DENIED:
        return CannotRing(f"the credentials lack the right to {_RIGHTS.get(operation, operation)}: {message}")
    if unreachable(error):
        return BellError(
            "S3 cannot send there yet, though it was let in: wait a minute and run the same again. If it stays so, see "
            "whether the key that the queue is encrypted with keeps it out, and whether all other places that the "
            f"bucket tells are still there ({message})"
        )
    return BellError(f"AWS refused {operation}: {code}: {message}")
