"""The growth benchmark runs every step on ledgers of each size, and reports how times and memory grow."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from benchmarks.growth import measures
from benchmarks.growth.__main__ import main
from benchmarks.growth.bucket import MEDIA_ONLY, Bucket, chats, observation, vendor_records
from benchmarks.growth.measures import MEASURES, Run, RunFailed, extend, run, run_apart
from benchmarks.growth.plot import Panel, growth
from benchmarks.growth.results import Result, table
from benchmarks.growth.statements import recorded
from roomledger.formats.object_keys import recognise
from roomledger.ledger.database import Database
from roomledger.model import Asset
from tests.warehouses import fetch

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def few_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "PENDING", 30)


def asset_type(number: int) -> str:
    found = recognise(observation(number))
    assert isinstance(found, Asset)
    return found.asset_type


def test_objects_are_chats_transcripts_summaries_and_media_or_media_alone() -> None:
    assert [asset_type(number) for number in range(10)] == [
        *("chat", "room-composite", "transcript", "summary"),
        *["track"] * 6,
    ]
    assert {asset_type(MEDIA_ONLY + number) for number in range(10)} == {"track"}
    listed = [one for page in Bucket(range(1500), range(1500, 1503)).list() for one in page]
    assert len({one.object_id for one in listed}) == 1503


def test_the_vendor_names_every_object_and_its_session_once() -> None:
    found = [type(one).__name__ for one in vendor_records(range(8, 21))]
    assert found == [
        *("Session", "Recording", "AssetRecord", "AssetRecord"),
        *("Session", "Recording", *["AssetRecord"] * 10),
        *("Session", "Recording", "AssetRecord"),
    ]


@pytest.mark.parametrize(("objects", "most", "found"), [(100, 3, [0, 30, 60]), (30, 9, [0, 10, 20]), (5, 9, [0])])
def test_chats_are_spread_over_the_ledger(objects: int, most: int, found: list[int]) -> None:
    assert [*chats(objects, most)] == found


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "status-command"])
def test_every_step_does_on_a_small_ledger_what_its_counts_say(ready: Database, name: str) -> None:
    extend(ready.url, 0, 20)
    extend(ready.url, 20, 50)
    found = run(name, ready.url, 50, record=True)
    assert found.seconds > 0
    assert found.peak_mb > 50
    assert "s in all, of which" in found.statements
    assert "Plan of" in found.statements


def test_loads_of_the_ledger_happened_long_ago(ready: Database) -> None:
    extend(ready.url, 0, 20)
    extend(ready.url, 20, 50)
    assert fetch(ready, "SELECT count(*) FROM freshness WHERE queryable_at > seen_at - INTERVAL '20 days'") == [(0,)]
    assert fetch(ready, "SELECT count(*) FROM freshness WHERE queryable_at > seen_at - INTERVAL '40 days'") == [(50,)]


def test_the_time_of_a_step_is_divided_among_statements_commits_and_stagings(ready: Database) -> None:
    with recorded(ready) as (database, recorder):
        measures.collect_bucket(database, measures.SOURCE, Bucket(range(20)))
    works = recorder.works
    assert {"(open)", "(commit and close)", "(stage seen)"} <= works.keys()
    [insert] = [work for name, work in works.items() if name.startswith("INSERT INTO object_ledger")]
    assert insert.calls == 1
    assert "object_ledger" in insert.plan
    assert not any(name.rpartition("_")[2].isdigit() for name in works)


def test_a_run_that_gives_other_counts_than_expected_fails(
    ready_duckdb: Callable[[Path], Database], tmp_path: Path
) -> None:
    with pytest.raises(RunFailed, match="0 objects_loaded instead of"):
        run_apart("load", ready_duckdb(tmp_path).url, 10)


def result(engine: str, seconds: dict[int, float], failures: dict[int, str] | None = None) -> Result:
    runs = {size: [Run(one * factor, 100 * factor, "") for factor in (0.5, 1, 3)] for size, one in seconds.items()}
    return Result(engine, "sweep", runs, failures or {})


def test_the_exponent_is_that_of_the_medians() -> None:
    squared = result("duckdb", {100: 1.0, 1_000: 100.0, 10_000: 10_000.0})
    assert squared.exponent == pytest.approx(2)
    assert squared.seconds == {100: 1.0, 1_000: 100.0, 10_000: 10_000.0}
    assert squared.peak_mb[100] == 300
    assert result("duckdb", {100: 3.0, 10_000: 3.0}).exponent == pytest.approx(0)
    assert result("duckdb", {100: 3.0}).exponent is None


def test_the_table_has_a_row_per_engine_and_names_what_failed() -> None:
    console = Console(width=150, file=io.StringIO(), record=True)
    both = [result("duckdb", {100: 1.0}, {1_000: "out of memory"}), result("postgresql", {100: 1.0, 1_000: 10.0})]
    console.print(table(both))
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.export_text().splitlines()]
    assert [line for line in cells if len(line) == 7] == [
        ["sweep, nothing new", "duckdb", "1.00", "failed", "", "listed", "300"],
        ["", "postgresql", "1.00", "10.00", "1.00", "listed", "300"],
    ]


def test_a_curve_rises_by_one_decade_where_the_time_does() -> None:
    panel = Panel("load & <more>", {"duckdb": {100: 1.0, 1_000: 10.0}, "postgresql": {}}, {"duckdb": "size^1.00"})
    svg = ElementTree.fromstring(growth("Title", "Subtitle", [panel, panel, panel], "objects"))
    texts = [element.text for element in svg.iter(f"{SVG}text")]
    assert {"load & <more>", "duckdb", "postgresql", "size^1.00", "100", "1,000", "1 s", "10 s"} <= set(texts)
    curves = [line.attrib["points"].split() for line in svg.iter(f"{SVG}polyline")]
    assert len(curves) == 3
    (x1, y1), (x2, y2) = ([*map(float, point.split(","))] for point in curves[0])
    assert x1 < x2
    assert y1 > y2


def test_results_of_both_engines_are_written(tmp_path: Path) -> None:
    options = ["--sizes", "20", "10", "--repetitions", "1", "--measures", "rekey"]
    assert main([*options, "--folder", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "growth.json").read_text())["results"]
    assert [(one["engine"], one["measure"], [size["size"] for size in one["sizes"]]) for one in found] == [
        ("duckdb", "rekey", [10, 20]),
        ("postgresql", "rekey", [10, 20]),
    ]
    assert ElementTree.fromstring((tmp_path / "growth.svg").read_text()) is not None
    assert "re-key of 1,000 chats" in (tmp_path / "growth.txt").read_text()
    for engine in ("duckdb", "postgresql"):
        assert "# re-key of 1,000 chats, 20 objects" in (tmp_path / f"{engine}.txt").read_text()


def test_a_run_that_fails_is_reported_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--sizes", "10", "--repetitions", "1", "--measures", "rekey", "--limit", "0.01"]
    assert main([*options, "--folder", str(tmp_path)]) == 1
    found = json.loads((tmp_path / "growth.json").read_text())["results"]
    assert [one["failures"] for one in found] == [{"10": "not done after 0.01 s"}] * 2
    assert "duckdb, re-key of 1,000 chats, 10 objects: not done after 0.01 s" in capsys.readouterr().out


def test_sizes_that_cannot_be_measured_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--sizes", "0"])
    assert "sizes and repetitions start at 1" in capsys.readouterr().err
