"""One database, or two that belong together: another combination is an error before anything is read or written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from roomledger.ledger.database import Database, WarehouseError
from roomledger.ledger.duckdb import DuckDB
from roomledger.ledger.postgres import PostgreSQL
from roomledger.pipeline.publish import publish
from roomledger.runtime import require_current
from roomledger.warehouse import setup, views
from roomledger.warehouse.transactional import DatabaseFacts
from tests.folders import chat, chat_key, put, source_of
from tests.pipeline.loading import run
from tests.warehouses import execute, fetch

New = Callable[[], Database]


@pytest.fixture(params=["duckdb", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str]) -> New:
    """Each call gives an empty database of one engine."""
    numbers = iter(range(99))
    return lambda: (
        DuckDB(f"duckdb:///{tmp_path}/{next(numbers)}.duckdb")
        if request.param == "duckdb"
        else PostgreSQL(new_database())
    )


def apart(database: Database) -> DatabaseFacts:
    return DatabaseFacts(database, in_ledger=False)


def together(database: Database) -> DatabaseFacts:
    return DatabaseFacts(database, in_ledger=True)


def refused(ledger: Database, facts: DatabaseFacts, match: str) -> None:
    """Neither `init` nor any other command accepts the two, and nothing is changed."""
    before = relations(ledger), relations(facts.database)
    for use in (setup.initialise, require_current):
        with pytest.raises(WarehouseError, match=match):
            use(ledger, facts)
    assert (relations(ledger), relations(facts.database)) == before


def relations(database: Database) -> list[tuple[str, ...]]:
    """All tables and views."""
    query = "SELECT table_schema, table_name, table_type FROM information_schema.tables ORDER BY 1, 2, 3"
    with database.begin():
        pass  # creates the file
    return fetch(database, query)


def test_two_databases_that_were_set_up_together_belong_together(new: New) -> None:
    ledger, facts = new(), apart(new())
    for _ in range(2):
        setup.initialise(ledger, facts)
        require_current(ledger, facts)
    assert publish(ledger, facts) == 0


def test_one_database_is_not_taken_for_one_side_of_two(new: New) -> None:
    whole = new()
    setup.initialise(whole, together(whole))
    refused(whole, apart(whole), "name another one in .control., or leave out .control.")
    other = new()
    setup.upgrade(other, setup.LEDGER_SIDE)
    refused(other, apart(whole), "leave out .control., or name a new one in .warehouse.")


def test_one_side_is_not_taken_for_a_whole_warehouse(new: New) -> None:
    ledger, facts = new(), apart(new())
    setup.initialise(ledger, facts)
    refused(ledger, together(ledger), "name it in .control., and the one of the facts in .warehouse.")
    refused(facts.database, together(facts.database), "name the one of the ledger in .control.")


def test_the_sides_cannot_be_swapped_or_be_one_database(new: New) -> None:
    ledger, facts = new(), apart(new())
    setup.initialise(ledger, facts)
    refused(facts.database, apart(ledger), "name two different databases")
    refused(ledger, apart(ledger), "name two different databases")


def test_a_warehouse_belongs_to_one_ledger(new: New) -> None:
    facts = apart(new())
    setup.initialise(new(), facts)
    other = new()
    setup.upgrade(other, setup.LEDGER_SIDE)
    refused(other, facts, "belongs to another ledger than the one in .control.")


def test_an_empty_warehouse_of_a_ledger_that_has_published_is_an_error(new: New, tmp_path: Path) -> None:
    ledger, facts = new(), apart(new())
    setup.initialise(ledger, facts)
    execute(ledger, "INSERT INTO roomledger_raw.publications VALUES (1, 'listing', CURRENT_TIMESTAMP)")
    with pytest.raises(WarehouseError, match="is empty, but its ledger has published 1 times: restore it"):
        setup.initialise(ledger, apart(new()))


def test_a_ledger_that_is_older_than_its_warehouse_is_an_error(new: New) -> None:
    ledger, facts = new(), apart(new())
    setup.initialise(ledger, facts)
    execute(facts.database, "INSERT INTO roomledger_raw.publications VALUES (3, 'listing', CURRENT_TIMESTAMP)")
    with pytest.raises(WarehouseError, match="has 3 publications, but its ledger only 0: if an older ledger was rest"):
        publish(ledger, facts)


ADDED = {
    **{f"roomledger_raw.{table}": "extra" for table in ("transcripts", "transcript_segments", "transcript_words")},
    **{f"roomledger_raw.{table}": "extra" for table in ("summaries", "summary_sections")},
    "roomledger_raw.chat_messages": "is_doubtful",
    "refusals": "record_loaded",
}
"""Columns that the tables of the first revision do not have."""


def test_a_warehouse_from_before_is_upgraded_with_its_rows(new: New, tmp_path: Path) -> None:
    database = new()
    setup.upgrade(database)
    put(tmp_path / "bucket", chat_key(), chat("one"))
    run(database, source_of(tmp_path / "bucket"))
    with database.begin() as tx:
        views.drop(tx)
        for table, column in ADDED.items():
            tx.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        tx.execute(text("DROP TABLE roomledger_raw.installation"))
        tx.execute(text("UPDATE alembic_version SET version_num = 'rows_written_once'"))
    with pytest.raises(WarehouseError, match="older version"):
        require_current(database, together(database))
    setup.initialise(database, together(database))
    require_current(database, together(database))
    assert fetch(database, "SELECT holds FROM roomledger_raw.installation") == [("both",)]
    assert fetch(database, "SELECT message, is_doubtful FROM chat_messages") == [("one", None)]
    assert fetch(database, "SELECT text, speaker_evidence FROM statements") == [("one", "peer_id")]
    put(tmp_path / "bucket", chat_key(), chat("two").replace(b"[]", b"[host}"), minute=9)
    run(database, source_of(tmp_path / "bucket"))
    assert fetch(database, "SELECT message, roles FROM chat_messages") == [("two", None)]
    assert fetch(database, "SELECT reason_code, record_loaded FROM refusals") == [("bad_roles", True)]
