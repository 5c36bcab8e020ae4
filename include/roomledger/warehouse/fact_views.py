"""The views over the rows as loaded: of each table the rows that count, and those that ever counted.

A row counts when the newest version of its object names its load; customer, source, room, session and recording are
those of the object. So a row is written once, and a correction or a better session is a change of its object alone.
"""

from __future__ import annotations

from sqlalchemy import Column, MetaData, Table, Text

from roomledger.ledger.tables.columns import RAW, Timestamp, column, recording_columns, session_columns
from roomledger.ledger.tables.objects import objects as versions
from roomledger.warehouse.tables import FACTS, summaries, transcripts

metadata = MetaData()

_OBJECT = [column.name for column in session_columns()]
_RECORDING = [column.name for column in recording_columns()]
_HAVE_RECORDING = {transcripts, summaries}
_ROW = ("object_id", "ordinal", "load_id")


def copied(table: Table, names: str | list[str]) -> list[Column[object]]:
    """Columns with the types and comments of that table; `names` are separated by blanks."""
    wanted = names.split() if isinstance(names, str) else names
    return [Column(name, table.columns[name].type, comment=table.columns[name].comment) for name in wanted]


def view(name: str, grain: str, *columns: Column[object]) -> Table:
    """A view with its columns; the comment starts with its grain."""
    return Table(name, metadata, *columns, comment=grain)


_SHOWN = [one.name for one in versions.columns if one.name != "is_current"]
objects = view(
    "objects",
    "One row per object that is shown or was: its newest version. It says which load's rows of the object count, and"
    " where they belong.",
    *copied(versions, _SHOWN),
)


def _period() -> list[Column[object]]:
    return [
        column("valid_until", Timestamp, "When the next version replaced it; null for the newest."),
        column("replaced_because", Text(), "Reason for the next version; null for the newest."),
    ]


object_history = view(
    "object_history",
    "One row per version of an object, the earlier ones, too: what counted from valid_from until valid_until.",
    *copied(versions, _SHOWN),
    *_period(),
)


def _rows_that_count(table: Table) -> Table:
    name, grain = table.name, str(table.comment).removesuffix(" Rows of every load, whether they count or not.")
    more = _RECORDING if table in _HAVE_RECORDING else []
    data = [one.name for one in table.columns if one.name not in _ROW]
    return view(
        name, grain, *session_columns(), *copied(table, list(_ROW)), *copied(table, data), *copied(versions, more)
    )


def _rows_that_ever_counted(current: Table) -> Table:
    grain = (
        f"{str(current.comment).removesuffix('.')} and period in which it counted: `{current.name}` as of any time t is"
        " WHERE valid_from <= t AND (valid_until IS NULL OR valid_until > t)."
    )
    return view(
        f"{current.name}_history",
        grain,
        *copied(current, current.columns.keys()),
        *copied(versions, "valid_from"),
        *_period(),
    )


FACT_VIEWS = {table: _rows_that_count(table) for table in FACTS}
"""The public view of each table of records."""
chat_messages, *_ = FACT_VIEWS.values()
transcript_segments = next(made for made in FACT_VIEWS.values() if made.name == "transcript_segments")
HISTORY_VIEWS = {table: _rows_that_ever_counted(made) for table, made in FACT_VIEWS.items()}


def queries() -> dict[str, str]:
    """Give the query of each view in this module, by its name."""
    found = {
        "objects": f"SELECT {', '.join(_SHOWN)} FROM {versions.fullname} WHERE is_current",
        "object_history": f"""
            SELECT {", ".join(_SHOWN)},
                   lead(valid_from) OVER (PARTITION BY uri ORDER BY publication) AS valid_until,
                   lead(reason) OVER (PARTITION BY uri ORDER BY publication) AS replaced_because
            FROM {versions.fullname}""",
    }
    for made, of_object in (
        *((table, "objects") for table in FACT_VIEWS.items()),
        *((table, "object_history") for table in HISTORY_VIEWS.items()),
    ):
        table, shown = made
        names = [one.name for one in shown.columns]
        cells = (f"{'fact' if name in table.columns else 'object'}.{name} AS {name}" for name in names)
        found[shown.name] = f"""
            SELECT {", ".join(cells)}
            FROM {RAW}.{table.name} AS fact
            JOIN {of_object} AS object ON object.object_id = fact.object_id AND object.load_id = fact.load_id"""
    return found
