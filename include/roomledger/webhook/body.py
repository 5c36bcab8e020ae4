"""What is kept of a webhook's body: all of it but the secrets in it, whatever it is."""

from __future__ import annotations

import json

from roomledger.hundredms.redact import redact, redact_text


def without_secrets(body: bytes) -> bytes:
    """Write the body anew as JSON with its secrets redacted.

    What is no JSON stays as it is but for what looks like a secret in a text: whoever takes it in refuses it.
    """
    try:
        return json.dumps(redact(json.loads(body))).encode()
    except (ValueError, RecursionError):
        # Bytes that are no UTF-8 come out as they came in.
        return redact_text(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
