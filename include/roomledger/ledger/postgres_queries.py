"""What PostgreSQL may run as a query of a user: one statement that reads, and calls only functions that read.

A transaction that only reads is not enough: in it functions read files of the server, take advisory locks, change
settings and stop other sessions, and `EXPLAIN ANALYZE` creates tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from roomledger.ledger.database import QueryError

_QUERIES = ("SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN", "SHOW")
_HARMLESS = (
    *("random", "random_normal", "gen_random_uuid", "uuidv4", "uuidv7", "clock_timestamp", "timeofday"),
    *("pg_relation_size", "pg_total_relation_size", "pg_table_size", "pg_indexes_size", "pg_database_size"),
)
"""Volatile functions that change nothing."""
_CHANGE_SOMETHING = sa.text("""
SELECT DISTINCT proname FROM pg_proc
WHERE provolatile = 'v' AND proname = ANY(:names) AND proname <> ALL(:harmless)
    -- Handlers and triggers are called by the server alone: SYSTEM (10) is a method of TABLESAMPLE.
    AND NOT EXISTS (
        SELECT 1 FROM pg_type WHERE pg_type.oid = prorettype AND typtype = 'p' AND typname ~ '(_handler|trigger)$'
    )
ORDER BY proname LIMIT 3
""")


def require_query(tx: sa.Connection, sql: str) -> None:
    """Raise QueryError for anything but a query, and for functions that may have effects outside of the transaction.

    These are volatile. The strings of the session have to be standard (`standard_conforming_strings`). The server
    itself refuses a second statement, when it prepares the text.
    """
    found = [*tokens(sql)]
    kind = next((one.upper() for one in found if one != "("), ";")
    if kind == ";":
        raise QueryError("give one query, such as SELECT count(*) FROM loads: this has 0 statements")
    if kind not in _QUERIES:
        raise QueryError(f"only queries can be run ({', '.join(_QUERIES)}): this is {kind}")
    if any(one[:3].lower() == 'u&"' for one in found):
        raise QueryError('names with escapes (U&"…") cannot be used in a query: write the name itself')
    if kind == "EXPLAIN" and {"analyze", "analyse"} & {_name(one) for one in found}:
        raise QueryError("EXPLAIN ANALYZE runs the statement that it explains: use EXPLAIN alone")
    names = [*called(found)]
    changing = tx.execute(_CHANGE_SOMETHING, {"names": names, "harmless": [*_HARMLESS]}).scalars().all()
    if changing:
        raise QueryError(
            f"{', '.join(changing)} can change something outside of the query: use functions that only read"
        )


_SPACE = r"[ \t\n\r\f\v]"
_TOKEN = re.compile(
    rf"""
    (?P<space>{_SPACE}+|--[^\n\r]*)
    |(?P<comment>/\*)
    |(?P<escaped>[eE]')
    |(?P<text>'[^']*+(?:''[^']*+)*+(?:'|\Z))
    |\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)?)\$
    |(?P<word>(?:[uU]&)?"[^"]*+(?:""[^"]*+)*+(?:"|\Z)|[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*|[0-9]+|.)
    """,
    re.DOTALL | re.VERBOSE,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")
# A string goes on in quotes of a later line, also with comments between.
_ESCAPED = re.compile(
    rf"""
    (?:[^\\']++|\\.|''|'(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:{_SPACE}|--[^\n\r]*+[\n\r])*+')*+
    (?:'|\\?\Z)
    """,
    re.DOTALL | re.VERBOSE,
)


def tokens(sql: str) -> Iterator[str]:
    """Give the names, numbers and signs of a text as PostgreSQL reads it, without its strings and comments.

    A sign is one character, and a quoted name keeps its quotes.
    """
    place = 0
    while found := _TOKEN.match(sql, place):
        place = found.end()
        match found.lastgroup:
            case "comment":
                place = _end_of_comment(sql, place)
            case "escaped":
                ended = _ESCAPED.match(sql, place)
                place = ended.end() if ended else len(sql)
            case "tag":
                end = sql.find(found[0], place)
                place = len(sql) if end < 0 else end + len(found[0])
            case "word":
                yield found[0]


def _end_of_comment(sql: str, place: int) -> int:
    """Find the end of a comment, which may have others in it."""
    depth = 1
    while depth and (mark := _COMMENT_MARK.search(sql, place)):
        depth += 1 if mark[0] == "/*" else -1
        place = mark.end()
    return len(sql) if depth else place


def called(found: Sequence[str]) -> Iterator[str]:
    """Give the names that may be of functions: before a parenthesis, and after a dot, as in `(7).pg_sleep`."""
    for index, one in enumerate(found):
        if found[index + 1 : index + 2] == ["("] or (index and found[index - 1] == "."):
            yield _name(one)


def _name(token: str) -> str:
    """Give the name that PostgreSQL stores: without quotes, or in small letters, and at most 63 bytes of it."""
    name = token[1:-1].replace('""', '"') if token[0] == '"' else token.encode().lower().decode()
    return name.encode()[:63].decode(errors="ignore")
