"""Chat files, and their edge cases and faults, each with its expected outcome.

Seven documented columns, in newer files `MessageID` as an eighth; UTF-8, LF, minimal quoting (vendor documentation).
A case gets at least eight rows of eight cells and returns the bytes of the file and the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sandbox.dataset.model import Message, Outcome, loaded, refused

Row = list[str]
Case = Callable[[list[Row]], tuple[bytes, Outcome]]

COLUMNS = ("SenderPeerID", "SenderName", "SenderUserID", "Roles", "SentAt", "Type", "Message", "MessageID")
NAME, ROLES, SENT_AT, TYPE, TEXT = 1, 3, 4, 5, 6
BIG = "Minutes of the meeting, line by line: nothing was decided, and everybody agreed.\n" * 3800
"""About 300 KB in one message."""


def write(case: str, messages: Sequence[Message]) -> tuple[bytes, Outcome]:
    """Write these messages as the chat file of this case."""
    return CASES[case]([_row(message) for message in messages])


def _row(message: Message) -> Row:
    sender = message.sender
    roles, sent_at = f"[{' '.join(message.roles)}]", rfc3339(message.sent_at)
    return [sender.id, sender.name, sender.user_id, roles, sent_at, "chat", message.text, message.message_id]


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(value: str) -> str:
    # The csv module quotes differently in different Python versions, but the bytes must stay the same.
    return '"' + value.replace('"', '""') + '"' if any(sign in value for sign in ',"\r\n') else value


def _line(cells: Sequence[str], end: str = "\n") -> str:
    return ",".join(map(_cell, cells)) + end


def _table(rows: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS, end: str = "\n") -> str:
    return "".join(_line(cells, end) for cells in (columns, *rows))


def _stored(rows: Sequence[Row]) -> Outcome:
    return replace(loaded(chat_messages=len(rows)), message_ids=tuple(row[-1] for row in rows))


def _plain(rows: list[Row]) -> tuple[bytes, Outcome]:
    return _table(rows).encode(), _stored(rows)


def _seven_columns(rows: list[Row]) -> tuple[bytes, Outcome]:
    return _table([row[:7] for row in rows], COLUMNS[:7]).encode(), loaded(chat_messages=len(rows))


def _encoded(codec: str, mark: str = "\ufeff", end: str = "\n") -> Case:
    return lambda rows: ((mark + _table(rows, end=end)).encode(codec), _stored(rows))


def _without_rows(content: str) -> Case:
    return lambda rows: (content.encode(), loaded())


def _other_columns(columns: Sequence[str]) -> Case:
    """The same cells with these columns, in this order; unknown columns have invented values."""

    def write_case(rows: list[Row]) -> tuple[bytes, Outcome]:
        cells = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        table = [
            [row.get(column, f"{column.lower()}, {number}") for column in columns] for number, row in enumerate(cells)
        ]
        return _table(table, columns).encode(), _stored(rows)

    return write_case


def _refused_header(reason_code: str, columns: Sequence[str]) -> Case:
    other_columns = _other_columns(columns)
    return lambda rows: (other_columns(rows)[0], refused(reason_code))


def _damaged(reason_code: str, damage: Callable[[Row], bytes]) -> Case:
    """One row in the middle is damaged; all others are valid."""

    def write_case(rows: list[Row]) -> tuple[bytes, Outcome]:
        middle = len(rows) // 2
        before, after = rows[:middle], rows[middle + 1 :]
        content = _table(before).encode() + damage(rows[middle]) + "".join(map(_line, after)).encode()
        return content, replace(_stored(before + after), refusals={reason_code: 1})

    return write_case


def _unclosed_quote(rows: list[Row]) -> tuple[bytes, Outcome]:
    """No other quote follows the unclosed one, so the next valid row is unambiguous for every parser."""
    middle = len(rows) // 2
    before, after = rows[:middle], [_with(row, TEXT, "noted") for row in rows[middle + 1 :]]
    after = [_with(row, NAME, row[NAME].replace(",", "").replace('"', "")) for row in after]
    damaged = ",".join(_with(_with(rows[middle], NAME, "Guest"), TEXT, '"and that is why')) + "\n"
    content = _table(before) + damaged + "".join(map(_line, after))
    return content.encode(), replace(_stored(before + after), refusals={"unclosed_quote": 1})


def _texts(*texts: str, column: int = TEXT) -> Case:
    """The first rows have these texts."""
    return lambda rows: _plain(
        [_with(row, column, text) for row, text in zip(rows, texts, strict=False)] + rows[len(texts) :]
    )


def _repeated_message(rows: list[Row]) -> tuple[bytes, Outcome]:
    return _table([*rows[:4], rows[1], *rows[4:]]).encode(), replace(_stored(rows), duplicates=1)


def _with(row: Row, column: int, value: str) -> Row:
    return [*row[:column], value, *row[column + 1 :]]


CASES: dict[str, Case] = {
    "eight_columns": _plain,
    "seven_columns": _seven_columns,
    "empty_file": _without_rows(""),
    "header_only": _without_rows(_line(COLUMNS)),
    "utf8_bom": _encoded("utf-8"),
    "crlf": _encoded("utf-8", mark="", end="\r\n"),
    "utf16_le": _encoded("utf-16-le"),
    "utf16_be": _encoded("utf-16-be"),
    "permuted_columns": _other_columns(COLUMNS[::-1]),
    "unknown_columns": _other_columns((*COLUMNS[:3], "Pinned", *COLUMNS[3:], "ReplyTo")),
    "missing_column": _refused_header("missing_column", [name for name in COLUMNS if name != "SentAt"]),
    "duplicate_column": _refused_header("duplicate_column", (*COLUMNS, "SenderName")),
    "invalid_utf8": _damaged(
        "invalid_utf8", lambda row: _line(_with(row, TEXT, "caf? for two")).encode().replace(b"caf?", b"caf\xe9 \xff")
    ),
    "nul_byte": _damaged("nul_byte", lambda row: _line(_with(row, TEXT, "before\0after")).encode()),
    "too_few_cells": _damaged("too_few_cells", lambda row: _line(row[:4]).encode()),
    "too_many_cells": _damaged("too_many_cells", lambda row: _line([*row[:6], "one", "two", row[7]]).encode()),
    "bad_sent_at": _damaged("bad_sent_at", lambda row: _line(_with(row, SENT_AT, "half past nine")).encode()),
    "unclosed_quote": _unclosed_quote,
    "repeated_message": _repeated_message,
    "big_message": _texts(BIG),
    "formulas": _texts('=HYPERLINK("https://example.invalid","open")', "+49 30 1", "-1+1", "@SUM(1,2)", "=1+1"),
    "bidi_and_zero_width": _texts(
        "مرحبا بالجميع (page 7)", "\u202egnp.exe", "a\u200bb\u200dc\ufeffd", "שלום, עולם", "क\u094d\u200dष"
    ),
    "newlines_and_quotes": _texts('She said: "later"', "one\ntwo\n\nfour", "one\r\ntwo", '"', '","', ",", "\n"),
    "emoji": _texts("👩🏽‍🚀🏴‍☠️", "𝄞 𠜎 🦊", "🇳🇴🇮🇳", "🙂" * 200),
    "several_roles": _texts("[host moderator]", "[guest]", "[host moderator guest]", "[]", column=ROLES),
    "other_type": _texts("announcement", "poll-answer", column=TYPE),
}
DIRTY = tuple(name for name in CASES if name != "eight_columns")
