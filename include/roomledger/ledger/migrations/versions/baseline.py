"""The tables of the first release, created from the schema; later revisions change them."""

from __future__ import annotations

revision = "rows_written_once"
down_revision = None


def upgrade() -> None:
    """Nothing: `migrate.upgrade_tables` creates the tables of a new database whole."""
