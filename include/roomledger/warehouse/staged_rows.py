"""The rows of staging files that are to be appended, found by DuckDB for every engine alike.

Left out are rows of objects that are not loaded, and chat messages that repeat an earlier one of their file. Messages
of a file with a broken record are marked as doubtful.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import Table

from roomledger.warehouse.tables import chat_messages

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROWS = 8192
"""Rows of one row group."""


def select_rows(
    files: Mapping[Table, Path],
    objects: Mapping[Table, Collection[str]],
    loaded: Set[str],
    doubtful: Set[str],
    folder: Path,
    memory_mb: int,
) -> tuple[dict[Table, Path], dict[str, int]]:
    """Give the files with the rows to append, by table, and the number of messages left out by object id.

    `objects` are those with rows in each file, `loaded` those whose rows are to be appended, `doubtful` those whose
    messages are to be marked. A file is rewritten only when a row of it is left out or marked.
    """
    kept = {table: path for table, path in files.items() if any(one in loaded for one in objects[table])}
    duplicates: dict[str, int] = {}
    if not kept:
        return {}, duplicates
    with _open_duckdb(folder, memory_mb) as engine:
        for name, ids in (("loaded", loaded), ("doubtful", doubtful & loaded)):
            engine.register(name, pa.table({"object_id": pa.array(sorted(ids), pa.string())}))
        if chat_messages in kept:
            duplicates = _find_duplicates(engine, kept[chat_messages])
        for table, path in kept.items():
            is_chat = table is chat_messages
            if (is_chat and (duplicates or doubtful)) or any(one not in loaded for one in objects[table]):
                kept[table] = _rewrite(engine, path, is_chat=is_chat)
    return kept, {one: number for one, number in duplicates.items() if one in loaded}


def _open_duckdb(folder: Path, memory_mb: int) -> DuckDBPyConnection:
    """Open an engine in memory that spills into the folder."""
    import duckdb  # only batches with text files need it

    config: dict[str, Any] = {"memory_limit": f"{memory_mb}MB", "temp_directory": str(folder)}
    return duckdb.connect(config=config | {"preserve_insertion_order": False})


def _find_duplicates(engine: DuckDBPyConnection, path: Path) -> dict[str, int]:
    """Find the messages with the id of an earlier one of their file; count them by object. Doubtful ones do not count.

    The table `repeated` holds the ids that occur several times in an object, with their first ordinal.
    """
    engine.execute(f"""
        CREATE TEMPORARY TABLE repeated AS
        SELECT object_id, message_id, min(ordinal) AS first_ordinal, count(*) - 1 AS copies
        FROM read_parquet('{path}') WHERE message_id IS NOT NULL
          AND object_id NOT IN (SELECT object_id FROM doubtful)
        GROUP BY object_id, message_id HAVING count(*) > 1
    """)
    counted = engine.execute("SELECT object_id, CAST(sum(copies) AS BIGINT) FROM repeated GROUP BY object_id")
    return dict(counted.fetchall())


def _rewrite(engine: DuckDBPyConnection, path: Path, *, is_chat: bool) -> Path:
    """Write the rows that are to be loaded into another file; messages without duplicates, and marked."""
    kept = path.with_suffix(".loaded.parquet")
    marked = "* REPLACE (object_id IN (SELECT object_id FROM doubtful) AS is_doubtful)"
    first = """
        AND NOT EXISTS (SELECT 1 FROM repeated WHERE repeated.object_id = staged.object_id
                        AND repeated.message_id = staged.message_id AND staged.ordinal > repeated.first_ordinal)
    """
    engine.execute(f"""
        COPY (SELECT {marked if is_chat else "*"} FROM read_parquet('{path}') AS staged
              WHERE object_id IN (SELECT object_id FROM loaded) {first if is_chat else ""})
        TO '{kept}' (FORMAT parquet, ROW_GROUP_SIZE {_ROWS})
    """)
    path.unlink()
    return kept
