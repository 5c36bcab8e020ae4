"""The documents as data: their fenced blocks by language, their commands, and the code that they quote in a line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "include" / "roomledger"
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted(
    path for path in (ROOT / "docs").glob("*.md") if path.name != "data-dictionary.md"
)
LANGUAGES = {"sh", "toml", "sql", "json", "hcl", "mermaid", "text"}

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block."""

    document: Path
    language: str
    content: str


def blocks(*languages: str) -> list[Block]:
    """The blocks in these languages, or all blocks, of all documents."""
    found = [
        Block(document, *match.groups()) for document in DOCUMENTS for match in _BLOCK.finditer(document.read_text())
    ]
    return [block for block in found if not languages or block.language in languages]


def commands() -> Iterator[tuple[Path, list[str]]]:
    """The words of every command, by document; comments are left out."""
    for block in blocks("sh"):
        for line in block.content.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield block.document, words


def prose(document: Path) -> str:
    """The document without its blocks."""
    return _BLOCK.sub("", document.read_text())


def quoted(text: str) -> list[str]:
    """The inline code of a text without blocks."""
    return re.findall(r"`([^`\n]+)`", text)
