"""Connections to AWS for S3, SQS and provisioning: credentials, timeouts, retries, and what the errors are about."""

from __future__ import annotations

import re

import boto3  # type: ignore[import-untyped]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types
from botocore.exceptions import (  # type: ignore[import-untyped]  # ships no types
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

from roomledger.stores import CredentialsMissing, transfer

ERRORS = (BotoCoreError, ClientError, OSError)
"""All that boto3 raises."""
NO_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError, SSOError, TokenRetrievalError)
ACCESS_DENIED = re.compile("^403$|AccessDenied|AccountProblem|AllAccessDisabled|AuthorizationError|InvalidSecurity")
BAD_CREDENTIALS = re.compile(
    "^401$|AuthFailure|Expired|InvalidAccessKeyId|InvalidClientTokenId|InvalidToken|MissingAuthenticationToken|"
    "RequestTimeTooSkewed|Signature|TokenRefreshRequired|UnrecognizedClient"
)
"""Patterns of error codes; S3 has an HTTP status as the code where its response has no body."""


def default_session(connection: str | None) -> boto3.Session:
    """Session of the AWS profile of this name, if there is one, and of the standard chain otherwise."""
    session = boto3.Session()
    return boto3.Session(profile_name=connection) if connection in session.available_profiles else session


def require_credentials(session: boto3.Session, url: str) -> None:
    """Raise `CredentialsMissing` if the session has no credentials for the bucket or queue at `url`."""
    try:
        if session.get_credentials() is not None:
            return
    except BotoCoreError as error:
        raise CredentialsMissing(f"no AWS credentials for {url}: {transfer.summary(error)}") from error
    raise CredentialsMissing(
        f"no AWS credentials for {url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or set `connection` in the "
        "settings to an AWS profile or an Airflow connection"
    )


def client_config(endpoint: str | None) -> Config:
    """Configuration of a boto3 client: the timeouts and retries of `transfer`."""
    return Config(
        connect_timeout=transfer.CONNECT_TIMEOUT.total_seconds(),
        read_timeout=transfer.READ_TIMEOUT.total_seconds(),
        retries={"mode": "standard", "total_max_attempts": transfer.RETRIES + 1},
        s3={"addressing_style": "path" if endpoint else "auto"},
    )


def credentials_problem(error: Exception, code: str, url: str, server: str) -> str | None:
    """What is wrong with the credentials for `url`; None if the error is about something else."""
    if isinstance(error, NO_CREDENTIALS) or getattr(error, "operation_name", "").startswith("AssumeRole"):
        return f"the credentials for {url} could not be obtained or renewed: {transfer.summary(error)}"
    return f"{server} does not accept the credentials for {url}: {code}" if BAD_CREDENTIALS.search(code) else None
