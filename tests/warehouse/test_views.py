"""The views: every rule on a few rows, on both engines."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text
from sqlalchemy.dialects import postgresql

from roomledger.ledger.database import Database, WarehouseError
from roomledger.warehouse import setup
from roomledger.warehouse.views import VIEWS, statements
from tests.rows import NOON, at, put, put_object, rows


def test_the_views_have_the_defined_columns_types_and_comments(tx: Connection) -> None:
    comments = {
        "duckdb": "SELECT view_name, NULL, comment FROM duckdb_views() WHERE NOT internal UNION ALL SELECT table_name,"
        " column_name, comment FROM duckdb_columns() WHERE table_name IN (SELECT view_name FROM duckdb_views()"
        " WHERE NOT internal) AND schema_name = 'main'",
        "postgresql": "SELECT relname, NULL, obj_description(oid) FROM pg_class WHERE relkind = 'v' AND"
        " relnamespace = 'public'::regnamespace UNION ALL SELECT relname, attname, col_description(c.oid, attnum)"
        " FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid WHERE relkind = 'v'"
        " AND relnamespace = 'public'::regnamespace AND attnum > 0",
    }[tx.dialect.name]
    defined = {(view.name, None): view.comment for view in VIEWS}
    defined |= {(view.name, column.name): column.comment for view in VIEWS for column in view.columns}
    assert {(name, column): comment for name, column, comment in tx.exec_driver_sql(comments)} == defined
    speak = postgresql.dialect()
    for view in VIEWS:
        kinds = {c["name"]: _plain(c["type"].compile(speak)) for c in inspect(tx).get_columns(view.name)}
        assert list(kinds.items()) == [(c.name, _plain(c.type.compile(speak))) for c in view.columns], view.name
        assert view.comment is not None
        assert view.comment.startswith("One row per ")


def _plain(type_: str) -> str:
    alike = {
        "VARCHAR": "TEXT",
        "DOUBLE": "DOUBLE PRECISION",
        "JSONB": "JSON",
        "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
    }
    return alike.get(type_, type_)


def _comment(database: Database) -> str | None:
    with database.begin() as tx:
        return inspect(tx).get_table_comment("statements")["text"]


def test_current_views_are_not_created_again(ready: Database) -> None:
    with ready.begin() as tx:
        tx.execute(text("CREATE VIEW mine AS SELECT kind FROM statements"))
        tx.execute(text("COMMENT ON VIEW statements IS 'Whoever makes it anew loses this.'"))
    setup.upgrade(ready)
    assert _comment(ready) == "Whoever makes it anew loses this."


@pytest.mark.parametrize(
    "change",
    [
        "COMMENT ON TABLE alembic_version IS NULL",  # as an older version leaves it
        "COMMENT ON TABLE alembic_version IS 'of other definitions'",
        "DROP VIEW session_timeline",
    ],
)
def test_all_views_are_created_again_when_one_is_outdated(ready: Database, change: str) -> None:
    with ready.begin() as tx:
        tx.execute(text("COMMENT ON VIEW statements IS 'Whoever makes it anew loses this.'"))
        tx.execute(text(change))
    setup.upgrade(ready)
    assert _comment(ready) == statements.comment
    with ready.begin() as tx:
        assert rows(tx, "SELECT * FROM session_timeline") == []


def test_all_views_are_created_again_when_a_definition_changes(
    ready: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements.c.text, "comment", "It's the text: unchanged.")
    setup.upgrade(ready)
    with ready.begin() as tx:
        comments = {column["name"]: column["comment"] for column in inspect(tx).get_columns("statements")}
    assert comments["text"] == "It's the text: unchanged."


def test_an_object_that_depends_on_a_view_is_named(new_postgres: Database) -> None:
    setup.upgrade(new_postgres)
    with new_postgres.begin() as tx:
        tx.execute(text("DROP VIEW session_timeline"))
        tx.execute(text("CREATE VIEW mine AS SELECT kind FROM statements"))
    with pytest.raises(WarehouseError, match="view mine depends on view statements"):
        setup.upgrade(new_postgres)
    with new_postgres.begin() as tx:
        tx.execute(text("DROP VIEW mine"))
    setup.upgrade(new_postgres)
    with new_postgres.begin() as tx:
        assert rows(tx, "SELECT * FROM session_timeline") == []


# -- recording_assets


def test_an_asset_that_only_the_bucket_has(tx: Connection) -> None:
    put_object(tx, "o", asset_type="track", session_id="s", session_evidence="key", first_seen_by="listing",
               key_peer_id="p", key_layer="2")  # fmt: skip
    query = (
        "SELECT session_id, session_evidence, object_id, ordinal, load_id, asset_type, raw_type, uri, status,"
        " size_bytes, vendor_size_bytes, size_difference_bytes, asset_id, peer_id, layer, disposition, first_seen_by"
        " FROM recording_assets"
    )
    assert rows(tx, query) == [
        ("s", "key", "o", 0, "load", "track", None, "s3://acme/o", "completed", 100, None, None, None, "p", "2",
         "loaded", "listing")
    ]  # fmt: skip


@pytest.mark.parametrize(("session", "evidence"), [("s", "asset_record"), (None, "none")])
def test_an_asset_that_only_the_vendor_reports(tx: Connection, session: str | None, evidence: str) -> None:
    put(tx, "asset_records", asset_id="a", session_id=session, uri="s3://acme/o", status="processing", size_bytes=7,
        metadata={"k": 1}, first_seen_by="api")  # fmt: skip
    query = (
        "SELECT session_id, session_evidence, object_id, ordinal, load_id, uri, status, size_bytes, vendor_size_bytes,"
        " size_difference_bytes, asset_id, disposition, first_seen_by FROM recording_assets"
    )
    expected = (session, evidence, None, 0, None, "s3://acme/o", "processing", 7, 7, None, "a", None, "api")
    assert rows(tx, query) == [expected]


def test_an_asset_in_bucket_and_api_is_one_row(tx: Connection) -> None:
    put_object(tx, "o", asset_type="track", asset_id="a", job_id="j", first_seen_at=at(5), key_peer_id="key",
               key_layer="1")  # fmt: skip
    put(tx, "asset_records", asset_id="a", uri="s3://acme/o", size_bytes=90, peer_id="api", duration_s=1.5,
        created_at=at(-9), first_seen_at=at(4), first_seen_by="api", raw_type="track", status="failed")  # fmt: skip
    query = (
        "SELECT object_id, job_id, status, size_bytes, vendor_size_bytes, size_difference_bytes, peer_id, layer,"
        " duration_s, created_at, first_seen_at, first_seen_by FROM recording_assets"
    )
    assert rows(tx, query) == [("o", "j", "failed", 100, 90, 10, "api", "1", 1.5, at(-9), at(4), "api")]


def test_the_bucket_can_be_the_first_observer(tx: Connection) -> None:
    put_object(tx, "o", asset_id="a", first_seen_at=at(4))
    put(tx, "asset_records", asset_id="a", uri="s3://acme/o", first_seen_at=at(5), first_seen_by="api")
    assert rows(tx, "SELECT first_seen_at, first_seen_by FROM recording_assets") == [(at(4), "listing")]


def test_two_records_of_one_address_are_two_rows(tx: Connection) -> None:
    put_object(tx, "o", asset_id="a2")
    for name in ("a1", "a2"):
        put(tx, "asset_records", asset_id=name, uri="s3://acme/o")
    found = rows(tx, "SELECT asset_id, object_id FROM recording_assets ORDER BY asset_id")
    assert found == [("a1", None), ("a2", "o")]


_OLDER = {"object_id": "older", "modified_at": at(1)}


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([{"disposition": "refused"}], [("one", "refused")]),
        ([{"disposition": "seen"}], [("one", "seen")]),
        ([{"disposition": "seen", "loaded_at": NOON}], [("one", "loaded")]),
        ([{"disposition": "missing"}], [("one", "missing")]),
        ([{"disposition": "missing", "loaded_at": None}], []),
        ([{"disposition": "erased"}], []),
        ([{"disposition": "superseded"}], []),
        ([{"disposition": "ignored", "asset_type": None}], []),
        ([{"disposition": "seen", "asset_type": "unknown"}], []),
        ([_OLDER, {"disposition": "refused", "modified_at": at(2)}], [("older", "loaded")]),
        ([_OLDER, {"disposition": "unchanged", "modified_at": at(2)}], [("older", "loaded")]),
        ([_OLDER | {"disposition": "superseded"}, {"modified_at": at(2)}], [("one", "loaded")]),
        ([_OLDER | {"disposition": "seen"}, {"disposition": "refused", "modified_at": at(2)}], [("one", "refused")]),
    ],
)
def test_one_version_of_an_address_is_shown(
    tx: Connection, versions: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    for version in versions:
        put_object(tx, **({"object_id": "one", "uri": "s3://acme/same", "asset_id": "a"} | version))
    put(tx, "asset_records", asset_id="a", uri="s3://acme/same")
    # Without such a version only the vendor's record is shown.
    assert rows(tx, "SELECT object_id, disposition FROM recording_assets") == (expected or [(None, None)])


# -- statements


def _chat(tx: Connection, object_id: str, **cells: Any) -> None:
    put(tx, "chat_messages", **({"object_id": object_id, "session_id": "s", "sent_at": at(3)} | cells))


def test_a_message_that_two_recorders_wrote_is_one(tx: Connection) -> None:
    _chat(tx, "b", message_id="m", ordinal=1)
    _chat(tx, "a", message_id="m", ordinal=5)
    _chat(tx, "a", message_id="m", ordinal=4)
    query = "SELECT kind, object_id, ordinal, copies, said_at, text FROM statements"
    assert rows(tx, query) == [("message", "a", 4, 3, at(3), "hello")]


@pytest.mark.parametrize(
    "apart",
    [{"message_id": None}, {"message_id": ""}, {"message_id": "m", "session_id": None}, {"message_id": "n"},
     {"message_id": "m", "session_id": "t"}, {"message_id": "m", "customer": "Other"}],
)  # fmt: skip
def test_messages_without_a_common_id_are_separate(tx: Connection, apart: dict[str, Any]) -> None:
    _chat(tx, "a", message_id=apart["message_id"] if apart["message_id"] in (None, "") else "m")
    _chat(tx, "b", **apart)
    if apart["message_id"] == "m":
        _chat(tx, "c", **apart)
    found = rows(tx, "SELECT object_id, copies FROM statements ORDER BY object_id")
    same_place = apart.get("session_id", "s") is not None
    rest = [("b", 2)] if apart["message_id"] == "m" and same_place else [("b", 1), ("c", 1)]
    assert found == [("a", 1), *(rest if apart["message_id"] == "m" else [("b", 1)])]


def _transcript(tx: Connection, object_id: str, mode: str, *, uri: str | None = None, **cells: Any) -> None:
    put_object(tx, object_id, asset_type="transcript", uri=uri or f"s3://acme/talk/{object_id}")
    place = {"session_id": cells.pop("session_id", "s")}
    spoken = {name: cells.pop(name) for name in ("speaker_name", "speaker_peer_id", "start_ms") if name in cells}
    put(tx, "transcripts", object_id=object_id, ordinal=0, output_mode=mode, **place, **cells)
    if cells.get("segments") != 0:
        put(tx, "transcript_segments", object_id=object_id, **place, **spoken)


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        ([("1", "json", "j"), ("2", "srt", "j"), ("3", "txt", "j")], ["1"]),
        ([("1", "txt", "j"), ("2", "srt", "j")], ["2"]),
        ([("1", "srt", None)], ["1"]),
        ([("1", "txt", None)], ["1"]),
        ([("1", "json", None), ("2", "srt", None)], ["1"]),  # one folder, one recording
        ([("1", "json", "j"), ("2", "srt", "k")], ["1", "2"]),
    ],
)
def test_sentences_come_from_the_best_format_of_each_recording(
    tx: Connection, forms: list[tuple[str, str, str | None]], expected: list[str]
) -> None:
    for object_id, mode, job in forms:
        _transcript(tx, object_id, mode, job_id=job)
    assert [name for (name,) in rows(tx, "SELECT object_id FROM statements ORDER BY 1")] == expected


def test_recordings_without_a_job_are_distinguished_by_folder(tx: Connection) -> None:
    _transcript(tx, "1", "json", uri="s3://acme/one/talk.json")
    _transcript(tx, "2", "srt", uri="s3://acme/two/talk.srt")
    assert rows(tx, "SELECT count(*) FROM statements") == [(2,)]


def test_an_empty_transcript_does_not_hide_one_with_sentences(tx: Connection) -> None:
    _transcript(tx, "1", "json", job_id="j", segments=0)
    _transcript(tx, "2", "srt", job_id="j")
    assert rows(tx, "SELECT object_id FROM statements") == [("2",)]


@pytest.mark.parametrize(
    ("started", "start_ms", "said_at"), [(at(10), 1500, at(11.5)), (None, 1500, None), (at(10), None, None)]
)
def test_a_sentence_has_a_time_if_the_start_of_its_recording_is_known(
    tx: Connection, started: Any, start_ms: Any, said_at: Any
) -> None:
    _transcript(tx, "1", "json", recording_started_at=started, start_ms=start_ms)
    query = "SELECT kind, said_at, recording_started_at, start_ms, copies FROM statements"
    assert rows(tx, query) == [("sentence", said_at, started, start_ms, 1)]


_PEERS = (
    ("ann1", "u-ann", "Ann", "host"), ("ann2", "u-ann", "Ann", "host"),  # rejoined
    ("bob1", "u-bob", "Bob", "guest"), ("bob2", "u-rob", "Bob", "guest"),  # two people, one name
    ("cy1", "", "Cy", "guest"), ("dee1", "u-dee", "Dee", "host"), ("dee2", None, "Dee", "guest"),
)  # fmt: skip


def _people(tx: Connection) -> None:
    for peer_id, user_id, name, role in _PEERS:
        put(tx, "peer_records", session_id="s", peer_id=peer_id, user_id=user_id, name=name, role=role)
    put(tx, "peer_records", session_id="s", peer_id="bot", user_id="u-bot", name="Cy", is_recorder=True)
    put(tx, "peer_records", session_id="t", peer_id="eve1", user_id="u-eve", name="Eve")


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ({"speaker_peer_id": "ann1", "speaker_name": "Anna"}, ("Anna", "ann1", "u-ann", "host", "peer_id")),
        ({"speaker_peer_id": "ann1", "speaker_name": ""}, ("Ann", "ann1", "u-ann", "host", "peer_id")),
        ({"speaker_peer_id": "left", "speaker_name": "Ann"}, ("Ann", "left", None, None, "peer_id")),
        ({"speaker_name": "Ann"}, ("Ann", None, "u-ann", "host", "name")),
        ({"speaker_name": "Bob"}, ("Bob", None, None, None, "none")),
        ({"speaker_peer_id": "", "speaker_name": "Cy"}, ("Cy", "cy1", None, "guest", "name")),
        ({"speaker_name": "Dee"}, ("Dee", None, None, None, "none")),
        ({"speaker_name": "ann"}, ("ann", None, None, None, "none")),
        ({"speaker_name": "Eve"}, ("Eve", None, None, None, "none")),
        ({"speaker_name": None}, (None, None, None, None, "none")),
    ],
)
def test_who_said_a_sentence(tx: Connection, spoken: dict[str, Any], expected: tuple[Any, ...]) -> None:
    _people(tx)
    _transcript(tx, "1", "json", **spoken)
    query = "SELECT speaker_name, peer_id, user_id, role, speaker_evidence FROM statements"
    assert rows(tx, query) == [expected]


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        (("ann1", "Ann", "u-file"), ("ann1", "u-file", "host", "peer_id")),
        (("ann1", "Ann", ""), ("ann1", "u-ann", "host", "peer_id")),
        ((None, "Ann", "u-file"), (None, "u-file", None, "user_id")),
        (("", "Ann", ""), (None, "u-ann", "host", "name")),
    ],
)
def test_who_wrote_a_message(tx: Connection, sender: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    _people(tx)
    peer_id, name, user_id = sender
    _chat(tx, "a", sender_peer_id=peer_id, sender_name=name, sender_user_id=user_id)
    assert rows(tx, "SELECT peer_id, user_id, role, speaker_evidence FROM statements") == [expected]


# -- session_overview and session_timeline


def test_an_overview_of_a_session(tx: Connection) -> None:
    put(tx, "rooms", room_id="r", name="Maths")
    put(tx, "session_records", session_id="s", room_id="r", active=False, started_at=NOON, ended_at=at(90.5))
    _people(tx)
    put(tx, "peer_records", session_id="s", peer_id="x1")
    put(tx, "peer_records", session_id="s", peer_id="x2", name="Cy")
    _chat(tx, "a", message_id="m")
    _chat(tx, "b", message_id="m")
    _transcript(tx, "1", "json", job_id="j")
    _transcript(tx, "2", "srt", job_id="j")
    put(tx, "job_records", job_id="j", session_id="s")
    put_object(tx, "c", asset_type="chat", session_id="s")
    put_object(tx, "d", asset_type="track", session_id="s", disposition="missing")
    put(tx, "asset_records", asset_id="a", asset_type="track", session_id="s", status="failed")
    put(tx, "asset_records", asset_id="elsewhere", asset_type="track", session_id="u")
    found = dict(tx.execute(text("SELECT * FROM session_overview WHERE session_id = 's'")).mappings().one())
    assert found == {
        "customer": "Acme", "source": "bucket", "session_id": "s", "room_id": "r", "room_name": "Maths",
        "active": False, "started_at": NOON, "ended_at": at(90.5), "duration_s": 90.5,
        # u-ann, u-bob, u-rob, u-dee, and by name Cy (twice) and Dee, by peer x1
        "attendees": 7, "peers": 9, "messages": 1, "doubtful_messages": 0, "sentences": 1, "recordings": 1,
        "assets": 5, "assets_failed": 1, "assets_in_bucket": 3,
        "assets_by_type": "chat 1, track 2, transcript 2", "assets_by_status": "completed 4, failed 1",
    }  # fmt: skip


def test_a_user_id_and_an_equal_name_are_two_attendees(tx: Connection) -> None:
    put(tx, "peer_records", session_id="s", peer_id="1", user_id="Ann")
    put(tx, "peer_records", session_id="s", peer_id="2", name="Ann")
    assert rows(tx, "SELECT attendees FROM session_overview") == [(2,)]


def test_sessions_that_only_a_recording_names_are_in_the_overview(tx: Connection) -> None:
    put(tx, "session_records", session_id="known", active=True, started_at=NOON)
    for name, session in (("a", "known"), ("b", "object"), ("c", None)):
        put_object(tx, name, session_id=session, room_id="r")
    put(tx, "asset_records", asset_id="a", session_id="asset")
    put(tx, "job_records", job_id="j", session_id="job")
    put(tx, "peer_records", session_id="peer", peer_id="p")
    query = "SELECT session_id, room_id, active, duration_s, assets, messages FROM session_overview ORDER BY 1"
    assert rows(tx, query) == [
        ("asset", None, None, None, 1, 0),
        ("job", None, None, None, 0, 0),
        ("known", None, True, None, 1, 0),
        ("object", "r", None, None, 1, 0),
        ("peer", None, None, None, 0, 0),
    ]


def test_a_timeline_has_every_event_on_one_clock(tx: Connection) -> None:
    put(tx, "session_records", session_id="s", room_id="r", active=False, started_at=NOON, ended_at=at(100))
    put(tx, "peer_records", session_id="s", peer_id="p", user_id="u", name="Ann", role="host", joined_at=at(1),
        left_at=at(90))  # fmt: skip
    put(tx, "peer_records", session_id="s", peer_id="bot", is_recorder=True, joined_at=at(2))
    put(tx, "job_records", job_id="j", session_id="s", started_at=at(3), stopped_at=at(80), started_by="p",
        stopped_by="")  # fmt: skip
    _chat(tx, "a", sender_peer_id="p", sent_at=at(4))
    _chat(tx, "a", ordinal=2, sent_at=None)
    _transcript(tx, "1", "json", recording_started_at=at(3), start_ms=2500, speaker_name="Ann")
    query = (
        "SELECT happened_at, offset_s, kind, peer_id, user_id, name, role, is_recorder, text, job_id, object_id,"
        " ordinal FROM session_timeline WHERE session_id = 's' ORDER BY happened_at, kind"
    )
    nobody, ann = (None, None, None, None, None), ("p", "u", "Ann", "host")
    assert rows(tx, query) == [
        (NOON, 0, "session_start", *nobody, None, None, None, None),
        (at(1), 1, "join", *ann, False, None, None, None, None),
        (at(2), 2, "join", "bot", None, None, None, True, None, None, None, None),
        (at(3), 3, "recording_start", *ann, False, None, "j", None, None),
        (at(4), 4, "message", *ann, None, "hello", None, "a", 1),
        (at(5.5), 5.5, "sentence", *ann, None, "hello", None, "1", 1),
        (at(80), 80, "recording_stop", *nobody, None, "j", None, None),
        (at(90), 90, "leave", *ann, False, None, None, None, None),
        (at(100), 100, "session_end", *nobody, None, None, None, None),
        (None, None, "leave", "bot", None, None, None, True, None, None, None, None),
        (None, None, "message", *nobody, "hello", None, "a", 2),
    ]


def test_events_that_have_not_happened_are_not_in_the_timeline(tx: Connection) -> None:
    put(tx, "session_records", session_id="s", active=True, started_at=NOON)
    put(tx, "peer_records", session_id="s", peer_id="p", joined_at=at(1))
    put(tx, "job_records", job_id="i", session_id="s", status="starting")
    put(tx, "job_records", job_id="j", session_id="s", status="running", started_at=at(2))
    query = "SELECT kind FROM session_timeline ORDER BY happened_at"
    assert rows(tx, query) == [("session_start",), ("join",), ("recording_start",)]


@pytest.mark.parametrize(
    ("session", "has_left"),
    [({"active": True}, False), ({"active": False}, True), ({"active": None, "ended_at": at(9)}, True), ({}, False)],
)
def test_peers_of_an_ended_session_have_left(tx: Connection, session: dict[str, Any], has_left: bool) -> None:
    put(tx, "session_records", session_id="s", **session)
    put(tx, "peer_records", session_id="s", peer_id="p")
    found = rows(tx, "SELECT happened_at, peer_id FROM session_timeline WHERE kind = 'leave'")
    assert found == [(None, "p")] * has_left


# -- freshness

_TIMES = "load_id, claimed_at, queryable_at, seen_after_s, claimed_after_s, queryable_after_s"


def test_a_loaded_version_has_the_seconds_of_each_step(tx: Connection) -> None:
    put_object(
        tx, "o", session_id="s", first_seen_at=at(1.5), first_seen_by="s3_event", loaded_at=at(4.25), first_load_id="l"
    )
    put(tx, "loads", load_id="l", claimed_at=at(2), committed_at=at(4.25))
    put_object(tx, "waits", disposition="seen")
    found = dict(tx.execute(text("SELECT * FROM freshness")).mappings().one())
    assert found == {
        "customer": "Acme", "source": "bucket", "session_id": "s", "object_id": "o", "uri": "s3://acme/o",
        "asset_type": "chat", "load_id": "l", "written_at": NOON, "seen_at": at(1.5), "seen_by": "s3_event",
        "claimed_at": at(2), "queryable_at": at(4.25),
        "seen_after_s": 1.5, "claimed_after_s": 2, "queryable_after_s": 4.25,
    }  # fmt: skip


def test_long_times_are_in_seconds_and_negative_when_clocks_disagree(tx: Connection) -> None:
    put(tx, "loads", load_id="l", claimed_at=at(-0.125), committed_at=at(400 * 86400 + 0.5))
    put_object(tx, "o", first_seen_at=at(-0.25), first_load_id="l")
    assert rows(tx, f"SELECT {_TIMES} FROM freshness") == [
        ("l", at(-0.125), at(400 * 86400 + 0.5), -0.25, -0.125, 400 * 86400 + 0.5)
    ]


@pytest.mark.parametrize("disposition", ["loaded", "missing", "superseded"])
def test_the_load_that_first_loaded_rows_counts(tx: Connection, disposition: str) -> None:
    put(tx, "loads", load_id="first", claimed_at=at(2), committed_at=at(3))
    put(tx, "loads", load_id="again", claimed_at=at(50), committed_at=at(60))
    put_object(tx, "o", disposition=disposition, loaded_at=at(60), load_id="again", first_load_id="first")
    assert rows(tx, f"SELECT {_TIMES} FROM freshness") == [("first", at(2), at(3), 0, 2, 3)]


@pytest.mark.parametrize("view", [view.name for view in VIEWS if "session_id" in view.columns])
def test_a_query_for_one_session_uses_the_indexes_of_postgresql(new_postgres: Database, view: str) -> None:
    setup.upgrade(new_postgres)
    with new_postgres.begin() as tx:
        tx.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(line for (line,) in rows(tx, f"EXPLAIN SELECT * FROM {view} WHERE session_id = 's'"))
    scans = [line.strip() for line in plan.splitlines() if "Seq Scan" in line]
    assert scans == [], plan


# -- webhooks beside the API and the bucket


def _named(tx: Connection, event_id: str = "e", **cells: Any) -> None:
    """An event that names an asset."""
    plain = {"event_id": event_id, "ordinal": 1, "asset_type": "track", "recorder_id": event_id}
    silent = dict.fromkeys(("created_at", "size_bytes", "output_mode"))
    put(tx, "event_assets", **(plain | silent | {"ingested_at": at(7)} | cells))


def test_an_asset_that_only_a_webhook_reports(tx: Connection) -> None:
    _named(tx, session_id="s", uri="s3://acme/o", size_bytes=7, created_at=at(1), recording_id="r", peer_id="p",
           track_type="audio", thumbnails=["t"])  # fmt: skip
    _named(tx, "no session", uri="s3://acme/p", status="failed", error_type="E", error_message="lost", job_id="j")
    _named(tx, "no place", asset_id="a", status="processing", asset_type="transcript", output_mode="srt")
    _named(tx, "nothing to know it by", status="failed")
    query = (
        "SELECT uri, session_id, session_evidence, object_id, ordinal, load_id, asset_type, status, size_bytes,"
        " vendor_size_bytes, size_difference_bytes, created_at, asset_id, job_id, recording_id, peer_id, track_type,"
        " output_mode, thumbnails IS NULL, error_type, error_message, disposition, first_seen_at, first_seen_by"
        " FROM recording_assets ORDER BY uri"
    )
    nobody, by = (None, None, None), (None, at(7), "webhook")
    assert rows(tx, query) == [
        ("s3://acme/o", "s", "webhook", None, 0, None, "track", "completed", 7, 7, None, at(1), None, None, "r", "p",
         "audio", None, False, None, None, *by),
        ("s3://acme/p", None, "none", None, 0, None, "track", "failed", *nobody, None, None, None, None, None,
         None, None, True, "E", "lost", *by),
        (None, None, "none", None, 0, None, "transcript", "processing", *nobody, None, "a", None, None, None,
         None, "srt", True, None, None, *by),
    ]  # fmt: skip


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize(
    ("api", "webhook", "expected"),
    [
        (None, "completed", ("completed", None)),
        (None, "failed", ("failed", "lost")),
        ("completed", None, ("completed", None)),
        ("completed", "failed", ("completed", None)),
        ("failed", "completed", ("failed", None)),
        ("failed", "failed", ("failed", "lost")),
        ("processing", None, ("processing", None)),
        ("processing", "completed", ("completed", None)),
        ("processing", "failed", ("failed", "lost")),
        ("odd", "completed", ("completed", None)),
    ],
)
@pytest.mark.parametrize("path", ["s3://acme/o", None])
def test_the_status_of_an_asset(
    tx: Connection, api: str | None, webhook: str | None, path: str | None, is_there: bool, expected: tuple[str, str]
) -> None:
    """A final status in the API takes precedence, then the webhook's; also before the API has the address."""
    known = path or webhook  # otherwise the object cannot be matched with the asset
    if is_there:
        put_object(tx, "o", asset_id="a" if api and known else None)
    if api:
        put(tx, "asset_records", asset_id="a", uri=path, status=api)
    if webhook:
        _named(
            tx, uri="s3://acme/o", asset_id="a", status=webhook, error_message="lost" if webhook == "failed" else None
        )
    found = rows(tx, "SELECT uri, status, error_message, object_id IS NULL FROM recording_assets ORDER BY uri")
    apart = [("s3://acme/o", "completed", None, False)] * is_there + [(None, *expected, True)]
    assert found == ([("s3://acme/o", *expected, not is_there)] if known else apart)


