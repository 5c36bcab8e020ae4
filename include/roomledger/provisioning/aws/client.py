"""The AWS account in which buckets are to ring: one connection to its services, and its refusals in our words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
from botocore import exceptions  # type: ignore[import-untyped]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types

from roomledger.provisioning import CannotConfigure, ProvisioningError
from roomledger.provisioning.aws import plan
from roomledger.provisioning.selection import Choice
from roomledger.stores import transfer
from roomledger.stores.s3 import default_session

_NO_CREDENTIALS = (
    exceptions.CredentialRetrievalError,
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
)
_BAD_CREDENTIALS = re.compile("AuthFailure|ExpiredToken|InvalidAccessKeyId|InvalidClientTokenId|Signature|Unrecognized")
_DENIED = re.compile("403|AccessDenied|AuthorizationError|AllAccessDisabled")
_RIGHTS = {
    "HeadBucket": "s3:ListBucket",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "PutBucketNotificationConfiguration": "s3:PutBucketNotification",
}
"""Where the right is not called as the operation is (AWS manual)."""
_WAY_OUT = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or name an AWS profile with --profile; "
    "--format terraform needs none"
)


class Aws:
    """Clients with the credentials of an AWS profile, or of the source; nothing is asked before it is needed."""

    def __init__(self, choice: Choice, profile: str | None) -> None:
        """Raise `CannotRing` when there is no such profile."""
        source, queue = choice.source, choice.queue
        try:
            self._session = boto3.Session(profile_name=profile) if profile else default_session(source.connection)
        except exceptions.ProfileNotFound as error:
            told = transfer.summary(error)
            raise CannotConfigure(f"{told}: `aws configure list-profiles` lists those that there are") from error
        self._endpoint = source.endpoint
        self._queue_endpoint = queue.endpoint if queue else source.endpoint
        self.region = self._session.region_name or "us-east-1"
        self._clients: dict[tuple[str, str], Any] = {}

    @contextmanager
    def asked(self) -> Iterator[Callable[[str], Any]]:
        """Give clients by service; what goes wrong inside is raised as `CannotRing` or `BellError`."""
        try:
            yield self._client
        except exceptions.ClientError as error:
            raise _explained(error) from error
        except _NO_CREDENTIALS as error:
            raise CannotConfigure(f"no AWS credentials were found ({transfer.summary(error)}): {_WAY_OUT}") from error
        except exceptions.BotoCoreError as error:
            raise ProvisioningError(f"no proper answer from AWS: {transfer.summary(error)}") from error

    def _client(self, service: str) -> Any:
        key = service, self.region
        if key not in self._clients:
            config = Config(
                connect_timeout=transfer.CONNECT_TIMEOUT.total_seconds(),
                read_timeout=transfer.READ_TIMEOUT.total_seconds(),
                retries={"mode": "standard", "total_max_attempts": transfer.RETRIES + 1},
                s3={"addressing_style": "path" if self._endpoint else "auto"},
            )
            endpoint = self._endpoint if service == "s3" else self._queue_endpoint
            self._clients[key] = self._session.client(*key, endpoint_url=endpoint, config=config)
        return self._clients[key]

    @cached_property
    def account(self) -> str:
        """The account of the credentials."""
        with self.asked() as client:
            return str(client("sts").get_caller_identity()["Account"])

    def place(self, choice: Choice, *, ask: bool) -> plan.Addresses:
        """Addresses in the account and region of the buckets; the region becomes that of the clients.

        These are what the settings say of the queue, or else, or with `ask`, what AWS says. Raises `CannotRing` when
        AWS says something else than the settings.
        """
        queue = choice.queue
        account = queue.parts["account"] if queue else None
        region = (queue and queue.region) or choice.source.region
        if ask or not account:
            if account not in (None, self.account):
                raise CannotConfigure(
                    f"queue {choice.name} is to lie in account {account}, and the credentials are of {self.account}: a "
                    "bucket rings in its own account, so use credentials of that one"
                )
            account = self.account
        if ask or not region:
            found = {bucket: self._region_of(bucket, account) for bucket in choice.buckets}
            said = f", and the settings say region {region}" if region else ""
            region = region or found[choice.rings[0].bucket]
            if {region} != set(found.values()):
                lie = ", ".join(f"{bucket} in {where}" for bucket, where in found.items())
                raise CannotConfigure(
                    f"a queue has to lie in the region of its buckets: {lie}{said}. Let those of each region ring in a "
                    "queue of their own, there"
                )
        self.region = region
        with suppress(exceptions.UnknownRegionError):
            return plan.arns(account, region, self._session.get_partition_for_region(region))
        return plan.arns(account, region)

    def notifications(self, bucket: str) -> Mapping[str, Any]:
        """The notification configuration that a bucket has."""
        with self.asked() as client:
            found: Mapping[str, Any] = client("s3").get_bucket_notification_configuration(
                Bucket=bucket, ExpectedBucketOwner=self.account
            )
            return found

    def _region_of(self, bucket: str, account: str) -> str:
        with self.asked() as client:
            s3 = client("s3")
            try:
                answer = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
            except exceptions.ClientError as error:
                match error.response["Error"]["Code"]:
                    case "404":
                        raise CannotConfigure(f"there is no bucket {bucket}: check the url of the source") from error
                    case "403":
                        raise CannotConfigure(
                            f"bucket {bucket} cannot be reached: either the credentials lack s3:ListBucket on it, or "
                            f"it is not of their account {account}"
                        ) from error
                raise
            return str(answer.get("BucketRegion") or s3.meta.region_name)


def unreachable(error: exceptions.ClientError) -> bool:
    """Whether S3 could not send to the queue or topic of a notification."""
    return "Unable to validate" in error.response["Error"].get("Message", "")


def _explained(error: exceptions.ClientError) -> ProvisioningError:
    code, message = str(error.response["Error"]["Code"]), error.response["Error"].get("Message", "")
    operation = error.operation_name
    if _BAD_CREDENTIALS.search(code):
        return CannotConfigure(f"AWS does not accept the credentials: {code}: {_WAY_OUT}")
    if _DENIED.search(code):
        return CannotConfigure(f"the credentials lack the right to {_RIGHTS.get(operation, operation)}: {message}")
    if unreachable(error):
        return ProvisioningError(
            "S3 cannot send there yet, though it was let in: wait a minute and run the same again. If it stays so, see "
            "whether the key that the queue is encrypted with keeps it out, and whether all other places that the "
            f"bucket tells are still there ({message})"
        )
    return ProvisioningError(f"AWS refused {operation}: {code}: {message}")
