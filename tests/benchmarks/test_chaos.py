"""The chaos is what its plans say, and what it does to the tables, or to a message, does not stay unnoticed."""

from __future__ import annotations

import io
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote_plus

import pytest
from rich.console import Console

from benchmarks.chaos import checks, probes, report
from benchmarks.chaos.differences import Difference, differences
from benchmarks.chaos.faults import schedule as plans
from benchmarks.chaos.faults.fault_proxy import Carrier, Named, named
from benchmarks.chaos.faults.kills import LOADING, WORKER, Killer, killing
from benchmarks.chaos.faults.schedule import Fates, Kill, Shares
from benchmarks.chaos.faults.webhooks import Webhooks
from benchmarks.chaos.probes import Waiting
from benchmarks.chaos.report import Compared
from roomledger import times
from roomledger.ledger.claims import LEASE
from roomledger.ledger.database import Database
from roomledger.queues import Message
from roomledger.queues.inbox_folder import Inbox, open_inbox
from sandbox.dataset import World, generate
from sandbox.hundredms_api.webhooks import Posted
from sandbox.live_traffic import parts
from sandbox.servers.airflow import Airflow, Part
from sandbox.tables import Rows, contents
from tests.rows import NOON, at, put, put_object
from tests.worlds import change

SECONDS = 200.0


@pytest.fixture(scope="module")
def world() -> World:
    return generate(sessions=6)


def test_every_object_comes_once_in_whole_and_some_of_them_in_part_before(world: World) -> None:
    found = plans.uploads(world, SECONDS, Random(1))
    buckets = {bucket.source for bucket in world.buckets}
    wanted = {one.uri: one for one in world.objects if one.source in buckets and not one.key.endswith(".ts")}
    whole = {upload.thing.uri: upload.at_s for upload in found if upload.content == upload.thing.content}
    halves = [upload for upload in found if upload.content != upload.thing.content]
    assert sorted(whole) == sorted(wanted)
    assert len(found) == len(wanted) + len(halves)
    assert [upload.at_s for upload in found] == sorted(upload.at_s for upload in found)
    assert 0.1 < len(halves) / len(wanted) < 0.3
    for half in halves:
        assert half.thing.content.startswith(half.content)
        assert half.thing.outcome.disposition == "loaded"
        assert whole[half.thing.uri] - half.at_s >= 2
    assert 0 <= found[0].at_s < 10
    assert 150 < found[-1].at_s < SECONDS
    assert found == plans.uploads(world, SECONDS, Random(1)) != plans.uploads(world, SECONDS, Random(2))


def test_every_event_is_posted_in_time_or_late_and_sessions_end_in_their_order(world: World) -> None:
    sessions = [*parts(world)]
    found = plans.tellings(sessions, SECONDS, Shares(), Random(1))
    assert [told.part for told in found] == sessions
    assert [told.at_s for told in found] == sorted(told.at_s for told in found)
    assert found[0].at_s >= 0
    assert found[-1].at_s < SECONDS
    for told in found:
        assert sorted([*told.events, *told.late], key=repr) == sorted(told.part.events, key=repr)
        assert len(told.late) == round(0.1 * len(told.part.events))


def test_every_part_dies_once_before_one_dies_twice() -> None:
    names = ["scheduler", "triggerer", "worker"]
    found = plans.kills(names, 8, SECONDS, Random(1))
    dying = [kill.part for kill in found]
    assert sorted(dying[:3]) == sorted(dying[3:6]) == names
    assert len(found) == 8
    assert [kill.at_s for kill in found] == sorted(kill.at_s for kill in found)
    assert found[0].at_s > 0
    assert found[-1].at_s <= SECONDS
    assert {kill.alone for kill in found} == {True, False}
    assert dying != [kill.part for kill in plans.kills(names, 8, SECONDS, Random(2))]


def test_fates_have_their_shares_and_are_the_same_in_any_order() -> None:
    names = [f"s3://acme/{number}" for number in range(2000)]
    fates = Fates(7, Shares())
    drawn = {name: fates.next(name) for name in names}
    assert 0.27 < sum(not fate for fate in drawn.values()) / 2000 < 0.33
    assert 0.27 < sum(len(fate) == 2 for fate in drawn.values()) / sum(bool(fate) for fate in drawn.values()) < 0.33
    copies = [delay for fate in drawn.values() for delay in fate]
    assert 0.07 < copies.count(None) / len(copies) < 0.13
    delays = [delay for delay in copies if delay is not None]
    assert 0 <= min(delays) < 0.5
    assert 19 < max(delays) <= 20
    again = Fates(7, Shares())
    assert {name: again.next(name) for name in reversed(names)} == drawn
    assert {name: again.next(name) for name in names} != drawn, "the second notice of an object has its own fate"
    other = Fates(8, Shares())
    assert {name: other.next(name) for name in names} != drawn


