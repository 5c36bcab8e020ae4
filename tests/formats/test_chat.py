from __future__ import annotations

import codecs
import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.formats import chat
from roomledger.formats.text import LINE_BREAK, MAX_RECORD
from roomledger.model import Asset, ChatMessage, Refusal, Rejected
from roomledger.times import EARLIEST, LATEST
from tests.formats.case_files import content_of, read_cases

STARTED = datetime(2025, 3, 7, 10, tzinfo=UTC)
ASSET = Asset(
    uri="s3://acme-rooms/chat.csv", size_bytes=1, modified_at=STARTED, asset_type="chat", recorder_started_at=STARTED
)
HEADER = b"SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID\n"
SEVEN = b"SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message\n"
GOOD = b"p-1,Mara Ilves,u-1,[],2025-03-07T10:00:01Z,chat,hello,m-1\n"
NEXT = b"p-2,Jo\xc3\xa3o,u-2,[],2025-03-07T10:00:02Z,chat,oi,m-2\n"


def message(ordinal: int = 1, **fields: object) -> ChatMessage:
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
        message="hello",
        extra=None,
        recorder_started_at=STARTED,
    )
    return found._replace(**fields)


def second(ordinal: int = 2) -> ChatMessage:
    return message(
        ordinal,
        message="oi",
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


def parts(refusal: ChatMessage | Refusal) -> tuple[int, str, bytes]:
    assert isinstance(refusal, Refusal)
    return refusal.ordinal, refusal.reason_code, refusal.raw


LOADED, REFUSED, REJECTED = (read_cases(f"chat/{name}.yaml") for name in ("loaded", "refused", "rejected"))


@pytest.mark.parametrize("name", LOADED)
def test_every_valid_file_gives_its_messages(name: str) -> None:
    expected = [message(ordinal, **fields) for ordinal, fields in enumerate(LOADED[name]["messages"], 1)]
    assert parse(content_of(LOADED[name])) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_an_invalid_row_is_refused_alone(name: str) -> None:
    """Valid rows before and after it load; ordinals count every record; the bytes are those of the file."""
    case = REFUSED[name]
    content = content_of(case)
    expected = [
        (refusal["reason"], content_of(case | {"content": refusal.get("raw", case["content"])}))
        for refusal in case["refusals"]
    ]
    found = parse(HEADER + GOOD + content + NEXT + GOOD)
    refusals = [record for record in found if isinstance(record, Refusal)]
    assert [(refusal.reason_code, refusal.raw) for refusal in refusals] == expected
    assert [record.ordinal for record in found] == list(range(1, len(found) + 1))
    assert found[0] == message()
    assert found[-2:] == [second(len(found) - 1), message(len(found))]
    within = [record for record in found[1:-2] if isinstance(record, ChatMessage)]
    assert [record.message for record in within] == case.get("loaded", [])
    if within:
        assert {refusal.reason_code for refusal in refusals} & chat.DOUBTFUL
    assert "Line 3" in refusals[0].detail or "Lines 3 to" in refusals[0].detail


def test_an_invalid_first_row_is_refused_alone() -> None:
    refusal, loaded = parse(HEADER + row(b"hello", sent=b"") + NEXT)
    assert parts(refusal) == (1, "bad_sent_at", row(b"hello", sent=b""))
    assert loaded == second()


def test_a_file_truncated_within_quotes_refuses_its_last_row() -> None:
    (first, refusal) = parse(HEADER + GOOD + b'p-2,"Jo')
    assert first == message()
    assert parts(refusal) == (2, "truncated_record", b'p-2,"Jo')


@pytest.mark.parametrize("tail", [b"\x41", b"\x00\xd8", b"\x00\xd8\x41"], ids=["half a unit", "half a pair", "both"])
def test_utf16_truncated_within_a_character_refuses_its_last_row(tail: bytes) -> None:
    last = NEXT.rstrip().decode().encode("utf-16-le")
    first, refusal = parse(codecs.BOM_UTF16_LE + (HEADER + GOOD).decode().encode("utf-16-le") + last + tail)
    assert first == message()
    assert isinstance(refusal, Refusal)
    assert refusal.reason_code == "invalid_utf8"
    assert refusal.raw.startswith(last)


@pytest.mark.parametrize("name", REJECTED)
def test_an_invalid_file_is_rejected(name: str) -> None:
    with pytest.raises(Rejected) as raised:
        parse(content_of(REJECTED[name]))
    assert raised.value.reason_code == REJECTED[name]["reason"]
    assert REJECTED[name]["detail"] in raised.value.detail


def test_the_detail_of_a_file_without_a_header_holds_no_message() -> None:
    with pytest.raises(Rejected) as raised:
        parse(row(b"a secret"))
    assert "secret" not in str(raised.value)


def test_a_message_of_ten_million_bytes_is_loaded() -> None:
    text = "ab cd\né😀," * 1_000_000
    quoted = b'"%s"' % text.encode()
    found = parse(HEADER + GOOD + row(quoted) + NEXT)
    assert [record.message for record in found if isinstance(record, ChatMessage)] == ["hello", text, "oi"]


def test_the_largest_record_is_loaded_and_a_larger_one_refused() -> None:
    for size, reasons in ((MAX_RECORD, []), (MAX_RECORD + 1, ["line_too_long"])):
        text = b"x" * (size - len(row(b"")))
        found = parse(HEADER + GOOD + row(text) + NEXT)
        assert [record.reason_code for record in found if isinstance(record, Refusal)] == reasons
        assert [found[0], found[-1]] == [message(), second(3)]
        assert isinstance(found[1], ChatMessage) or found[1].raw == row(text)[: len(found[1].raw)]


def test_a_line_that_is_too_long_is_skipped_to_its_end() -> None:
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


BAD_ROLES = ['["host', '["host"', "['host']", '["host", 1]', '{"host": 1}', '["x\\u0000"]', '[["host"]]', "\\"]


@pytest.mark.parametrize("cell", BAD_ROLES)
def test_roles_that_are_not_understood_are_kept_beside_the_message(cell: str) -> None:
    quoted = '"{}"'.format(cell.replace('"', '""')).encode()
    refusal, loaded, last = parse(HEADER + row(b"hello", roles=quoted) + NEXT)
    assert parts(refusal) == (1, "bad_roles", row(b"hello", roles=quoted))
    assert isinstance(refusal, Refusal)
    assert refusal.record_loaded
    assert loaded == message(roles=None, roles_raw=cell)
    assert last == second()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_refused_bytes_stand_in_the_file(encoding: str) -> None:
    bad = "p-1,Jo\u00e3o \U0001f600,u-1,[],now,chat,hello,m-1\n".encode(encoding)
    content = "\ufeff".encode(encoding) + HEADER.decode().encode(encoding) + bad
    assert [parts(refusal)[2] for refusal in parse(content)] == [bad]


def test_an_open_quote_refuses_only_its_line_in_a_large_file() -> None:
    """Only its line is refused, the 36 MiB after it are read, and memory use is limited."""
    rows = row(b"x" * 4_000) * 250
    times = (36 << 20) // len(rows)
    tracemalloc.start()
    found = chat.parse([HEADER, b'p-1,"Mara\n', *[rows] * times], ASSET)
    refusal = next(found)
    loaded = sum(1 for _ in found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert parts(refusal) == (1, "unclosed_quote", b'p-1,"Mara\n')
    assert loaded == 250 * times
    assert peak < 200 << 20


def test_memory_does_not_depend_on_the_size_of_the_file() -> None:
    rows = row(b"x" * 4_000) * 250
    tracemalloc.start()
    loaded = sum(1 for _ in chat.parse([HEADER, *[rows] * 20], ASSET))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert loaded == 5_000
    assert peak < 4 << 20


def test_the_field_limit_of_the_csv_module_is_only_increased() -> None:
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
times = st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None) - timedelta(days=1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
one_line = plain.filter(lambda text: not LINE_BREAK.search(text))


@given(st.lists(st.tuples(one_line, one_line, plain, times, plain), max_size=8), st.booleans())
def test_written_messages_are_read_back(rows: list[tuple[str, str, str, datetime, str]], quoted: bool) -> None:
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
def test_invalid_lines_do_not_affect_valid_ones(bad: bytes) -> None:
    """The rows before and after arbitrary lines load, unless those lines close a quote."""
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
def test_refusals_hold_the_bytes_of_their_records(content: bytes) -> None:
    """The raw bytes of refusals occur in the file in their order, without overlaps."""
    at = 0
    for record in parse(HEADER + content):
        if isinstance(record, Refusal):
            at = (HEADER + content).find(record.raw, at) + len(record.raw)
            assert at >= len(record.raw)
