"""The format of a text file by its first bytes, if its name gives none or a wrong one."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator

from roomledger.formats import chat
from roomledger.formats.text import HEAD, open_text
from roomledger.formats.turns import TIMING, speakers
from roomledger.model import Rejected

_JSON = re.compile(rb'\s*\{\s*["}]')
_SRT = re.compile(rb"\s*(?:\d+[ \t]*\r?\n)?" + TIMING.pattern)
_MEMBER = re.compile(r'[\s,{]*"((?:[^"\\]|\\.)*)"\s*:\s*')
_OBJECTS = re.compile(r"\[\s*(?:\{|\]|\Z)")
_LISTS = {"words": "transcript", "sentences": "transcript", "sections": "summary"}


def sniff(head: bytes) -> tuple[str, str | None] | None:
    """Return the asset type, and for a transcript or summary its output mode; None if nothing matches.

    `head` is the first `HEAD` bytes of the file, or all of a shorter one. A txt transcript has no signature: a text is
    one if it consists of turns only and somebody speaks twice.
    """
    content = open_text((head,)).read()
    text = content.decode("utf-8", "replace")
    if _JSON.match(content):
        asset_type = _json_type(text)
        return (asset_type, "json") if asset_type else None
    if _SRT.match(content):
        return "transcript", "srt"
    if _has_chat_header(text):
        return "chat", None
    names = _speakers(head, text)
    return ("transcript", "txt") if len(names) > len(set(names)) else None


def transcript_mode(head: bytes, declared: str | None) -> str:
    """Return the output mode of a transcript: `declared` (by key or vendor) unless the head contradicts it.

    The vendor's own samples have `.json` paths for srt and txt transcripts.
    """
    if _JSON.match(head) or (declared == "json" and head.lstrip().startswith((b"{", b"["))):
        return "json"
    if _SRT.match(head):
        return "srt"
    if declared in ("json", "srt") and not _speakers(head, head.decode("utf-8", "replace")):
        return declared
    return "txt"


def _json_type(text: str, at: int = 0, within: str | None = None) -> str | None:
    for name, value in _members(text, at):
        if name in _LISTS and _OBJECTS.match(text, value):
            return _LISTS[name] if within in (None, _LISTS[name]) else None
        if not within and name in _LISTS.values() and text.startswith("{", value):
            asset_type = _json_type(text, value, name)
            if asset_type:
                return asset_type
    return None


def _members(text: str, at: int) -> Iterator[tuple[str, int]]:
    """Yield the members of an object as far as the text goes: name, and index of the value."""
    decoder = json.JSONDecoder()
    while member := _MEMBER.match(text, at):
        yield member[1], member.end()
        try:
            _, at = decoder.raw_decode(text, member.end())
        except (ValueError, RecursionError):
            return


def _has_chat_header(text: str) -> bool:
    line = text.lstrip().partition("\n")[0]
    try:
        chat.columns(next(csv.reader((line,), strict=True), []))
    except (csv.Error, Rejected):
        return False
    return True


def _speakers(head: bytes, text: str) -> list[str]:
    whole = text if len(head) < HEAD else text[: text.rfind("\n") + 1]
    return speakers(whole) or []
