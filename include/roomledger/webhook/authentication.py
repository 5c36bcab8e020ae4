"""Authentication of webhooks: the secrets of each source, several of them while one is being replaced.

The environment holds them, separated by blanks: `ROOMLEDGER_WEBHOOK_SECRETS_<SOURCE>` for the header that the settings
name, and `ROOMLEDGER_WEBHOOK_SIGNING_SECRETS_<SOURCE>` where the vendor also signs the body.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from roomledger.settings import Source, WorkspaceSource

SIGNATURE_HEADER = "x-100ms-signature"
"""Hexadecimal HMAC-SHA256 of the raw body, with or without the prefix `sha256=` (vendor documentation)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves that a webhook of one source comes from the vendor."""

    header: str
    secrets: tuple[bytes, ...] = field(repr=False)
    signing_secrets: tuple[bytes, ...] = field(repr=False)
    """Signatures are checked only if there are any."""


def variable(source: str, *, signing: bool = False) -> str:
    """Name the environment variable that holds the secrets of a source."""
    kind = "SIGNING_SECRETS" if signing else "SECRETS"
    return f"ROOMLEDGER_WEBHOOK_{kind}_{re.sub(r'[^A-Z0-9]', '_', source.upper())}"


def read_credentials(source: Source, environ: Mapping[str, str]) -> Credentials | None:
    """Read the secrets of a source; None when it accepts no webhooks."""
    if not isinstance(source, WorkspaceSource) or source.webhook_header is None:
        return None
    values = (environ.get(variable(source.name, signing=signing), "").split() for signing in (False, True))
    secrets, signing_secrets = (tuple(map(os.fsencode, value)) for value in values)
    return Credentials(source.webhook_header, secrets, signing_secrets)


def has_secret(credentials: Credentials, candidate: bytes) -> bool:
    """Tell whether the candidate is one of the valid secrets."""
    # A sum: `any` would stop at the first match, and its duration would reveal which secret matched.
    return sum(hmac.compare_digest(secret, candidate) for secret in credentials.secrets) > 0


def is_signed(credentials: Credentials, body: bytes, signature: bytes) -> bool:
    """Tell whether one of the signing secrets made this signature of the body, or none is required."""
    candidate = signature.strip().lower().removeprefix(b"sha256=")
    valid = [hmac.digest(secret, body, hashlib.sha256).hex().encode() for secret in credentials.signing_secrets]
    return not valid or sum(hmac.compare_digest(each, candidate) for each in valid) > 0
