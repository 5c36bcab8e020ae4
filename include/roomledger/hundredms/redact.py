"""Redaction of the vendor's payloads and of log lines, so that no secret is ever stored or shown.

Secrets are tokens, stream keys and signed URLs: anybody who has one can use it (vendor documentation). A URI of an
object in a bucket (such as `s3://bucket/key`) is never redacted, whatever it contains, since it identifies an asset.
"""

from __future__ import annotations

import json
import re
from typing import Any

REDACTED = "[redacted]"

# Names of keys, in lower case, letters and digits only.
_SECRET_NAMES = frozenset(
    {"rtmp", "rtmpurl", "rtmpurls", "streamkey", "streamkeys", "url", "urls"}
    | {"token", "authtoken", "accesstoken", "authorization", "secret", "password", "credentials"}
)
_SECRET_ENDINGS = ("presignedurl", "presignedurls")

_BUCKET_URI = re.compile(r"(?:s3|gs|oss|azure)://", re.I)
_WEB_URL = re.compile(r"\s*https?://", re.I)
_BLANK = re.compile(r"\s")
_SECRET_START = re.compile(r"https?://|rtmp[a-z]*://|eyJ", re.I)

# One pattern for all URLs: the first one also contains those in its query. An apostrophe may be part of a URL, so it
# does not end one.
_URL = re.compile(
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
_REPEATED = re.compile(rf"(?:{re.escape(REDACTED)}){{2,}}")
_DOTTED = re.compile(r"[A-Za-z0-9_.-]+")
_JWT_HEADER_CHARACTERS = len("eyJhbGciOiI")
"""The shortest header of a JWT, which has at least an algorithm."""


def redact(value: Any) -> Any:
    """Copy a JSON value with `[redacted]` instead of each secret; keys, null, booleans and "" stay.

    The key marks a secret and everything below it (`rtmp_urls`, `stream_key`, `url`, `…_presigned_url`, an http
    `location`); other secrets are found by their form in any text (see `redact_text`). `meeting_url` loses its query.
    """
    top = [value]
    # A work list instead of recursion: JSON may be nested deeper than Python's recursion limit.
    todo: list[tuple[Any, Any, str]] = [(top, 0, "")]
    while todo:
        holder, key, name = todo.pop()
        match holder[key]:
            case dict() as value:
                holder[key] = members = dict(value)
                todo += ((members, member, name if _is_secret(name) else _name(member)) for member in members)
            case list() as value:
                holder[key] = entries = list(value)
                todo += ((entries, number, name) for number in range(len(entries)))
            case str(value):
                holder[key] = _redact_string(value, name)
            case bool():
                pass
            case int() | float() if _is_secret(name):
                holder[key] = REDACTED
    return top[0]


def redact_body(body: bytes) -> bytes:
    """Parse a body and format it as JSON again, with its secrets redacted.

    A body that is not JSON loses only what `redact_text` finds; decoding will reject it.
    """
    try:
        return json.dumps(redact(json.loads(body))).encode()
    except (ValueError, RecursionError):
        # Bytes that are not UTF-8 stay as they are.
        return redact_text(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def redact_text(text: str) -> str:
    """Redact a text: a log line, an error message, or a value with unknown content.

    A JWT, the token after `Bearer`, an `rtmp://` URL and the login of a URL become `[redacted]`; an http URL with
    anything like a signature or a token in its query loses the query.
    """
    parts, end = [], 0
    for url in _URL.finditer(text):
        parts += [_redact_tokens(text[end : url.start()]), _redact_url(url)]
        end = url.end()
    return _REPEATED.sub(REDACTED, "".join([*parts, _redact_tokens(text[end:])]))


def _redact_string(text: str, name: str) -> str:
    if not text or _is_bucket_uri(text):
        return text
    if _is_secret(name) or (name == "location" and _WEB_URL.match(text)):
        return REDACTED
    return redact_text(_QUERY.sub("", text) if name == "meetingurl" else text)


def _is_bucket_uri(text: str) -> bool:
    """Whether the whole text is a URI of an object in a bucket; its key may contain blanks."""
    if not _BUCKET_URI.match(text):
        return False
    blank = _BLANK.search(text)
    return not (blank and _SECRET_START.search(text, blank.start()))


def _name(key: Any) -> str:
    """The normalized name of a key: `url` for both `URL` and `playback.url`."""
    return re.sub(r"[^a-z0-9]", "", str(key).rpartition(".")[2].lower())


def _is_secret(name: str) -> bool:
    return name in _SECRET_NAMES or name.endswith(_SECRET_ENDINGS)


def _redact_url(match: re.Match[str]) -> str:
    url = match[0]
    if match["bucket"]:
        return url
    if match["stream"]:
        return REDACTED
    query = _QUERY.search(url)
    if query and _SIGNED.search(query[0]):
        url = url[: query.start()]
    return _redact_tokens(_LOGIN.sub(f"{REDACTED}@", url))


def _redact_tokens(text: str) -> str:
    text = _PARAMETER.sub(rf"\1{REDACTED}", text)
    if "eyJ" in text:
        text = _DOTTED.sub(_redact_jwt, text)
    return _BEARER.sub(rf"\1{REDACTED}", text)


def _redact_jwt(dotted: re.Match[str]) -> str:
    # A single pattern would take quadratic time on a text with many `eyJ`.
    parts = dotted[0].split(".")
    for number, part in enumerate(parts[:-2]):
        start = part.find("eyJ")
        if 0 <= start <= len(part) - _JWT_HEADER_CHARACTERS:
            return ".".join([*parts[:number], part[:start] + REDACTED])
    return dotted[0]
