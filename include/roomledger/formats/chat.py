"""Chat messages: the CSV file of a recorder, one row per message sent during the recording.

Documented header: `SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message`; files since 2024 add `MessageID`
(vendor documentation, observed files). Columns are found by name, in any order; those that `chat_messages` lacks are
stored in `extra`. Text is never changed: exporters must escape formula characters.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from roomledger.formats.rows import Rows
from roomledger.formats.text import LINE_BREAK, open_text, text_fault
from roomledger.model import Asset, ChatMessage, Refusal, Rejected
from roomledger.times import parse_rfc3339

COLUMNS = ("SenderPeerID", "SenderName", "SenderUserID", "Roles", "SentAt", "Type", "Message", "MessageID")
REQUIRED = ("SentAt", "Message")
"""Columns that every message needs; any other column may be missing."""

DOUBTFUL = frozenset(
    [
        *("too_few_cells", "too_many_cells", "unclosed_quote", "bad_quoting", "value_spans_lines"),
        *("broken_record", "line_too_long", "mixed_line_ends"),
    ]
)
"""Refusals that show that whoever wrote the file did not separate its records: then any row of it, before or after, may
be a line of a message, which its author made look like a row. A record that the end of the file cuts off shows nothing.
"""

_KNOWN = {name.casefold(): name for name in COLUMNS}
_SEPARATORS = re.compile("[ _-]")


def parse(content: Iterable[bytes], asset: Asset) -> Iterator[ChatMessage | Refusal]:
    """Yield one ChatMessage per valid row, in the order of the file, and one Refusal with its lines per invalid row.

    An empty file or a header alone gives no message. Raises Rejected if the first row is not a chat header:
    `not_chat_csv`, `missing_column`, `duplicate_column`, or `nul_byte` / `invalid_utf8` in it.
    """
    file = open_text(content)
    records = iter(Rows(file))
    header = next(records, None)
    if header is None:
        return
    names, block, start, stop, fault = header
    fault = fault or block.text_fault(start, stop)
    if fault:
        raise Rejected(
            fault.reason_code if fault.reason_code in ("nul_byte", "invalid_utf8") else "not_chat_csv",
            f"The first row is not a chat header. {fault.detail}",
        )
    end = block.end_of(stop - 1)
    known, extra = columns(names)
    width = len(names)  # Each row gets an empty cell at this index, for the columns that the file lacks.
    peer, name, user, roles, sent, kind, text, message_id = (known.get(column, width) for column in COLUMNS)
    of_one_line = {index: column for column, index in known.items() if column != "Message"}
    started = asset.recorder_started_at
    # Often equal in adjacent rows: parse once.
    sent_cell, sent_at, roles_cell = None, None, ""
    roles_json: str | None = "[]"
    for ordinal, (cells, block, start, stop, fault) in enumerate(records, 1):
        if not fault and (block.has_breaks or stop - start > 1):
            fault = _spanning(cells, of_one_line, block.where(start, stop))
        if not (block.clean or fault):
            fault = block.text_fault(start, stop)
        if not fault and cells[sent] != sent_cell:
            try:
                sent_at = parse_rfc3339(cells[sent])
                sent_cell = cells[sent]
            except ValueError as error:
                # Of several lines, the quotes may belong to several records.
                code = "bad_sent_at" if stop == start + 1 else "broken_record"
                fault = Rejected(code, f"{block.where(start, stop)}: {error}.")
        if fault:
            yield Refusal(ordinal, fault.reason_code, fault.detail, file.original(block.raw(start, stop)))
            continue
        cells.append("")
        if cells[roles] != roles_cell:
            roles_cell = cells[roles]
            listed = _roles(roles_cell)
            roles_json = None if listed is None else json.dumps(listed, ensure_ascii=False)
        if roles_json is None:
            detail = f"{block.where(start, stop)}: the roles {roles_cell[:80]!r} are not understood; loaded without."
            yield Refusal(ordinal, "bad_roles", detail, file.original(block.raw(start, stop)), record_loaded=True)
        if block.end_of(stop - 1) not in (end, ""):
            detail = f"{block.where(start, stop)}: the line ends unlike the header; loaded nevertheless."
            yield Refusal(ordinal, "mixed_line_ends", detail, file.original(block.raw(start, stop)), record_loaded=True)
        yield ChatMessage(
            ordinal,
            cells[message_id] or None,
            cells[peer] or None,
            cells[name] or None,
            cells[user] or None,
            roles_json,
            roles_cell or None,
            sent_at,
            cells[kind] or None,
            cells[text],
            json.dumps({column: cells[at] for column, at in extra.items()}, ensure_ascii=False) if extra else None,
            started,
        )


def columns(names: Sequence[str]) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Return the indexes of known and unknown columns. Raises Rejected if this is not a chat header."""
    names = [_visible(name) or f"column_{number}" for number, name in enumerate(names, 1)]
    names = [_KNOWN.get(_SEPARATORS.sub("", name).casefold(), name) for name in names]
    shown = ", ".join(map(repr, names[:20]))[:500]
    missing = [name for name in REQUIRED if name not in names]
    if not any(name in names for name in COLUMNS):
        detail = f"The first row has no column of a chat file such as SentAt or Message; it has {len(names)} cells."
        raise Rejected("not_chat_csv", detail)  # Without the cells: they may hold a message.
    if missing:
        raise Rejected("missing_column", f"The header has no {' and no '.join(missing)}; it is {shown}.")
    duplicates = [name for name, times in Counter(names).items() if times > 1]
    if duplicates:
        raise Rejected("duplicate_column", f"The header has {duplicates[0]!r} more than once; it is {shown}.")
    known = {name: index for index, name in enumerate(names) if name in COLUMNS}
    return known, {name: index for index, name in enumerate(names) if name not in COLUMNS}


def _visible(name: str) -> str:
    """Return a column's name without blanks and invisible characters around it, such as a byte order mark."""
    seen = [at for at, one in enumerate(name) if unicodedata.category(one)[0] not in "CZ"]
    return name[seen[0] : seen[-1] + 1] if seen else ""


def _spanning(cells: Sequence[str], of_one_line: Mapping[int, str], where: str) -> Rejected | None:
    """Return the fault of a record whose name, id, role, type or time spans lines: its quotes are broken."""
    for index, column in of_one_line.items():
        if found := LINE_BREAK.search(cells[index]):
            # Other programs than readers of CSV break lines at the others.
            code = "value_spans_lines" if found[0] in "\r\n" else "line_break_in_value"
            return Rejected(code, f"{where}: a line break in {column}.")
    return None


def _roles(cell: str) -> list[str] | None:
    """Return the roles of a cell, `[]` for everybody; None if it is not understood.

    `[host moderator]` is the vendor's form of two roles (inferred); a JSON list of texts is read as that.
    """
    text = cell.strip()
    is_list = text.startswith("[") and text.endswith("]")
    inner = text[1:-1] if is_list else text
    if inner != "null" and not re.search(r"[\[\]{}\"'\\]", inner):
        return re.split(r"[\s,]+", inner.strip(" ,")) if inner.strip(" ,") else []
    try:
        roles = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if isinstance(roles, list) and all(isinstance(role, str) and not text_fault(role) for role in roles):
        return roles
    return None
