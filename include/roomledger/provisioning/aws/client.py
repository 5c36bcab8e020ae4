"""One connection to the AWS account of the buckets; its errors are raised as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
from botocore import exceptions  # type: ignore[import-untyped]  # ships no types

from roomledger.provisioning import CannotConfigure, ProvisioningError
from roomledger.provisioning.aws.plan import Arns
from roomledger.provisioning.selection import Selection
from roomledger.stores import aws_client, transfer

_PERMISSIONS = {
    "HeadBucket": "s3:ListBucket",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "PutBucketNotificationConfiguration": "s3:PutBucketNotification",
}
"""Where the permission has another name than the operation (AWS manual)."""
_WAY_OUT = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use an AWS profile with --profile"


class Aws:
    """Clients with the credentials of an AWS profile, or of the source. Nothing is requested before it is needed."""

    def __init__(self, selection: Selection, profile: str | None) -> None:
        """Raise `CannotConfigure` when there is no such profile."""
        source, queue = selection.source, selection.queue
        try:
            self._session = (
                boto3.Session(profile_name=profile) if profile else aws_client.default_session(source.connection)
            )
        except exceptions.ProfileNotFound as error:
            raise CannotConfigure(f"{transfer.summary(error)}: see `aws configure list-profiles`") from error
        self._endpoint = source.endpoint
        self._queue_endpoint = queue.endpoint if queue else source.endpoint
        self.region = self._session.region_name or "us-east-1"
        self._clients: dict[tuple[str, str], Any] = {}

    @contextmanager
    def clients(self) -> Iterator[Callable[[str], Any]]:
        """Yield clients by service; errors inside are raised as `CannotConfigure` or `ProvisioningError`."""
        try:
            yield self._client
        except exceptions.ClientError as error:
            raise _translated(error) from error
        except aws_client.NO_CREDENTIALS as error:
            raise CannotConfigure(f"no AWS credentials were found ({transfer.summary(error)}): {_WAY_OUT}") from error
        except (exceptions.BotoCoreError, ValueError) as error:
            raise ProvisioningError(f"no valid response from AWS: {transfer.summary(error)}") from error

    def _client(self, service: str) -> Any:
        key = service, self.region
        if key not in self._clients:
            config = aws_client.client_config(self._endpoint)
            endpoint = self._endpoint if service == "s3" else self._queue_endpoint
            self._clients[key] = self._session.client(*key, endpoint_url=endpoint, config=config)
        return self._clients[key]

    @cached_property
    def account(self) -> str:
        """The account of the credentials."""
        with self.clients() as client:
            return str(client("sts").get_caller_identity()["Account"])

    def locate(self, selection: Selection, *, verify: bool) -> Arns:
        """Find the account and region of the buckets; the clients use that region from now on.

        The settings have precedence; AWS is queried for what they do not state, and with `verify` for everything.
        Raises `CannotConfigure` when AWS and the settings disagree.
        """
        queue = selection.queue
        account = queue.parts["account"] if queue else None
        region = (queue and queue.region) or selection.source.region
        if verify or not account:
            if account not in (None, self.account):
                raise CannotConfigure(
                    f"queue {selection.name} is in account {account}, but the credentials are of account "
                    f"{self.account}: use credentials of the account of bucket and queue"
                )
            account = self.account
        if verify or not region:
            regions = {bucket: self._region_of(bucket, account) for bucket in selection.buckets}
            stated = f", and the settings say region {region}" if region else ""
            region = region or regions[selection.targets[0].bucket]
            if {region} != set(regions.values()):
                actual = ", ".join(f"{bucket} is in {where}" for bucket, where in regions.items())
                raise CannotConfigure(
                    f"a queue must be in the region of its buckets: {actual}{stated}. Use one queue per region"
                )
        self.region = region
        with suppress(exceptions.UnknownRegionError):
            return Arns(account, region, self._session.get_partition_for_region(region))
        return Arns(account, region)

    def notifications(self, bucket: str) -> Mapping[str, Any]:
        """Return the current notification configuration of a bucket."""
        with self.clients() as client:
            found: Mapping[str, Any] = client("s3").get_bucket_notification_configuration(
                Bucket=bucket, ExpectedBucketOwner=self.account
            )
            return found

    def _region_of(self, bucket: str, account: str) -> str:
        with self.clients() as client:
            s3 = client("s3")
            try:
                head = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
            except exceptions.ClientError as error:
                match error.response["Error"]["Code"]:
                    case "404":
                        raise CannotConfigure(f"no bucket {bucket}: check the url of the source") from error
                    case "403":
                        raise CannotConfigure(
                            f"no access to bucket {bucket}: either the credentials lack s3:ListBucket on it, or it "
                            f"does not belong to their account {account}"
                        ) from error
                raise
            return str(head.get("BucketRegion") or s3.meta.region_name)


def is_unreachable(error: exceptions.ClientError) -> bool:
    """Whether S3 could not send to the queue or topic of a notification."""
    return "Unable to validate" in error.response["Error"].get("Message", "")


def _translated(error: exceptions.ClientError) -> ProvisioningError:
    code, message = str(error.response["Error"]["Code"]), error.response["Error"].get("Message", "")
    operation = error.operation_name
    if aws_client.BAD_CREDENTIALS.search(code):
        return CannotConfigure(f"AWS does not accept the credentials: {code}: {_WAY_OUT}")
    if aws_client.ACCESS_DENIED.search(code):
        return CannotConfigure(
            f"the credentials lack the permission {_PERMISSIONS.get(operation, operation)}: {message}"
        )
    if is_unreachable(error):
        return ProvisioningError(
            "S3 cannot send to the destination yet: wait a minute and run this again. If the error remains, check the "
            "policy of the key that encrypts the queue, and whether all other destinations of the bucket still exist "
            f"({message})"
        )
    return ProvisioningError(f"AWS refused {operation}: {code}: {message}")
