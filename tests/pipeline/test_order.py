"""In whatever order things arrive, late or twice, the tables end as if all had existed from the beginning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, note, settings
from hypothesis import strategies as st

from roomledger import times
from roomledger.hundredms.storage import VendorStorage
from roomledger.ledger.database import Database
from roomledger.ledger.replays import request_replay
from roomledger.pipeline.load import load_batches
from sandbox.dataset.workspace import Workspace
from sandbox.hundredms_api import Vendor, vendor_server
from tests import payloads, vendor_story
from tests.folders import source_of, store_of
from tests.warehouses import Tables, collect_from, contents, delete_all_rows, fetch

PARTS = vendor_story.parts(Path("/"))
KEYS = sorted({key for part in PARTS.values() for key in part.files})
MOST = 6
"""Steps before the sweep."""

Step = tuple[str, int | str]
When = Mapping[str, int]
"""The step before which each part of the story appears; all others appear before the sweep."""


@dataclass(slots=True)
class Run:
    """A warehouse, a bucket and a workspace, on a clock of their own."""

    database: Database
    folder: Path
    acme: Workspace
    storage: VendorStorage
    minutes: int = 50

    def now(self) -> datetime:
        """A later time with each call."""
        self.minutes += 1
        return payloads.START + timedelta(minutes=self.minutes)

    def step(self, verb: str, what: int | str = 0) -> None:
        """Collect the bucket, sync the workspace, load one batch of `what` objects or all, or request a replay.

        Before each step enough time passes for failed reads to be retried.
        """
        self.minutes += 70
        sources = (
            source_of(self.folder, **vendor_story.FILTERS),
            payloads.workspace_source(self.acme, **vendor_story.FILTERS),
        )
        stores = {sources[0].name: store_of(sources[0]), sources[1].name: self.storage}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(times, "utc_now", self.now)
            match verb:
                case "bucket" | "api":
                    source = sources[verb == "api"]
                    collect_from(self.database, source, stores[source.name], sources=sources)
                case "load":
                    batch = int(what) or 1000
                    list(load_batches(self.database, sources, stores, batch=batch, most=1 if what else None))
                case "replay":
                    uri = f"file://{self.folder}/{what}" if what else None
                    with self.database.begin() as tx:
                        request_replay(tx, self.database, uri=uri, everything=not what, now=self.now())

    def sweep(self) -> Tables:
        """Apply the whole story, collect, sync and load; give what the tables hold then."""
        vendor_story.apply(self.folder, self.acme, vendor_story.parts(self.folder).values())
        for verb in ("bucket", "api", "load"):
            self.step(verb)
        return contents(self.database, past=False)


class Scene:
    """Server and folder of all runs, one after the other. (Hypothesis would print all that is in a dataclass.)"""

    def __init__(self, database: Database, folder: Path, vendor: Vendor, storage: VendorStorage) -> None:
        self.folder, self.vendor, self.storage = folder, vendor, storage
        self.database = database
        """The warehouse of the plain run, in which the whole story existed from the beginning."""
        run = self.begin(database)
        run.sweep()
        self.tables = run.sweep()

    def begin(self, database: Database) -> Run:
        """An empty warehouse, bucket and workspace."""
        delete_all_rows(database)
        acme = payloads.workspace()
        vendor_story.apply(self.folder, acme, [])
        self.vendor.workspaces = [acme]
        return Run(database, self.folder, acme, self.storage)

    def check(self, database: Database, steps: Sequence[Step], when: When) -> None:
        """Assert that these steps, while the parts of the story appear, end in the same tables."""
        run = self.begin(database)
        for number, step in enumerate(steps):
            parts = vendor_story.parts(self.folder)
            vendor_story.apply(self.folder, run.acme, [part for name, part in parts.items() if when[name] <= number])
            run.step(*step)
        found = run.sweep()
        note(f"late: { ({name: at for name, at in when.items() if at}) }")
        for table, expected in self.tables.items():
            more = [row for row in found[table] if row not in expected]
            less = [row for row in expected if row not in found[table]]
            assert (table, more, less) == (table, [], [])
            assert found[table] == expected, table


@pytest.fixture(scope="module")
def scene(ready_duckdb: Callable[[Path], Database], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("order")
    with vendor_server([]) as vendor, payloads.open_workspace(payloads.workspace(), vendor.endpoint) as storage:
        yield Scene(ready_duckdb(folder), folder / "bucket", vendor, storage)


def test_the_story_has_every_kind_of_evidence_and_disposition(scene: Scene) -> None:
    found = fetch(
        scene.database,
        "SELECT DISTINCT disposition, split_part(reason, ':', 1), session_evidence FROM object_ledger ORDER BY ALL",
    )
    assert found == [
        ("ignored", "before_not_before", "asset_record"),
        ("ignored", "before_not_before", "none"),
        ("ignored", "excluded_by_source", "asset_record"),
        ("ignored", "excluded_by_source", "none"),
        ("ignored", "media_of_unknown_layout", "none"),
        ("loaded", "loaded", "asset_record"),
        ("loaded", "loaded", "key"),
        ("loaded", "loaded", "none"),
        ("loaded", "loaded", "time_window"),
        ("refused", "not_chat_csv", "asset_record"),
        ("refused", "nul_byte", "asset_record"),
    ]
    found = fetch(scene.database, "SELECT message, session_id FROM chat_messages ORDER BY message")
    assert found == [
        ("a chat", "s1"),
        ("by what it holds", "s1"),
        ("corrected", "s1"),
        ("in a window until that ends", None),
        ("in the window", "s2"),
        ("in two sessions", None),
        ("in two windows until one of them ends", "s5"),
        ("mended", "s1"),
        ("named at first", "s1"),
        ("named at last", "s1"),
        ("named twice", "s1"),
        ("of an unknown room", None),
        ("vendor-stored", "s2"),
        ("vendor-stored and copied", "s2"),
        ("vendor-stored and copied", "s2"),
        ("words", "s1"),
    ]


STEPS = st.lists(
    st.just(("bucket", 0))
    | st.just(("api", 0))
    | st.tuples(st.just("load"), st.sampled_from([1, 3, 1000]))
    | st.tuples(st.just("replay"), st.just("") | st.sampled_from(KEYS)),
    max_size=MOST,
)
WHEN = st.fixed_dictionaries({name: st.integers(0, MOST) for name in PARTS})
BUCKET, API, LOAD = ("bucket", 0), ("api", 0), ("load", 0)


def late(**when: int) -> When:
    """All parts exist from the beginning but for these; in their names `_` replaces all but letters and digits."""
    found = {name: when.pop(re.sub(r"\W+", "_", name), 0) for name in PARTS}
    assert not when, "there are no such parts"
    return found


BUCKET_LAST = {name: 2 if part.files else 0 for name, part in PARTS.items()}
VENDOR_LAST = {name: 2 if part.records else 0 for name, part in PARTS.items()}

_THOROUGH = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], print_blob=True
)
_QUICK = settings(_THOROUGH, phases=(Phase.explicit, Phase.reuse, Phase.generate))
"""Without shrinking, which takes minutes: the long test does that."""


_POSTGRES, _DUCKDB = (pytest.mark.parametrize("ready", [engine], indirect=True) for engine in ("postgres", "duckdb"))


@_POSTGRES
@example(steps=[API, LOAD], when=BUCKET_LAST)
@example(steps=[BUCKET, LOAD], when=VENDOR_LAST)
# Two versions are ignored before the vendor names them.
@example(steps=[API, BUCKET, BUCKET], when=late(film_cut=2, a_film=3))
# The type of a loaded object changes: to one that it parses as, to one that it does not, to an excluded one.
@example(steps=[API, BUCKET, LOAD], when=late(a_chat_otherwise=3, a_stream_otherwise=3))
@example(steps=[API, BUCKET, LOAD], when=late(a_chat_that_is_none=3))
@example(steps=[API, BUCKET, LOAD], when=late(a_summary_left_out=3))
@example(steps=[API, BUCKET, LOAD], when=late(a_transcript_not_left_out=3, a_composite_left_out=3))
# The vendor names another object, before and after the first was loaded by that name.
@example(steps=[API, BUCKET, API], when=late(a_moved=2, a_moved_film=2))
@example(steps=[API, BUCKET, LOAD], when=late(a_moved=3, a_moved_film=3))
# Excluded objects are replayed, too.
@example(steps=[API, BUCKET, ("replay", "")], when=late())
# The only session of a recorder's room turns out to have ended before the recorder started.
@example(steps=[BUCKET, API, LOAD], when=late(s2_has_ended=3, s5=3))
@given(steps=STEPS, when=WHEN)
@settings(_QUICK, max_examples=12)
def test_the_order_of_arrival_changes_nothing(ready: Database, scene: Scene, steps: list[Step], when: When) -> None:
    scene.check(ready, steps, when)


@pytest.mark.slow
@_POSTGRES
@given(steps=STEPS, when=WHEN)
@settings(_THOROUGH, max_examples=300)
def test_the_order_of_arrival_changes_nothing_at_great_length(
    ready: Database, scene: Scene, steps: list[Step], when: When
) -> None:
    scene.check(ready, steps, when)


@_DUCKDB
@given(steps=STEPS, when=WHEN)
@settings(_QUICK, max_examples=4)
def test_the_order_of_arrival_changes_nothing_in_duckdb(
    ready: Database, scene: Scene, steps: list[Step], when: When
) -> None:
    scene.check(ready, steps, when)