def test_webhooks_fill_gaps_of_the_api_and_the_key_fills_gaps_of_both(tx: Connection) -> None:
    put_object(tx, "o", asset_type="track", asset_id="a", first_seen_at=at(9), key_peer_id="key", key_layer="key",
               key_stream_id="key")  # fmt: skip
    put(tx, "asset_records", asset_id="a", uri="s3://acme/o", peer_id="api", job_id="j", first_seen_at=at(8))
    _named(tx, uri="s3://acme/o", peer_id="webhook", stream_id="webhook", size_bytes=90, duration_s=2.5, job_id="x",
           created_at=at(3), user_id="webhook", recording_id="r", width=5)  # fmt: skip
    query = (
        "SELECT peer_id, stream_id, layer, user_id, width, job_id, recording_id, size_bytes, vendor_size_bytes,"
        " size_difference_bytes, duration_s, created_at, first_seen_at, first_seen_by FROM recording_assets"
    )
    found = ("api", "webhook", "key", "webhook", 5, "j", "r", 100, 90, 10, 2.5, at(3), at(7), "webhook")
    assert rows(tx, query) == [found]


def test_several_webhooks_about_one_asset_are_one_row(tx: Connection) -> None:
    times = {"early": at(1), "late": at(2), "failed": at(3), "timeless": None, "late too": at(2)}
    for name, time in times.items():
        status = "failed" if name == "failed" else "completed"
        _named(tx, name, uri="s3://acme/o", occurred_at=time, status=status, peer_id=name)
        _named(tx, name, uri="s3://acme/o", occurred_at=time, status=status, peer_id=name, source="again", ordinal=1)
    for number, status in enumerate(("completed", "processing", "failed")):
        place = {"uri": "s3://acme/p"} if status == "failed" else {}
        _named(tx, f"by id {number}", asset_id="a", status=status, peer_id=status, occurred_at=at(number), **place)
    put(tx, "asset_records", asset_id="b", uri=None, status="odd")
    _named(tx, "b, made", asset_id="b", status="completed", occurred_at=at(1))
    _named(tx, "b, to be made", asset_id="b", status="processing", occurred_at=at(2))
    query = "SELECT uri, asset_id, peer_id, status FROM recording_assets ORDER BY uri, asset_id"
    assert rows(tx, query) == [
        ("s3://acme/o", None, "late too", "completed"),
        ("s3://acme/p", "a", "failed", "failed"),
        (None, "b", None, "completed"),
    ]


