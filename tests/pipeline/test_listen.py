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
    NotifyingBucket,
    dispositions,
    listen,
    listen_once,
    messages,
    new_versions,
    notifying_s3_bucket,
    open_folder,
    webhook,
)
from tests.warehouses import execute, fetch


def test_an_upload_is_loaded_and_its_message_is_acknowledged(ready: Database, notifying: NotifyingBucket) -> None:
    notifying.put(chat_key(), chat("hello"))
    notifying.put("README.md", b"# not ours")
    found = listen_once(ready, [notifying.subscription], notifying.opened)
    assert (new_versions(found), found.counts["missing"], found.counts["messages_left"], found.problems) == (
        {"seen": 1, "ignored": 1},
        0,
        0,
        set(),
    )
    assert messages(ready) == ["hello"]
    observed_by = "s3_event" if notifying.source.url.startswith("s3:") else "gcs_event"
    assert fetch(ready, "SELECT DISTINCT observed_by, kind FROM observations") == [(observed_by, "exists")]
    assert notifying.unacknowledged() == 0
    assert new_versions(collect_bucket(ready, *notifying.opened)) == {}, "the listing has the same versions"


def test_a_webhook_inserts_its_event_and_loads_the_object_that_it_names(
    ready: Database, tmp_path: Path, inbox: Inbox
) -> None:
    folder = open_folder(tmp_path / "bucket")
    uri = put(tmp_path / "bucket", chat_key(), chat("hello"))
    inbox.put("talk", webhook("e1", chat_recording_path=uri, recording_path="s3://elsewhere/film.mp4"), NOON)
    found = listen_once(ready, [webhook_subscription(inbox, [TALK])], folder)
    assert (found.counts["messages"], found.counts["events"], new_versions(found), found.counts["foreign"]) == (
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
    acme, other = notifying_s3_bucket(s3), notifying_s3_bucket(s3, "other")
    uris = [
        notifying.put(chat_key(number), chat(f"{number}"))
        for number, notifying in enumerate([acme, acme, other, other])
    ]
    for number, uri in enumerate([*uris, f"{acme.source.url}/missing.csv", f"{other.source.url}/missing.csv"]):
        inbox.put("talk", webhook(f"e{number}", chat_recording_path=uri), NOON)
    subscriptions = [acme.subscription, webhook_subscription(inbox, [TALK]), other.subscription]
    found = listen_once(ready, subscriptions, acme.opened, other.opened)
    assert (found.counts["events"], new_versions(found), messages(ready)) == (6, {"seen": 4}, ["0", "1", "2", "3"])
    assert fetch(ready, "SELECT observed_by, count(*) FROM observations GROUP BY 1 ORDER BY 1") == [
        ("s3_event", 4),
        ("webhook", 4),
    ]
    assert (acme.unacknowledged(), other.unacknowledged(), inbox.peek(0)) == (0, 0, False)


def test_a_deleted_object_is_missing_until_it_is_written_again(ready: Database, notifying: NotifyingBucket) -> None:
    notifying.put(chat_key(1), chat("first"))
    listen_once(ready, [notifying.subscription], notifying.opened)
    notifying.remove(chat_key(1))
    notifying.put(chat_key(2), chat("deleted before it was inspected"))
    notifying.remove(chat_key(2))
    found = listen_once(ready, [notifying.subscription], notifying.opened)
    # GCS names the version that was deleted; S3 does not, so the ledger never learns of it.
    named = [] if notifying.source.url.startswith("s3:") else ["missing"]
    assert (found.counts["missing"], dispositions(ready)) == (1 + len(named), ["missing", *named])
    assert messages(ready) == ["first"]

    notifying.put(chat_key(1), chat("second"))
    assert new_versions(listen_once(ready, [notifying.subscription], notifying.opened)) == {"seen": 1, "restored": 1}
    assert (dispositions(ready), messages(ready)) == (["superseded", "loaded", *named], ["second"])
    assert notifying.unacknowledged() == 0


def test_of_versions_that_replace_each_other_the_last_is_loaded(
    one_engine: Database, notifying: NotifyingBucket
) -> None:
    for number in range(3):
        notifying.put(chat_key(), chat(f"version {number}"))
    listen_once(one_engine, [notifying.subscription], notifying.opened)
    assert messages(one_engine) == ["version 2"]
    named = [] if notifying.source.url.startswith("s3:") else ["superseded"] * 2
    assert dispositions(one_engine) == [*named, "loaded"]


def test_of_versions_of_one_second_the_one_that_still_exists_is_loaded(
    one_engine: Database, notifying_s3: NotifyingBucket
) -> None:
    """The first inspection may be recorded last, and S3 has times of whole seconds."""
    first = then = None
    while first is None or then is None or first.modified_at != then.modified_at:
        first = notifying_s3.store.stat(notifying_s3.put(chat_key(), chat("replaced")))
        then = notifying_s3.store.stat(notifying_s3.put(chat_key(), chat("existing")))
    collect_bucket(one_engine, *notifying_s3.opened)
    with one_engine.begin() as tx:
        late = [(first, object_keys.recognise(first))]
        record_observations(tx, one_engine, notifying_s3.source, late, observed_by="s3_event", now=times.utc_now())
    assert dispositions(one_engine) == ["superseded", "seen"]
    list(load_batches(one_engine, [notifying_s3.source], {notifying_s3.source.name: notifying_s3.store}))
    assert messages(one_engine) == ["existing"]
    assert dispositions(one_engine) == ["loaded", "superseded"]


def test_an_event_may_arrive_before_its_object(
    one_engine: Database, notifying_s3: NotifyingBucket, inbox: Inbox
) -> None:
    subscriptions = [notifying_s3.subscription, webhook_subscription(inbox, [TALK])]
    inbox.put("talk", webhook("e1", chat_recording_path=f"{notifying_s3.source.url}/{chat_key()}"), NOON)
    found = listen_once(one_engine, subscriptions, notifying_s3.opened)
    assert (found.counts["events"], found.counts["missing"], dispositions(one_engine), inbox.peek(0)) == (
        1,
        0,
        [],
        False,
    )
    notifying_s3.put(chat_key(), chat("hello"))
    listen_once(one_engine, subscriptions, notifying_s3.opened)
    assert fetch(one_engine, "SELECT message, session_id FROM chat_messages") == [("hello", "s1")]


def test_listening_without_a_queue_loads_what_is_pending_and_ends(one_engine: Database, tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("hello"))
    collect_bucket(one_engine, *folder)
    began = time.monotonic()
    assert len(list(listen(one_engine, [], folder, quiet_s=60))) == 1
    assert (time.monotonic() - began < 10, messages(one_engine)) == (True, ["hello"])


def test_objects_of_a_source_without_a_reader_are_not_claimed(
    one_engine: Database, tmp_path: Path, inbox: Inbox
) -> None:
    """For example those of a workspace whose API is no longer used."""
    folder = open_folder(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("hello"))
    collect_bucket(one_engine, *folder)
    execute(one_engine, "UPDATE object_ledger SET source = 'talk'")
    assert list(listen(one_engine, [webhook_subscription(inbox, [TALK])], folder)) == []
    assert dispositions(one_engine) == ["seen"]
