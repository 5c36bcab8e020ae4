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

_JSON = re.compile(rb'\{\s*(?:["\'}]|\w+\s*:|\Z)|\[\s*["\[{\]]')
_SRT = re.compile(rb"(?:\d+[ \t]*(?:\r{0,2}\n|\r))?" + TIMING.pattern)
_MEMBER = re.compile(r'[\s,{]*"((?:[^"\\]|\\.)*)"\s*:\s*')
_OBJECTS = re.compile(r"\[\s*(?:\{|\]|\Z)")
_LISTS = {"words": "transcript", "sentences": "transcript", "sections": "summary"}
_ENTRY_NAMES = {"peer_id", "start_time", "bullets", "paragraph"}
"""Names that only the vendor's entries have; other programs have lists of these names, too."""

_OTHERS = {
    "WEBVTT": rb"(?i:WEBVTT)\b",
    "a page of HTML or XML": rb"<(?:[?!]|[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>(?!:))",
    "JSON within other text": rb"\)\]\}'|/[*/]|(?:(?:var|let|const)\s)?[\w.$]{1,99}\s{0,9}[(=]\s{0,9}[\[{]",
    "a log": rb"\W{0,2}\d{4}-\d\d-\d\d[T ]\d\d:\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d ",
    "an answer of a server": rb"HTTP/\d|curl: \(\d+\)|[1-5]\d\d [A-Z][a-z]",
    "an e-mail": rb"(?:From|To|Subject|Date|Received|Return-Path|Message-ID): [^\n]*\n(?:[A-Z][\w-]*: |[ \t])",
    "an error of a program": rb"Traceback \(|An error occurred|\w*(?:Error|Exception)\b",
    "a document in another format": rb"%PDF-|PK\x03\x04|\{\\rtf|#{1,6} |#!|---[ \t]*[\r\n]|--- [\w./]|\[Script Info\]|"
    rb"BEGIN:V|\[\d\d:\d\d[.:]\d\d\]|\d:\d\d:\d\d\.\d{3},\d|\[[\w. -]{1,99}\]\s{0,9}\n\s{0,9}[\w.-]{1,99}\s{0,9}=",
}
_OTHER = {what: re.compile(pattern) for what, pattern in _OTHERS.items()}
"""What is stored in the place of a transcript by mistake, by its first bytes."""
_NO_NAME = re.compile(
    r"(?i:debug|errors?|exception|fatal|from|hint|info|message|note|notice|reason|status|subject|summary|title|to|todo|"
    r"trace|usage|warn|warning|failed|failure|.*\b(?:access ?denied|not found|forbidden|unauthorized|timed out)\b.*)"
    r"|(?:[A-Z][a-z]+){1,4}(?:Denied|Error|Exception|Key|Found|Argument|Request|Expired|Mismatch)"
)
"""What starts the lines of messages, logs and read-me files as a name starts a turn."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def sniff(head: bytes) -> tuple[str, str | None] | None:
    """Return the asset type, and for a transcript or summary its output mode; None if nothing matches for certain.

    `head` is the first `HEAD` bytes of the file, or all of a shorter one. The turns of a txt transcript look like many
    other texts: only a name makes such a file a transcript.
    """
    content = open_text((head,)).read().lstrip()
    text = content.decode("utf-8", "replace")
    if content.startswith(b"{"):
        asset_type = _json_type(text)
        return (asset_type, "json") if asset_type else None
    if _SRT.match(content):
        return "transcript", "srt"
    return ("chat", None) if _has_chat_header(text) else None


def transcript_mode(head: bytes, declared: str | None, uri: str = "") -> str:
    """Return the output mode of a transcript: `declared`, by key or vendor, unless the head contradicts it for certain.

    The vendor's own samples have `.json` paths for srt and txt transcripts, so turns of several people are read under
    any name. Raises Rejected `not_a_transcript` for other files.
    """
    content = head.lstrip()
    if not content:
        return declared or "txt"
    if _JSON.match(content):
        return "json"
    if _SRT.match(content):
        return "srt"
    names, blocks = _speakers(head)
    others = [name for name in names if _NO_NAME.fullmatch(name)]
    is_txt = (declared or uri.rpartition(".")[2].lower()) == "txt"
    are_turns = bool(names) and len(names) == blocks and not others
    if is_txt and are_turns and len(names) > len(set(names)):
        return "txt"  # whatever the first name looks like
    what = next((what for what, pattern in _OTHER.items() if pattern.match(content)), None)
    if what or _is_binary(content):
        raise Rejected("not_a_transcript", f"The file is {what or 'not text'}, not a transcript.")
    if is_txt:
        if len(others) == len(names):
            why = f"it is a message that starts with {names[0][:80]!r}" if names else "no line has a name and a colon"
            raise Rejected("not_a_transcript", f"The file is not speech: {why}.")
        return "txt"
    if are_turns and (not declared or len(names) > len(set(names)) > 1):
        return "txt"  # without a declared mode, the vendor's records name this file a transcript
    if declared == "json" or (declared == "srt" and b"-->" in head):
        return declared
    raise Rejected("not_a_transcript", "The file is neither JSON nor subtitles nor turns of people.")


def _is_binary(content: bytes) -> bool:
    """Whether there are more control characters than a text has by mistake."""
    found = len(_CONTROL.findall(content))
    return found > max(8, len(content) // 50) or found * 5 > len(content)


def _json_type(text: str, at: int = 0, within: str | None = None) -> str | None:
    lists = 0
    for name, value in _members(text, at):
        if name in _LISTS and _OBJECTS.match(text, value):
            lists += name != "sections"
            if within or lists == 2 or _has_entries(text, value):
                return _LISTS[name] if within in (None, _LISTS[name]) else None
        if not within and name in _LISTS.values() and text.startswith("{", value):
            asset_type = _json_type(text, value, name)
            if asset_type:
                return asset_type
    return None


def _has_entries(text: str, at: int) -> bool:
    """Whether the first entry of a list has one of the vendor's own names."""
    first = _OBJECTS.match(text, at)
    return first is not None and any(name in _ENTRY_NAMES for name, _ in _members(text, first.end() - 1))


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
    line = re.split("[\r\n]", text, maxsplit=1)[0]
    try:
        known, _ = chat.columns(next(csv.reader((line,), strict=True), []))
    except (csv.Error, Rejected):
        return False
    return any(name.startswith("Sender") for name in known)


def _speakers(head: bytes) -> tuple[list[str], int]:
    """Return the speakers of the turns, and the number of blocks, as far as these are complete."""
    text = head.decode("utf-8", "replace")
    cut = max(text.rfind("\n"), text.rfind("\r")) + 1
    return speakers(text[:cut] if len(head) >= HEAD and cut else text)
