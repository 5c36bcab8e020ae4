"""Chat messages: the CSV file that a recorder writes, one row per message sent while it ran.

Documented header: `SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message`; files since 2024 add `MessageID`
(vendor documentation, and files seen). Columns are found by name, in any order; those without a place in
`chat_messages` are kept in `extra`. Text is never changed: formula characters are the exporter's to escape.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from roomledger.formats.rows import rows
from roomledger.formats.text import opened
from roomledger.model import Asset, ChatMessage, Refusal, Rejected
from roomledger.times import parse_rfc3339

COLUMNS = ("SenderPeerID", "SenderName", "SenderUserID", "Roles", "SentAt", "Type", "Message", "MessageID")
REQUIRED = ("SentAt", "Message")
"""Without these nothing is a message; any other column may be missing."""

_KNOWN = {name.casefold(): name for name in COLUMNS}


def parse(content: Iterable[bytes], asset: Asset) -> Iterator[ChatMessage | Refusal]:
    """Give one ChatMessage per good row, in the order of the file, and a Refusal with its lines per bad one.

    A file that is empty or only a header holds no message. Raises Rejected when the first row is no chat header:
    `not_chat_csv`, `missing_column`, `duplicate_column`, or `nul_byte` / `invalid_utf8` in it.
    """
    records = rows(opened(content))
    header = next(records, None)
    if header is None:
        return
    names, block, start, stop, fault = header
    fault = fault or block.text_fault(start, stop)
    if fault:
        raise Rejected(
            fault.reason_code if fault.reason_code in ("nul_byte", "invalid_utf8") else "not_chat_csv",
            f"The first row is no chat header. {fault.detail}",
        )
    place, extra = columns(names)
    width = len(names)  # A cell is put at this place for the columns that the file lacks.
    peer, name, user, roles, sent, kind, text, message_id = (place.get(column, width) for column in COLUMNS)
    started = asset.recorder_started_at
    sent_cell, sent_at, roles_cell, roles_json = None, None, "", "[]"  # Neighbours often share these: read them once.
    for ordinal, (cells, block, start, stop, fault) in enumerate(records, 1):
        if not (block.clean or fault):
            fault = block.text_fault(start, stop)
        if not fault and cells[sent] != sent_cell:
            try:
                sent_at = parse_rfc3339(cells[sent])
                sent_cell = cells[sent]
            except ValueError as error:
                fault = Rejected("bad_sent_at", f"{block.where(start, stop)}: {error}.")
        if fault:
            yield Refusal(ordinal, fault.reason_code, fault.detail, block.raw(start, stop))
            continue
        cells.append("")
        if cells[roles] != roles_cell:
            roles_cell = cells[roles]
            roles_json = json.dumps(_roles(roles_cell), ensure_ascii=False)
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
    """Find the known and the unknown columns of a header; raises Rejected when no chat can have it."""
    names = [name.strip() or f"column_{number}" for number, name in enumerate(names, 1)]
    names = [_KNOWN.get(name.casefold(), name) for name in names]
    found = ", ".join(map(repr, names[:20]))[:500]
    missing = [name for name in REQUIRED if name not in names]
    if not any(name in names for name in COLUMNS):
        detail = f"The first row names no column of a chat file such as SentAt or Message; it has {len(names)} cells."
        raise Rejected("not_chat_csv", detail)  # Without its cells: they may be somebody's message.
    if missing:
        raise Rejected("missing_column", f"The header has no {' and no '.join(missing)}; it reads {found}.")
    doubled = [name for name, times in Counter(names).items() if times > 1]
    if doubled:
        raise Rejected("duplicate_column", f"The header has {doubled[0]!r} more than once; it reads {found}.")
    places = {name: at for at, name in enumerate(names)}
    known = {name: at for name, at in places.items() if name in COLUMNS}
    return known, {name: at for name, at in places.items() if name not in COLUMNS}


def _roles(cell: str) -> list[str]:
    """`[]` is everybody, `[host moderator]` two roles; whatever else a cell holds, its words are taken for roles."""
    words = re.split(r"[\s,]+", cell.strip().removeprefix("[").removesuffix("]"))
    return [word for part in words if (word := part.strip("\"'"))]