def s3_notice(key: str) -> bytes:
    thing = {"key": quote_plus(key), "eTag": '"v1"'}
    return json.dumps({"Records": [{"s3": {"bucket": {"name": "acme"}, "object": thing}}]}).encode()


def carrier(rung: Inbox, fates: Fates, passed: list[bytes]) -> Carrier:
    """One that takes from an inbox and puts into a list."""

    def take() -> Sequence[Message]:
        found = rung.receive(0)
        rung.ack(found)
        return found

    def pass_on(message: Message) -> None:
        passed.append(message.body)

    return Carrier("S3 events", "s3", "s3_event", take, pass_on, lambda: 0, lambda: False, fates)


def test_a_notice_is_dropped_doubled_delayed_or_late_as_its_fate_says(tmp_path: Path) -> None:
    shares = Shares(dropped=0.3, doubled=0.5, late=0.3, delay_s=0.2)
    keys = [f"a b/ü+{number}.csv" for number in range(40)]
    fates = {key: Fates(1, shares).next(f"s3://acme/{key}") for key in keys}
    passed: list[bytes] = []
    rung = open_inbox(f"file://{tmp_path}/rung")
    found = carrier(rung, Fates(1, shares), passed)
    for body in [*map(s3_notice, keys), b'{"Event": "s3:TestEvent"}']:
        rung.put("any", body, NOON)
    found.carry()
    assert len(passed) < 5, "they are delayed"
    while found.waiting:
        found.carry()
    in_time = Counter({key: sum(delay is not None for delay in delays) for key, delays in fates.items()})
    assert Counter(passed) == Counter(s3_notice(key) for key in in_time.elements())
    assert passed != [s3_notice(key) for key in in_time.elements()], "each comes after its own delay"
    assert found.told == Counter(f"s3://acme/{key}" for key in keys)
    assert found.dropped == sum(not delays for delays in fates.values()) > 0
    assert found.doubled == sum(len(delays) > 1 for delays in fates.values()) > 0
    assert len(found.late) == sum(delays.count(None) for delays in fates.values()) > 0
    found.release()
    found.carry()
    both = Counter({key: len(delays) for key, delays in fates.items()})
    assert Counter(passed) == Counter(s3_notice(key) for key in both.elements())
    assert found.passed == Counter({Named(f"s3://acme/{key}", "v1"): count for key, count in both.items() if count})
    assert not rung.peek(0)


def test_a_notice_of_either_cloud_names_its_object() -> None:
    told = {"bucketId": "acme", "objectId": "a b/ü+.csv", "objectGeneration": "7"}
    assert named(Message("1", s3_notice("a b/ü+.csv"), {}, "")) == [("s3://acme/a b/ü+.csv", "v1")]
    assert named(Message("1", b"{}", told, "")) == [("gs://acme/a b/ü+.csv", "7")]
    assert named(Message("1", b'{"Event": "s3:TestEvent"}', {}, "")) == []


def test_webhooks_are_taken_dropped_or_in_doubt() -> None:
    found = Webhooks()
    events = [{"id": letter} for letter in "abcde"]
    # a came twice and was taken once, c only the second time, d never; e was not posted.
    found.note("talk", events[:3], Posted(["a", "b", "c"], ["a", "c"], []))
    found.note("other", events[3:], Posted([], ["d"], ["e"]))
    assert (found.taken, found.dropped, found.in_doubt) == ({"a", "b", "c"}, {"e"}, {"d"})
    assert (len(found.sent), found.doubled) == (5, 2)
    assert found.by_source({"d", "b", "a"}) == {"talk": [{"id": "a"}, {"id": "b"}], "other": [{"id": "d"}]}


def fill(database: Database, **cells: Any) -> None:
    """Some rows, with other times, loads and witnesses at each call."""
    with database.begin() as tx:
        given = {"load_id": repr(cells), "first_load_id": repr(cells)}
        put_object(tx, "o1", first_seen_by=cells.get("first_seen_by", "listing"), **given)
        put_object(tx, "o2", disposition="superseded", uri="s3://acme/o1", loaded_at=None, modified_at=at(-60))
        put_object(tx, "o3", disposition="refused", attempts=cells.get("attempts", 1))
        for ordinal in (1, 2):
            put(tx, "chat_messages", object_id="o1", ordinal=ordinal, load_id=repr(cells))
        put(tx, "refusals", object_id="o3", ordinal=0, uri="s3://acme/o3")
        put(tx, "refusals", object_id="o1", ordinal=0, uri="s3://acme/o1", resolved_at=NOON)