def test_records_of_another_customer_are_separate(tx: Connection) -> None:
    put_object(tx, "o", asset_id="a")
    put(tx, "asset_records", asset_id="a", uri="s3://acme/o", status="processing")
    put(tx, "asset_records", asset_id="b", uri=None, status="processing")
    _named(tx, customer="Other", uri="s3://acme/o", status="failed", peer_id="p", asset_id="a")
    _named(tx, "of b", customer="Other", uri="s3://acme/p", asset_id="b")
    for customer in ("Acme", "Other"):
        _named(tx, f"of {customer}", customer=customer, uri="s3://acme/q")
        _named(tx, f"of {customer}, without a place", customer=customer, asset_id="c")
    query = "SELECT customer, asset_id, uri, status, peer_id FROM recording_assets ORDER BY 1, 2 NULLS LAST"
    assert rows(tx, query) == [
        ("Acme", "a", "s3://acme/o", "processing", None),
        ("Acme", "b", None, "processing", None),
        ("Acme", "c", None, "completed", None),
        ("Acme", None, "s3://acme/q", "completed", None),
        ("Other", "a", "s3://acme/o", "failed", "p"),
        ("Other", "b", "s3://acme/p", "completed", None),
        ("Other", "c", None, "completed", None),
        ("Other", None, "s3://acme/q", "completed", None),
    ]


