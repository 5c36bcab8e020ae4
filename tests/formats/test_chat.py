from __future__ import annotations

import codecs
import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.formats import chat
from roomledger.formats.text import MAX_RECORD
from roomledger.model import Asset, ChatMessage, Refusal, Rejected

STARTED = datetime(2025, 3, 7, 10, tzinfo=UTC)
ASSET = Asset(
    uri="s3://acme-rooms/chat.csv", size_bytes=1, modified_at=STARTED, asset_type="chat", recorder_started_at=STARTED
)
HEADER = b"SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID\n"
SEVEN = b"SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message\n"
GOOD = b"p-1,Mara Ilves,u-1,[],2025-03-07T10:00:01Z,chat,hello,m-1\n"
NEXT = b"p-2,Jo\xc3\xa3o,u-2,[],2025-03-07T10:00:02Z,chat,oi,m-2\n"


def message(ordinal: int = 1, text: str = "hello", **fields: object) -> ChatMessage:
    found = ChatMessage(
        ordinal=ordinal,
        message_id="m-1",
        sender_peer_id="p-1",
        sender_name="Mara Ilves",
        sender_user_id="u-1",
        roles="[]",
        roles_raw="[]",
        sent_at=datetime(2025, 3, 7, 10, 0, 1, tzinfo=UTC),
        message_type="chat",
        message=text,
        extra=None,
        recorder_started_at=STARTED,
    )
    return found._replace(**fields)


def second(ordinal: int = 2) -> ChatMessage:
    return message(
        ordinal,
        "oi",
        message_id="m-2",
        sender_peer_id="p-2",
        sender_name="João",
        sender_user_id="u-2",
        sent_at=datetime(2025, 3, 7, 10, 0, 2, tzinfo=UTC),
    )


def parse(content: bytes, asset: Asset = ASSET) -> list[ChatMessage | Refusal]:
    return list(chat.parse([content], asset))


def row(text: bytes, name: bytes = b"Mara Ilves", roles: bytes = b"[]", sent: bytes = b"2025-03-07T10:00:01Z") -> bytes:
    return b"p-1,%s,u-1,%s,%s,chat,%s,m-1\n" % (name, roles, sent, text)


