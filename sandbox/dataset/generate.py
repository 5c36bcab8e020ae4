"""Generate the dataset: sessions are held and recorded, and the buckets and workspaces of two customers are filled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from random import Random

from sandbox.dataset import api_records, media
from sandbox.dataset.edge_cases import edge_case_sessions
from sandbox.dataset.expected import Dataset, expect
from sandbox.dataset.ids import hex_id
from sandbox.dataset.model import Bucket, DatasetObject
from sandbox.dataset.recorder import RecordedSession, record_session, to_object
from sandbox.dataset.recording_plan import plan_recordings
from sandbox.dataset.sample_texts import AURORA, BOREALIS
from sandbox.dataset.sessions import FIRST_DAY, generate_sessions
from sandbox.dataset.workspace import Record, Workspace

MINIMUM_SESSIONS = 6
"""Fewer sessions cannot contain all edge cases."""


def generate(seed: int = 100, sessions: int = 220) -> Dataset:
    """Generate the dataset of this seed with this number of regular sessions, and a few edge-case sessions in addition.

    Raises ValueError for fewer sessions than `MINIMUM_SESSIONS`.
    """
    if sessions < MINIMUM_SESSIONS:
        raise ValueError(f"sessions={sessions} is too small: all edge cases need at least {MINIMUM_SESSIONS} sessions")
    rng = Random(seed)
    buckets = (
        Bucket("aurora-academy", "aurora-s3", hex_id(FIRST_DAY, rng), "s3", "aurora-academy-recordings", "live/eu"),
        Bucket("borealis-clinic", "borealis-gcs", hex_id(FIRST_DAY, rng), "gs", "borealis-clinic-calls", "chat"),
    )
    recorded: list[RecordedSession] = []
    objects: list[DatasetObject] = []
    workspaces = []
    for number, (bucket, texts) in enumerate(zip(buckets, (AURORA, BOREALIS), strict=True)):
        workspace = _workspace(bucket, rng)
        vendor_storage = replace(
            bucket,
            source=workspace.source,
            scheme="s3",
            name="vendor-held-recordings",
            prefix=workspace.name,
            is_vendor_storage=True,
        )
        regular = generate_sessions(bucket.customer, texts, (sessions + 1 - number) // 2, rng)
        in_api = [
            (bucket, record_session(bucket, texts, session, plan, rng))
            for session, plan in zip(regular, plan_recordings(number, len(regular)), strict=True)
        ]
        for edge_case in edge_case_sessions(bucket.customer, texts, rng):
            storage = vendor_storage if edge_case.is_stored_by_vendor else bucket
            one = record_session(storage, texts, edge_case.session, edge_case.plan, rng)
            if edge_case.in_api:
                in_api.append((storage, one))
            else:
                objects += [replace(obj, session_id=None, job_id=None) for obj in one.objects]
        _fill(workspace, in_api)
        workspaces.append(workspace)
        recorded += [one for _, one in in_api]
        objects += [to_object(bucket, file, FIRST_DAY) for file in media.unrelated_files()]
    for one in recorded:
        objects += one.objects
    objects.sort(key=lambda obj: (obj.written_at, obj.uri))
    held = sorted((one.session for one in recorded), key=lambda session: (session.started_at, session.id))
    expected = expect(objects, recorded[0].showcase, workspaces)
    return Dataset(buckets, tuple(held), tuple(objects), tuple(workspaces), expected)


def _workspace(bucket: Bucket, rng: Random) -> Workspace:
    name, access_key = bucket.customer.partition("-")[0], hex_id(FIRST_DAY, rng)
    return Workspace(name, f"{name}-100ms", bucket.customer, access_key, secret=f"{rng.getrandbits(256):064x}")


def _fill(workspace: Workspace, recorded: Sequence[tuple[Bucket, RecordedSession]]) -> None:
    """Add the records of these sessions and their buckets to the workspace."""
    rooms = {one.session.room_id: api_records.room_record(one.session, bucket) for bucket, one in recorded}
    jobs = [(job.kind, record) for _, one in recorded for job, record in one.jobs]
    workspace.rooms = _ordered(rooms.values())
    workspace.sessions = _ordered(api_records.session_record(one.session, bucket) for bucket, one in recorded)
    workspace.recordings = _ordered(record for kind, record in jobs if kind == "recording")
    workspace.live_streams = _ordered(record for kind, record in jobs if kind == "live-stream")
    workspace.external_streams = _ordered(record for kind, record in jobs if kind == "external-stream")
    workspace.assets = _ordered(asset for _, one in recorded for asset in one.assets)
    for _, one in recorded:
        workspace.contents |= one.contents


def _ordered(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (datetime.fromisoformat(record["created_at"]), record["id"]))