_HEARD: dict[str, Any] = {"first_ingested_at": at(7), "session_id": "s"}


@pytest.mark.parametrize(("first", "by"), [(at(8), "webhook"), (at(6), "api"), (at(7), "api")])
def test_webhooks_fill_gaps_of_api_records(tx: Connection, first: Any, by: str) -> None:
    api = {"first_seen_at": first, "first_seen_by": "api", "session_id": "s"}
    put(tx, "session_records", **api, room_id="r", active=True, started_at=NOON)
    put(tx, "event_sessions", **_HEARD, room_id="x", room_name="Maths", started_at=at(1), ended_at=at(9))
    put(tx, "peer_records", **api, peer_id="p", name="Ann")
    put(
        tx, "event_peers", **_HEARD, peer_id="p", name="Annie", user_id="u", role="host", joined_at=at(1), left_at=at(2)
    )
    put(tx, "job_records", **api, job_id="j", status="running", started_at=NOON, planned_types=["chat"])
    put(tx, "event_recordings", **_HEARD, recorder_id="b", api_job_id="j", job_id="x", beam_id="b", kind="live-stream",
        status="failed", started_at=at(1), stopped_at=at(2), error_type="E", error_message="lost")  # fmt: skip
    first_seen = "first_seen_at, first_seen_by"
    seen = (at(6) if by == "api" and first == at(6) else at(7), by)
    assert rows(tx, f"SELECT room_id, active, started_at, ended_at, room_name, {first_seen} FROM sessions") == [
        ("r", False, NOON, at(9), "Maths", *seen)
    ]
    assert rows(tx, f"SELECT name, user_id, role, joined_at, left_at, {first_seen} FROM peers") == [
        ("Ann", "u", "host", at(1), at(2), *seen)
    ]
    assert rows(
        tx, f"SELECT job_id, kind, status, started_at, stopped_at, beam_id, error_message, {first_seen} FROM recordings"
    ) == [("j", "recording", "running", NOON, at(2), "b", "lost", *seen)]
    query = "SELECT room_name, active, attendees, recordings, assets FROM session_overview"
    assert rows(tx, query) == [("Maths", False, 1, 1, 0)]
    put(tx, "rooms", room_id="r", name="Maths, the room")
    assert rows(tx, query) == [("Maths, the room", False, 1, 1, 0)]


