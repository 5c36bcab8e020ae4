"""Tables fit the screen, whatever is in them, and leave nothing out."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from roomledger import settings
from roomledger.cli.cells import duration, fold, shown, title, visible
from roomledger.cli.tables import show
from roomledger.runtime import open_database
from tests import rows
from tests.cli.program import roomledger
from tests.folders import chat, chat_key, put

WIDTHS = (60, 80, 120, 200)
LONG = "s3://acme-recordings/live/eu/" + "chat/room-with-a-name/20260302/" * 9 + "Rec-room1-1772445660000.csv"
WIDE = "नमस्ते 你好，世界 👋 " * 6
TABLES: dict[str, list[dict[str, Any]]] = {
    "numbers": [{"n": n, "p95_s": n * 63.4, "at": datetime(2026, 3, 2, tzinfo=UTC)} for n in range(3)],
    "addresses": [{"uri": LONG, "versions": 12345678, "example": LONG + str(n)} for n in range(2)],
    "wide characters": [{"name": WIDE, "text": WIDE * 2, "ok": True}] * 2,
    "twenty columns": [{f"column_{n}": f"value {n}" for n in range(20)}] * 2,
    "twenty columns of addresses": [{f"column_{n}": LONG for n in range(20)}] * 2,
    "one row": [{"uri": LONG, "text": WIDE, "nothing": None, "n": 1}],
    "long names": [{"a_name_of_a_column_that_is_longer_than_most_" * 3: 1, "b": LONG}] * 2,
    "many lines": [{"text": "one\ntwo\r\n" + LONG + "\ttab", "raw": b"\xff\x00\n", "json": {"a": [LONG]}}] * 2,
    "no values": [{"a": None, "b": None}] * 2,
}


def printed(table: list[dict[str, Any]], width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    show("A title that is longer than the narrowest of the screens that these tables are made for", table, empty="",
        stream=stream)  # fmt: skip
    return stream.getvalue()


def characters(text: str) -> set[str]:
    return {*text} - {*" \n│┃┏┓┗┛┡┩╇┳━─┌┐└┘├┤┬┴┼"}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_the_screen(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLES[name]
    lines = printed(table, width, monkeypatch).splitlines()
    assert max(map(cell_len, lines)) <= width
    for row in table:
        for column, cell in row.items():
            assert characters(shown(column, cell)) <= characters("".join(lines))


@pytest.mark.parametrize("width", WIDTHS)
def test_an_address_is_folded_and_whole(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed([{"n": 1, "uri": LONG}, {"n": 2, "uri": "short"}], width, monkeypatch)
    lines = [line.split("│")[2].strip() for line in text.splitlines() if line.count("│") == 3]
    assert "".join(lines) == LONG + "short"
    assert all(line.endswith("/") for line in lines[:-2]), "it is folded after a slash"


def test_too_many_columns_become_records(monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLES["twenty columns"]
    narrow, wide = printed(table, 80, monkeypatch), printed(table, 300, monkeypatch)
    assert sum(line.startswith("│ column 7 ") for line in narrow.splitlines()) == len(table)
    assert "├" in narrow, "a line stands between the rows"
    assert wide.count("column 7") == 1


def test_text_keeps_a_readable_width(monkeypatch: pytest.MonkeyPatch) -> None:
    three = [{"a": LONG, "b": LONG, "c": LONG}] * 2
    assert "┏" in printed(three, 60, monkeypatch)
    assert "┏" not in printed([row | {"d": LONG} for row in three], 60, monkeypatch)


@given(st.text(), st.integers(2, 30))
def test_folding_leaves_nothing_out(text: str, width: int) -> None:
    folded = fold(text, width)
    assert folded.replace("\n", "") == text.replace("\n", "")
    assert all(cell_len(line) <= width for line in folded.split("\n"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.0004, "1 ms"), (0.042, "42 ms"), (0.0994, "99 ms"), (0.0996, "0.1 s"), (0.8, "0.8 s"),
        (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (252, "4 min 12 s"),
        (3599.6, "1 h 00 min"), (3780, "1 h 03 min"), (86399, "1 d 00 h"), (90000, "1 d 01 h"), (-252, "-4 min 12 s"),
    ],
)  # fmt: skip
def test_durations_have_the_units_of_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_which_cells_are_durations() -> None:
    assert shown("p95_s", 252) == shown("offset_s", Decimal(252)) == shown("x", timedelta(minutes=4, seconds=12))
    assert shown("versions", 25200) == "25,200"
    assert shown("p95_s", "text") == "text"
    assert shown("p95_s", float("nan")) == "nan"
    assert (title("p95_s", [1.5, None]), title("p95_s", ["text"]), title("rows_loaded", [1])) == (
        "p95", "p95 s", "rows loaded",
    )  # fmt: skip


def test_a_terminal_gets_no_control_characters() -> None:
    assert visible("a\x1b[31mb\x07\u202ec\n") == "a\\u001b[31mb\\u0007\\u202ec\n"


@pytest.fixture
def full_config(ready_config: Path) -> Path:
    """A warehouse in which every table of the commands has rows with long addresses."""
    bucket = ready_config.parent / "bucket"
    folder = "a-long-name-of-a-folder/" * 9
    put(bucket, chat_key(1).replace("chat/", f"{folder}chat/"), chat("hello", WIDE))
    put(bucket, chat_key(2).replace("chat/", f"{folder}chat/"), b"SenderName\nNell\n")
    assert roomledger("run", config=ready_config).returncode == 0
    with open_database(settings.read(ready_config, {})).begin() as tx:
        now = datetime.now(UTC)
        for number in range(2):
            rows.put(tx, "asset_records", asset_id=f"a{number}", uri=f"{LONG}{number}", created_at=now)
            rows.put_object(tx, f"o{number}", uri=f"{LONG}{number}", disposition="seen", retry_at=rows.NOON)
    return ready_config


@pytest.mark.parametrize("width", WIDTHS)
def test_every_command_fits_the_screen(full_config: Path, width: int) -> None:
    uri = next((full_config.parent / "bucket").rglob("Rec-room1-*.csv")).as_uri()
    for words in (
        ["status"],
        ["check"],
        ["collect"],
        ["load"],
        ["run"],
        ["replay"],
        ["where", uri],
        ["sql", "SELECT * FROM object_ledger"],
        ["sql", "SELECT uri, rows_loaded FROM object_ledger"],
        ["audit", "user-record", "-p", "user_id=u", "-p", "since=2026-03-01", "-p", "until=2026-04-01"],
    ):
        done = roomledger(*words, config=full_config, COLUMNS=str(width))
        assert (done.returncode, done.stderr) == (0, "")
        assert max(map(cell_len, done.stdout.splitlines())) <= width, words


def test_a_file_has_120_columns_and_an_encoding_without_a_character_its_escape(ready_config: Path) -> None:
    query = f"SELECT '{LONG}' AS a, '{LONG}' AS b UNION ALL SELECT 'नम', ''"
    done = roomledger("sql", query, config=ready_config, COLUMNS="")
    assert max(map(cell_len, done.stdout.splitlines())) == 120
    ascii_only = roomledger("sql", query, config=ready_config, PYTHONIOENCODING="ascii")
    assert (ascii_only.returncode, ascii_only.stderr, "\\u0928\\u092e" in ascii_only.stdout) == (0, "", True)
    as_json = roomledger("sql", query, "--json", config=ready_config, PYTHONIOENCODING="ascii")
    assert '"a": "\\u0928\\u092e"' in as_json.stdout