LOADED = {
    "eight columns": (HEADER + GOOD + NEXT, [message(), second()]),
    "seven columns": (
        SEVEN + GOOD.replace(b",m-1", b""),
        [message(message_id=None)],
    ),
    "0 bytes": (b"", []),
    "white space": (b"\n \r\n\t\n", []),
    "a byte order mark alone": (codecs.BOM_UTF8, []),
    "header only": (HEADER, []),
    "header without a line end": (HEADER.rstrip(), []),
    "no line end at the end": (HEADER + GOOD.rstrip(), [message()]),
    "byte order mark": (codecs.BOM_UTF8 + HEADER + GOOD, [message()]),
    "CRLF": ((HEADER + GOOD + NEXT).replace(b"\n", b"\r\n"), [message(), second()]),
    "UTF-16 little-endian": (
        codecs.BOM_UTF16_LE + (HEADER + GOOD + NEXT).decode().encode("utf-16-le"),
        [message(), second()],
    ),
    "UTF-16 big-endian": (
        codecs.BOM_UTF16_BE + (HEADER + GOOD + NEXT).decode().encode("utf-16-be"),
        [message(), second()],
    ),
    "blank lines are no records": (b"\n" + HEADER + b"\n" + GOOD + b"\r\n  \n" + NEXT + b"\n", [message(), second()]),
    "a message of several lines": (
        HEADER + row(b'"two\r\n\nlines, ""quoted"""'),
        [message(text='two\r\n\nlines, "quoted"')],
    ),
    "line ends that are none": (
        HEADER + row("a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g".encode()),
        [message(text="a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g")],
    ),
    "formulas": (HEADER + row(b'"=HYPERLINK(""x"")"') + row(b"+1") + row(b"-1") + row(b"@a"),
                 [message(at, text) for at, text in enumerate(('=HYPERLINK("x")', "+1", "-1", "@a"), 1)]),
    "right-to-left and zero-width text": (
        HEADER + row("\u202eשלום\u200b \u2066سلام\u2069\ufeff".encode()),
        [message(text="\u202eשלום\u200b \u2066سلام\u2069\ufeff")],
    ),
    "characters of four bytes": (HEADER + row("👋🏽".encode()), [message(text="👋🏽")]),
    "a message of spaces stays": (HEADER + row(b"  "), [message(text="  ")]),
    "no message": (HEADER + row(b""), [message(text="")]),
    "no ids and names": (
        HEADER + b",,,,2025-03-07T10:00:01Z,,x,\n",
        [message(text="x", message_id=None, sender_peer_id=None, sender_name=None, sender_user_id=None, roles_raw=None,
                 message_type=None)],
    ),
    "permuted columns": (
        b"MessageID,Message,Type,SentAt,Roles,SenderUserID,SenderName,SenderPeerID\n"
        b"m-1,hello,chat,2025-03-07T10:00:01Z,[],u-1,Mara Ilves,p-1\n",
        [message()],
    ),
    "columns in other letters": (HEADER.replace(b",", b" , ").lower() + GOOD, [message()]),
    "only what makes a message": (
        b"Message,SentAt\nhello,2025-03-07T10:00:01Z\n",
        [message(message_id=None, sender_peer_id=None, sender_name=None, sender_user_id=None, roles_raw=None,
                 message_type=None)],
    ),
    "unknown columns": (
        HEADER.rstrip() + b',Mood,""\n' + GOOD.rstrip() + ',"glad ""é""",7\n'.encode(),
        [message(extra='{"Mood": "glad \\"é\\"", "column_10": "7"}')],
    ),
    "one role": (HEADER + row(b"hello", roles=b"[host]"), [message(roles='["host"]', roles_raw="[host]")]),
    "two roles": (
        HEADER + row(b"hello", roles=b"[host moderator]") + row(b"hello"),
        [message(roles='["host", "moderator"]', roles_raw="[host moderator]"), message(2)],
    ),
    "roles of another kind": (
        HEADER + row(b"hello", roles=b'"[""host"",""x\\u0000""]"'),
        [message(roles='["host", "x\\\\u0000"]', roles_raw='["host","x\\u0000"]')],
    ),
    "a time with fractions and offset": (
        HEADER + row(b"hello", sent=b"2025-03-07T11:00:01.1234567+01:00"),
        [message(sent_at=datetime(2025, 3, 7, 10, 0, 1, 123_456, tzinfo=UTC))],
    ),
    "no time": (
        HEADER + row(b"hello", sent=b"0001-01-01T00:00:00Z") * 2 + row(b"hello"),
        [message(sent_at=None), message(2, sent_at=None), message(3)],
    ),
    "the same message twice": (HEADER + GOOD + GOOD, [message(), message(2)]),
    "a quote within a word": (HEADER + row(b'5" screen'), [message(text='5" screen')]),
}  # fmt: skip


@pytest.mark.parametrize("name", LOADED)
def test_loaded(name: str) -> None:
    content, expected = LOADED[name]
    assert parse(content) == expected


# What stands between two good rows, and the refusals it gives: reason, and the raw bytes when they are only a part.
REFUSED: dict[str, tuple[bytes, list[tuple[str, bytes]]]] = {
    name: (content, [(reason, content)])
    for name, content, reason in [
        ("too few cells", b"p-1,Mara Ilves,u-1\n", "too_few_cells"),
        ("one empty cell", b'""\n', "too_few_cells"),
        ("too many cells", GOOD.rstrip() + b",more\n", "too_many_cells"),
        ("too few cells on several lines", b'p-1,"Mara\n\nIlves",u-1\r\n', "too_few_cells"),
        ("no time", row(b"hello", sent=b""), "bad_sent_at"),
        ("words for a time", row(b"hello", sent=b"yesterday"), "bad_sent_at"),
        ("a day that does not exist", row(b"hello", sent=b"2025-02-30T10:00:00Z"), "bad_sent_at"),
        ("NUL", row(b"a\0b"), "nul_byte"),
        ("NUL on the second line", row(b'"a\n\0b"'), "nul_byte"),
        ("invalid UTF-8", row(b"\xff\xfe caf\xe9"), "invalid_utf8"),
        ("an encoded half of a pair", row(b"\xed\xa0\x80"), "invalid_utf8"),
        ("overlong UTF-8", row(b"\xc0\xaf"), "invalid_utf8"),
        ("text after a closing quote", row(b'"a" b'), "bad_quoting"),
        ("a lone carriage return", row(b"a\rb"), "bad_quoting"),
        ("an open quote", row(b'"hello'), "unclosed_quote"),
    ]
}
REFUSED["two times that are none"] = (
    row(b"a", sent=b"now") * 2,
    [("bad_sent_at", row(b"a", sent=b"now"))] * 2,
)
REFUSED["an open quote before quotes of later rows"] = (
    row(b'"oops') + row(b'"a, b"'),
    [("unclosed_quote", row(b'"oops'))],
)
REFUSED["an open quote before a message that starts with a line end"] = (
    row(b'"hello') + row(b'"\n2"'),
    [("unclosed_quote", row(b'"hello'))],
)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_alone(name: str) -> None:
    """Good rows before and after load; ordinals count every record; the bytes are those of the file."""
    content, expected = REFUSED[name]
    found = parse(HEADER + GOOD + content + NEXT + GOOD)
    refusals = [record for record in found if isinstance(record, Refusal)]
    assert [(refusal.reason_code, refusal.raw) for refusal in refusals] == expected
    assert [record.ordinal for record in found] == list(range(1, len(found) + 1))
    assert found[0] == message()
    assert found[-2:] == [second(len(found) - 1), message(len(found))]
    assert "Line 3" in refusals[0].detail or "Lines 3 to" in refusals[0].detail


