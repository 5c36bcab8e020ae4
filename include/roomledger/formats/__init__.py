"""The formats of 100ms recording assets: one parser per asset type, all called alike (`model.Parser`).

A parser is pure: pieces of bytes in, records and refusals out, `Rejected` for a file that makes no sense as a whole,
and no other exception but those of the pieces themselves. What it gives depends on the bytes alone, not on the pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from roomledger.formats import chat, media, summary, transcript
from roomledger.model import MEDIA_TYPES, Parser

PARSER_VERSION = "1"
"""Stored with every load. Raise it when the same bytes give other records or refusals than before, in any parser."""

PARSERS: Mapping[str, Parser] = MappingProxyType(
    {
        **dict.fromkeys(MEDIA_TYPES, media.parse),
        "chat": chat.parse,
        "transcript": transcript.parse,
        "summary": summary.parse,
    }
)
"""The parser of every type in `ASSET_TYPES`."""