def test_two_recorders_of_one_job_are_one_recording(tx: Connection) -> None:
    put(tx, "job_records", job_id="j", session_id="s", first_seen_by="api")
    for name in ("c", "b", "d"):
        put(tx, "event_recordings", **_HEARD, recorder_id=name, beam_id=name, api_job_id="j")
    put(tx, "event_recordings", **_HEARD, recorder_id="other", api_job_id="j", customer="Other", beam_id="a")
    put(tx, "event_recordings", **_HEARD, recorder_id="alone", beam_id="alone", job_id="j")
    query = "SELECT customer, job_id, beam_id, first_seen_by FROM recordings ORDER BY 1, 3"
    assert rows(tx, query) == [
        ("Acme", "j", "alone", "webhook"),
        ("Acme", "j", "b", "api"),
        ("Other", None, "a", "webhook"),
    ]
    assert rows(tx, "SELECT recordings FROM session_overview WHERE customer = 'Acme'") == [(2,)]


def test_sessions_that_only_a_webhook_names_are_in_the_overview(tx: Connection) -> None:
    put(tx, "event_peers", **_HEARD | {"session_id": "peer"}, peer_id="p")
    put(tx, "event_recordings", **_HEARD | {"session_id": "recording"}, recorder_id="b", room_id="r")
    put(tx, "event_sessions", **_HEARD | {"session_id": "session"}, started_at=NOON, ended_at=at(9))
    _named(tx, session_id="asset", uri="s3://acme/o", room_id="r")
    query = "SELECT session_id, room_id, active, duration_s, peers, recordings, assets FROM session_overview ORDER BY 1"
    assert rows(tx, query) == [
        ("asset", "r", None, None, 0, 0, 1),
        ("peer", None, None, None, 1, 0, 0),
        ("recording", "r", None, None, 0, 1, 0),
        ("session", None, False, 9.0, 0, 0, 0),
    ]


