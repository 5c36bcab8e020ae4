"""The schema has one definition: migrations, comments and public column names agree with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from roomledger.ledger import migrate
from roomledger.ledger.database import Database, WarehouseError
from roomledger.ledger.tables.columns import metadata
from roomledger.warehouse import dictionary, setup
from roomledger.warehouse.tables import FACTS, RECORD_TABLES

COMMON = "customer source room_id session_id session_evidence object_id ordinal load_id"
PUBLIC = {
    "chat_messages": f"{COMMON} message_id sender_peer_id sender_name sender_user_id roles roles_raw sent_at"
    " message_type message extra recorder_started_at",
    "transcript_segments": f"{COMMON} speaker_name speaker_peer_id start_ms end_ms text",
    "transcript_words": f"{COMMON} speaker_name speaker_peer_id start_ms end_ms text",
    "transcripts": f"{COMMON} output_mode segments words language job_id recording_started_at",
    "summaries": f"{COMMON} job_id recording_started_at",
    "rooms": "room_id customer source name created_at record",
    "sessions": "session_id customer source room_id active started_at ended_at record",
    "peers": "session_id peer_id user_id name role joined_at left_at is_recorder record",
    "recordings": "job_id kind room_id session_id status planned_types started_at stopped_at record",
    "asset_records": "asset_id job_id room_id session_id asset_type uri status size_bytes duration_s record",
    "objects": f"{COMMON.replace(' ordinal', '')} uri valid_from disposition reason changed_by",
    "object_history": "uri object_id load_id valid_from valid_until replaced_because session_id reason",
    "chat_messages_history": f"{COMMON} message valid_from valid_until replaced_because",
    "session_changes": "object_id changed_at from_session_id to_session_id reason",
    "summary_sections": f"{COMMON} title format paragraph",
    "summary_points": f"{COMMON} section_ordinal text",
    "object_assets": f"{COMMON} asset_type uri size_bytes created_at peer_id stream_id track_id layer output_mode",
    "recording_assets": f"{COMMON} asset_type raw_type uri status size_bytes duration_s created_at asset_id job_id"
    " peer_id user_id stream_id stream_type track_id track_type width height layer output_mode metadata thumbnails",
    "object_ledger": "customer source room_id session_id session_evidence object_id load_id uri version size_bytes"
    " asset_type disposition reason attempts rows_parsed rows_loaded rows_refused rows_duplicate content_sha256"
    " first_seen_at first_seen_by modified_at loaded_at parser_version",
    "refusals": f"{COMMON} uri reason_code detail raw refused_at resolved_at",
    "observations": "object_id source observed_by observed_at",
    "loads": "load_id",
}


def test_the_public_columns_exist(ready: Database) -> None:
    with ready.begin() as tx:
        columns = {table: {column["name"] for column in inspect(tx).get_columns(table)} for table in PUBLIC}
    assert {table: set(names.split()) - columns[table] for table, names in PUBLIC.items()} == {t: set() for t in PUBLIC}


def test_the_migrations_create_the_tables_of_the_schema(new_postgres: Database) -> None:
    setup.upgrade(new_postgres)
    with new_postgres.begin() as tx:
        options = {"compare_type": True, "compare_server_default": True, "include_schemas": True}
        context = MigrationContext.configure(tx, opts=options)
        assert compare_metadata(context, metadata) == []


def test_both_engines_have_the_same_columns_and_comments(ready: Database) -> None:
    catalogue = {
        "duckdb": "SELECT schema_name || '.' || table_name, column_name, comment FROM duckdb_columns()"
        " WHERE NOT internal",
        "postgresql": "SELECT nspname || '.' || c.relname, a.attname, col_description(c.oid, a.attnum) FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE a.attnum > 0 AND c.relkind = 'r'",
    }
    with ready.begin() as tx:
        own = {"duckdb": "main", "postgresql": "public"}[tx.dialect.name]
        found = {(t, c): comment for t, c, comment in tx.exec_driver_sql(catalogue[tx.dialect.name]).all()}
    tables = {f"{table.schema or own}.{table.name}": table for table in metadata.sorted_tables}
    found = {key: comment for key, comment in found.items() if key[0] in tables}
    assert found == {(name, c.name): c.comment for name, table in tables.items() for c in table.columns}


def test_table_comments_start_with_the_grain() -> None:
    tables = metadata.sorted_tables
    assert [table.name for table in tables if not (table.comment or "").startswith("One row per ")] == []


def test_records_have_the_columns_of_their_table() -> None:
    for record, table in RECORD_TABLES.items():
        own = [column.name for column in table.columns if column.name not in ("object_id", "load_id")]
        assert list(record.__annotations__) == own, table.name
    assert set(RECORD_TABLES.values()) == set(FACTS)


def test_init_can_be_repeated_and_a_warehouse_without_tables_is_an_error(database: Database) -> None:
    with database.begin():
        pass
    with pytest.raises(WarehouseError, match="roomledger init"):
        migrate.require_current(database)
    assert setup.upgrade(database)[0] is None
    before, after = setup.upgrade(database)
    assert before == after
    migrate.require_current(database)
    with database.begin() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (migrate.require_current, setup.upgrade):
        with pytest.raises(WarehouseError, match="which this version does not know"):
            use(database)


@pytest.mark.parametrize(
    "change",
    ["rows_parsed = 3", "disposition = 'lost'", "reason = ''", "reason = NULL"],
)
def test_the_database_enforces_the_invariants(ready: Database, change: str) -> None:
    row: dict[str, Any] = {
        "object_id": "o", "customer": "c", "source": "s", "session_evidence": "none", "uri": "s3://b/k", "version": "v",
        "modified_at": "2026-01-01 00:00:00+00", "size_bytes": 1, "disposition": "seen", "reason": "new", "attempts": 0,
        "rows_parsed": 0, "rows_loaded": 0, "rows_refused": 0, "rows_duplicate": 0,
        "first_seen_at": "2026-01-01 00:00:00+00", "first_seen_by": "listing",
    }  # fmt: skip
    with ready.begin() as tx:
        tx.execute(text(f"INSERT INTO object_ledger ({', '.join(row)}) VALUES ({', '.join(map(repr, row.values()))})"))
    with pytest.raises(DBAPIError), ready.begin() as tx:
        tx.execute(text(f"UPDATE object_ledger SET {change}"))


def test_the_data_dictionary_is_current() -> None:
    written = Path(__file__).parents[2] / "docs" / "data-dictionary.md"
    assert written.read_text() == "\n".join(dictionary.lines()) + "\n", "run make dictionary"


def test_the_revisions_are_those_of_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", "roomledger.ledger:migrations")
    config.set_main_option("path_separator", "os")
    scripts = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert migrate.revisions() == scripts[::-1]