def test_the_first_row_without_a_time() -> None:
    refusal, loaded = parse(HEADER + row(b"hello", sent=b"") + NEXT)
    assert refusal[:2] + refusal[3:] == (1, "bad_sent_at", row(b"hello", sent=b""))
    assert loaded == second()


def test_a_file_cut_within_quotes() -> None:
    (first, refusal) = parse(HEADER + GOOD + b'p-2,"Jo')
    assert first == message()
    assert refusal[:2] + refusal[3:] == (2, "unclosed_quote", b'p-2,"Jo')


@pytest.mark.parametrize("tail", [b"\x41", b"\x00\xd8", b"\x00\xd8\x41"], ids=["half a unit", "half a pair", "both"])
def test_utf16_cut_within_a_character(tail: bytes) -> None:
    content = codecs.BOM_UTF16_LE + (HEADER + GOOD + NEXT.rstrip()).decode().encode("utf-16-le") + tail
    first, refusal = parse(content)
    assert first == message()
    assert isinstance(refusal, Refusal)
    assert refusal.reason_code == "invalid_utf8"
    assert refusal.raw.startswith(NEXT.rstrip())


UNREADABLE = {
    "no message": (b"SentAt,SenderName\nx,y\n", "missing_column", "'SenderName'"),
    "no time": (b"Message,SenderName\nx,y\n", "missing_column", "no SentAt"),
    "neither": (b"SenderName,Type\nx,y\n", "missing_column", "no SentAt and no Message"),
    "a known column twice": (b"SentAt,Message,message\n", "duplicate_column", "'Message' more than once"),
    "an unknown column twice": (b"SentAt,Message,Mood,Mood\n", "duplicate_column", "'Mood' more than once"),
    "rows without a header": (GOOD, "not_chat_csv", "8 cells"),
    "JSON": (b'{"words": []}', "not_chat_csv", "has no column"),
    "a broken header": (b'"SentAt"x,Message\n', "not_chat_csv", "Line 1"),
    "an open quote in the header": (b'SentAt,"Message\n' + GOOD, "not_chat_csv", "Line 1"),
    "a header that is not UTF-8": (b"SentAt,Message,\xff\n", "invalid_utf8", "Line 1"),
    "a header with NUL": (b"SentAt,Message,\0\n", "nul_byte", "Line 1"),
    "UTF-16 without a byte order mark": (HEADER.decode().encode("utf-16-le"), "nul_byte", "Line 1"),
    "line ends of old": ((HEADER + GOOD).replace(b"\n", b"\r"), "not_chat_csv", "Line 1"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable(name: str) -> None:
    content, reason, said = UNREADABLE[name]
    with pytest.raises(Rejected) as raised:
        parse(content)
    assert raised.value.reason_code == reason
    assert said in raised.value.detail


def test_no_message_text_in_the_detail_of_a_file_without_a_header() -> None:
    with pytest.raises(Rejected) as raised:
        parse(row(b"a secret"))
    assert "secret" not in str(raised.value)


def test_a_message_of_ten_million_bytes() -> None:
    text = "ab cd\né😀," * 1_000_000
    quoted = b'"%s"' % text.encode()
    found = parse(HEADER + GOOD + row(quoted) + NEXT)
    assert [record.message for record in found if isinstance(record, ChatMessage)] == ["hello", text, "oi"]


def test_the_largest_record_loads_and_a_larger_one_does_not() -> None:
    for size, reasons in ((MAX_RECORD, []), (MAX_RECORD + 1, ["line_too_long"])):
        text = b"x" * (size - len(row(b"")))
        found = parse(HEADER + GOOD + row(text) + NEXT)
        assert [record.reason_code for record in found if isinstance(record, Refusal)] == reasons
        assert [found[0], found[-1]] == [message(), second(3)]
        assert isinstance(found[1], ChatMessage) or found[1].raw == row(text)[: len(found[1].raw)]


def test_a_line_longer_than_memory_should_hold_is_skipped_to_its_end() -> None:
    def pieces() -> Iterator[bytes]:
        yield HEADER + GOOD
        for _ in range(40):
            yield b"x" * (1 << 20)
        yield b"\n" + NEXT

    first, refusal, last = chat.parse(pieces(), ASSET)
    assert (first, last) == (message(), second(3))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason_code, len(refusal.raw)) == ("line_too_long", 1 << 20)
    assert str((40 << 20) + 1) in refusal.detail


def test_a_quote_that_stays_open_longer_than_a_record_may_be() -> None:
    """Its line alone is refused, the 36 MiB after it are read, and memory stays bounded."""
    rows = row(b"x" * 4_000) * 250
    times = (36 << 20) // len(rows)
    tracemalloc.start()
    found = chat.parse([HEADER, b'p-1,"Mara\n', *[rows] * times], ASSET)
    refusal = next(found)
    loaded = sum(1 for _ in found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refusal[:2] + refusal[3:] == (1, "unclosed_quote", b'p-1,"Mara\n')
    assert loaded == 250 * times
    assert peak < 200 << 20


def test_memory_does_not_grow_with_the_file() -> None:
    rows = row(b"x" * 4_000) * 250
    tracemalloc.start()
    loaded = sum(1 for _ in chat.parse([HEADER, *[rows] * 20], ASSET))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert loaded == 5_000
    assert peak < 4 << 20


def test_the_limit_of_the_csv_module_is_only_raised() -> None:
    before = csv.field_size_limit()
    try:
        csv.field_size_limit(10)
        assert len(parse(HEADER + GOOD)) == 1
        assert csv.field_size_limit() == MAX_RECORD
        csv.field_size_limit(MAX_RECORD * 2)
        parse(HEADER + GOOD)
        assert csv.field_size_limit() == MAX_RECORD * 2
    finally:
        csv.field_size_limit(before)


plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
times = st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis wants it naive


@given(st.lists(st.tuples(plain, plain, plain, times, plain), max_size=8), st.booleans())
def test_what_is_written_is_read(rows: list[tuple[str, str, str, datetime, str]], quoted: bool) -> None:
    file = io.StringIO(newline="")
    if quoted:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    else:
        writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(["MessageID", "SenderName", "Message", "SentAt", "Mood"])
    writer.writerows([(*row[:3], row[3].isoformat(), row[4]) for row in rows])
    found = [record for record in parse(file.getvalue().encode()) if isinstance(record, ChatMessage)]
    read = [(one.message_id or "", one.sender_name or "", one.message, one.sent_at, one.extra) for one in found]
    assert read == [(*row[:4], json.dumps({"Mood": row[4]}, ensure_ascii=False)) for row in rows]


pieces_of_csv = st.sampled_from([b'"', b'""', b",", b"\n", b"\r\n", b"x", b"\0", b"\xff", b'p,"', b',"\n', b'",'])


@given(st.lists(pieces_of_csv, max_size=12).map(b"".join))
def test_bad_lines_never_take_good_ones_with_them(bad: bytes) -> None:
    """Whatever stands on the lines between, as long as it closes no quote: the rows around it load."""
    found = parse(
        SEVEN
        + SEVEN.replace(SEVEN, b"p,n,u,[],2025-03-07T10:00:01Z,chat,first\n")
        + bad
        + b"\n"
        + 3 * (b'p,n,u,[],2025-03-07T10:00:01Z,chat,"it is ""last"""\n')
    )
    messages = [record.message for record in found if isinstance(record, ChatMessage)]
    assert messages[0] == "first"
    assert messages[-3:] == ['it is "last"'] * 3
    assert [record.ordinal for record in found] == list(range(1, len(found) + 1))


@given(st.lists(pieces_of_csv | st.just(GOOD), max_size=12).map(b"".join))
def test_every_byte_of_a_bad_record_is_kept(content: bytes) -> None:
    """Refused bytes stand in the file in the order of the refusals, and never overlap."""
    at = 0
    for record in parse(HEADER + content):
        if isinstance(record, Refusal):
            at = (HEADER + content).find(record.raw, at) + len(record.raw)
            assert at >= len(record.raw)
