"""Errors of S3's clients, boto3 and obstore, as errors of `stores` that name the problem and the way out."""

from __future__ import annotations

import re

from botocore.exceptions import ClientError, HTTPClientError  # type: ignore[import-untyped]  # ships no types
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError

from roomledger import stores
from roomledger.stores import aws_client, transfer

ERRORS = (BaseError, *aws_client.ERRORS)
"""All that boto3 and obstore raise."""
ABSENT = {"NoSuchKey", "NoSuchVersion"}

_OTHER_REGION = {"301", "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect"}


def code_of(error: Exception) -> str:
    """S3's error code; an HTTP status for a response without a body, empty for any other error."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    if found := re.search(r"<Code>(\w+)</Code>", str(error)):
        return found[1]
    if isinstance(error, PermissionDeniedError):
        return "403"
    if isinstance(error, PreconditionError):
        return "412"
    return "NoSuchKey" if isinstance(error, FileNotFoundError) else ""


def explain(error: Exception, *, verb: str, uri: str, bucket: str, endpoint: str, region: str) -> Exception:
    """Return the error to raise for an error of `list` or `read` at `uri`."""
    code, detail = code_of(error), transfer.summary(error)
    if isinstance(error, UnauthenticatedError):
        return stores.AccessDenied(f"the credentials for {uri} could not be obtained or renewed: {detail}")
    if problem := aws_client.credentials_problem(error, code, uri, endpoint):
        return stores.AccessDenied(problem)
    if code in ("PreconditionFailed", "412"):
        return stores.ObjectChanged(f"{uri} has other bytes now than the version to read")
    if code in ("NoSuchBucket", "404"):
        return stores.BucketMissing(f"{endpoint} has no bucket {bucket}: check the source's url")
    if aws_client.ACCESS_DENIED.search(code):
        rights = "s3:ListBucket on the bucket"
        if verb == "read":
            rights = f"s3:GetObject on it and {rights}, without which S3 reports a deleted object as forbidden"
        return stores.AccessDenied(f"no permission to {verb} {uri}: the credentials need {rights}{_message(error)}")
    if code in _OTHER_REGION:
        return stores.StoreError(f"{uri} is not in region {region}: set the region of the source")
    if isinstance(error, HTTPClientError) or "HTTP error" in detail:
        return stores.StoreError(
            f"no valid response from {endpoint} to the request to {verb} {uri}: check the network, "
            f"and the endpoint in the source's settings ({detail})"
        )
    return stores.StoreError(f"{endpoint} could not {verb} {uri}: {detail}")


def _message(error: Exception) -> str:
    """The server's own sentence, which may name a key or a policy."""
    found = re.search(r"<Message>(.+?)</Message>", str(error), re.DOTALL)
    message = error.response["Error"].get("Message") if isinstance(error, ClientError) else found and found[1]
    return f" ({message})" if message else ""
