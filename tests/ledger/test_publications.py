"""Publications: their numbers and times never go back, whatever the clocks of the processes say."""

from __future__ import annotations

from sqlalchemy import text

from roomledger.ledger.database import Database, stage_ids
from roomledger.ledger.objects import publish_objects
from tests.rows import at, put_object, rows


def test_a_publication_is_not_earlier_than_the_one_before(ready: Database) -> None:
    for seconds, session in ((10, "s1"), (5, "s2"), (20, "s3"), (20, "s4")):
        with ready.begin() as tx:
            if seconds == 10:
                put_object(tx, "o", uri="s3://b/k", disposition="seen")
            tx.execute(text("UPDATE object_ledger SET session_id = :session"), {"session": session})
            uris = stage_ids(tx, ready, ["s3://b/k"], "uri")
            publish_objects(tx, ready, uris, changed_by="listing", now=at(seconds))
    with ready.begin() as tx:
        made = rows(tx, "SELECT publication, changed_at FROM roomledger_raw.publications ORDER BY publication")
        shown = rows(tx, "SELECT session_id, valid_from, valid_until FROM object_history ORDER BY publication")
    times = [at(10), at(10), at(20), at(20)]
    numbers = [number for number, _ in made]
    assert numbers[-4:] == list(range(numbers[-4], numbers[-4] + 4))
    assert [moment for _, moment in made][-4:] == times
    assert [(session, since) for session, since, _ in shown][-4:] == list(
        zip(("s1", "s2", "s3", "s4"), times, strict=True)
    )
    assert all(until is None or until >= since for _, since, until in shown)