@pytest.fixture
def two(ready_duckdb: Callable[[Path], Database], tmp_path: Path) -> Sequence[Database]:
    """Two warehouses with the same in them, as far as it must be the same."""
    found = []
    for name, cells in (("one", {}), ("other", {"first_seen_by": "s3_event", "attempts": 3})):
        (tmp_path / name).mkdir()
        found.append(ready_duckdb(tmp_path / name))
        fill(found[-1], **cells)
    change(found[1], "DELETE FROM object_ledger WHERE object_id = 'o2'")
    change(found[1], "DELETE FROM refusals WHERE object_id = 'o1'")
    return found


def compared(two: Sequence[Database]) -> list[Difference]:
    return [*differences(*(contents(database, past=False, but={"first_seen_by"}) for database in two))]


def test_when_somebody_looked_and_what_is_past_is_no_difference(two: Sequence[Database]) -> None:
    found = {one.table: one for one in compared(two)}
    assert not any(one.differs for one in found.values())
    assert (found["chat_messages"].equal, found["object_ledger"].equal, found["refusals"].equal) == (2, 2, 1)
    assert [*checks.same_tables("now", found.values())] == []


@pytest.mark.parametrize(
    ("statement", "table", "missing", "extra"),
    [
        ("DELETE FROM chat_messages WHERE ordinal = 2", "chat_messages", 1, 0),
        ("UPDATE chat_messages SET message = 'bye' WHERE ordinal = 1", "chat_messages", 1, 1),
        (
            "INSERT INTO chat_messages (SELECT * REPLACE (3 AS ordinal) FROM chat_messages LIMIT 1)",
            "chat_messages",
            0,
            1,
        ),
        ("UPDATE object_ledger SET disposition = 'seen' WHERE object_id = 'o1'", "object_ledger", 1, 1),
        ("UPDATE object_ledger SET loaded_at = NULL WHERE object_id = 'o1'", "object_ledger", 1, 1),
        ("UPDATE object_ledger SET claimed_by = 'somebody' WHERE object_id = 'o3'", "object_ledger", 1, 1),
        ("UPDATE refusals SET resolved_at = refused_at", "refusals", 1, 0),
    ],
)
def test_any_other_row_is_a_difference(
    two: Sequence[Database], statement: str, table: str, missing: int, extra: int
) -> None:
    change(two[1], statement)
    found = {one.table: one for one in compared(two)}
    assert {one.table for one in found.values() if one.differs} >= {table}
    assert (len(found[table].missing), len(found[table].extra)) == (missing, extra)
    told = [*checks.same_tables("now", found.values())]
    assert f"now, {table} differs: {missing} rows are missing, {extra} are too many" in told


def test_rows_that_are_there_several_times_count_as_often() -> None:
    table = {"t": Rows(("a", "b"), [(1, {"x": 1}), (1, {"x": 1}), (2, None)])}
    twice = {"t": Rows(("a", "b"), [(2, None), (1, {"x": 1}), (2, None)])}
    assert [*differences(table, twice)] == [Difference("t", 2, [{"a": 1, "b": {"x": 1}}], [{"a": 2, "b": None}])]


LOST = "S3: messages were settled, and the ledger does not have what they say of {}"


@pytest.mark.parametrize(
    ("found", "sentences"),
    [
        (checks.nothing_taken_is_lost({"a", "b"}, {"a", "b", "c"}), []),
        (
            checks.nothing_taken_is_lost({"a", "b"}, {"a", "c"}),
            ["1 of 2 webhooks were answered by 200 and are nowhere: b"],
        ),
        (checks.nothing_is_made_up({"a", "b"}, {"a"}), []),
        (checks.nothing_is_made_up({"a"}, {"a", "b"}), ["1 webhooks are there that nobody has posted: b"]),
        (checks.nothing_settled_is_lost("S3", {("a", "v1")}, {"a": [("v1", True)], "b": []}, 0), []),
        (checks.nothing_settled_is_lost("S3", {("a", "v1")}, {"a": [("v1", False), ("v2", True)]}, 0), []),
        (checks.nothing_settled_is_lost("S3", {("a", "v0")}, {"a": [("v1", False), ("v2", True)]}, 0), []),
        (checks.nothing_settled_is_lost("S3", {}, {}, 2), ["S3: 2 messages are left in the queue"]),
        (checks.nothing_settled_is_lost("S3", {("a", "v1")}, {"a": [("v1", False)]}, 0), [LOST.format("1 objects: a")]),
        (
            checks.nothing_settled_is_lost("S3", {("a", "v2")}, {"a": [("v1", True), ("v2", False)]}, 0),
            [LOST.format("1 objects: a")],
        ),
        (
            checks.nothing_settled_is_lost("S3", {(uri, "v1") for uri in "abcde"}, {"a": [("v1", True)]}, 0),
            [LOST.format("4 objects: b, c, d, …")],
        ),
        (checks.all_were_killed(["a", "b"], {"a": 1, "b": 2}), []),
        (
            checks.all_were_killed(["a", "b"], {"a": 1, "b": 0}),
            ["the b was never killed: give it more --minutes or --kills"],
        ),
        (checks.something_went_wrong("webhooks", {"dropped": 1}), []),
        (
            checks.something_went_wrong("webhooks", {"dropped": 1, "late": 0}),
            ["none of the webhooks was late: give it more --sessions"],
        ),
    ],
)
def test_what_does_not_hold_is_told(found: Iterator[str], sentences: list[str]) -> None:
    assert [*found] == sentences


