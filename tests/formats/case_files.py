"""Cases of the formats: YAML files in `tests/cases`, with the content of a file and the expected result of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "cases"

Case = dict[str, Any]


def read_cases(path: str) -> Any:
    """Read a file of cases, by its path below `tests/cases`."""
    return yaml.safe_load((FOLDER / path).read_text("utf-8"))


def content_of(case: Case) -> bytes:
    """Encode the content of a case; with `encoding: latin-1` each character is one byte."""
    text: str = case["content"]
    if case.get("line_ends") == "crlf":
        text = text.replace("\n", "\r\n")
    mark = "\ufeff" if case.get("byte_order_mark") else ""
    return (mark + text).encode(case.get("encoding", "utf-8"))
