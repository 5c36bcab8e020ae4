"""Listening loads what notifications and webhooks name: real buckets, queues and warehouses."""

from __future__ import annotations

import time
from pathlib import Path

from roomledger import times
from roomledger.formats import object_keys
from roomledger.ledger.database import Database
from roomledger.ledger.observations import record_observations
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.load import load_batches
from roomledger.pipeline.subscriptions import webhook_subscription
from roomledger.queues.inbox import Inbox
from sandbox.servers.s3 import S3Server
from tests.folders import chat, chat_key, put
from tests.pipeline.listening import (
    NOON,
    TALK,
    Place,
    dispositions,
    event,
    in_folder,
    messages,
    new,
    once,
    s3_place,
    work,
)
from tests.warehouses import execute, fetch


def test_an_upload_is_loaded_and_its_message_is_acknowledged(ready: Database, place: Place) -> None:
    place.put(chat_key(), chat("hello"))
    place.put("README.md", b"# not ours")
    found = once(ready, [place.subscription], place.where)
    assert (new(found), found.counts["missing"], found.counts["messages_left"], found.problems) == (
        {"seen": 1, "ignored": 1},
        0,
        0,
        set(),
    )
    assert messages(ready) == ["hello"]
    observed_by = "s3_event" if place.source.url.startswith("s3:") else "gcs_event"
    assert fetch(ready, "SELECT DISTINCT observed_by, kind FROM observations") == [(observed_by, "exists")]
    assert place.left() == 0
    assert new(collect_bucket(ready, *place.where)) == {}, "the listing has the same versions"


def test_a_webhook_inserts_its_event_and_loads_the_object_that_it_names(
    ready: Database, tmp_path: Path, inbox: Inbox
) -> None:
    folder = in_folder(tmp_path / "bucket")
    uri = put(tmp_path / "bucket", chat_key(), chat("hello"))
    inbox.put("talk", event("e1", chat_recording_path=uri, recording_path="s3://elsewhere/film.mp4"), NOON)
    found = once(ready, [webhook_subscription(inbox, [TALK])], folder)
    assert (found.counts["messages"], found.counts["events"], new(found), found.counts["foreign"]) == (
        1,
        1,
        {"seen": 1},
        1,
    )
    assert fetch(ready, "SELECT message, session_id, session_evidence FROM chat_messages") == [
        ("hello", "s1", "webhook")
    ]
    assert fetch(ready, "SELECT observed_by FROM observations") == [("webhook",)]
    assert fetch(ready, "SELECT source, event_id, received_at FROM vendor_events") == [("talk", "e1", NOON)]
    assert not inbox.peek(0)


def test_one_round_serves_all_queues_sources_and_observer_channels(ready: Database, s3: S3Server, inbox: Inbox) -> None:
    acme, other = s3_place(s3), s3_place(s3, "other")
    uris = [place.put(chat_key(number), chat(f"{number}")) for number, place in enumerate([acme, acme, other, other])]
    for number, uri in enumerate([*uris, f"{acme.source.url}/gone.csv", f"{other.source.url}/gone.csv"]):
        inbox.put("talk", event(f"e{number}", chat_recording_path=uri), NOON)
    subscriptions = [acme.subscription, webhook_subscription(inbox, [TALK]), other.subscription]
    found = once(ready, subscriptions, acme.where, other.where)
    assert (found.counts["events"], new(found), messages(ready)) == (6, {"seen": 4}, ["0", "1", "2", "3"])
    assert fetch(ready, "SELECT observed_by, count(*) FROM observations GROUP BY 1 ORDER BY 1") == [
        ("s3_event", 4),
        ("webhook", 4),
    ]
    assert (acme.left(), other.left(), inbox.peek(0)) == (0, 0, False)


