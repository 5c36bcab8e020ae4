"""One bad message, object, queue or batch costs only itself: it is refused, left in its queue or named as a problem."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from roomledger.ledger.database import Database
from roomledger.model import BatchRefused, Rejected
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.listen import Round
from roomledger.pipeline.load import load_batches
from roomledger.pipeline.subscriptions import bucket_subscription, webhook_subscription
from roomledger.queues.inbox import Inbox
from roomledger.queues.sqs import Sqs
from roomledger.runtime import open_bucket_queue, open_store
from roomledger.settings import BucketSource, QueueSettings, WorkspaceSource
from roomledger.stores import Access
from sandbox.servers.s3 import S3Server
from tests.folders import chat, chat_key, put, source_of, store_of
from tests.pipeline.listening import (
    NOON,
    TALK,
    NotifyingBucket,
    dispositions,
    ingest_once,
    listen,
    listen_once,
    messages,
    new_versions,
    open_folder,
    s3_event,
    webhook,
)
from tests.queues.conftest import aws, numbers, session
from tests.warehouses import fetch


def test_messages_of_one_batch_are_loaded_refused_or_left_each_on_its_own(
    ready: Database, s3: S3Server, notifying_s3: NotifyingBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sqs, "visibility_timeout_s", 1.0)
    bucket = f"not-yet-{next(numbers)}"
    other = BucketSource(name="other", customer="Other", url=f"s3://{bucket}/live", endpoint=s3.endpoint)
    missing = (other, open_store(other.url, Access(session=session(s3), endpoint=s3.endpoint)))
    notifying_s3.put(chat_key(), chat("hello"))
    for uri in (f"s3://{bucket}/live/{chat_key(2)}", "s3://strange/a.csv", f"s3://{bucket}/livelier/a.csv"):
        notifying_s3.send(s3_event(uri))
    notifying_s3.send(b'{"Records": 7}')
    found = listen_once(ready, [notifying_s3.subscription], notifying_s3.opened, missing)
    assert (
        new_versions(found),
        found.counts["foreign"],
        found.counts["messages_refused"],
        found.counts["messages_left"],
    ) == (
        {"seen": 1},
        2,
        1,
        1,
    )
    [problem] = found.problems
    assert f"no bucket {bucket}" in problem
    assert (messages(ready), notifying_s3.unacknowledged()) == (["hello"], 1)
    [refusal] = fetch(ready, "SELECT customer, source, reason_code, raw FROM refusals WHERE uri LIKE 'sqs://queue%/%'")
    assert (*refusal[:3], bytes(refusal[3])) == ("", "events", "not_an_event", b'{"Records": 7}')

    client = aws(s3, "s3")
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key=f"live/{chat_key(2)}", Body=chat("hello too"))
    time.sleep(1.1)
    found = listen_once(ready, [notifying_s3.subscription], notifying_s3.opened, missing)
    assert (found.counts["messages"], new_versions(found), found.problems) == (1, {"seen": 1}, set())
    assert (messages(ready), notifying_s3.unacknowledged()) == (["hello", "hello too"], 0)


def test_a_webhook_is_inserted_though_its_object_cannot_be_inspected(
    one_engine: Database, tmp_path: Path, inbox: Inbox
) -> None:
    """A message left in the inbox would be delivered again at once, before all others."""
    folder = source_of(tmp_path / "bucket")
    opened = (folder, store_of(folder))
    (tmp_path / "bucket").rmdir()
    uri = f"file://{tmp_path}/bucket/{chat_key()}"
    inbox.put("talk", webhook("e1", chat_recording_path=uri), NOON)
    found = listen_once(one_engine, [webhook_subscription(inbox, [TALK])], opened)
    assert (
        found.counts["events"],
        found.counts["messages_left"],
        found.counts["missing"],
        dispositions(one_engine),
    ) == (1, 0, 0, [])
    assert found.problems == {f"there is no folder {folder.url}: create it, or correct the source's url"}
    assert not inbox.peek(0)

    put(tmp_path / "bucket", chat_key(), chat("hello"))
    collect_bucket(one_engine, *opened)
    list(load_batches(one_engine, [folder], {"acme": opened[1]}))
    assert fetch(one_engine, "SELECT message, session_id FROM chat_messages") == [("hello", "s1")]


def test_an_inspection_that_fails_does_not_make_an_object_missing(
    one_engine: Database, tmp_path: Path, inbox: Inbox
) -> None:
    folder = open_folder(tmp_path / "bucket")
    uri = put(tmp_path / "bucket", chat_key(), chat("hello"))
    inbox.put("talk", webhook("e1", chat_recording_path=uri), NOON)
    listen_once(one_engine, [webhook_subscription(inbox, [TALK])], folder)
    (tmp_path / "bucket").rename(tmp_path / "unmounted")
    inbox.put("talk", webhook("e2", chat_recording_path=uri), NOON)
    found = listen_once(one_engine, [webhook_subscription(inbox, [TALK])], folder)
    assert (found.counts["events"], found.counts["missing"], len(found.problems), dispositions(one_engine)) == (
        1,
        0,
        1,
        ["loaded"],
    )


def test_refused_webhooks_are_inserted_once_they_can_be_decoded(
    ready: Database, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_to_decode(body: Any) -> Any:
        raise LookupError("sesame\0\ud800")

    subscription = webhook_subscription(inbox, [TALK])
    with monkeypatch.context() as patched:
        patched.setattr("roomledger.hundredms.webhooks.decode", fail_to_decode)
        inbox.put("talk", webhook("failed to decode"), NOON)
        assert listen_once(ready, [subscription]).counts["messages_refused"] == 1
    with monkeypatch.context() as patched:
        patched.setattr("roomledger.hundredms.webhooks.decode", reject_type)
        inbox.put("talk", webhook("too new"), NOON)
        assert ingest_once(ready, [TALK], {}, [subscription]).counts["messages_refused"] == 1
    inbox.put("talk", b"[]", NOON)
    inbox.put("removed-acme", webhook("removed source"), NOON)
    assert ingest_once(ready, [TALK], {}, [subscription]).counts["messages_refused"] == 2
    codes = "SELECT reason_code FROM refusals WHERE resolved_at IS NULL ORDER BY 1"
    assert fetch(ready, codes) == [("not_an_object",), ("parser_failed",), ("source_unknown",), ("type_unknown",)]

    list(listen(ready, [subscription]))
    assert fetch(ready, "SELECT event_id FROM vendor_events ORDER BY 1") == [("failed to decode",), ("too new",)]
    assert fetch(ready, codes) == [("not_an_object",), ("source_unknown",)]
    named = WorkspaceSource(name="removed-acme", customer="Acme", url="100ms://removed", webhook_header="X-Secret")
    list(listen(ready, [webhook_subscription(inbox, [TALK, named])]))
    assert fetch(ready, codes) == [("not_an_object",)]
    assert fetch(ready, "SELECT source, event_id FROM vendor_events ORDER BY 2") == [
        ("talk", "failed to decode"),
        ("removed-acme", "removed source"),
        ("talk", "too new"),
    ]
    assert fetch(ready, "SELECT count(*) FROM refusals") == [(4,)]


def reject_type(body: Any) -> Any:
    raise Rejected("type_unknown", "The event is of a type that is not known yet.")


def test_a_queue_that_cannot_be_read_does_not_delay_the_others(
    one_engine: Database, s3: S3Server, inbox: Inbox
) -> None:
    lost = QueueSettings(name="lost", url="sqs://never-made", endpoint=s3.endpoint)
    subscriptions = [
        bucket_subscription(lost, open_bucket_queue(lost, Access(session=session(s3)))),
        webhook_subscription(inbox, [TALK]),
    ]
    inbox.put("talk", webhook("e1"), NOON)
    done = listen(one_engine, subscriptions, quiet_s=60, is_over=lambda: len(rounds) >= 3)
    rounds: list[Round] = []
    for one in done:
        assert isinstance(one, Round)
        rounds.append(one)
        if len(rounds) == 2:
            inbox.put("talk", webhook("e2"), NOON)
    assert sorted((one.counts["messages"], one.counts["events"]) for one in rounds[:2]) == [(0, 0), (1, 1)]
    assert sum(one.counts["events"] for one in rounds[:3]) == 2
    for one in rounds[1:]:  # the problem is reported as long as it lasts
        [problem] = one.problems
        assert "has no queue sqs://never-made" in problem
    assert not inbox.peek(0)


def test_a_refused_batch_stops_listening_and_loses_nothing(one_engine: Database, tmp_path: Path, inbox: Inbox) -> None:
    folder = open_folder(tmp_path / "bucket")
    for number in range(20):
        uri = put(tmp_path / "bucket", chat_key(number), b"Some,Other,Header\n1,2,3\n")
        inbox.put("talk", webhook(f"e{number}", chat_recording_path=uri), NOON)
    with pytest.raises(BatchRefused, match="20 of 20"):
        list(listen(one_engine, [webhook_subscription(inbox, [TALK])], folder, quiet_s=60))
    assert (inbox.peek(0), dispositions(one_engine)) == (False, ["seen"] * 20)
