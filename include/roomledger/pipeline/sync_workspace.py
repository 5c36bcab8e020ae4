"""A workspace as a source: what the vendor's API has to say that is not known yet.

The lists come newest first, so each is read from its top down to what was read before, less a look-back for what comes
late. What the lists do not bring is asked for one by one (`questions.py`). A reading may be cut off anywhere: it goes
on from its last page.
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

from sqlalchemy import Connection, bindparam, text

from roomledger.hundredms import records
from roomledger.hundredms.client import Api
from roomledger.hundredms.redact import redact
from roomledger.ledger import cursors, polling
from roomledger.ledger.cursors import Cursor
from roomledger.ledger.database import Database
from roomledger.ledger.refusals import RefusalRow, keep
from roomledger.ledger.vendor_assets import note_held
from roomledger.ledger.vendor_records import Said, tell
from roomledger.settings import Source
from roomledger.times import parse_rfc3339

_TOLD = 2000
"""Records that are written together: on DuckDB a commit costs a third of a second."""
_KINDS = {"recordings": "recording", "live-streams": "live-stream", "external-streams": "external-stream"}
_LISTS = ("recording-assets", *_KINDS, "sessions", "rooms")


@dataclass(slots=True)
class Heard:
    """What one reading of a workspace brought."""

    records: int = 0
    """Records that were read, known or not."""
    news: Counter[str] = field(default_factory=Counter)
    """Records that are new or have changed, by table."""
    new: Counter[str] = field(default_factory=Counter)
    """Objects of the ledger, by disposition."""
    moved: int = 0
    """Objects whose rows changed their session."""
    refused: int = 0
    """Records that could not be understood."""
    requests: int = 0


@dataclass(slots=True, kw_only=True)
class WorkspaceSync:
    """One reading of one workspace."""

    database: Database
    source: Source
    api: Api
    buckets: Sequence[str]
    """Beginnings of the addresses that some source lists; what begins otherwise lies in the vendor's own storage."""
    clock: Callable[[], datetime]
    on_records: Callable[[int], None]
    heard: Heard = field(default_factory=Heard)
    _sessions: set[str] = field(default_factory=set)
    """Sessions that were told of in this reading: those that still go on are not asked for again."""

    def run(self) -> Heard:
        """Read all there is to hear. Raises StoreError; what was heard until then is written."""
        before = self.api.requests
        try:
            self._read_kept()
            for path in _LISTS:
                self._read_list(path)
            self._ask_for_jobs()
            self._ask_for("sessions", polling.due_sessions)
            self._ask_for("rooms", polling.due_rooms)
        finally:
            self.heard.requests = self.api.requests - before
            with self.database.begin() as tx:
                held = note_held(tx, self.database, self.source, self.buckets, now=self.clock())
            self.heard.new.update(held)
        return self.heard

    def _read_kept(self) -> None:
        """Try again what could not be understood before, perhaps by an older version of this program."""
        query = """
            SELECT object_id, uri, raw FROM refusals
            WHERE source = :source AND resolved_at IS NULL AND uri LIKE '100ms://%' AND uri NOT LIKE '100ms://%/webhooks/%'
        """
        with self.database.begin(read_only=True) as tx:
            kept = tx.execute(text(query), {"source": self.source.name}).all()
        good: list[str] = []
        said: list[Said] = []
        for object_id, uri, raw in kept:
            try:
                said += _understood(uri.split("/")[3], json.loads(bytes(raw)))
            except records.Rejected:
                continue
            good.append(object_id)
        if good:
            query = "UPDATE refusals SET resolved_at = :now WHERE object_id IN :good AND resolved_at IS NULL"
            resolve = text(query).bindparams(bindparam("good", expanding=True))
            self._tell(said, lambda tx: tx.execute(resolve, {"now": self.clock(), "good": good}))

    def _read_list(self, path: str) -> None:
        """Go on with a reading that was cut off, then read from the top down to what was read before."""
        filters: dict[str, Any] = {}
        if path == "sessions":  # those that go on are a list of their own, and short
            for page in self.api.pages("sessions", active="true"):
                self._hear(path, page.items)
            filters["active"] = "false"
        with self.database.begin(read_only=True) as tx:
            state = cursors.get(tx, self.source.name, path)
        if state.next_start:
            state = self._read_down(path, state, filters)
        stop_at = state.read_until and state.read_until - timedelta(days=self.source.look_back_days)
        self._read_down(path, Cursor(read_until=state.read_until, stop_at=stop_at), filters)

    def _read_down(self, path: str, state: Cursor, filters: Mapping[str, Any]) -> Cursor:
        """Read from where `state` says down to where it says, and leave how far that is with every commit."""
        waiting: list[Any] = []
        since = state.reading_since
        for page in self.api.pages(path, start=state.next_start or "", **filters):
            waiting += page.items
            made = [_created_at(item) for item in page.items]
            since = since or max((moment for moment in made if moment), default=None)
            old = state.stop_at and made and all(moment and moment < state.stop_at for moment in made)
            if not page.last or old:
                break
            if len(waiting) >= _TOLD:
                self._hear(path, waiting, Cursor(state.read_until, since, page.last, state.stop_at))
                waiting = []
        end = Cursor(read_until=max(filter(None, (since, state.read_until)), default=None))
        self._hear(path, waiting, end)
        return end

    def _ask_for_jobs(self) -> None:
        """Ask for every job that is due; what nobody knows the kind of may be any of the three."""
        with self.database.begin(read_only=True) as tx:
            due = polling.due_jobs(tx, self.source.name, self.clock())
        unknown = {job_id for job_id, kind in due if not kind}
        gone: set[str] = set()
        for path, kind in _KINDS.items():
            mine = {job_id for job_id, known in due if known == kind}
            missing = self._ask(path, sorted(mine | unknown))
            gone |= missing & mine
            unknown &= missing
        self._not_known(gone | unknown)

    def _ask_for(self, path: str, due: Callable[[Connection, str, datetime], set[str]]) -> None:
        with self.database.begin(read_only=True) as tx:
            asked = sorted(due(tx, self.source.name, self.clock()) - self._sessions)
        self._not_known(self._ask(path, asked))

    def _ask(self, path: str, ids: Sequence[str]) -> set[str]:
        """Ask for these; give those that the vendor does not know."""
        missing: set[str] = set()
        answers: list[Any] = []
        paths = {f"{path}/{quote(one, safe='')}": one for one in ids}
        for asked, answer in self.api.get_many(paths):
            if answer is None:
                missing.add(paths[asked])
            else:
                answers.append(answer)
            if len(answers) >= _TOLD:
                self._hear(path, answers)
                answers = []
        self._hear(path, answers)
        return missing

    def _not_known(self, ids: set[str]) -> None:
        if ids:
            with self.database.begin() as tx:
                polling.not_known(tx, self.source.name, ids, now=self.clock(), until=self._until)

    @property
    def _until(self) -> timedelta:
        return timedelta(days=self.source.unfinished_days)

    def _hear(self, path: str, items: Sequence[Any], cursor: Cursor | None = None) -> None:
        """Write down what these records say, and how far the list has been read."""
        said: list[Said] = []
        refuse: list[RefusalRow] = []
        for item in items:
            try:
                said += _understood(path, item)
            except records.Rejected as error:
                refuse.append(_kept(self.source, path, item, error))

        def leave(tx: Connection) -> None:
            keep(tx, refuse, now=self.clock())
            if cursor:
                cursors.put(tx, self.source.name, path, cursor)

        if said or refuse or cursor:
            self._tell(said, leave)
        self.heard.records += len(items)
        self.heard.refused += len(refuse)
        self.on_records(len(items))

    def _tell(self, said: Iterable[Said], also: Callable[[Connection], object]) -> None:
        said = list(said)
        now = self.clock()
        self._sessions.update(one.session_id for one in said if isinstance(one, records.Session))
        jobs = {one.job_id for one in said if isinstance(one, records.Recording | records.AssetRecord) and one.job_id}
        with self.database.begin() as tx:
            told = tell(tx, self.database, self.source, said, now=now)
            polling.schedule(tx, self.database, jobs, now=now, until=self._until)
            also(tx)
        self.heard.news.update(told.news)
        self.heard.new["seen"] += told.woken
        self.heard.moved += told.moved


def _understood(path: str, said: Any) -> Iterator[Said]:
    """Give the rows of one record of this part of the API. Raises Rejected."""
    match path:
        case "recording-assets":
            yield records.asset(said)
        case "sessions":
            session, peers = records.session(said)
            yield session
            yield from peers
        case "rooms":
            yield records.room(said)
        case _:
            job, assets = records.recording(said, _KINDS[path])
            yield job
            yield from assets


def _kept(source: Source, path: str, said: Any, error: records.Rejected) -> RefusalRow:
    raw = json.dumps(redact(said), sort_keys=True).encode()
    named = said.get("id") if isinstance(said, dict) else None
    name = named if isinstance(named, str) and named else sha256(raw).hexdigest()[:24]
    address = f"{source.url}/{path}/{name}"
    return RefusalRow(source.customer, source.name, address, error.reason_code, error.detail, raw)


def _created_at(said: Any) -> datetime | None:
    made = said.get("created_at") if isinstance(said, dict) else None
    try:
        return parse_rfc3339(made) if isinstance(made, str) else None
    except ValueError:
        return None
