"""Records, webhook events and listings for the ledger, and queries of the views that show them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from roomledger.formats.object_keys import recognise
from roomledger.hundredms import records
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.ledger.vendor_events import insert_events
from roomledger.ledger.vendor_records import Record, upsert_records
from roomledger.model import Observation
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.settings import BucketSource, Source, WorkspaceSource
from tests import payloads
from tests.folders import put, source_of, store_of
from tests.payloads import START, at
from tests.warehouses import fetch

ACME = WorkspaceSource(name="acme-100ms", customer="Acme", url="100ms://acme")
NOW = START + timedelta(days=2)
Body = dict[str, Any]
Rows = Sequence[tuple[Any, ...]]


@dataclass(slots=True)
class Ledger:
    """A transaction in which tests write events, records and observations one after the other."""

    tx: Connection
    database: Database

    def insert(self, *bodies: Body, source: Source = ACME, now: datetime = NOW) -> dict[str, int]:
        """Insert webhook events, and rekey what they concern; give the counts that are not 0."""
        counts = insert_events(self.tx, self.database, payloads.decode_events(source, bodies), now=now)
        return {name: number for name, number in counts.items() if number}

    def upsert(self, *rows: Record, source: Source = ACME, now: datetime = NOW) -> None:
        """Upsert records of the API, and rekey what they concern."""
        upsert_records(self.tx, self.database, source, rows, now=now)

    def observe(self, *uris: str) -> None:
        """Record that a listing shows these objects."""
        bucket = BucketSource(name="acme", customer="Acme", url="s3://acme")
        seen = [Observation(uri, "1", START, 9) for uri in uris]
        classified = [(one, bucket.classify(recognise(one))) for one in seen]
        record_observations(self.tx, self.database, bucket, classified, observed_by="listing", now=NOW)

    def fetch(self, query: str, **parameters: Any) -> Rows:
        """The rows of a query; times are minutes after `START`."""
        return [tuple(map(_plain, row)) for row in self.tx.execute(text(query), parameters)]

    def view(self, name: str) -> Rows:
        """The rows of one of `VIEWS`."""
        return self.fetch(
            f"SELECT {VIEWS[name].replace(' ', ', ')} FROM {name.replace('asset_sizes', 'recording_assets')}"
        )


def _plain(cell: Any) -> Any:
    if isinstance(cell, datetime):
        return (cell - START) / timedelta(minutes=1)
    if isinstance(cell, str) and cell.startswith("["):  # DuckDB returns JSON as text
        cell = json.loads(cell)
    return tuple(cell) if isinstance(cell, list) else cell


@dataclass(slots=True)
class Run:
    """A bucket and a warehouse, into which its objects, webhook events and records of the API are loaded."""

    database: Database
    folder: Path

    def put(self, key: str, content: bytes) -> str:
        """Put an object into the bucket; give its address."""
        return put(self.folder, key, content)

    def load(self) -> None:
        """Collect the bucket and load what is new."""
        bucket = source_of(self.folder)
        collect_bucket(self.database, bucket, store_of(bucket))
        list(load_batches(self.database, [bucket], {bucket.name: store_of(bucket)}))

    def insert(self, *bodies: Body) -> dict[str, int]:
        """Insert webhook events in a transaction of their own."""
        with self.database.begin() as tx:
            return Ledger(tx, self.database).insert(*bodies)

    def upsert(self, *rows: Record) -> None:
        """Upsert records of the API in a transaction of their own."""
        with self.database.begin() as tx:
            Ledger(tx, self.database).upsert(*rows)

    def resolved(self) -> dict[str, tuple[Any, ...]]:
        """Session, evidence and room of each object, by its address."""
        rows = fetch(self.database, "SELECT uri, session_id, session_evidence, room_id FROM object_ledger")
        return {uri: tuple(rest) for uri, *rest in rows}


def session(*cells: Any, **more: Any) -> list[Record]:
    """The records of a session and its peers, as the API returns them."""
    row, peers = records.session(payloads.session(*cells, **more))
    return [row, *peers]


def job(*cells: Any, **more: Any) -> Record:
    """The record of a recording, as the API returns it."""
    return records.recording(payloads.job(*cells) | more, "recording")[0]


def asset(asset_id: str, job_id: str, session_id: str, asset_type: str, path: str, **more: Any) -> Record:
    """The record of an asset, as the API returns it."""
    of = {"id": job_id, "room_id": "room1", "session_id": session_id}
    return records.asset(payloads.asset(asset_id, of, asset_type, path, 9) | more)


def without_time(body: Body) -> Body:
    """The event without its time, as another event."""
    return body | {"id": body["id"] + " without time", "timestamp": None}


def in_order(rows: Sequence[Any]) -> list[Any]:
    """The rows in an order that does not depend on the database."""
    return sorted(rows, key=repr)


VIEWS = {
    "sessions": "session_id room_name active started_at ended_at",
    "peers": "session_id peer_id user_id name role joined_at left_at is_recorder",
    "recordings": "session_id job_id kind status planned_types started_at stopped_at beam_id recording_id"
    " error_message",
    "recording_assets": "session_id asset_type output_mode uri asset_id recording_id status error_message",
    "asset_sizes": "session_id uri size_bytes",
    "session_timeline": "session_id kind happened_at peer_id",
    "session_overview": "session_id room_name active attendees peers recordings assets assets_failed",
}
"""Columns of the views that tests read; `asset_sizes` are other columns of `recording_assets`."""
JOINED = {"peer_id": "p", "user_id": "u", "user_name": "Nell", "role": "host", "joined_at": at(1)}
FAILED = {"error_type": "UPLOAD_ERROR", "error_message": "broken off"}
MADE = {
    "recording_id": "r",
    "transcript_json_asset_id": "1",
    "transcript_srt_asset_id": "2",
    "summary_json_asset_id": "3",
}
TRACK = {"peer_id": "p", "stream_id": "s", "track_id": "t", "track_type": "audio", "recording_path": "track.webm"}
STREAM = {"peer_id": "p", "stream_id": "s", "stream_type": "screen", "recording_path": "stream.mp4"}
RECORDED = {
    "recording_id": "r",
    "recording_path": "film.mp4",
    "chat_recording_path": "chat.csv",
    "size": 7,
    "duration": 360,
}
NELL, NELL_AGAIN = JOINED | {"peer_id": "p1"}, JOINED | {"peer_id": "p2", "joined_at": at(6)}
BOT = {"peer_id": "bot", "user_id": "100ms_1", "user_name": "Beam", "role": "__internal_recorder", "joined_at": at(2)}
