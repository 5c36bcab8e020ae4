"""The audits: their results, their parameters, and CSV without spreadsheet formulas."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from roomledger.queries import audit
from roomledger.warehouse.tables import FACTS
from tests.rows import NOON, at, put, put_object, run_audit, show

MARCH = {"since": "2026-03-01", "until": "2026-04-01"}


def _chat(tx: Connection, object_id: str, **cells: Any) -> None:
    put_object(tx, object_id, content_sha256=f"sha {object_id}", session_id=cells.get("session_id", "s"))
    put(tx, "chat_messages", **({"object_id": object_id, "session_id": "s", "sender_user_id": "u"} | cells))


def _found(tx: Connection, name: str, columns: str = "customer", /, **params: Any) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns.split()) for row in run_audit(tx, name, params)]


def test_a_users_record_leads_to_the_bytes(tx: Connection) -> None:
    put(tx, "peer_records", session_id="s", peer_id="p", user_id="u", name="Ann", role="host")
    _chat(tx, "a", sender_peer_id="p", sender_name="Ann", sent_at=NOON, room_id="r")
    _chat(tx, "b", sender_peer_id="q", sender_user_id="other", sender_name="Bob", sent_at=NOON)
    put_object(tx, "c", asset_type="transcript")
    put(tx, "transcripts", object_id="c", ordinal=0, session_id="s", recording_started_at=NOON)
    put(tx, "transcript_segments", object_id="c", session_id="s", speaker_name="Ann", start_ms=2000, text="ah")
    columns = "session_id room_id said_at kind text speaker_evidence uri version content_sha256 ordinal"
    assert _found(tx, "user-record", columns, user_id="u", **MARCH) == [
        ("s", "r", NOON, "message", "hello", "peer_id", "s3://acme/a", "v", "sha a", 1),
        ("s", None, at(2), "sentence", "ah", "name", "s3://acme/c", "v", None, 1),
    ]
    assert _found(tx, "user-record", "object_id", name="Bob", **MARCH) == [("b",)]
    assert _found(tx, "user-record", "object_id", name="Bob", customer="Other", **MARCH) == []


@pytest.mark.parametrize(
    ("sent_at", "is_in"),
    [("2026-02-28T23:59:59Z", False), ("2026-03-01T00:00:00Z", True), ("2026-03-31T23:59:59Z", True),
     ("2026-04-01T00:00:00Z", False)],
)  # fmt: skip
def test_days_begin_at_midnight_utc_and_until_is_exclusive(tx: Connection, sent_at: str, is_in: bool) -> None:
    _chat(tx, "a", sent_at=datetime.fromisoformat(sent_at))
    assert len(_found(tx, "user-record", user_id="u", **MARCH)) == is_in
    times = {"since": "2026-03-01T01:00:00+01:00", "until": "2026-04-01T00:00:00Z"}
    assert len(_found(tx, "user-record", user_id="u", **times)) == is_in


@pytest.mark.parametrize(
    ("session", "is_in"),
    [
        (None, True),
        ({"started_at": None}, True),
        ({"started_at": at(-86400), "ended_at": at(-1)}, False),
        ({"started_at": at(-86400), "ended_at": at(1)}, True),
        ({"started_at": at(-3600)}, True),
        ({"started_at": at(-86400)}, False),  # no session is longer than 12 hours
        ({"started_at": at(60), "ended_at": at(90)}, False),
    ],
)
def test_a_statement_without_a_time_is_excluded_only_if_its_session_was_outside_the_period(
    tx: Connection, session: dict[str, Any] | None, is_in: bool
) -> None:
    if session is not None:
        put(tx, "session_records", **({"session_id": "s"} | session))
    _chat(tx, "a", sent_at=None)
    assert len(_found(tx, "user-record", user_id="u", since=NOON, until=at(60))) == is_in


def test_a_sessions_record_has_its_events_then_its_assets(tx: Connection) -> None:
    put(tx, "session_records", session_id="s", active=False, started_at=NOON, ended_at=at(9))
    put(tx, "session_records", session_id="t", active=False, started_at=NOON, ended_at=at(9))
    _chat(tx, "a", sent_at=at(1))
    put(tx, "asset_records", asset_id="x", asset_type="track", session_id="s", status="failed", uri="s3://acme/x")
    columns = "part happened_at kind uri content_sha256 status asset_id disposition session_evidence"
    assert _found(tx, "session-record", columns, session_id="s") == [
        ("event", NOON, "session_start", None, None, None, None, None, None),
        ("event", at(1), "message", "s3://acme/a", "sha a", None, None, "loaded", "key"),
        ("event", at(9), "session_end", None, None, None, None, None, None),
        ("asset", NOON, "chat", "s3://acme/a", "sha a", "completed", None, "loaded", "key"),
        ("asset", None, "track", "s3://acme/x", None, "failed", "x", None, None),
    ]
    assert _found(tx, "session-record", session_id="s", customer="Other") == []


def test_the_origin_of_a_row_is_found_by_either_id(tx: Connection) -> None:
    put(tx, "loads", load_id="load", committed_at=at(7))
    put_object(tx, "a", content_sha256="sha", version_id="vi", parser_version="7", load_id="load",
               session_reason="no_session_known: none", session_evidence="none")  # fmt: skip
    put(tx, "chat_messages", object_id="a", ordinal=3, message_id="m")
    tx.execute(text("UPDATE object_ledger SET session_id = 'new', session_evidence = 'asset_record',"
                    " session_reason = 'asset_record\\: the vendor names it'"))  # fmt: skip
    show(tx, "s3://acme/a")
    columns = (
        "object_id ordinal tables uri version version_id content_sha256 parser_version load_id committed_at session_id"
        " session_evidence session_reason"
    )
    known = ("s3://acme/a", "v", "vi", "sha", "7", "load", at(7), "new", "asset_record",
             "asset_record: the vendor names it")  # fmt: skip
    assert _found(tx, "row-origin", columns, message_id="m") == [("a", 3, "chat_messages", *known)]
    assert _found(tx, "row-origin", columns, object_id="a", ordinal="3") == [("a", 3, "chat_messages", *known)]
    assert _found(tx, "row-origin", "tables", object_id="a", ordinal=0) == [("object_assets",)]
    assert _found(tx, "row-origin", object_id="a", ordinal=4) == []
    ((changes,),) = _found(tx, "row-origin", "session_changes", message_id="m")
    assert "by load, from no session to new, asset_record: the vendor names it" in changes


@pytest.mark.parametrize("table", [table.name for table in FACTS])
def test_a_row_of_every_table_has_an_origin(tx: Connection, table: str) -> None:
    put_object(tx, "a")
    needed = {"summaries": {"sections": 1, "points": 1}}
    put(tx, table, object_id="a", ordinal=2, **(needed | {"summary_points": {"section_ordinal": 1}}).get(table, {}))
    assert _found(tx, "row-origin", "tables", object_id="a", ordinal=2) == [(table,)]


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("users", {}, "use one of completeness, row-origin, session-record, user-record"),
        ("session-record", {}, "needs session_id: The session"),
        ("session-record", {"session_id": ""}, "needs session_id"),
        ("session-record", {"session_id": "s", "room": "r"}, "no parameter 'room': use session_id, customer"),
        ("user-record", {"user_id": "u", "name": "n", **MARCH}, "either user_id or name, not both"),
        ("user-record", MARCH, "needs user_id or name"),
        ("user-record", {"user_id": "u", "since": "2026-03-01"}, "needs until: End of the period, exclusive"),
        ("user-record", {"user_id": "u", **MARCH, "until": "2026-02-30"}, "until cannot be '2026-02-30': give a day"),
        ("user-record", {"user_id": "u", **MARCH, "since": "March"}, "since cannot be 'March': give a day such as"),
        ("user-record", {"user_id": "u", **MARCH, "since": "2026-03-01T10:00:00"}, "since cannot be"),
        ("user-record", {"user_id": "u", **MARCH, "since": "0001-01-01T00:00:00Z"}, "since cannot be"),
        ("user-record", {"user_id": "u", **MARCH, "since": "2026-04-01"}, "must be before until"),
        ("row-origin", {}, "needs object_id or message_id"),
        ("row-origin", {"object_id": "a"}, "needs ordinal and object_id together"),
        ("row-origin", {"message_id": "m", "ordinal": 1}, "needs ordinal and object_id together"),
        ("row-origin", {"object_id": "a", "ordinal": "one"}, "ordinal cannot be 'one': give a whole number"),
        ("row-origin", {"object_id": "a", "ordinal": str(2**63)}, "ordinal cannot be"),
        ("completeness", {}, "needs now"),
        ("completeness", {"now": datetime(2026, 1, 1)}, "now cannot be"),  # noqa: DTZ001  # that is the case
    ],
)
def test_invalid_parameters_are_explained(tx: Connection, name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(audit.AuditError) as raised:
        run_audit(tx, name, params)
    assert message in str(raised.value)


def test_every_audit_describes_its_result_and_parameters() -> None:
    known = audit.names()
    assert list(known) == ["completeness", "row-origin", "session-record", "user-record"]
    for question in known.values():
        assert question.description.endswith(".")
        assert not [p.name for p in question.parameters if f":{p.name}" not in question.query]
        assert not [p.other for p in question.parameters if p.other and f":{p.other}" not in question.query]
    assert [p.name for p in known["user-record"].parameters] == ["user_id", "name", "since", "until", "customer"]


def _written(*rows: dict[str, Any]) -> str:
    stream = io.StringIO(newline="")
    audit.write_csv(rows, stream)
    return stream.getvalue()


def test_csv_supports_every_kind_of_cell() -> None:
    row = {"n": -1, "d": Decimal("-2.5"), "f": -0.5, "b": True, "t": NOON, "none": None, "j": {"ä": [1]}, "x": b"\x01",
           "s": 'a,"b"\nc'}  # fmt: skip
    assert _written(row, row).split("\r\n", 1) == [
        "n,d,f,b,t,none,j,x,s",
        '-1,-2.5,-0.5,true,2026-03-02T12:00:00Z,,"{""ä"": [1]}",01,"a,""b""\nc"\r\n' * 2,
    ]
    assert _written() == ""


def test_csv_keeps_fractions_of_a_second() -> None:
    assert _written({"t": datetime(2026, 3, 2, 1, 2, 3, 4, tzinfo=UTC)}) == "t\r\n2026-03-02T01:02:03.000004Z\r\n"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "  =1", "＝1", "＋1", "－1", "＠a",
                                  "\u00a0=1", "\ufeff=1", "\u200b=1", "\n=1", "\x00=1"])  # fmt: skip
def test_a_formula_becomes_text(cell: str) -> None:
    assert _read_back(cell) == f"'{cell}"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@example("'=1")
@example("\r")
def test_any_text_can_be_read_back_and_is_not_a_formula(cell: str) -> None:
    back = _read_back(cell)
    assert back in (cell, f"'{cell}")
    assert not back.lstrip().startswith(tuple("=+-@＝＋－＠"))
    assert not back.startswith(("\t", "\r"))


def _read_back(cell: str) -> str:
    (head, row) = csv.reader(io.StringIO(_written({"a": cell, "b": "end"}), newline=""))
    assert (head, row[1:]) == (["a", "b"], ["end"])
    return row[0]
