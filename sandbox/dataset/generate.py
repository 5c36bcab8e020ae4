"""The world put together: sessions are held and recorded, and two customers' buckets and workspaces fill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from random import Random

from sandbox.dataset import media, records
from sandbox.dataset.cast import AURORA, BOREALIS
from sandbox.dataset.expected import World, expect
from sandbox.dataset.ids import hex_id
from sandbox.dataset.model import Bucket, WorldObject
from sandbox.dataset.oddities import hold_oddly
from sandbox.dataset.recorder import Recorded, put, record
from sandbox.dataset.sessions import FIRST_DAY, hold
from sandbox.dataset.takes import deal
from sandbox.dataset.workspace import Record, Workspace

MINIMUM_SESSIONS = 6
"""Fewer sessions cannot take all the awkward cases."""


def generate(seed: int = 100, sessions: int = 220) -> World:
    """Make the world of this seed with so many usual sessions; the few odd ones come on top.

    Raises ValueError for fewer sessions than `MINIMUM_SESSIONS`.
    """
    if sessions < MINIMUM_SESSIONS:
        raise ValueError(f"a world needs at least {MINIMUM_SESSIONS} sessions to hold every case, not {sessions}")
    rng = Random(seed)
    buckets = (
        Bucket("aurora-academy", "aurora-s3", hex_id(FIRST_DAY, rng), "s3", "aurora-academy-recordings", "live/eu"),
        Bucket("borealis-clinic", "borealis-gcs", hex_id(FIRST_DAY, rng), "gs", "borealis-clinic-calls", "chat"),
    )
    recorded: list[Recorded] = []
    objects: list[WorldObject] = []
    workspaces = []
    for number, (bucket, cast) in enumerate(zip(buckets, (AURORA, BOREALIS), strict=True)):
        workspace = _workspace(bucket, rng)
        own = replace(
            bucket,
            source=workspace.source,
            scheme="s3",
            name="vendor-held-recordings",
            prefix=workspace.name,
            is_vendors=True,
        )
        held = hold(bucket.customer, cast, (sessions + 1 - number) // 2, rng)
        found = [
            (bucket, record(bucket, cast, session, takes, rng))
            for session, takes in zip(held, deal(number, len(held)), strict=True)
        ]
        for odd in hold_oddly(bucket.customer, cast, rng):
            place = own if odd.is_held else bucket
            one = record(place, cast, odd.session, odd.takes, rng)
            if odd.is_known:
                found.append((place, one))
            else:
                objects += [replace(thing, session_id=None, job_id=None) for thing in one.objects]
        _fill(workspace, found)
        workspaces.append(workspace)
        recorded += [one for _, one in found]
        objects += [put(bucket, file, FIRST_DAY) for file in media.foreign()]
    for one in recorded:
        objects += one.objects
    objects.sort(key=lambda thing: (thing.written_at, thing.uri))
    met = sorted((one.session for one in recorded), key=lambda session: (session.started_at, session.id))
    expected = expect(objects, recorded[0].told, workspaces)
    return World(buckets, tuple(met), tuple(objects), tuple(workspaces), expected)


def _workspace(bucket: Bucket, rng: Random) -> Workspace:
    name, access_key = bucket.customer.partition("-")[0], hex_id(FIRST_DAY, rng)
    return Workspace(name, f"{name}-100ms", bucket.customer, access_key, secret=f"{rng.getrandbits(256):064x}")


def _fill(workspace: Workspace, found: Sequence[tuple[Bucket, Recorded]]) -> None:
    """Tell the workspace what was recorded where."""
    rooms = {one.session.room_id: records.room(one.session, place) for place, one in found}
    jobs = [(job.kind, record) for _, one in found for job, record in one.jobs]
    workspace.rooms = _ordered(rooms.values())
    workspace.sessions = _ordered(records.session(one.session, place) for place, one in found)
    workspace.recordings = _ordered(record for kind, record in jobs if kind == "recording")
    workspace.live_streams = _ordered(record for kind, record in jobs if kind == "live-stream")
    workspace.external_streams = _ordered(record for kind, record in jobs if kind == "external-stream")
    workspace.assets = _ordered(asset for _, one in found for asset in one.assets)
    for _, one in found:
        workspace.contents |= one.contents


def _ordered(told: Iterable[Record]) -> list[Record]:
    return sorted(told, key=lambda each: (datetime.fromisoformat(each["created_at"]), each["id"]))
