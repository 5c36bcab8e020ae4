"""The installation that a database belongs to: ledger and facts in one database, or in two that share an id.

Publications are numbered by the ledger. A warehouse of another ledger would take its numbers for those that it has.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

from sqlalchemy import Connection, text

from roomledger.ledger.database import WarehouseError, has_table
from roomledger.ledger.tables.columns import RAW
from roomledger.ledger.tables.objects import installation

BOTH, LEDGER, FACTS = "both", "ledger", "facts"
"""What a database holds."""


class Installation(NamedTuple):
    """What a database holds, of which installation."""

    installation_id: str
    holds: str


def read(tx: Connection) -> Installation | None:
    """Read it; None before `init`."""
    if not has_table(tx, installation.name, RAW):
        return None
    found = tx.execute(text(f"SELECT installation_id, holds FROM {installation.fullname}")).first()
    return Installation(*found) if found else None


def record(tx: Connection, holds: str, installation_id: str | None = None) -> None:
    """Record what this database holds, if nothing is recorded; of a new installation without an id."""
    if read(tx) is None:
        tx.execute(installation.insert().values(installation_id=installation_id or uuid.uuid4().hex, holds=holds))


def require(tx: Connection, holds: str, installation_id: str | None = None, *, where: str) -> None:
    """Raise WarehouseError if this database holds something else, or belongs to another installation.

    A database without tables is accepted. `where` names it in the message.
    """
    found = read(tx)
    if found is None:
        return
    if found.holds != holds:
        raise WarehouseError(f"the database at {where} {_HOLDS[found.holds]}: {_REMEDIES[found.holds, holds]}")
    if installation_id not in (None, found.installation_id):
        raise WarehouseError(
            f"the warehouse at {where} belongs to another ledger than the one in [control]: name that one, restore it "
            "from a backup if it was lost, or load into a new warehouse"
        )


_HOLDS = {
    BOTH: "holds both sides of an installation, ledger and facts",
    LEDGER: "holds the ledger of an installation, and its facts are in another one",
    FACTS: "holds the facts of an installation, and its ledger is in another one",
}
_TWO = "name two different databases in [warehouse] and [control], the facts in [warehouse]"
_REMEDIES = {
    (BOTH, LEDGER): "name another one in [control], or leave out [control]",
    (BOTH, FACTS): "leave out [control], or name a new one in [warehouse]",
    (LEDGER, BOTH): "name it in [control], and the one of the facts in [warehouse]",
    (FACTS, BOTH): "name the one of the ledger in [control]",
    (LEDGER, FACTS): _TWO,
    (FACTS, LEDGER): _TWO,
}
