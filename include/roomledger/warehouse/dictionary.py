"""The data dictionary: every table, view and column with its meaning, generated from the schema as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.dialects import postgresql

from roomledger.ledger.tables.columns import metadata
from roomledger.ledger.tables.vendor_records import VENDOR_RECORDS
from roomledger.warehouse.tables import FACTS
from roomledger.warehouse.views import VIEWS

_TYPES = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy left it without types
_HEAD = """# Data dictionary

Generated from `ledger/tables/`, `warehouse/tables.py` and `warehouse/views.py` by `make dictionary`. The database has
the same text as comments of tables, views and columns. Types are PostgreSQL's; in DuckDB `jsonb` is `json`. Times are
UTC.
"""


def lines() -> Iterator[str]:
    """Give the dictionary line by line: views, facts, vendor records, then the ledger."""
    yield from _HEAD.splitlines()
    ledger = (
        table
        for table in sorted(metadata.tables.values(), key=lambda table: table.name)
        if table not in (*FACTS, *VENDOR_RECORDS)
    )
    for table in (*VIEWS, *FACTS, *VENDOR_RECORDS, *ledger):
        is_view = table in VIEWS
        yield from ("", f"## {table.name}{' (view)' if is_view else ''}", "", table.comment or "")
        keys = ", ".join(f"`{column.name}`" for column in table.primary_key.columns)
        if keys:
            yield from ("", f"Key: {keys}.")
        head = ("column", "type", "meaning") if is_view else ("column", "type", "null", "meaning")
        yield from ("", f"| {' | '.join(head)} |", "|---" * len(head) + "|")
        for column in table.columns:
            type_ = column.type.compile(_TYPES).lower()
            null = "" if is_view else f" {'yes' if column.nullable else 'no'} |"
            yield f"| `{column.name}` | {type_} |{null} {column.comment} |"


if __name__ == "__main__":
    print("\n".join(lines()))