def test_a_deleted_object_is_missing_until_it_is_written_again(ready: Database, place: Place) -> None:
    place.put(chat_key(1), chat("first"))
    once(ready, [place.subscription], place.where)
    place.remove(chat_key(1))
    place.put(chat_key(2), chat("gone before anybody looked"))
    place.remove(chat_key(2))
    found = once(ready, [place.subscription], place.where)
    # GCS names the version that was there; S3 does not, so nobody knows that there was one.
    named = [] if place.source.url.startswith("s3:") else ["missing"]
    assert (found.counts["missing"], dispositions(ready)) == (1 + len(named), ["missing", *named])
    assert messages(ready) == ["first"]

    place.put(chat_key(1), chat("second"))
    assert new(once(ready, [place.subscription], place.where)) == {"seen": 1, "restored": 1}
    assert (dispositions(ready), messages(ready)) == (["superseded", "loaded", *named], ["second"])
    assert place.left() == 0


def test_of_versions_that_replace_each_other_the_last_is_loaded(any_ready: Database, place: Place) -> None:
    for number in range(3):
        place.put(chat_key(), chat(f"version {number}"))
    once(any_ready, [place.subscription], place.where)
    assert messages(any_ready) == ["version 2"]
    named = [] if place.source.url.startswith("s3:") else ["superseded"] * 2
    assert dispositions(any_ready) == [*named, "loaded"]


def test_of_versions_of_one_second_the_one_that_still_exists_is_loaded(any_ready: Database, s3_here: Place) -> None:
    """Who looked first may write last; S3 tells times in whole seconds."""
    first = then = None
    while first is None or then is None or first.modified_at != then.modified_at:
        first = s3_here.store.stat(s3_here.put(chat_key(), chat("replaced")))
        then = s3_here.store.stat(s3_here.put(chat_key(), chat("there")))
    collect_bucket(any_ready, *s3_here.where)
    with any_ready.begin() as tx:
        late = [(first, object_keys.recognise(first))]
        record_observations(tx, any_ready, s3_here.source, late, observed_by="s3_event", now=times.utc_now())
    assert dispositions(any_ready) == ["superseded", "seen"]
    list(load_batches(any_ready, [s3_here.source], {s3_here.source.name: s3_here.store}))
    assert messages(any_ready) == ["there"]
    assert dispositions(any_ready) == ["loaded", "superseded"]


def test_an_event_may_arrive_before_its_object(any_ready: Database, s3_here: Place, inbox: Inbox) -> None:
    subscriptions = [s3_here.subscription, webhook_subscription(inbox, [TALK])]
    inbox.put("talk", event("e1", chat_recording_path=f"{s3_here.source.url}/{chat_key()}"), NOON)
    found = once(any_ready, subscriptions, s3_here.where)
    assert (found.counts["events"], found.counts["missing"], dispositions(any_ready), inbox.peek(0)) == (
        1,
        0,
        [],
        False,
    )
    s3_here.put(chat_key(), chat("hello"))
    once(any_ready, subscriptions, s3_here.where)
    assert fetch(any_ready, "SELECT message, session_id FROM chat_messages") == [("hello", "s1")]


def test_listening_without_a_queue_loads_what_is_pending_and_ends(any_ready: Database, tmp_path: Path) -> None:
    folder = in_folder(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("hello"))
    collect_bucket(any_ready, *folder)
    began = time.monotonic()
    assert len(list(work(any_ready, [], folder, quiet_s=60))) == 1
    assert (time.monotonic() - began < 10, messages(any_ready)) == (True, ["hello"])


def test_objects_of_a_source_without_a_reader_are_not_claimed(
    any_ready: Database, tmp_path: Path, inbox: Inbox
) -> None:
    """Such as a workspace whose API is not asked any more."""
    folder = in_folder(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("hello"))
    collect_bucket(any_ready, *folder)
    execute(any_ready, "UPDATE object_ledger SET source = 'talk'")
    assert list(work(any_ready, [webhook_subscription(inbox, [TALK])], folder)) == []
    assert dispositions(any_ready) == ["seen"]
