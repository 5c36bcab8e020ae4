"""Who may ask: management tokens as the vendor demands them, and signed URLs as S3 makes them."""

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
from sandbox.hundredms_api.answers import Refused
from sandbox.hundredms_api.faults import Faults

LEEWAY_S = 10
HELD = "/held/"
"""Where the server keeps the bytes: no part of the API, as a bucket of S3 is none."""

_CLAIMS = ("access_key", "type", "version", "jti", "iat", "nbf", "exp")
_FORM = "%Y%m%dT%H%M%SZ"


class Tokens:
    """Checks management tokens; remembers when each was first seen, as its own claim knows no fraction of a second."""

    def __init__(self) -> None:
        self._first_seen: dict[str, float] = {}

    def workspace(self, authorization: str, workspaces: Sequence[Workspace], faults: Faults) -> Workspace:
        """The workspace that this header opens."""
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            raise Refused(401, "Token validation error", "no bearer token")
        claims: Mapping[str, Any]
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
            workspace = next((one for one in workspaces if one.access_key == claims.get("access_key")), None)
            if workspace is None:
                raise Refused(401, "Token validation error", "not found")
            claims = jwt.decode(token, workspace.secret, ["HS256"], options={"require": [*_CLAIMS]}, leeway=LEEWAY_S)
        except jwt.InvalidTokenError as error:
            raise Refused(401, "Token validation error", str(error)) from error
        if claims["type"] != "management" or claims["version"] != 2:
            raise Refused(401, "Token validation error", "no management token of version 2")
        first_seen = self._first_seen.setdefault(token, time.time())
        moment = faults.refuse_tokens_before
        # A claim of 11 s before the moment cannot be a token made after it by a client that allows for skewed clocks.
        if moment is not None and (first_seen < moment or claims["iat"] < moment - LEEWAY_S - 1):
            raise Refused(faults.refuse_with, "Token validation error", "token is revoked")
        return workspace


class Signatures:
    """Signs paths of this server for a number of seconds, and checks what comes back."""

    def __init__(self) -> None:
        self._key = os.urandom(32)

    def sign(self, path: str, seconds: int, *, expired: bool = False) -> str:
        """Path and query, quoted."""
        made_at = time.time() - (seconds + 2 if expired else 0)
        date = datetime.fromtimestamp(made_at, UTC).strftime(_FORM)
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{SIGNATURE_CANARY}/{date[:8]}/eu-north-9/s3/aws4_request",
            "X-Amz-Date": date,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        query["X-Amz-Signature"] = self._digest(path, date, str(seconds))
        return f"{quote(path)}?{urlencode(query)}"

    def fault(self, path: str, query: Mapping[str, str]) -> str | None:
        """What is wrong with a signature, in S3's words; None if nothing is."""
        date, seconds, signature = (query.get(f"X-Amz-{name}", "") for name in ("Date", "Expires", "Signature"))
        if not hmac.compare_digest(signature.encode(), self._digest(path, date, seconds).encode()):
            return "SignatureDoesNotMatch"
        made_at = datetime.strptime(date, _FORM).replace(tzinfo=UTC)
        return "Request has expired" if time.time() >= made_at.timestamp() + int(seconds) else None

    def _digest(self, path: str, date: str, seconds: str) -> str:
        return hmac.new(self._key, "\n".join((path, date, seconds)).encode(), hashlib.sha256).hexdigest()
