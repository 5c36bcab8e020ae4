"""Webhook events are stored once, as they came, whatever their type; the original goes before its replay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Table

from roomledger.hundredms.fields import canonical, record
from roomledger.ledger.tables.columns import Json
from roomledger.ledger.tables.vendor_events import EVENT_SUMMARIES, event_assets, vendor_events
from tests.hundredms.test_webhooks import CASES, body, decode
from tests.ledger.inputs import (
    JOINED,
    NOW,
    RECORDED,
    Teller,
)
from tests.payloads import START, event


def test_every_event_is_kept_as_it_was_read(acme: Teller) -> None:
    bodies = [body(case) | {"id": name} for name, case in CASES.items()]
    read = sorted((decode(one) for one in bodies), key=lambda one: one[0].event_id)
    assert acme.hear(*bodies) == {"events": len(CASES)}
    common = {"customer": "Acme", "source": "acme-100ms", "ingested_at": NOW}
    received = {"received_at": START + timedelta(days=1)}
    assert _kept(acme, vendor_events) == [row._asdict() | common | received for row, _ in read]
    assert _kept(acme, event_assets) == [
        named._asdict()
        | common
        | {"recorder_id": row.beam_id or row.recording_id or row.event_id, "occurred_at": row.occurred_at}
        for row, assets in read
        for named in assets
    ]


def _kept(acme: Teller, table: Table) -> list[dict[str, Any]]:
    """The rows of a table in the order of its key, with JSON as text."""
    as_text = [column.name for column in table.columns if column.type is Json]
    rows = [dict(row) for row in acme.tx.execute(table.select()).mappings()]
    rows = [row | {name: canonical(row[name]) for name in as_text if row[name] is not None} for row in rows]
    return sorted(rows, key=lambda row: (row["event_id"], row.get("ordinal")))


def test_events_of_unknown_types_are_kept_and_counted(acme: Teller) -> None:
    said = {"room_id": "room1", "session_id": "s1", "beam_id": "b", "recording_path": "s3://acme/x", **JOINED}
    types = (
        "ping",
        "session.pause",
        "peer.pause",
        "beam.pause",
        "recording.pause",
        "hls.pause",
        "track.recording.pause",
    )
    assert acme.hear(*(event(type_, 1, **said) for type_ in types)) == {"events": len(types)}
    assert acme.ask("SELECT outcome, count(*) FROM vendor_events GROUP BY outcome") == [(None, len(types))]
    for table in (event_assets, *EVENT_SUMMARIES):
        assert acme.ask(f"SELECT count(*) FROM {table.name}") == [(0,)], table.name


@pytest.mark.parametrize("order", [["itself", "replay"], ["replay", "itself"], ["both"], ["replay", "both"]])
def test_an_event_is_kept_as_it_came_by_itself(acme: Teller, order: list[str]) -> None:
    itself = event("beam.recording.success", 1, room_id="room1", session_id="s1", **RECORDED)
    told = {"itself": [itself], "replay": [itself | {"is_replay": True}]}
    told["both"] = told["replay"] + told["itself"]
    moments = [NOW + timedelta(minutes=number) for number in range(len(order))]
    new = [acme.hear(*told[step], now=now).get("events", 0) for step, now in zip(order, moments, strict=True)]
    assert new == [1, *[0] * (len(order) - 1)]
    assert [(row["record"], row["ingested_at"]) for row in _kept(acme, vendor_events)] == [(canonical(itself), NOW)]
    sha256 = record(itself)[1]
    assert acme.ask("SELECT is_replay, record_sha256 FROM vendor_events") == [(False, sha256)]
    assert acme.ask("SELECT count(*) FROM event_assets") == [(2,)]


def test_an_event_that_only_came_as_a_replay_says_so(acme: Teller) -> None:
    acme.hear(event("session.open.success", 1, session_id="s1") | {"is_replay": True})
    assert acme.ask("SELECT is_replay FROM vendor_events") == [(True,)]
    assert acme.ask("SELECT session_id FROM sessions") == [("s1",)]
