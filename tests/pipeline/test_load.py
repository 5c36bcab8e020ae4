"""Collect and load over real files: the tables, what becomes of bad input, and that order and batches do not matter."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomledger import times
from roomledger.formats import PARSERS, object_keys
from roomledger.ledger.claims import MAX_ATTEMPTS, claim_batch
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.ledger.replays import request_replay
from roomledger.model import ASSET_TYPES, Asset, BatchRefused, ChatMessage, Observation, Record, Refusal
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.settings import Source
from roomledger.stores import Store, StoreError
from sandbox.dataset import Dataset, expect, generate
from tests.worlds import ask, change, chat, chat_key, contents, empty, lay_out, put, source_of, store_of


def collect(database: Database, source: Source) -> Counter[str]:
    return collect_bucket(database, source, store_of(source))


def load(database: Database, *sources: Source, batch: int = 1000, accept_refusals: bool = False) -> int:
    """Load until nothing waits; give the number of loads."""
    stores = {source.name: store_of(source) for source in sources}
    return len(list(load_batches(database, sources, stores, batch=batch, accept_refusals=accept_refusals)))


def run(database: Database, source: Source) -> None:
    collect(database, source)
    load(database, source)


def messages(database: Database) -> list[str]:
    return [said for (said,) in ask(database, "SELECT message FROM chat_messages ORDER BY message")]


def dispositions(database: Database) -> list[str]:
    return [said for (said,) in ask(database, "SELECT disposition FROM object_ledger ORDER BY modified_at, uri")]


@pytest.fixture(scope="module")
def world() -> Dataset:
    return generate(sessions=6)


@pytest.fixture(scope="module")
def world_sources(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Source, ...]:
    folder = tmp_path_factory.mktemp("world")
    lay_out(world.objects, folder)
    return tuple(
        source_of(folder / bucket.source, name=bucket.source, customer=bucket.customer) for bucket in world.buckets
    )


@pytest.fixture(scope="module")
def plainly_loaded(
    world_sources: tuple[Source, ...],
    ready_duckdb: Callable[[Path], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[tuple[object, ...]]]:
    """What the warehouse holds after one undisturbed run over the world."""
    database = ready_duckdb(tmp_path_factory.mktemp("plain"))
    for source in world_sources:
        collect(database, source)
    load(database, *world_sources)
    return dict(contents(database))


def test_the_world_is_loaded_as_its_generator_knows(
    world: Dataset, plainly_loaded: dict[str, list[tuple[object, ...]]]
) -> None:
    expected = expect(world.objects)  # the vendor is not asked
    assert {table: len(plainly_loaded[table]) for table in expected.rows} == expected.rows
    assert len(plainly_loaded["refusals"]) == sum(expected.refusals.values())


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param([(25, 1), (75, 7), (150, 1000)], id="mixed"),
        *(pytest.param([(150, batch)], id=f"by {batch}", marks=pytest.mark.slow) for batch in (1, 7, 1000)),
    ],
)
def test_order_repetition_batches_and_engine_do_not_change_the_tables(
    ready: Database,
    world_sources: tuple[Source, ...],
    plainly_loaded: dict[str, list[tuple[object, ...]]],
    rounds: list[tuple[int, int]],
) -> None:
    """A round is a number of objects that are seen, and how many of them a load takes; the last is repeated."""
    seen = [(source, one) for source in world_sources for page in store_of(source).list() for one in page]
    random.Random(len(rounds) + rounds[0][1]).shuffle(seen)
    for size, batch in chain(rounds, repeat(rounds[-1])):
        if not seen:
            break
        told, seen = seen[:size], seen[size:]
        for source in world_sources:
            mine = [(one, object_keys.recognise(one)) for of, one in told if of is source]
            for _ in range(2):
                with ready.begin() as tx:
                    record_observations(tx, ready, source, mine, observed_by="listing", now=times.utc_now())
        load(ready, *world_sources, batch=batch, accept_refusals=True)
    for source in world_sources:
        assert not collect(ready, source)["new_seen"]
    assert load(ready, *world_sources) == 0
    assert contents(ready) == plainly_loaded


def test_a_second_run_changes_nothing(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("one", "two"))
    run(ready, source)
    before = ask(ready, "SELECT * FROM object_ledger"), ask(ready, "SELECT * FROM observations")
    run(ready, source)
    assert (ask(ready, "SELECT * FROM object_ledger"), ask(ready, "SELECT * FROM observations")) == before


def test_rows_lead_back_to_the_bytes(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    uri = put(tmp_path / "bucket", chat_key(), b"\xef\xbb\xbf" + chat("one", "two"))
    run(ready, source)
    [row] = ask(
        ready,
        "SELECT m.room_id, m.session_id, m.session_evidence, m.ordinal, l.uri, l.content_sha256, l.parser_version,"
        " l.rows_parsed, l.rows_loaded, loads.rows_loaded, loads.started_by FROM chat_messages m"
        " JOIN object_ledger l ON l.object_id = m.object_id JOIN loads ON loads.load_id = m.load_id"
        " WHERE m.message = 'two'",
    )
    import hashlib

    digest = hashlib.sha256(b"\xef\xbb\xbf" + chat("one", "two")).hexdigest()
    assert row == ("room1", None, "none", 2, uri, digest, "1", 2, 2, 2, "command line")
    assert ask(ready, "SELECT asset_type, uri, status, ordinal FROM recording_assets") == [
        ("chat", uri, "completed", 0)
    ]


def test_a_media_file_is_recorded_by_its_key_and_never_read(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    put(bucket, "chat/room/20260302/session/peer/stream/track.webm", b"")
    (bucket / "chat/room/20260302/session/peer/stream/track.webm").chmod(0)
    run(ready, source_of(bucket))
    [row] = ask(
        ready,
        "SELECT asset_type, room_id, session_id, session_evidence, peer_id, stream_id, track_id FROM object_assets",
    )
    assert row == ("track", "room", "session", "key", "peer", "stream", "track")
    assert ask(ready, "SELECT rows_parsed, rows_loaded, content_sha256 FROM object_ledger") == [(1, 1, None)]


def test_a_corrected_file_replaces_its_rows_and_the_same_bytes_change_nothing(ready: Database, tmp_path: Path) -> None:
    bucket, key = tmp_path / "bucket", chat_key()
    source = source_of(bucket)
    put(bucket, key, chat("wrong", "right"))
    run(ready, source)
    put(bucket, key, chat("right"), minute=5)
    run(ready, source)
    assert messages(ready) == ["right"]
    rows = ask(ready, "SELECT * FROM chat_messages")
    put(bucket, key, chat("right"), minute=9)
    run(ready, source)
    assert ask(ready, "SELECT * FROM chat_messages") == rows
    assert dispositions(ready) == ["superseded", "loaded", "unchanged"]
    put(bucket, key, chat("wrong", "right"), minute=12)
    run(ready, source)
    assert messages(ready) == ["right", "wrong"]
    assert dispositions(ready) == ["superseded", "superseded", "superseded", "loaded"]


def test_a_file_that_changes_before_it_is_read_is_read_as_what_it_is_now(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    put(bucket, chat_key(), chat("first"))
    collect(ready, source)
    put(bucket, chat_key(), chat("second"), minute=5)
    load(ready, source)
    [(disposition, reason)] = ask(ready, "SELECT disposition, reason FROM object_ledger")
    assert (disposition, reason.split(":")[:2]) == ("seen", ["retry", " changed"])
    assert messages(ready) == []
    run(ready, source)
    assert messages(ready) == ["second"]
    assert dispositions(ready) == ["superseded", "loaded"]


def test_a_file_that_is_gone_before_it_is_read_is_missing(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    put(bucket, chat_key(), chat("first"))
    collect(ready, source)
    (bucket / chat_key()).unlink()
    load(ready, source)
    assert dispositions(ready) == ["missing"]
    put(bucket, chat_key(), chat("first"))
    run(ready, source)
    assert (messages(ready), dispositions(ready)) == (["first"], ["loaded"])


def test_rows_of_a_deleted_file_stay(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    put(bucket, chat_key(1), chat("kept"))
    put(bucket, chat_key(2), chat("there"), minute=1)
    run(ready, source)
    (bucket / chat_key(1)).unlink()
    assert collect(ready, source)["missing"] == 1
    assert collect(ready, source)["missing"] == 0
    assert (messages(ready), dispositions(ready)) == (["kept", "there"], ["missing", "loaded"])


def test_a_listing_that_breaks_off_calls_nothing_missing(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    put(bucket, chat_key(1), chat("kept"))
    run(ready, source)
    with pytest.raises(StoreError, match="cut off"):
        collect_bucket(ready, source, Flaky(store_of(source), list_fails=True))
    assert dispositions(ready) == ["loaded"]


class Flaky:
    """A store that fails as networks do, for as often as it is told."""

    def __init__(self, store: Store, *, failures: int = 0, list_fails: bool = False) -> None:
        self.url = store.url
        self._store = store
        self._failures = failures
        self._list_fails = list_fails

    def list(self) -> Iterator[list[Observation]]:
        yield []
        if self._list_fails:
            raise StoreError("the connection was cut off")
        yield from self._store.list()

    def read(self, seen: Observation) -> Iterator[bytes]:
        first, *_ = self._store.read(seen)
        yield first[: len(first) // 2]
        if self._failures:
            self._failures -= 1
            raise StoreError("the connection was cut off")
        yield first[len(first) // 2 :]


def test_a_read_that_fails_is_tried_again_later_and_leaves_nothing_behind(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat(*(f"message {n}" for n in range(9))))
    collect(ready, source)
    store = Flaky(store_of(source), failures=2)
    for attempt in range(1, 4):
        assert len(list(load_batches(ready, [source], {"acme": store}))) == 1
        assert len(list(load_batches(ready, [source], {"acme": store}))) == 0
        assert ask(ready, "SELECT attempts FROM object_ledger") == [(attempt,)]
        assert len(messages(ready)) == (9 if attempt == 3 else 0)
        change(ready, "UPDATE object_ledger SET retry_at = NULL")


def test_a_load_that_is_interrupted_gives_its_claims_back(ready: Database, tmp_path: Path) -> None:
    source = source_of(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("hello"))
    collect(ready, source)

    class Interrupted(Flaky):
        def read(self, seen: Observation) -> Iterator[bytes]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(load_batches(ready, [source], {"acme": Interrupted(store_of(source))}))
    assert ask(ready, "SELECT disposition, attempts FROM object_ledger") == [("seen", 0)]
    load(ready, source)
    assert messages(ready) == ["hello"]


def test_a_read_that_never_succeeds_is_refused_with_its_last_error_and_can_be_replayed(
    ready: Database, tmp_path: Path
) -> None:
    source = source_of(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("at last"))
    collect(ready, source)
    store = Flaky(store_of(source), failures=100)
    for _ in range(MAX_ATTEMPTS):
        assert dispositions(ready) == ["seen"]
        list(load_batches(ready, [source], {"acme": store}))
        change(ready, "UPDATE object_ledger SET retry_at = NULL")
    [(disposition, reason)] = ask(ready, "SELECT disposition, reason FROM object_ledger")
    assert (disposition, "the connection was cut off" in reason) == ("refused", True)
    assert ask(ready, "SELECT reason_code, ordinal FROM refusals WHERE resolved_at IS NULL") == [("gave_up", 0)]
    with ready.begin() as tx:
        assert request_replay(tx, ready, now=times.utc_now()) == 1
    load(ready, source)
    assert messages(ready) == ["at last"]
    assert ask(ready, "SELECT count(*) FROM refusals WHERE resolved_at IS NULL") == [(0,)]


def test_a_fault_of_a_parser_costs_one_file_and_a_replay_mends_it(
    ready: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    put(bucket, chat_key(1), chat("fine"))
    put(bucket, chat_key(2), chat("sesame"), minute=1)
    collect(ready, source)

    def with_a_fault(content: Iterable[bytes], asset: Asset) -> Iterator[Record | Refusal]:
        for record in parse(content, asset):
            if isinstance(record, ChatMessage) and record.message == "sesame":
                raise KeyError("sesame")
            yield record

    parse = PARSERS["chat"]
    with monkeypatch.context() as patched:
        patched.setattr("roomledger.pipeline.extract.PARSERS", {**PARSERS, "chat": with_a_fault})
        load(ready, source)
    assert messages(ready) == ["fine"]
    [(code, raw)] = ask(ready, "SELECT reason_code, raw FROM refusals")
    assert (code, bytes(raw)) == ("parser_failed", chat("sesame"))
    (bucket / chat_key(2)).unlink()  # the bytes that were kept are enough
    collect(ready, source)
    with ready.begin() as tx:
        assert request_replay(tx, ready, reason="parser_failed", now=times.utc_now()) == 1
    load(ready, source)
    assert messages(ready) == ["fine", "sesame"]
    assert ask(ready, "SELECT count(*) FROM refusals WHERE resolved_at IS NULL") == [(0,)]


def test_a_replay_parses_bytes_anew_that_were_unchanged(
    ready: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    content = chat("one", "two").replace(b"10:00:01Z", b"ten past one")
    put(bucket, chat_key(), content)
    run(ready, source)
    put(bucket, chat_key(), content, minute=5)
    run(ready, source)
    assert (messages(ready), dispositions(ready)) == (["one"], ["loaded", "unchanged"])

    def mended(content: Iterable[bytes], asset: Asset) -> Iterator[Record | Refusal]:
        return parse([b"".join(content).replace(b"ten past one", b"10:00:01Z")], asset)

    parse = PARSERS["chat"]
    monkeypatch.setattr("roomledger.pipeline.extract.PARSERS", {**PARSERS, "chat": mended})
    with ready.begin() as tx:
        assert request_replay(tx, ready, now=times.utc_now()) == 1
    load(ready, source)
    assert (messages(ready), dispositions(ready)) == (["one", "two"], ["superseded", "loaded"])
    assert ask(ready, "SELECT count(*) FROM refusals WHERE resolved_at IS NULL") == [(0,)]


def test_a_bucket_of_files_that_are_all_refused_stops_the_run(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    for number in range(22):
        put(bucket, chat_key(number), b"Some,Other,Header\n1,2,3\n", minute=number)
    for number in range(22, 30):
        put(bucket, chat_key(number), chat(f"good {number}"), minute=number)
    collect(ready, source)
    with pytest.raises(BatchRefused, match=r"22 of 30 .*--accept-refusals"):
        load(ready, source)
    assert len(messages(ready)) == 8
    assert dispositions(ready) == ["seen"] * 22 + ["loaded"] * 8
    assert ask(ready, "SELECT max(attempts) FROM object_ledger WHERE disposition = 'seen'") == [(0,)]
    assert ask(ready, "SELECT count(*) FROM refusals") == [(0,)]
    load(ready, source, accept_refusals=True)
    assert dispositions(ready) == ["refused"] * 22 + ["loaded"] * 8


def test_half_of_a_batch_or_a_small_batch_may_be_refused(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    for number in range(20):
        put(bucket, chat_key(number), chat("good") if number % 2 else b"Some,Header\n1,2\n", minute=number)
    collect(ready, source)
    load(ready, source)
    assert dispositions(ready).count("refused") == 10
    for number in range(30, 49):
        put(bucket, chat_key(number), b"Some,Header\n1,2\n", minute=number)
    run(ready, source)
    assert dispositions(ready).count("refused") == 29


@pytest.mark.parametrize("batch", [1, 1000])
def test_two_loads_at_once_share_the_work(ready: Database, tmp_path: Path, batch: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    bucket = tmp_path / "bucket"
    source = source_of(bucket)
    for number in range(12):
        put(bucket, chat_key(number), chat(f"message {number}"), minute=number)
    collect(ready, source)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: load(ready, source, batch=batch), range(3)))
    assert sorted(messages(ready)) == sorted(f"message {n}" for n in range(12))
    assert set(dispositions(ready)) == {"loaded"}


def test_the_settings_say_what_is_left_out(ready: Database, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    put(bucket, "chat/room/20260302/Rec-room-1772445600000.csv", chat("in"))
    put(bucket, "chat/room/20260225/Rec-room-1772012800000.csv", chat("too old"))
    put(bucket, "beam/room/20260302/Rec-room-1772445600000.mp4", b"")
    put(bucket, "notes.json", b'{"sections": []}')
    from datetime import date

    run(ready, source_of(bucket, asset_types=frozenset({"chat"}), not_before=date(2026, 3, 1)))
    assert messages(ready) == ["in"]
    reasons = ask(ready, "SELECT reason FROM object_ledger WHERE disposition = 'ignored' ORDER BY reason")
    assert [reason.split(":")[0] for (reason,) in reasons] == [
        "before_not_before",
        "excluded_by_source",
        "excluded_by_source",
    ]
    with ready.begin() as tx:
        assert request_replay(tx, ready, reason="excluded_by_source", now=times.utc_now()) == 2
    load(ready, source_of(bucket))
    assert ask(ready, "SELECT asset_type FROM recording_assets ORDER BY 1") == [
        ("chat",),
        ("room-composite",),
        ("summary",),
    ]


def test_every_asset_type_has_a_parser() -> None:
    assert set(PARSERS) == set(ASSET_TYPES)


STEP = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 3), st.sampled_from(["a", "b", "NUL\0", ""])),
    st.tuples(st.just("delete"), st.integers(1, 3), st.none()),
    st.tuples(st.just("collect"), st.none(), st.none()),
    st.tuples(st.just("claim and die"), st.integers(1, 3), st.none()),
    st.tuples(st.just("load"), st.integers(1, 3), st.none()),
    st.tuples(st.just("replay"), st.none(), st.none()),
)


Steps = list[tuple[str, int | None, str | None]]

STEPS = given(steps=st.lists(STEP, min_size=3, max_size=12))
SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check_that_the_tables_end_as_the_bucket_is(steps: Steps, database: Database, plain: Database, bucket: Path) -> None:
    """Changes, deletions, crashes after a claim, small batches and replays in any order, against one plain run."""
    source = source_of(bucket)
    there: set[str] = set()
    for minute, (verb, number, said) in enumerate(steps):
        if verb == "put" and number:
            there.add(put(bucket, chat_key(number), chat(*([said] * 2 if said else [])), minute))
        elif verb == "delete" and number:
            (bucket / chat_key(number)).unlink(missing_ok=True)
            there.discard(f"file://{bucket / chat_key(number)}")
        elif verb == "collect":
            collect(database, source)
        elif verb == "claim and die" and number:
            with database.begin() as tx:
                claim_batch(tx, database, ["acme"], token=f"dead {minute}", limit=number, now=times.utc_now())
            change(database, "UPDATE object_ledger SET lease_until = first_seen_at WHERE disposition = 'claimed'")
        elif verb == "load" and number:
            load(database, source, batch=number)
        elif verb == "replay":
            with database.begin() as tx:
                request_replay(tx, database, everything=True, now=times.utc_now())
    for _ in range(2):
        collect(database, source)
        change(database, "UPDATE object_ledger SET retry_at = NULL")
        load(database, source)
    run(plain, source)
    for table, column in (("chat_messages", "message"), ("refusals", "reason_code")):
        still = "AND t.resolved_at IS NULL" if table == "refusals" else ""
        query = f"""
            SELECT l.uri, t.ordinal, t.{column} FROM {table} t JOIN object_ledger l USING (object_id)
            WHERE l.disposition = 'loaded' {still}
        """
        assert sorted(row for row in ask(database, query) if row[0] in there) == sorted(ask(plain, query)), table
    [(waiting,)] = ask(database, "SELECT count(*) FROM object_ledger WHERE disposition IN ('seen', 'claimed')")
    assert waiting == 0


@pytest.fixture
def databases(ready_postgres: Callable[[], Database]) -> tuple[Database, Database]:
    return ready_postgres(), ready_postgres()


@settings(SETTINGS, max_examples=20)
@STEPS
def test_whatever_happened_the_tables_end_as_the_bucket_is_on_postgresql(
    steps: Steps, databases: tuple[Database, Database], tmp_path_factory: pytest.TempPathFactory
) -> None:
    for one in databases:
        empty(one)
    check_that_the_tables_end_as_the_bucket_is(steps, *databases, tmp_path_factory.mktemp("any") / "bucket")


@settings(SETTINGS, max_examples=6)  # each takes a second
@STEPS
def test_whatever_happened_the_tables_end_as_the_bucket_is_on_duckdb(
    steps: Steps, ready_duckdb: Callable[[Path], Database], tmp_path_factory: pytest.TempPathFactory
) -> None:
    database, plain = (ready_duckdb(tmp_path_factory.mktemp(name)) for name in ("steps", "plain"))
    check_that_the_tables_end_as_the_bucket_is(steps, database, plain, tmp_path_factory.mktemp("any") / "bucket")
