"""Record which installation a database belongs to, and what it holds."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

from roomledger.ledger.installation import BOTH, FACTS, LEDGER, record
from roomledger.ledger.tables.columns import RAW
from roomledger.ledger.tables.objects import installation

revision = "installation"
down_revision = "rows_written_once"


def upgrade() -> None:
    """Create the table, and record what the tables show."""
    tx = op.get_bind()
    installation.create(tx)
    found = inspect(tx)
    has_facts = found.has_table("chat_messages", schema=RAW)
    record(tx, (BOTH if has_facts else LEDGER) if found.has_table("object_ledger") else FACTS)
