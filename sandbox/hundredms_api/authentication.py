"""Authentication of the API: management tokens, and signed URLs in the form of S3."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import jwt

from sandbox.dataset.workspace import SIGNATURE_CANARY, Workspace
from sandbox.hundredms_api.faults import Faults
from sandbox.hundredms_api.responses import ApiError

LEEWAY_S = 10
STORAGE = "/storage/"
"""Path prefix of stored files. It is outside the API, like an S3 bucket."""

_CLAIMS = ("access_key", "type", "version", "jti", "iat", "nbf", "exp")
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"


class Tokens:
    """Checks management tokens. It records when each was first used, because the claim `iat` has whole seconds only."""

    def __init__(self) -> None:
        self._first_seen: dict[str, float] = {}

    def workspace(self, authorization: str, workspaces: Sequence[Workspace], faults: Faults) -> Workspace:
        """The workspace of the token in this header. Raises ApiError if the token is not valid."""
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            raise ApiError(401, "Token validation error", "not a bearer token")
        claims: Mapping[str, Any]
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
            workspace = next((one for one in workspaces if one.access_key == claims.get("access_key")), None)
            if workspace is None:
                raise ApiError(401, "Token validation error", "not found")
            claims = jwt.decode(token, workspace.secret, ["HS256"], options={"require": [*_CLAIMS]}, leeway=LEEWAY_S)
        except jwt.InvalidTokenError as error:
            raise ApiError(401, "Token validation error", str(error)) from error
        if claims["type"] != "management" or claims["version"] != 2:
            raise ApiError(401, "Token validation error", "not a management token of version 2")
        first_seen = self._first_seen.setdefault(token, time.time())
        moment = faults.refuse_tokens_before
        # Clients set `iat` up to 10 s early for skewed clocks; 11 s before the moment is certainly an older token.
        if moment is not None and (first_seen < moment or claims["iat"] < moment - LEEWAY_S - 1):
            raise ApiError(faults.refuse_with, "Token validation error", "token is revoked")
        return workspace


class Signatures:
    """Signs paths of this server for a number of seconds, and checks the signatures of requests."""

    def __init__(self) -> None:
        self._key = os.urandom(32)

    def sign(self, path: str, seconds: int, *, expired: bool = False) -> str:
        """The quoted path and query."""
        signed_at = time.time() - (seconds + 2 if expired else 0)
        date = datetime.fromtimestamp(signed_at, UTC).strftime(_DATE_FORMAT)
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{SIGNATURE_CANARY}/{date[:8]}/eu-north-9/s3/aws4_request",
            "X-Amz-Date": date,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        query["X-Amz-Signature"] = self._digest(path, date, str(seconds))
        return f"{quote(path)}?{urlencode(query)}"

    def error(self, path: str, query: Mapping[str, str]) -> str | None:
        """S3's error message for an invalid signature; None if it is valid."""
        date, seconds, signature = (query.get(f"X-Amz-{name}", "") for name in ("Date", "Expires", "Signature"))
        if not hmac.compare_digest(signature.encode(), self._digest(path, date, seconds).encode()):
            return "SignatureDoesNotMatch"
        signed_at = datetime.strptime(date, _DATE_FORMAT).replace(tzinfo=UTC)
        return "Request has expired" if time.time() >= signed_at.timestamp() + int(seconds) else None

    def _digest(self, path: str, date: str, seconds: str) -> str:
        return hmac.new(self._key, "\n".join((path, date, seconds)).encode(), hashlib.sha256).hexdigest()
