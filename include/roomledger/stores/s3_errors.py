"""What S3 answers when it does not give what was asked, in our words: nothing else knows the words of its clients."""

from __future__ import annotations

import re

from botocore.exceptions import (  # type: ignore[import-untyped]  # ships no types
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError

from roomledger import stores
from roomledger.stores import transfer

ERRORS = (BaseError, BotoCoreError, ClientError, OSError)
"""All that boto3 and obstore raise."""
ABSENT = {"NoSuchKey", "NoSuchVersion"}

_ACCESS_DENIED = {"403", "AccessDenied", "AllAccessDisabled", "AccountProblem"}
_BAD_CREDENTIALS = {
    "401",
    "AuthFailure",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_NO_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, SSOError, TokenRetrievalError, UnauthenticatedError)
_OTHER_REGION = {"301", "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect"}


def code_of(error: Exception) -> str | None:
    """S3's own word for what went wrong; an HTTP status where its answer had no body."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    if found := re.search(r"<Code>(\w+)</Code>", str(error)):
        return found[1]
    if isinstance(error, PermissionDeniedError):
        return "403"
    if isinstance(error, PreconditionError):
        return "412"
    return "NoSuchKey" if isinstance(error, FileNotFoundError) else None


def explain(error: Exception, *, verb: str, uri: str, bucket: str, endpoint: str, region: str) -> Exception:
    """The error to raise when `list` or `read` of `uri` came to this."""
    code, detail = code_of(error), transfer.summary(error)
    if isinstance(error, _NO_CREDENTIALS) or getattr(error, "operation_name", "").startswith("AssumeRole"):
        return stores.AccessDenied(f"the credentials for {uri} could not be had or renewed: {detail}")
    if code in ("PreconditionFailed", "412"):
        return stores.ObjectChanged(f"{uri} holds other bytes now than when it was seen")
    if code in ("NoSuchBucket", "404"):
        return stores.BucketMissing(f"{endpoint} has no bucket {bucket}: check the source's url")
    if code in _BAD_CREDENTIALS:
        return stores.AccessDenied(f"{endpoint} does not accept the credentials for {uri}: {code}")
    if code in _ACCESS_DENIED:
        rights = "s3:ListBucket on the bucket"
        if verb == "read":
            rights = f"s3:GetObject on it and {rights}, without which S3 calls a deleted object forbidden"
        return stores.AccessDenied(f"no permission to {verb} {uri}: the credentials need {rights}{_message(error)}")
    if code in _OTHER_REGION:
        return stores.StoreError(f"{uri} does not lie in region {region}: set the region of the source")
    if isinstance(error, HTTPClientError) or "HTTP error" in detail:
        return stores.StoreError(
            f"no proper answer from {endpoint} to the request to {verb} {uri}: check the network, "
            f"and the endpoint in the source's settings ({detail})"
        )
    return stores.StoreError(f"{endpoint} could not {verb} {uri}: {detail}")


def _message(error: Exception) -> str:
    """The store's own sentence, which may name a key or a policy."""
    found = re.search(r"<Message>(.+?)</Message>", str(error), re.DOTALL)
    message = error.response["Error"].get("Message") if isinstance(error, ClientError) else found and found[1]
    return f" ({message})" if message else ""
