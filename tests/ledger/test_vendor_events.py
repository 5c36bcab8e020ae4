"""Webhook events are stored once, as they were sent, whatever their type; the original goes before its replay."""

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
    Ledger,
)
from tests.payloads import START, event


def test_every_event_is_stored_as_it_was_decoded(acme: Ledger) -> None:
    bodies = [body(case) | {"id": name} for name, case in CASES.items()]
    decoded = sorted((decode(one) for one in bodies), key=lambda one: one[0].event_id)
    assert acme.insert(*bodies) == {"events": len(CASES)}
    common = {"customer": "Acme", "source": "acme-100ms", "ingested_at": NOW}
    received = {"received_at": START + timedelta(days=1)}
    assert _stored(acme, vendor_events) == [row._asdict() | common | received for row, _ in decoded]
    assert _stored(acme, event_assets) == [
        named._asdict()
        | common
        | {"recorder_id": row.beam_id or row.recording_id or row.event_id, "occurred_at": row.occurred_at}
        for row, assets in decoded
        for named in assets
    ]


def _stored(acme: Ledger, table: Table) -> list[dict[str, Any]]:
    """The rows of a table in the order of its key, with JSON as text."""
    as_text = [column.name for column in table.columns if column.type is Json]
    rows = [dict(row) for row in acme.tx.execute(table.select()).mappings()]
    rows = [row | {name: canonical(row[name]) for name in as_text if row[name] is not None} for row in rows]
    return sorted(rows, key=lambda row: (row["event_id"], row.get("ordinal")))


def test_events_of_unknown_types_are_stored_and_counted(acme: Ledger) -> None:
    data = {"room_id": "room1", "session_id": "s1", "beam_id": "b", "recording_path": "s3://acme/x", **JOINED}
    types = (
        "ping",
        "session.pause",
        "peer.pause",
        "beam.pause",
        "recording.pause",
        "hls.pause",
        "track.recording.pause",
    )
    assert acme.insert(*(event(type_, 1, **data) for type_ in types)) == {"events": len(types)}
    assert acme.fetch("SELECT outcome, count(*) FROM vendor_events GROUP BY outcome") == [(None, len(types))]
    for table in (event_assets, *EVENT_SUMMARIES):
        assert acme.fetch(f"SELECT count(*) FROM {table.name}") == [(0,)], table.name


@pytest.mark.parametrize("order", [["original", "replay"], ["replay", "original"], ["both"], ["replay", "both"]])
def test_an_original_event_replaces_its_replay_and_never_the_reverse(acme: Ledger, order: list[str]) -> None:
    original = event("beam.recording.success", 1, room_id="room1", session_id="s1", **RECORDED)
    bodies = {"original": [original], "replay": [original | {"is_replay": True}]}
    bodies["both"] = bodies["replay"] + bodies["original"]
    moments = [NOW + timedelta(minutes=number) for number in range(len(order))]
    new = [acme.insert(*bodies[step], now=now).get("events", 0) for step, now in zip(order, moments, strict=True)]
    assert new == [1, *[0] * (len(order) - 1)]
    assert [(row["record"], row["ingested_at"]) for row in _stored(acme, vendor_events)] == [(canonical(original), NOW)]
    sha256 = record(original)[1]
    assert acme.fetch("SELECT is_replay, record_sha256 FROM vendor_events") == [(False, sha256)]
    assert acme.fetch("SELECT count(*) FROM event_assets") == [(2,)]


def test_an_event_that_arrived_only_as_a_replay_is_marked(acme: Ledger) -> None:
    acme.insert(event("session.open.success", 1, session_id="s1") | {"is_replay": True})
    assert acme.fetch("SELECT is_replay FROM vendor_events") == [(True,)]
    assert acme.fetch("SELECT session_id FROM sessions") == [("s1",)]
