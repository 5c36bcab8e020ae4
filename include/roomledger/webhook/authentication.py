"""Who may bring webhooks of a source: the secrets that the vendor sends and signs with, several while one is replaced.

They stand in the environment, separated by blanks: `ROOMLEDGER_WEBHOOK_SECRETS_<SOURCE>` for the header whose name the
settings give, and `ROOMLEDGER_WEBHOOK_SIGNING_SECRETS_<SOURCE>` where the vendor signs, too.
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
"""Hexadecimal HMAC-SHA256 of the body as it came, maybe after `sha256=` (vendor documentation)."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How a webhook of one source is known to be the vendor's."""

    header: str
    secrets: tuple[bytes, ...] = field(repr=False)
    signing_secrets: tuple[bytes, ...] = field(repr=False)
    """When there are none, a signature is not looked at."""


def variable(source: str, *, signing: bool = False) -> str:
    """Name the environment variable that holds the secrets of a source."""
    kind = "SIGNING_SECRETS" if signing else "SECRETS"
    return f"ROOMLEDGER_WEBHOOK_{kind}_{re.sub(r'[^A-Z0-9]', '_', source.upper())}"


def trust_of(source: Source, environ: Mapping[str, str]) -> Trust | None:
    """Find the secrets of a source; None when it accepts no webhooks."""
    if not isinstance(source, WorkspaceSource) or source.webhook_header is None:
        return None
    found = (environ.get(variable(source.name, signing=signing), "").split() for signing in (False, True))
    secrets, signing_secrets = (tuple(map(os.fsencode, each)) for each in found)
    return Trust(source.webhook_header, secrets, signing_secrets)


def knows(trust: Trust, given: bytes) -> bool:
    """Whether this is one of the valid secrets."""
    # A sum, since `any` would end with the first match, and so tell by its time which one it was.
    return sum(hmac.compare_digest(secret, given) for secret in trust.secrets) > 0


def is_signed(trust: Trust, body: bytes, signature: bytes) -> bool:
    """Whether one of the signing secrets made this signature of the body, or none is needed."""
    given = signature.strip().lower().removeprefix(b"sha256=")
    made = [hmac.digest(secret, body, hashlib.sha256).hex().encode() for secret in trust.signing_secrets]
    return not made or sum(hmac.compare_digest(each, given) for each in made) > 0
