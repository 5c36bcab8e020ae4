"""The freshness benchmark reports the times that the warehouse has, for every object that was written."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from benchmarks.cpu import MACHINE, OTHER
from benchmarks.freshness import measure, read_times, write_objects
from benchmarks.freshness_results import ObjectTimes, PathResult, cpu_table, times_table
from roomledger.ledger.database import Database
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from tests.folders import chat, chat_key, source_of, store_of
from tests.folders import put as put_file
from tests.rows import NOON, at, put, put_object


class FolderPath:
    """Writes into a folder; its notification is a `collect` and `load` of that folder."""

    def __init__(self, database: Database, folder: Path, name: str = "folder", observed_by: str = "listing") -> None:
        self.name = name
        self.observed_by = observed_by
        self.notifies = True
        self.write_delay_s = 0.0
        self._database = database
        self._source = source_of(folder / "bucket")
        self._folder = folder / "bucket"

    def write(self, number: int) -> str:
        time.sleep(self.write_delay_s)
        return put_file(self._folder, chat_key(number), chat("hello"))

    def notify(self, uri: str) -> None:
        if self.notifies:
            store = store_of(self._source)
            collect_bucket(self._database, self._source, store)
            list(load_batches(self._database, [self._source], {self._source.name: store}))


def printed_cells(table: Table) -> list[list[str]]:
    console = Console(width=150, file=io.StringIO(), record=True)
    console.print(table)
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.export_text().splitlines()]


def test_a_slow_write_does_not_delay_the_schedule_of_the_later_ones(ready: Database, tmp_path: Path) -> None:
    path = FolderPath(ready, tmp_path)
    path.notifies, path.write_delay_s = False, 0.1
    before = time.time()
    written = write_objects(path, range(3, 11), per_second=10)
    assert [uri.partition("/room")[2].partition("/")[0] for uri in written] == [str(number) for number in range(3, 11)]
    took = [one - before for one in written.values()]
    assert all(one >= 0.1 * number + 0.1 for number, one in enumerate(took))
    assert took[-1] < 1.2  # Pauses between the writes would make it 1.5 s.


def test_seconds_count_from_the_write_by_the_writers_clock(tx: Connection) -> None:
    put(tx, "loads", load_id="l", claimed_at=at(3), committed_at=at(4))
    put_object(tx, "done", first_load_id="l", modified_at=NOON, first_seen_at=at(2), first_seen_by="s3_event")
    put_object(tx, "waits", disposition="seen", first_seen_at=at(2), first_seen_by="listing")
    put_object(tx, "again", uri="s3://acme/done", modified_at=at(60), first_seen_at=at(61), loaded_at=at(62))
    put_object(tx, "other")
    begun = NOON.timestamp()
    written = {"s3://acme/done": begun + 0.5, "s3://acme/waits": begun + 1, "s3://acme/lost": begun + 1.5}
    assert read_times(tx, written) == [
        ObjectTimes("s3://acme/done", begun + 0.5, "s3_event", 1.5, 2.5, 3.5),
        ObjectTimes("s3://acme/waits", begun + 1, "listing", 1, None, None),
        ObjectTimes("s3://acme/lost", begun + 1.5, None, None, None, None),
    ]


def object_times(*times: tuple[str | None, float | None, float | None, float | None]) -> Sequence[ObjectTimes]:
    return [ObjectTimes(f"s3://acme/{number}", 1.0, *one) for number, one in enumerate(times)]


RESULTS = [
    PathResult(
        "S3 events",
        "s3_event",
        object_times(
            ("s3_event", 0.5, 0.75, 2), ("listing", 1, 1.25, 4), ("s3_event", 3, None, None), (None, None, None, None)
        ),
        {"tasks": 40.4, OTHER: 3, MACHINE: 60},
    ),
    PathResult(
        "webhooks", "webhook", object_times(("webhook", -0.01, 0.2, 0.5)), {"scheduler": 12.6, MACHINE: 59.5, OTHER: 2}
    ),
]


def test_the_table_shows_each_step_and_the_missing_objects() -> None:
    cells = printed_cells(times_table(RESULTS))
    assert [line for line in cells if len(line) == 6] == [
        ["S3 events", "4, 2 missing, 1 seen first by others", "written to seen", "1.00", "2.80", "3.00"],
        ["", "", "seen to claimed", "0.25", "0.25", "0.25"],
        ["", "", "claimed to queryable", "2.00", "2.67", "2.75"],
        ["", "", "written to queryable", "3.00", "3.90", "4.00"],
        ["webhooks", "1", "written to seen", "-0.01", "-0.01", "-0.01"],
        ["", "", "seen to claimed", "0.21", "0.21", "0.21"],
        ["", "", "claimed to queryable", "0.30", "0.30", "0.30"],
        ["", "", "written to queryable", "0.50", "0.50", "0.50"],
    ]


def test_the_cpu_table_has_the_components_of_all_paths() -> None:
    idle = {"scheduler": 2.4, MACHINE: 5, OTHER: 0}
    cells = printed_cells(cpu_table(idle, RESULTS))
    assert [line for line in cells if len(line) == 4] == [
        ["scheduler", "2", "", "13"],
        ["tasks", "", "40", ""],
        [OTHER, "0", "3", "2"],
        [MACHINE, "5", "60", "60"],
    ]


def test_a_path_is_measured_and_one_without_notifications_fails(ready: Database, tmp_path: Path) -> None:
    console = Console(width=150, file=io.StringIO(), record=True)
    path = FolderPath(ready, tmp_path / "one")
    options = {"per_second": 10, "seconds": 0.5, "idle_s": 0.1, "console": console}
    assert measure([path], ready, tmp_path / "found", timeout_s=60, **options) == 0
    [found] = json.loads((tmp_path / "found" / "freshness.json").read_text())["paths"]
    assert [(f"room{n}/" in one["uri"], one["seen_by"]) for n, one in enumerate(found["objects"], 1)] == [
        (True, "listing")
    ] * 5
    for one in found["objects"]:
        assert 0 < one["seen_s"] < one["claimed_s"] < one["queryable_s"] < 30
    svg = (tmp_path / "found" / "freshness.svg").read_text()
    assert ElementTree.fromstring(svg) is not None
    assert "10 per second for 0.5 s" in svg
    assert "written to queryable" in console.export_text(clear=False)

    silent = FolderPath(ready, tmp_path / "two", "silent")
    silent.notifies = False
    assert measure([path, silent], ready, tmp_path / "found", timeout_s=0, **options) == 1
    assert "5, 5 missing" in console.export_text()


@pytest.mark.parametrize(
    ("others", "missing", "failed"), [(0, 0, False), (1, 0, False), (2, 0, True), (0, 1, True), (1, 1, True)]
)
def test_a_few_objects_may_be_reported_first_by_another_channel(others: int, missing: int, failed: bool) -> None:
    found = [("listing", 1, 2, 3)] * others + [(None, None, None, None)] * missing
    found += [("s3_event", 1, 2, 3)] * (10 - len(found))
    assert PathResult("S3 events", "s3_event", object_times(*found), {}).failed == failed
