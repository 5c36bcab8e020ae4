"""Publish: bring what the ledger knows to the facts side, where that is another database."""

from __future__ import annotations

from roomledger.ledger.changes import changes_between, newest_publication, windows
from roomledger.ledger.database import Database, WarehouseError
from roomledger.warehouse.engine import Facts


def publish(database: Database, facts: Facts) -> int:
    """Publish all changes that the facts side does not have; return the number of publications.

    It may be interrupted, repeated and run concurrently: the facts side ends in the same state. Raises WarehouseError
    when the facts side has more than the ledger.
    """
    if facts.in_ledger:
        return 0
    since = facts.published()
    with database.begin(read_only=True) as tx:
        newest = newest_publication(tx)
        pending = list(windows(tx, since))
    if since > newest:
        raise WarehouseError(
            f"the warehouse has {since} publications, but its ledger only {newest}: if an older ledger was restored, "
            "restore the warehouse of the same time, too"
        )
    for after, until in pending:
        with database.begin(read_only=True) as tx:
            changes = changes_between(tx, after, until)
        facts.publish(changes)
    return pending[-1][1] - since if pending else 0
