"""The text formats of 100ms recording assets: one parser per asset type, all with one signature (`model.Parser`).

A parser is pure: pieces of bytes in, records and refusals out. It raises `Rejected` for a file that is invalid as a
whole, and otherwise only exceptions of the pieces. The result depends on the bytes alone, not on how they are split.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from roomledger.formats import chat, summary, transcript
from roomledger.model import Parser

PARSER_VERSION = "2"
"""Stored with every load. Increase it when any parser gives other records or refusals for the same bytes."""

PARSERS: Mapping[str, Parser] = MappingProxyType(
    {"chat": chat.parse, "transcript": transcript.parse, "summary": summary.parse}
)
"""The parser of every type in `TEXT_TYPES`; media are not read."""
