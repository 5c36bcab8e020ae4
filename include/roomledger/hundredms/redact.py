"""The vendor's payloads and our own log lines without the secrets in them, so that none is ever stored or shown.

Secrets are tokens, stream keys and signed URLs: whoever holds one may use it (vendor documentation). An address in a
bucket (`s3://bucket/key` and its like) is none, and stays as it is whatever it holds, since it identifies an asset.
"""

from __future__ import annotations

import json
import re
from typing import Any

REDACTED = "[redacted]"

# Keys in lower case, letters and digits only.
_SECRET_NAMES = frozenset(
    {"rtmp", "rtmpurl", "rtmpurls", "streamkey", "streamkeys", "url", "urls"}
    | {"token", "authtoken", "accesstoken", "authorization", "secret", "password", "credentials"}
)
_SECRET_ENDINGS = ("presignedurl", "presignedurls")

_IN_BUCKET = re.compile(r"(?:s3|gs|oss|azure)://", re.I)
_ON_THE_WEB = re.compile(r"\s*https?://", re.I)
_BLANK = re.compile(r"\s")
_SECRET_BEGINS = re.compile(r"https?://|rtmp[a-z]*://|eyJ", re.I)

# One pattern for all addresses: the one that begins first also holds those that stand in its query. An apostrophe may
# be part of a URL, so it ends none.
_ADDRESS = re.compile(
    r"(?P<bucket>(?<![a-z0-9+.-])(?:s3|gs|oss|azure)://[^\s\"<>]*)"
    r"|(?P<stream>rtmp[a-z]*://[^\s\"<>]*)"
    r"|https?://[^\s\"<>]*",
    re.I,
)
_LOGIN = re.compile(r"(?<=://)[^/?#@]*@")
_QUERY = re.compile(r"[?#].*", re.S)
_SIGNATURE = (
    r"(?:x-(?:amz|goog|oss|ms)-[a-z-]{1,40}|signature|token|accesskeyid|googleaccessid|key-pair-id|secret|password"
    r"|(?:access|api|stream)_?key|(?<![a-z])(?:sig|auth|authorization|jwt|policy|hdn[a-z]{1,4}))"
)
_SIGNED = re.compile(rf"{_SIGNATURE}(?:=|%3D)", re.I)
_PARAMETER = re.compile(rf"((?:[?&;]|\\u0026)[\w-]{{0,40}}?{_SIGNATURE}=)[^\s\"<>&;]+", re.I)
_BEARER = re.compile(r"(\bBearer\s+)[^\s\"'<>,;]+", re.I)
_SEVERAL = re.compile(rf"(?:{re.escape(REDACTED)}){{2,}}")
_DOTTED = re.compile(r"[A-Za-z0-9_.-]+")
_JWT_HEADER_CHARACTERS = len("eyJhbGciOiI")
"""No header of a JWT is shorter: it names at least an algorithm."""


def redact(value: Any) -> Any:
    """Copy a JSON value, with `[redacted]` in the place of each secret; keys, null, booleans and "" stay.

    A secret is told by its key (`rtmp_urls`, `stream_key`, `url`, `…_presigned_url`, an http `location`), with
    everything below it, or by what it is, wherever it stands (see `redact_text`). `meeting_url` loses its query.
    """
    top = [value]
    # A list of what is left to do, as JSON may be nested deeper than a function may call itself.
    todo: list[tuple[Any, Any, str]] = [(top, 0, "")]
    while todo:
        holder, place, name = todo.pop()
        match holder[place]:
            case dict() as found:
                holder[place] = copy = dict(found)
                todo += ((copy, key, name if _is_secret(name) else _name(key)) for key in copy)
            case list() as found:
                holder[place] = several = list(found)
                todo += ((several, number, name) for number in range(len(several)))
            case str(found):
                holder[place] = _redact_string(found, name)
            case bool():
                pass
            case int() | float() if _is_secret(name):
                holder[place] = REDACTED
    return top[0]


def redact_body(body: bytes) -> bytes:
    """Write the body anew as JSON with its secrets redacted.

    What is no JSON stays as it is but for what looks like a secret in a text: whoever takes it in refuses it.
    """
    try:
        return json.dumps(redact(json.loads(body))).encode()
    except (ValueError, RecursionError):
        # Bytes that are no UTF-8 come out as they came in.
        return redact_text(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def redact_text(text: str) -> str:
    """Take the secrets out of a text: a log line, an error message, or a value that may hold anything.

    A JWT, what follows `Bearer`, an `rtmp://` URL and the login of a URL become `[redacted]`; an http URL with
    anything like a signature or a token in its query loses the query.
    """
    parts, end = [], 0
    for address in _ADDRESS.finditer(text):
        parts += [_redact_tokens(text[end : address.start()]), _redact_address(address)]
        end = address.end()
    return _SEVERAL.sub(REDACTED, "".join([*parts, _redact_tokens(text[end:])]))


def _redact_string(text: str, name: str) -> str:
    if not text or _is_address_in_bucket(text):
        return text
    if _is_secret(name) or (name == "location" and _ON_THE_WEB.match(text)):
        return REDACTED
    return redact_text(_QUERY.sub("", text) if name == "meetingurl" else text)


def _is_address_in_bucket(text: str) -> bool:
    """Whether a text is nothing but such an address, in whose key there may be blanks."""
    if not _IN_BUCKET.match(text):
        return False
    blank = _BLANK.search(text)
    return not (blank and _SECRET_BEGINS.search(text, blank.start()))


def _name(key: Any) -> str:
    """The name by which a key is known: `URL` and `playback.url` are `url`."""
    return re.sub(r"[^a-z0-9]", "", str(key).rpartition(".")[2].lower())


def _is_secret(name: str) -> bool:
    return name in _SECRET_NAMES or name.endswith(_SECRET_ENDINGS)


def _redact_address(found: re.Match[str]) -> str:
    address = found[0]
    if found["bucket"]:
        return address
    if found["stream"]:
        return REDACTED
    query = _QUERY.search(address)
    if query and _SIGNED.search(query[0]):
        address = address[: query.start()]
    return _redact_tokens(_LOGIN.sub(f"{REDACTED}@", address))


def _redact_tokens(text: str) -> str:
    text = _PARAMETER.sub(rf"\1{REDACTED}", text)
    if "eyJ" in text:
        text = _DOTTED.sub(_redact_jwt, text)
    return _BEARER.sub(rf"\1{REDACTED}", text)


def _redact_jwt(dotted: re.Match[str]) -> str:
    # One pattern for all this would take quadratic time for a text of many `eyJ`.
    parts = dotted[0].split(".")
    for number, part in enumerate(parts[:-2]):
        start = part.find("eyJ")
        if 0 <= start <= len(part) - _JWT_HEADER_CHARACTERS:
            return ".".join([*parts[:number], part[:start] + REDACTED])
    return dotted[0]