def test_the_warehouse_is_asked_what_it_keeps_and_by_whose_word(ready: Database) -> None:
    newer = {"uri": "s3://acme/o2", "version": "newer", "modified_at": at(60)}
    with ready.begin() as tx:
        put(tx, "vendor_events", source="talk", event_id="e1", type="session.open.success", is_replay=False,
            received_at=NOON, taken_in_at=NOON)  # fmt: skip
        put(tx, "refusals", object_id="r1", ordinal=0, uri="100ms://acme/webhooks/77", raw=b'{"id": "e2"}')
        put(tx, "refusals", object_id="r2", ordinal=0, uri="s3://acme/e3", raw=b'{"id": "e3"}')
        for object_id, observed_by, kind in (
            ("o1", "s3_event", "exists"), ("o2", "listing", "exists"), ("o3", "s3_event", "gone"),
            ("o4", "s3_event", "exists"),
        ):  # fmt: skip
            put_object(tx, object_id, **(newer if object_id == "o4" else {}))
            put(tx, "observations", object_id=object_id, observed_by=observed_by, kind=kind, observed_at=NOON)
    assert probes.kept_webhooks(ready) == {"e1", "e2"}
    assert probes.seen_by(ready, "s3_event") == {
        "s3://acme/o1": [("v", True)],
        "s3://acme/o2": [("v", False), ("newer", True)],
        "s3://acme/o3": [("v", False)],
    }


def test_a_claim_counts_until_its_lease_has_run_out_and_as_work_only_at_first(ready: Database) -> None:
    now = times.utc_now()
    with ready.begin() as tx:
        put_object(tx, "o1")
        put_object(tx, "o2", disposition="seen")
        put_object(tx, "o3", disposition="seen", retry_at=now - LEASE)
        put_object(tx, "o4", disposition="seen", retry_at=now + LEASE)
        put_object(tx, "o5", disposition="claimed", lease_until=now - LEASE)
        put_object(tx, "o6", disposition="claimed", lease_until=now + LEASE / 2)
    assert probes.waiting(ready) == Waiting(claimed=1, due=3, later=1)
    assert not probes.is_loading(ready)
    with ready.begin() as tx:
        put_object(tx, "o7", disposition="claimed", lease_until=times.utc_now() + LEASE)
    assert probes.is_loading(ready)


TASK = """
import os, sys, time
from setproctitle import setproctitle
if os.fork():
    setproctitle("airflow worker -- LocalExecutor: 01a1ffa6-2d1b-7885-9701-0ad11f552b88")
else:
    os.setpgid(0, 0)
    setproctitle("airflow worker -- 01a1ffa6-2d1b-7885-9701-0ad11f552b88")
    print(os.getpid(), flush=True)
time.sleep(60)
"""
"""A worker that has started a task, under the names that Airflow gives them."""
PROGRAMS = {"scheduler": TASK, "triggerer": "import time; print(flush=True); time.sleep(60)"}


@pytest.fixture
def killer(tmp_path: Path) -> Iterator[Killer]:
    """The scheduler is a worker at the same time."""
    running = {name: started(tmp_path / name, program) for name, program in PROGRAMS.items()}
    yield Killer(Airflow("", tmp_path, (), running), {LOADING: lambda: True})
    for part in running.values():
        part.stop()


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def plan(part: str, *, alone: bool) -> Kill:
    return Kill(0, part, pause_s=0, alone=alone, wait_s=0)


