"""Sync a workspace: read the new records of the vendor's API.

Lists are sorted newest first, so each is read from its top down to the cursor of the last sync, minus a look-back for
late records. Records that no list contains are polled by id (`ledger/polling.py`). A sync can be interrupted anywhere:
the next one continues from its last page.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection

from roomledger import times
from roomledger.hundredms import records
from roomledger.hundredms.client import Client
from roomledger.hundredms.redact import redact
from roomledger.ledger import cursors, polling
from roomledger.ledger.cursors import Cursor
from roomledger.ledger.database import BULK, Database
from roomledger.ledger.refusals import RefusalRow, open_refusals, record_refusals, resolve_refusals
from roomledger.ledger.vendor_assets import record_vendor_assets
from roomledger.ledger.vendor_records import Record, upsert_records
from roomledger.model import Rejected
from roomledger.settings import WorkspaceSource

_WRITTEN_TOGETHER = 2000
"""Records of one transaction: on DuckDB a commit takes a third of a second."""
_KINDS = {"recordings": "recording", "live-streams": "live-stream", "external-streams": "external-stream"}
_LISTS = ("recording-assets", *_KINDS, "sessions", "rooms")


def sync_workspace(
    database: Database,
    source: WorkspaceSource,
    client: Client,
    buckets: Sequence[str],
    *,
    on_progress: Callable[[int], None] = lambda records: None,
) -> Counter[str]:
    """Read the new records; return the counts. Raises StoreError; the records read until then are written.

    `buckets` are the address prefixes of all bucket sources: other assets are stored by the vendor only.

    Counts: `listed` records, known or not; `vendor_records` new or changed; `records_refused`, which every later
    sync retries; `rekeyed` objects; `requests`; and those of `record_observations`.
    """
    sync = _Sync(database=database, source=source, client=client, on_progress=on_progress)
    before = client.requests
    try:
        sync.run()
    finally:
        sync.counts["requests"] = client.requests - before
        with database.begin() as tx:
            sync.counts += record_vendor_assets(tx, database, source, buckets, now=times.utc_now())
    return sync.counts


@dataclass(slots=True, kw_only=True)
class _Sync:
    """One sync of one workspace."""

    database: Database
    source: WorkspaceSource
    client: Client
    on_progress: Callable[[int], None]
    counts: Counter[str] = field(default_factory=Counter)
    sessions: set[str] = field(default_factory=set)
    """Sessions read by this sync: they are not polled again."""

    def run(self) -> None:
        self._retry_refusals()
        for path in _LISTS:
            self._read_list(path)
        self._poll_jobs()
        self._poll("sessions", polling.due_sessions)
        self._poll("rooms", polling.due_rooms)

    def _retry_refusals(self) -> None:
        """Retry the refused records: an older version may have rejected them."""
        with self.database.begin(read_only=True) as tx:
            refused = open_refusals(tx, "api", self.source.name)
        good: list[str] = []
        decoded: list[Record] = []
        for row in refused:
            try:
                decoded += _decode(row["uri"].split("/")[3], json.loads(bytes(row["raw"])))
            except Rejected:
                continue
            good.append(row["object_id"])
        if good:
            self._write(decoded, lambda tx: resolve_refusals(tx, self.database, good, now=times.utc_now()))

    def _read_list(self, path: str) -> None:
        """Continue an interrupted sync, then read from the top down to the cursor of the last one."""
        filters: dict[str, Any] = {}
        if path == "sessions":  # active ones are a separate, short list
            for page in self.client.pages("sessions", active="true"):
                self._ingest(path, page.items)
            filters["active"] = "false"
        with self.database.begin(read_only=True) as tx:
            state = cursors.get(tx, self.source.name, path)
        if state.next_start:
            state = self._read_down(path, state, filters)
        stop_at = state.read_until and state.read_until - timedelta(days=self.source.look_back_days)
        self._read_down(path, Cursor(read_until=state.read_until, stop_at=stop_at), filters)

    def _read_down(self, path: str, state: Cursor, filters: Mapping[str, Any]) -> Cursor:
        """Read from one cursor down to another; every commit stores the position."""
        pending: list[Any] = []
        since = state.reading_since
        for page in self.client.pages(path, start=state.next_start or "", **filters):
            pending += page.items
            created = [_created_at(item) for item in page.items]
            since = since or max((moment for moment in created if moment), default=None)
            old = state.stop_at and created and all(moment and moment < state.stop_at for moment in created)
            if not page.last or old:
                break
            if len(pending) >= _WRITTEN_TOGETHER:
                self._ingest(path, pending, Cursor(state.read_until, since, page.last, state.stop_at))
                pending = []
        end = Cursor(read_until=max(filter(None, (since, state.read_until)), default=None))
        self._ingest(path, pending, end)
        return end

    def _poll_jobs(self) -> None:
        """Poll every job that is due; one of unknown kind is requested as each of the three."""
        with self.database.begin(read_only=True) as tx:
            due = polling.due_jobs(tx, self.source.name, times.utc_now())
        unknown = {job_id for job_id, kind in due if not kind}
        lost: set[str] = set()
        for path, kind in _KINDS.items():
            mine = {job_id for job_id, known in due if known == kind}
            missing = self._fetch(path, sorted(mine | unknown))
            lost |= missing & mine
            unknown &= missing
        self._record_unknown(lost | unknown)

    def _poll(self, path: str, due: Callable[[Connection, str, datetime], set[str]]) -> None:
        with self.database.begin(read_only=True) as tx:
            ids = sorted(due(tx, self.source.name, times.utc_now()) - self.sessions)
        self._record_unknown(self._fetch(path, ids))

    def _fetch(self, path: str, ids: Sequence[str]) -> set[str]:
        """Fetch the records with these ids; return the ids that the vendor does not know."""
        missing: set[str] = set()
        found: list[Any] = []
        paths = {f"{path}/{quote(one, safe='')}": one for one in ids}
        for requested, record in self.client.get_many(paths):
            if record is None:
                missing.add(paths[requested])
            else:
                found.append(record)
            if len(found) >= _WRITTEN_TOGETHER:
                self._ingest(path, found)
                found = []
        self._ingest(path, found)
        return missing

    def _record_unknown(self, ids: set[str]) -> None:
        if ids:
            with self.database.begin() as tx:
                polling.record_unknown(tx, self.source.name, ids, now=times.utc_now(), until=self._until)

    @property
    def _until(self) -> timedelta:
        return timedelta(days=self.source.unfinished_days)

    def _ingest(self, path: str, items: Sequence[Any], cursor: Cursor | None = None) -> None:
        """Write these records and the cursor of the list."""
        decoded: list[Record] = []
        refused: list[RefusalRow] = []
        for item in items:
            try:
                decoded += _decode(path, item)
            except Rejected as error:
                refused.append(_refusal(self.source, path, item, error))

        def also(tx: Connection) -> None:
            record_refusals(tx, self.database, refused, now=times.utc_now())
            if cursor:
                cursors.put(tx, self.source.name, path, cursor)

        if decoded or refused or cursor:
            self._write(decoded, also)
        self.counts["listed"] += len(items)
        self.counts["records_refused"] += len(refused)
        self.on_progress(len(items))

    def _write(self, decoded: Iterable[Record], also: Callable[[Connection], object]) -> None:
        decoded = list(decoded)
        now = times.utc_now()
        self.sessions.update(one.session_id for one in decoded if isinstance(one, records.Session))
        jobs = {
            one.job_id for one in decoded if isinstance(one, records.Recording | records.AssetRecord) and one.job_id
        }
        with self.database.begin() as tx:
            counts = upsert_records(tx, self.database, self.source, decoded, now=now)
            polling.schedule_jobs(tx, self.database, jobs, now=now, until=self._until)
            also(tx)
        if len(decoded) >= BULK:
            self.database.analyze()
        self.counts += counts


def _decode(path: str, record: Any) -> Iterator[Record]:
    """Give the rows of one record of this part of the API. Raises Rejected."""
    match path:
        case "recording-assets":
            yield records.asset(record)
        case "sessions":
            session, peers = records.session(record)
            yield session
            yield from peers
        case "rooms":
            yield records.room(record)
        case _:
            job, assets = records.recording(record, _KINDS[path])
            yield job
            yield from assets


def _refusal(source: WorkspaceSource, path: str, record: Any, error: Rejected) -> RefusalRow:
    raw = json.dumps(redact(record), sort_keys=True).encode()
    found = record.get("id") if isinstance(record, dict) else None
    name = found if isinstance(found, str) and found else sha256(raw).hexdigest()[:24]
    uri = f"{source.url}/{path}/{name}"
    return RefusalRow(source.customer, source.name, "api", uri, error.reason_code, error.detail, raw)


def _created_at(record: Any) -> datetime | None:
    created = record.get("created_at") if isinstance(record, dict) else None
    try:
        return times.parse_rfc3339(created) if isinstance(created, str) else None
    except ValueError:
        return None
