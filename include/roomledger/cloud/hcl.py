"""Terraform's language (HCL) as far as we write it: blocks, attributes and values, laid out as its own tool does."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "${": "$${", "%{": "%%{"}
_ESCAPED = re.compile(r'[\\"\x00-\x1f\x7f]|[$%]\{')


@dataclass(frozen=True, slots=True)
class Expression:
    """What Terraform computes, such as `aws_sqs_queue.bell.arn`; text may be put before and after it."""

    code: str
    before: str = ""
    after: str = ""

    def __add__(self, text: str) -> Expression:
        return Expression(self.code, self.before, self.after + text)

    def __radd__(self, text: str) -> Expression:
        return Expression(self.code, text + self.before, self.after)

    def __str__(self) -> str:
        if not self.before and not self.after:
            return self.code
        return f'"{escape(self.before)}${{{self.code}}}{escape(self.after)}"'


Text = str | Expression


class Block(NamedTuple):
    """`kind "label" "label" { … }`; in its body a tuple of name and value is an attribute."""

    kind: str
    labels: tuple[str, ...]
    body: Sequence[tuple[str, Any] | Block]


def escape(text: str) -> str:
    """What stands between the quotes of a string that means exactly this text."""
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}", text)


def jsonencode(value: Mapping[str, Any]) -> Expression:
    """The value as JSON text, which Terraform makes when its expressions are known."""
    return Expression(f"jsonencode({_value(value, '')})")


def write(comments: Iterable[str], blocks: Iterable[Block]) -> str:
    """A file: comments at its head, then blocks."""
    head = "".join(f"# {line}\n" for comment in comments for line in textwrap.wrap(comment, 118))
    return "\n".join([head, *("\n".join(_block(block, "")) + "\n" for block in blocks)])


def _block(block: Block, indent: str) -> list[str]:
    labels = "".join(f' "{label}"' for label in block.labels)
    inner = indent + "  "
    written: list[str] = []
    attributes = [part for part in block.body if not isinstance(part, Block)]
    written += _attributes(attributes, inner)
    for part in block.body:
        if isinstance(part, Block):
            written += [*([""] if written else []), *_block(part, inner)]
    return [f"{indent}{block.kind}{labels} {{", *written, f"{indent}}}"]


def _attributes(attributes: Iterable[tuple[str, Any]], indent: str) -> list[str]:
    """One line each, or more where the value has several; those of one line that follow each other are aligned."""
    written: list[str] = []
    run: list[tuple[str, str]] = []

    def flush() -> None:
        width = max((len(name) for name, _ in run), default=0)
        written.extend(f"{indent}{name:<{width}} = {value}" for name, value in run)
        run.clear()

    for name, given in attributes:
        value = _value(given, indent)
        if "\n" in value:
            flush()
            written.append(f"{indent}{name} = {value}")
        else:
            run.append((name, value))
    flush()
    return written


def _value(value: Any, indent: str) -> str:
    inner = indent + "  "
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return f'"{escape(value)}"'
        case Expression():
            # An expression of several lines was laid out for the margin.
            return str(value).replace("\n", f"\n{indent}")
        case Mapping():
            if not value:
                return "{}"
            body = _attributes([(f'"{escape(name)}"', item) for name, item in value.items()], inner)
            return "\n".join(["{", *body, f"{indent}}}"])
        case list() | tuple():
            if all(isinstance(item, str | Expression) for item in value):
                return f"[{', '.join(_value(item, indent) for item in value)}]"
            return "\n".join(["[", *(f"{inner}{_value(item, inner)}," for item in value), f"{indent}]"])
    raise TypeError(f"HCL has no {type(value).__name__}")
