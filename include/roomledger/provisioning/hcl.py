"""Terraform's language (HCL) as far as we write it: blocks of attributes, laid out as its own tool does.

It takes JSON for values nearly as it is, except that `${` and `%{` open a template in a text.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

Body = Mapping[str, Any]
"""What stands in a block. Documents become JSON texts, and lists of documents become blocks inside."""

# Neither can stand in a text from the settings, which is UTF-8.
_OPEN, _CLOSE = "\ud800", "\udbff"
_ESCAPES = {r"\b": r"\u0008", r"\f": r"\u000c"}


def reference(code: str) -> str:
    """Stand for what Terraform knows by this name, such as `aws_sqs_queue.bell.arn`, alone or inside of a text."""
    return f"{_OPEN}{code}{_CLOSE}"


def write(comments: Iterable[str], blocks: Mapping[str, Body]) -> str:
    """A file: comments at its head, then blocks by what opens them, such as `resource "kind" "name"`."""
    head = "".join(f"# {line}\n" for comment in comments for line in textwrap.wrap(comment, 118))
    return "\n".join([head, *("\n".join(_block(opening, body)) + "\n" for opening, body in blocks.items())])


def _block(opening: str, body: Body, indent: str = "") -> list[str]:
    inner = f"{indent}  "
    attributes: dict[str, str] = {}
    documents: list[str] = []
    blocks: list[str] = []
    for name, value in body.items():
        match value:
            case Mapping():
                document = _value(value, indent=2).replace("\n", f"\n{inner}")
                documents.append(f"{inner}{name} = jsonencode({document})")
            case [Mapping(), *_]:
                blocks += [line for each in value for line in ("", *_block(name, each, inner))]
            case _:
                attributes[name] = _value(value)
    width = max(map(len, attributes), default=0)
    aligned = [f"{inner}{name:<{width}} = {value}" for name, value in attributes.items()]
    return [f"{indent}{opening} {{", *aligned, *documents, *blocks, f"{indent}}}"]


def _value(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=("," if indent else ", ", " : "))
    text = re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), text)
    text = re.sub(r"([$%])\{", r"\1\1{", text)
    text = re.sub(f'"{_OPEN}([^{_CLOSE}"]*){_CLOSE}"', r"\1", text)
    return text.replace(_OPEN, "${").replace(_CLOSE, "}")