def test_values_of_the_api_take_precedence(tx: Connection) -> None:
    common = {"session_id": "s", "first_seen_at": at(6), "first_seen_by": "api", "started_at": at(1)}
    put(tx, "session_records", **common, room_id="r", active=True, ended_at=at(3))
    put(tx, "event_sessions", **_HEARD, room_id="x", started_at=at(2), ended_at=at(4))
    stay = {"peer_id": "p", "name": "Ann", "user_id": "u", "role": "host", "joined_at": at(1), "left_at": at(3)}
    other = {"name": "Bob", "user_id": "x", "role": "guest", "joined_at": at(2), "left_at": at(4), "is_recorder": True}
    put(tx, "peer_records", **{k: v for k, v in common.items() if k != "started_at"} | stay)
    put(tx, "event_peers", **_HEARD | stay | other)
    put(tx, "job_records", **common, job_id="j", stopped_at=at(3))
    put(tx, "event_recordings", **_HEARD, recorder_id="b", api_job_id="j", job_id="x", kind="live-stream",
        status="failed", started_at=at(2), stopped_at=at(4), room_id="x")  # fmt: skip
    assert rows(tx, "SELECT room_id, active, started_at, ended_at FROM sessions") == [("r", False, at(1), at(3))]
    assert rows(tx, "SELECT peer_id, name, user_id, role, joined_at, left_at, is_recorder FROM peers") == [
        (*stay.values(), False)
    ]
    assert rows(tx, "SELECT job_id, kind, room_id, status, started_at, stopped_at FROM recordings") == [
        ("j", "recording", None, "completed", at(1), at(3))
    ]
