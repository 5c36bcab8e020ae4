"""Order, repetition, batch sizes, crashes and replays do not change what the tables hold in the end."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomledger import times
from roomledger.formats import object_keys
from roomledger.ledger.claims import claim_batch
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.ledger.replays import request_replay
from roomledger.settings import Source
from sandbox.dataset import Dataset, expect
from tests.folders import chat, chat_key, put, source_of, store_of
from tests.pipeline.loading import collect, load, run
from tests.warehouses import Tables, contents, delete_all_rows, execute, fetch


def test_the_dataset_is_loaded_as_its_generator_expects(dataset: Dataset, undisturbed: Tables) -> None:
    expected = expect(dataset.objects)  # without the API of the vendor
    assert {table: len(undisturbed[table]) for table in expected.rows} == expected.rows
    assert len(undisturbed["refusals"]) == sum(expected.refusals.values())


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param([(25, 1), (75, 7), (150, 1000)], id="mixed"),
        *(pytest.param([(150, batch)], id=f"by {batch}", marks=pytest.mark.slow) for batch in (1, 7, 1000)),
    ],
)
def test_order_repetition_batches_and_engine_do_not_change_the_tables(
    ready: Database,
    dataset_sources: tuple[Source, ...],
    undisturbed: Tables,
    rounds: list[tuple[int, int]],
) -> None:
    """A round is a number of objects that are seen, and how many of them a load takes; the last is repeated."""
    seen = [(source, one) for source in dataset_sources for page in store_of(source).list() for one in page]
    random.Random(len(rounds) + rounds[0][1]).shuffle(seen)
    for size, batch in chain(rounds, repeat(rounds[-1])):
        if not seen:
            break
        part, seen = seen[:size], seen[size:]
        for source in dataset_sources:
            classified = [(one, object_keys.recognise(one)) for of, one in part if of is source]
            for _ in range(2):
                with ready.begin() as tx:
                    record_observations(tx, ready, source, classified, observed_by="listing", now=times.utc_now())
        load(ready, *dataset_sources, batch=batch, accept_refusals=True)
    for source in dataset_sources:
        assert not collect(ready, source)["new_seen"]
    assert load(ready, *dataset_sources) == 0
    assert contents(ready) == undisturbed


STEP = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 3), st.sampled_from(["a", "b", "NUL\0", ""])),
    st.tuples(st.just("delete"), st.integers(1, 3), st.none()),
    st.tuples(st.just("collect"), st.none(), st.none()),
    st.tuples(st.just("claim and crash"), st.integers(1, 3), st.none()),
    st.tuples(st.just("load"), st.integers(1, 3), st.none()),
    st.tuples(st.just("replay"), st.none(), st.none()),
)
Steps = list[tuple[str, int | None, str | None]]
STEPS = given(steps=st.lists(STEP, min_size=3, max_size=12))
SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check_that_the_tables_end_as_the_bucket_is(steps: Steps, database: Database, plain: Database, bucket: Path) -> None:
    """Changes, deletions, crashes after a claim, small batches and replays in any order, against one plain run."""
    source = source_of(bucket)
    existing: set[str] = set()
    for minute, (verb, number, content) in enumerate(steps):
        if verb == "put" and number:
            existing.add(put(bucket, chat_key(number), chat(*([content] * 2 if content else [])), minute))
        elif verb == "delete" and number:
            (bucket / chat_key(number)).unlink(missing_ok=True)
            existing.discard(f"file://{bucket / chat_key(number)}")
        elif verb == "collect":
            collect(database, source)
        elif verb == "claim and crash" and number:
            with database.begin() as tx:
                claim_batch(tx, database, ["acme"], token=f"crashed {minute}", limit=number, now=times.utc_now())
            execute(database, "UPDATE object_ledger SET lease_until = first_seen_at WHERE disposition = 'claimed'")
        elif verb == "load" and number:
            load(database, source, batch=number)
        elif verb == "replay":
            with database.begin() as tx:
                request_replay(tx, database, everything=True, now=times.utc_now())
    for _ in range(2):
        collect(database, source)
        execute(database, "UPDATE object_ledger SET retry_at = NULL")
        load(database, source)
    run(plain, source)
    for table, column in (("chat_messages", "message"), ("refusals", "reason_code")):
        still = "AND t.resolved_at IS NULL" if table == "refusals" else ""
        query = f"""
            SELECT l.uri, t.ordinal, t.{column} FROM {table} t JOIN object_ledger l USING (object_id)
            WHERE l.disposition = 'loaded' {still}
        """
        assert sorted(row for row in fetch(database, query) if row[0] in existing) == sorted(fetch(plain, query)), table
    [(waiting,)] = fetch(database, "SELECT count(*) FROM object_ledger WHERE disposition IN ('seen', 'claimed')")
    assert waiting == 0


@pytest.fixture
def databases(ready_postgres: Callable[[], Database]) -> tuple[Database, Database]:
    return ready_postgres(), ready_postgres()


@settings(SETTINGS, max_examples=20)
@STEPS
def test_after_any_steps_the_tables_end_as_the_bucket_is_on_postgresql(
    steps: Steps, databases: tuple[Database, Database], tmp_path_factory: pytest.TempPathFactory
) -> None:
    for one in databases:
        delete_all_rows(one)
    check_that_the_tables_end_as_the_bucket_is(steps, *databases, tmp_path_factory.mktemp("any") / "bucket")


@settings(SETTINGS, max_examples=6)  # each takes a second
@STEPS
def test_after_any_steps_the_tables_end_as_the_bucket_is_on_duckdb(
    steps: Steps, ready_duckdb: Callable[[Path], Database], tmp_path_factory: pytest.TempPathFactory
) -> None:
    database, plain = (ready_duckdb(tmp_path_factory.mktemp(name)) for name in ("steps", "plain"))
    check_that_the_tables_end_as_the_bucket_is(steps, database, plain, tmp_path_factory.mktemp("any") / "bucket")
