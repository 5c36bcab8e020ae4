"""The results of `sql` and `audit` as table, CSV and JSON, on standard output and in files."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from roomledger import settings
from roomledger.runtime import open_database
from tests import rows
from tests.cli.program import roomledger
from tests.folders import chat, chat_key, put

QUERY = "SELECT 'नम, \"x\"' AS text, 63.5 AS offset_s, '=1+1' AS \"=A1\" UNION ALL SELECT 'b', 2, NULL ORDER BY 2 DESC"
ROWS = [["text", "offset_s", "'=A1"], ['नम, "x"', "63.5", "'=1+1"], ["b", "2.0", ""]]


def test_a_query_as_csv(ready_config: Path) -> None:
    done = roomledger("sql", QUERY, "--format", "csv", config=ready_config, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(csv.reader(io.StringIO(done.stdout))) == ROWS


@pytest.mark.parametrize("words", [["--json"], ["--format", "json"], ["--json", "--format", "json"]])
def test_a_query_as_json(ready_config: Path, words: list[str]) -> None:
    done = roomledger("sql", QUERY, *words, config=ready_config)
    assert json.loads(done.stdout)[0] == {"text": 'नम, "x"', "offset_s": 63.5, "=A1": "=1+1"}


ODD = (
    "SELECT [TIMESTAMP '2026-03-01 12:00:00', NULL] AS times, [1.50::DECIMAL(9, 2)] AS decimals,"
    " ['\\x01'::BLOB] AS bytes,"
    " ['00000000-0000-0000-0000-000000000001'::UUID] AS ids, MAP {DATE '2026-03-01': 'nan'::DOUBLE} AS map,"
    " 'inf'::DOUBLE AS far, '-inf'::DOUBLE AS near"
)


def test_lists_of_any_values_and_numbers_that_json_has_not(ready_config: Path) -> None:
    done = roomledger("sql", ODD, "--json", config=ready_config)
    [found] = json.loads(done.stdout, parse_constant=pytest.fail)
    assert found == {
        "times": ["2026-03-01T12:00:00", None],
        "decimals": [1.5],
        "bytes": ["01"],
        "ids": ["00000000-0000-0000-0000-000000000001"],
        "map": {"2026-03-01": "NaN"},
        "far": "Infinity",
        "near": "-Infinity",
    }
    done = roomledger("sql", ODD, "--format", "csv", config=ready_config)
    [row] = csv.DictReader(io.StringIO(done.stdout))
    assert {name: json.loads(row[name]) for name in [*found][:5]} == {name: found[name] for name in [*found][:5]}


@pytest.mark.parametrize("words", [["sql", "SELECT '\udcff'"], ["audit", "user-record", "-p", "user_id=\udcff"]])
def test_an_argument_that_is_not_utf8(ready_config: Path, words: list[str]) -> None:
    if words[0] == "audit":
        words = [*words, "-p", "since=2026-03-01", "-p", "until=2026-04-01"]
    done = roomledger(*words, config=ready_config)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "characters that are no text" in done.stderr


@pytest.mark.parametrize(
    ("file", "words", "form"),
    [
        ("out.csv", [], "csv"),
        ("OUT.CSV", [], "csv"),
        ("out.json", [], "json"),
        ("out.txt", [], "table"),
        ("out", ["--format", "csv"], "csv"),
        ("out.csv", ["--json"], "json"),
        ("out.json", ["--format", "table"], "table"),
    ],
)
def test_a_file_has_the_form_of_its_suffix(ready_config: Path, file: str, words: list[str], form: str) -> None:
    path = ready_config.parent / "folder" / file
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o640)
    done = roomledger("sql", QUERY, "--output", str(path), *words, config=ready_config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"Wrote 2 rows to {path}\n")
    content = path.read_bytes().decode()
    match form:
        case "csv":
            assert content.count("\r\n") == 3
            assert list(csv.reader(io.StringIO(content))) == ROWS
        case "json":
            assert [row["text"] for row in json.loads(content)] == ['नम, "x"', "b"]
        case _:
            assert "1 min 04 s" in content
    assert [*path.parent.iterdir()] == [path], "no other file is left"
    assert path.stat().st_mode & 0o777 == 0o640, "it has the permissions of the file that it replaces"


def test_a_new_file_has_the_permissions_of_any_new_file(ready_config: Path) -> None:
    path, other = ready_config.parent / "out.csv", ready_config.parent / "other"
    other.touch()
    assert roomledger("sql", "SELECT 1 AS one", "-o", str(path), config=ready_config).returncode == 0
    assert path.stat().st_mode == other.stat().st_mode


def test_a_failure_leaves_the_old_file(ready_config: Path) -> None:
    path = ready_config.parent / "out.csv"
    path.write_text("old")
    before = {*path.parent.iterdir()}
    for query in ("SELECT nonsense", "SELECT 1/0 FROM nowhere"):
        assert roomledger("sql", query, "-o", str(path), config=ready_config).returncode == 2
    assert path.read_text() == "old"
    assert {*path.parent.iterdir()} == before


def test_a_link_is_followed(ready_config: Path) -> None:
    path, link = ready_config.parent / "out.csv", ready_config.parent / "link.csv"
    link.symlink_to(path)
    assert roomledger("sql", "SELECT 1 AS one", "-o", str(link), config=ready_config).returncode == 0
    assert link.is_symlink()
    assert path.read_text() == "one\n1\n"


@pytest.mark.parametrize(
    ("file", "words", "sentence"),
    [
        ("nowhere/out.csv", [], "there is no folder "),
        ("bucket", [], "is a folder: name a file in it"),
        ("/dev/null", [], "is not a plain file"),
        ("a" * 300, [], "cannot be written: File name too long: check the folder"),
        ("out.csv", ["--json", "--format", "csv"], "--json and --format csv contradict each other"),
    ],
)
def test_an_output_that_cannot_be_written(ready_config: Path, file: str, words: list[str], sentence: str) -> None:
    # Before the query, which would fail.
    done = roomledger("sql", "SELECT nonsense", "-o", str(ready_config.parent / file), *words, config=ready_config)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert sentence in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(ready_config: Path) -> None:
    folder = ready_config.parent / "closed"
    folder.mkdir(mode=0o500)
    done = roomledger("sql", "SELECT 1", "-o", str(folder / "out.csv"), config=ready_config)
    assert (done.returncode, "no permission to write in" in done.stderr) == (2, True)


def test_an_audit_writes_csv_without_formulas_and_reports_missing_assets(ready_config: Path) -> None:
    config, path = ready_config, ready_config.parent / "record.csv"
    put(config.parent / "bucket", chat_key(1), chat("नमस्ते", "=1+1"))
    assert roomledger("run", config=config).returncode == 0
    command = ("audit", "user-record", "-p", "user_id=u", "-p", "since=2026-03-01", "-p", "until=2026-04-01")
    # CSV is UTF-8 in every environment.
    answer = roomledger(*command, "--format", "csv", config=config, PYTHONIOENCODING="ascii")
    assert answer.returncode == 0
    assert [row["text"] for row in csv.DictReader(io.StringIO(answer.stdout))] == ["नमस्ते", "'=1+1"]
    assert roomledger(*command, "-o", str(path), config=config).stderr == f"Wrote 2 rows to {path}\n"
    assert list(csv.reader(io.StringIO(path.read_bytes().decode()))) == list(csv.reader(io.StringIO(answer.stdout)))
    assert [row["text"] for row in json.loads(roomledger(*command, "--json", config=config).stdout)] == [
        "नमस्ते",
        "=1+1",
    ]
    wrong = roomledger("audit", "user-record", "-p", "user_id", config=config)
    assert (wrong.returncode, "write name=value" in wrong.stderr) == (2, True)
    assert roomledger("audit", "no-such", config=config).returncode == 2
    assert roomledger("audit", "completeness", config=config).returncode == 0
    with open_database(settings.read(config, {})).begin() as tx:
        rows.put(tx, "job_records", job_id="j", planned_types=["room-composite"], stopped_at=rows.NOON)
    missing = roomledger("audit", "completeness", "-o", str(path), config=config)
    assert (missing.returncode, missing.stderr) == (3, f"Wrote 1 row to {path}\n")
