"""Keep which load first brought an object's rows, so that a replay does not make it look as if it had come late.

Of a version that was read again before, the load that the warehouse still knows counts.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    comment = "Load that first brought rows from it (loads); a replay leaves it as it is."
    op.add_column("object_ledger", sa.Column("first_load_id", sa.Text(), nullable=True, comment=comment))
    op.execute(_BY_ROWS)
    op.execute(_BY_LEDGER)


# The ledger names the load that settled a version last, which a replay that brought no rows does, too. The rows name
# the one that brought them; where a newer version took their place, the ledger does if its load is of that time.
_BY_ROWS = """
UPDATE object_ledger SET first_load_id = loads.load_id
FROM object_assets AS held JOIN loads ON loads.load_id = held.load_id
WHERE held.object_id = object_ledger.object_id AND held.ordinal = 0
  AND loads.committed_at = object_ledger.loaded_at
"""
_BY_LEDGER = """
UPDATE object_ledger SET first_load_id = loads.load_id
FROM loads
WHERE loads.load_id = object_ledger.load_id AND loads.committed_at = object_ledger.loaded_at
  AND object_ledger.first_load_id IS NULL
"""
