"""The data dictionary: every table and column with its meaning, written from the schema as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.dialects import postgresql

from roomledger.warehouse.schema import FACTS, loads, object_ledger, observations, refusals

_TYPES = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy left it without types
_HEAD = """# Data dictionary

Written from `include/roomledger/warehouse/schema.py` by `make dictionary`; the same words are the comments of the
tables and columns in the database. Types are PostgreSQL's; in DuckDB `jsonb` is `json`. Times are UTC.
"""


def lines() -> Iterator[str]:
    """Give the dictionary line by line: tables of records first, then those of the ledger."""
    yield from _HEAD.splitlines()
    for table in (*FACTS, object_ledger, observations, loads, refusals):
        yield from ("", f"## {table.name}", "", table.comment or "")
        keys = ", ".join(f"`{column.name}`" for column in table.primary_key.columns)
        if keys:
            yield from ("", f"Key: {keys}.")
        yield from ("", "| column | type | null | meaning |", "|---|---|---|---|")
        for column in table.columns:
            type_ = column.type.compile(_TYPES).lower()
            yield f"| `{column.name}` | {type_} | {'yes' if column.nullable else 'no'} | {column.comment} |"


if __name__ == "__main__":
    print("\n".join(lines()))
