"""Rows of the fact tables: how a load appends them, deletes earlier ones, and re-keys them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Table, text

from roomledger.ledger.database import Staged, stage_query
from roomledger.ledger.tables.columns import Json
from roomledger.warehouse.tables import (
    FACTS,
    OBJECT_COLUMNS,
    SESSION_KEYS,
    chat_messages,
    object_assets,
    summaries,
    summary_points,
    summary_sections,
    transcript_segments,
    transcript_words,
    transcripts,
)

_TABLES_OF = {
    "chat": (chat_messages,),
    "transcript": (transcripts, transcript_segments, transcript_words),
    "summary": (summaries, summary_sections, summary_points),
}
"""Tables with rows of an asset type, besides `object_assets`, which has one row of every object."""


def find_duplicates(tx: Connection, staged: Mapping[Table, Staged]) -> Staged:
    """Find the chat messages that repeat an earlier one of their file, by message id.

    Gives `object_id` and `ordinal` of the repetitions.
    """
    if chat_messages not in staged:
        return stage_query(tx, "SELECT '' AS object_id, CAST(0 AS BIGINT) AS ordinal WHERE 1 = 0", "duplicates")
    query = f"""
        SELECT object_id, ordinal FROM (
            SELECT object_id, ordinal,
                   row_number() OVER (PARTITION BY object_id, message_id ORDER BY ordinal) AS occurrence
            FROM {staged[chat_messages]} WHERE message_id IS NOT NULL
        ) AS numbered
        WHERE occurrence > 1
    """
    return stage_query(tx, query, "duplicates")


def delete_rows(tx: Connection, objects: Staged) -> None:
    """Delete the rows of these object versions. Most loads have only new objects and delete nothing."""
    if tx.execute(text(f"SELECT 1 FROM {objects} LIMIT 1")).first():
        for table in FACTS:
            tx.execute(text(f"DELETE FROM {table.name} WHERE object_id IN (SELECT object_id FROM {objects})"))


def append_rows(tx: Connection, staged: Mapping[Table, Staged], loaded: Staged, duplicates: Staged) -> None:
    """Append the staged rows of the loaded versions, except duplicates, with the OBJECT_COLUMNS of their ledger row."""
    for table, rows in staged.items():
        cells = [
            f"ledger.{column.name}"
            if column.name in OBJECT_COLUMNS
            else f"CAST(staged.{column.name} AS JSON)"
            if column.type is Json
            else f"staged.{column.name}"
            for column in table.columns
        ]
        only = ""
        if table is chat_messages:
            only = f"AND (staged.object_id, staged.ordinal) NOT IN (SELECT object_id, ordinal FROM {duplicates})"
        tx.execute(
            text(f"""
                INSERT INTO {table.name} ({", ".join(table.columns.keys())})
                SELECT {", ".join(cells)}
                FROM {rows} AS staged JOIN object_ledger AS ledger ON ledger.object_id = staged.object_id
                WHERE ledger.object_id IN (SELECT object_id FROM {loaded}) {only}
            """)
        )


def rekey_rows(tx: Connection, changes: Staged) -> None:
    """Move the rows of re-keyed objects (`session_evidence.resolve`) to their new session, room and recording."""
    types = tx.execute(text(f"SELECT DISTINCT asset_type FROM {changes} WHERE loaded_at IS NOT NULL")).scalars().all()
    if not types:
        return
    for table in (object_assets, *(table for type_ in types for table in _TABLES_OF.get(type_, ()))):
        cells = ", ".join(f"{name} = changes.{name}" for name in SESSION_KEYS if name in table.columns)
        same = f"{table.name}.object_id = changes.object_id"
        tx.execute(text(f"UPDATE {table.name} SET {cells} FROM {changes} AS changes WHERE {same}"))
