"""The schedule of a chaos run is what its documentation promises, and depends on the seed alone."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.chaos.faults.delivery import FaultRates, RandomDelays
from benchmarks.chaos.faults.schedule import plan_kills, plan_sessions, plan_uploads
from sandbox.dataset import World, generate
from sandbox.live_traffic import parts

SECONDS = 200.0


@pytest.fixture(scope="module")
def world() -> World:
    return generate(sessions=6)


def test_every_object_is_uploaded_once_completely_and_some_of_them_in_part_before(world: World) -> None:
    uploads = plan_uploads(world, SECONDS, Random(1))
    buckets = {bucket.source for bucket in world.buckets}
    expected = {one.uri for one in world.objects if one.source in buckets and not one.key.endswith(".ts")}
    complete = {upload.target.uri: upload.at_s for upload in uploads if upload.content == upload.target.content}
    partial = [upload for upload in uploads if upload.content != upload.target.content]
    assert sorted(complete) == sorted(expected)
    assert len(uploads) == len(expected) + len(partial)
    assert [upload.at_s for upload in uploads] == sorted(upload.at_s for upload in uploads)
    assert 0.1 < len(partial) / len(expected) < 0.3
    for upload in partial:
        assert upload.target.content.startswith(upload.content)
        assert upload.target.outcome.disposition == "loaded"
        assert complete[upload.target.uri] - upload.at_s >= 2
    assert 0 <= uploads[0].at_s < 10
    assert 150 < uploads[-1].at_s < SECONDS
    assert uploads == plan_uploads(world, SECONDS, Random(1)) != plan_uploads(world, SECONDS, Random(2))


def test_every_event_is_posted_in_time_or_late_and_sessions_end_in_their_order(world: World) -> None:
    sessions = [*parts(world)]
    ends = plan_sessions(sessions, SECONDS, FaultRates(), Random(1))
    assert [end.session for end in ends] == sessions
    assert [end.at_s for end in ends] == sorted(end.at_s for end in ends)
    assert ends[0].at_s >= 0
    assert ends[-1].at_s < SECONDS
    for end in ends:
        assert sorted([*end.events, *end.late_events], key=repr) == sorted(end.session.events, key=repr)
        assert len(end.late_events) == round(0.1 * len(end.session.events))


def test_every_component_is_killed_once_before_one_is_killed_twice() -> None:
    names = ["scheduler", "triggerer", "worker"]
    kills = plan_kills(names, 8, SECONDS, Random(1))
    killed = [kill.component for kill in kills]
    assert sorted(killed[:3]) == sorted(killed[3:6]) == names
    assert len(kills) == 8
    assert [kill.at_s for kill in kills] == sorted(kill.at_s for kill in kills)
    assert kills[0].at_s > 0
    assert kills[-1].at_s <= SECONDS
    assert {kill.single_process for kill in kills} == {True, False}
    assert killed != [kill.component for kill in plan_kills(names, 8, SECONDS, Random(2))]


def test_delays_follow_the_fault_rates_and_do_not_depend_on_the_order_of_objects() -> None:
    names = [f"s3://acme/{number}" for number in range(2000)]
    delays = RandomDelays(7, FaultRates())
    drawn = {name: delays.next(name) for name in names}
    assert 0.27 < sum(not copies for copies in drawn.values()) / 2000 < 0.33
    delivered = [copies for copies in drawn.values() if copies]
    assert 0.27 < sum(len(copies) == 2 for copies in delivered) / len(delivered) < 0.33
    copies = [delay for copies in delivered for delay in copies]
    assert 0.07 < copies.count(None) / len(copies) < 0.13
    seconds = [delay for delay in copies if delay is not None]
    assert 0 <= min(seconds) < 0.5
    assert 19 < max(seconds) <= 20
    again = RandomDelays(7, FaultRates())
    assert {name: again.next(name) for name in reversed(names)} == drawn
    assert {name: again.next(name) for name in names} != drawn, "the second notification has delays of its own"
    other = RandomDelays(8, FaultRates())
    assert {name: other.next(name) for name in names} != drawn