def test_a_part_that_is_killed_starts_again(killer: Killer) -> None:
    before = killer.running.parts["triggerer"].pid
    with killing(killer, [plan("triggerer", alone=False)]):
        assert await_it(lambda: killer.started.total() > 0)
    assert killer.killed == killer.started == {"triggerer": 1}
    assert killer.running.parts["triggerer"].pid not in (None, before)
    assert not killer.missed


def test_what_is_not_there_cannot_be_killed(killer: Killer) -> None:
    killer.over.set()  # it has no patience any more
    killer.running.parts["scheduler"].kill()
    for part in ("scheduler", WORKER, LOADING):
        killer.kill(plan(part, alone=False))
    assert (killer.killed, killer.missed) == ({}, {"scheduler": 1, WORKER: 1, LOADING: 1})


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Part]:
    """The scheduler of another Airflow, with a task."""
    made = started(tmp_path / "stranger", TASK)
    yield made
    made.stop()


def started(folder: Path, program: str) -> Part:
    """A part that has said something."""
    part = Part([sys.executable, "-c", program], folder, {})
    part.start()
    assert await_it(lambda: log_of(part).endswith("\n"))
    return part


def log_of(part: Part) -> str:
    return (part.folder / "server.log").read_text()


def await_it(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not (found := is_so()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


@pytest.mark.parametrize(("part", "alone"), [(WORKER, True), (WORKER, False), (LOADING, False)])
def test_only_tasks_of_this_airflow_are_killed(killer: Killer, stranger: Part, part: str, alone: bool) -> None:
    scheduler = killer.running.parts["scheduler"]
    task, worker = int(log_of(scheduler)), scheduler.pid
    assert worker
    killer.kill(plan(part, alone=alone))
    assert killer.killed == {part: 1}
    assert await_it(lambda: not lives(task))
    if part == WORKER and not alone:
        assert await_it(lambda: not lives(worker))
    else:
        assert lives(worker)
    assert stranger.pid
    assert lives(int(log_of(stranger)))


def shown(*things: object) -> str:
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(*things)
    return console.export_text()


def test_the_report_shows_what_differs_and_the_file_holds_all(tmp_path: Path) -> None:
    wrong = [{"object_id": f"o{number}", "reason": "new", "size": 1, "gone": None} for number in range(5)]
    instead = [row | {"reason": "loaded"} for row in wrong]
    found = [
        Compared("first", [Difference("rooms", 2, [], []), Difference("object_ledger", 1_234, wrong, instead)]),
        Compared("then", [Difference("rooms", 3, [], []), Difference("object_ledger", 1_239, [], [])]),
    ]
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown(report.rows_table(found)).splitlines()]
    assert [line for line in cells if len(line) == 7] == [
        ["rooms", "2", "", "", "3", "", ""],
        ["object_ledger", "1,234", "5", "5", "1,239", "", ""],
    ]
    told = [*report.differing_rows(found)]
    assert len(told) == 9
    assert told[:2] == [
        'first, object_ledger, missing: {"object_id": "o0", "reason": "new", "size": 1}',
        'first, object_ledger, in its place, what should be and what is: {"reason": ["new", "loaded"]}',
    ]
    assert told[-1] == 'first, object_ledger, too many: {"object_id": "o2", "reason": "loaded", "size": 1}'
    report.keep(tmp_path, {"seed": 1}, found)
    assert len((tmp_path / "differences.txt").read_text().splitlines()) == 13
    assert json.loads((tmp_path / "chaos.json").read_text()) == {"seed": 1}


def test_the_report_counts_what_went_astray_and_who_died(killer: Killer, tmp_path: Path) -> None:
    found = carrier(open_inbox(f"file://{tmp_path}/rung"), Fates(1, Shares()), [])
    found = replace(found, told=Counter(a=5), passed=Counter({Named("a", "v1"): 6}), dropped=1, doubled=2)
    webhooks = Webhooks()
    webhooks.note("talk", [{"id": "a"}, {"id": "b"}], Posted(["a", "a"], [], ["b"]))
    lines = shown(report.sent_table([found], webhooks, 7)).splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    assert [line for line in cells if len(line) == 6] == [
        ["S3 events", "5", "1", "2", "0", "6"],
        ["webhooks", "2", "1", "1", "7", "1"],
    ]
    killer.killed.update({"scheduler": 2, WORKER: 1})
    killer.started.update({"scheduler": 2})
    killer.missed.update({LOADING: 3})
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in shown(report.kills_table(killer)).splitlines()]
    assert [line for line in cells if len(line) == 4] == [
        ["scheduler", "2", "2", ""],
        ["triggerer", "0", "0", ""],
        ["worker", "1", "", ""],
        ["task that loads", "0", "", "3"],
    ]
