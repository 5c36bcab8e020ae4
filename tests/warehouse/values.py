"""Rows of different engines in a form in which equal ones are equal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any


def values(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The values of each row with their types, so that 1 is not True."""
    return [repr([_value(cell) for cell in row.values()]) for row in rows]


def _value(cell: Any) -> Any:
    match cell:
        case datetime():
            return cell.astimezone(UTC)
        case str() if cell[:1] in ("[", "{"):
            return _document(cell)
        case float():
            return round(cell, 6)  # seconds: DuckDB adds days and microseconds up, so that the last bit may differ
    return cell


def _document(cell: str) -> Any:
    """A JSON document, which is text in some engines."""
    try:
        return json.loads(cell)
    except ValueError:
        return cell
