"""Steps of a version through the ledger: record it, claim it, settle it, and query what the tables hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from roomledger.ledger.claims import Claim, claim_batch
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.ledger.outcome import Load, Outcome
from roomledger.ledger.settlement import settle as settle_claims
from roomledger.model import Asset, ChatMessage, Ignored, Observation, Refusal
from roomledger.pipeline.staging import StagingFiles
from roomledger.settings import BucketSource
from roomledger.warehouse.transactional import DatabaseFacts
from tests.warehouses import fetch

SOURCE = BucketSource(name="acme", customer="Acme", url="s3://bucket")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "s3://bucket/chat/room/20260301/Rec-room-1.csv"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def version(tag: str, minutes: float = 0, uri: str = KEY) -> Observation:
    return Observation(uri=uri, version=tag, modified_at=at(minutes), size_bytes=10, content_tag=tag)


def asset(seen: Observation) -> Asset:
    return Asset(uri=seen.uri, size_bytes=10, modified_at=seen.modified_at, asset_type="chat", room_id="room")


def record(database: Database, *seen: Observation, now: float = 0, ignored: str | None = None) -> dict[str, int]:
    classified = [(one, Ignored(ignored) if ignored else asset(one)) for one in seen]
    with database.begin() as tx:
        return dict(record_observations(tx, database, SOURCE, classified, observed_by="listing", now=at(now)))


def claim(database: Database, token: str = "one", now: float = 1, limit: int = 100) -> list[Claim]:
    with database.begin() as tx:
        return claim_batch(tx, database, ["acme"], token=token, limit=limit, now=at(now))


def message(ordinal: int, content: str, message_id: str | None = None) -> ChatMessage:
    return ChatMessage(ordinal, message_id, "p", "n", "u", "[]", "[]", START, "chat", content, None, None)


def settle(
    database: Database,
    outcomes: Sequence[Outcome],
    records: dict[str, Sequence[ChatMessage | Refusal]] | None = None,
    token: str = "one",
    now: float = 2,
) -> Load:
    with StagingFiles(token) as staging:
        for object_id, rows in (records or {}).items():
            staging.add(object_id, rows)
        staged = staging.finish({one.claim.object_id for one in outcomes if one.disposition == "loaded"})
        counted = [replace(one, rows_duplicate=staged.duplicates.get(one.claim.object_id, 0)) for one in outcomes]
        with database.begin() as tx:
            DatabaseFacts(database, in_ledger=True).append(staged.files, token, tx)
            return settle_claims(
                tx, database, token, counted, refused=staged.refused, claimed_at=at(1), now=at(now), started_by="test",
                parser_version="1",
            )  # fmt: skip


def loaded(one: Claim, rows: Sequence[ChatMessage | Refusal], sha256: str = "digest") -> Outcome:
    refused = sum(isinstance(row, Refusal) for row in rows)
    return Outcome(
        claim=one, disposition="loaded", reason="loaded: all", asset=asset(one.seen), rows_parsed=len(rows),
        rows_refused=refused, content_sha256=sha256,
    )  # fmt: skip


def changed(one: Claim) -> Outcome:
    """The outcome of a version that had changed when it was read."""
    return Outcome(claim=one, disposition="seen", reason="retry: changed", is_changed=True, retry_at=at(60))


def refused(one: Claim, code: str = "bad_json") -> Outcome:
    return Outcome(claim=one, disposition="refused", reason=f"{code}: cut", content_sha256="x")


def load(database: Database, content: str, token: str, now: float) -> Load:
    """Claim the only pending version and load one message from it."""
    [one] = claim(database, token, now)
    rows = [message(1, content)]
    return settle(database, [loaded(one, rows, sha256=content)], {one.object_id: rows}, token, now)


def dispositions(database: Database) -> dict[str, str]:
    rows = fetch(database, "SELECT version, disposition FROM object_ledger")
    return {str(row[0]): str(row[1]) for row in rows}


def messages(database: Database) -> list[str]:
    return [content for (content,) in fetch(database, "SELECT message FROM chat_messages ORDER BY message")]
