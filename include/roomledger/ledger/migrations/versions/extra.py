"""Add what a file has besides its known values, and marks of doubtful messages and refused values."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from roomledger.ledger.tables.columns import RAW, Json

revision = "extra"
down_revision = "installation"

_COLUMNS = {
    "transcripts": sa.Column("extra", Json),
    "transcript_segments": sa.Column("extra", Json),
    "transcript_words": sa.Column("extra", Json),
    "summaries": sa.Column("extra", Json),
    "summary_sections": sa.Column("extra", Json),
    "chat_messages": sa.Column("is_doubtful", sa.Boolean()),
}


def upgrade() -> None:
    """Add the columns to the tables that this database has."""
    found = sa.inspect(op.get_bind())
    if found.has_table("chat_messages", schema=RAW):
        for table, column in _COLUMNS.items():
            op.add_column(table, column, schema=RAW)
        op.alter_column("chat_messages", "roles", nullable=True, existing_type=Json, schema=RAW)
    if found.has_table("refusals"):
        op.add_column("refusals", sa.Column("record_loaded", sa.Boolean()))
