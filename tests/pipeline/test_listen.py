"""What the queues say gets into the tables, and leaves its queue only then: real buckets, queues and warehouses."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import requests
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy import event as engine_event

from roomledger import times
from roomledger.formats import object_keys
from roomledger.ledger.database import Database, WarehouseError
from roomledger.ledger.duckdb import DuckDB
from roomledger.ledger.observations import record_observations
from roomledger.ledger.outcome import Load
from roomledger.model import BatchRefused, Observation, Rejected
from roomledger.pipeline.collect import collect_bucket
from roomledger.pipeline.listen import Round, ingest, listen_and_load
from roomledger.pipeline.load import load_batches
from roomledger.pipeline.receiver import Receiver
from roomledger.pipeline.subscriptions import Decoded, Subscription, bucket_subscription, webhook_subscription
from roomledger.queues import Message, Notification, Queue, QueueError
from roomledger.queues.inbox import Inbox
from roomledger.queues.inbox_folder import FolderInbox
from roomledger.queues.sqs import Sqs
from roomledger.runtime import open_bucket_queue, open_inbox, open_store
from roomledger.settings import BucketSource, QueueSettings, Source, WorkspaceSource
from roomledger.stores import Access, Store
from sandbox.dataset import generate
from sandbox.servers.gcs import GcsServer, gcs_server
from sandbox.servers.pubsub.server import PubSubServer, pubsub_server
from sandbox.servers.s3 import S3Server
from tests.queues.conftest import aws, numbers, pubsub_queue, session, sqs_queue
from tests.worlds import Tables, ask, change, chat, chat_key, contents, lay_out, put, source_of, store_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TALK = WorkspaceSource(name="talk", customer="Acme", url="100ms://acme", webhook_header="X-Secret")


Where = tuple[Source, Store]


@dataclass(frozen=True)
class Place:
    """A bucket that tells a queue of everything."""

    source: Source
    store: Store
    subscription: Subscription
    put: Callable[[str, bytes], str]
    """Gives the address."""
    remove: Callable[[str], object]
    send: Callable[[bytes], object]
    """Puts any message into the queue."""
    left: Callable[[], int]
    """Counts the messages that nobody has settled."""

    @property
    def where(self) -> Where:
        return self.source, self.store


def s3_place(server: S3Server, name: str = "acme") -> Place:
    queue, s3, sqs = sqs_queue(server), aws(server, "s3"), aws(server, "sqs")
    bucket = f"reacting-{next(numbers)}"
    s3.create_bucket(Bucket=bucket)
    url = sqs.get_queue_url(QueueName=queue.settings.url.removeprefix("sqs://"))["QueueUrl"]

    def told(*names: str) -> dict[str, str]:
        found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
        return found

    configuration = {"QueueArn": told("QueueArn")["QueueArn"], "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )

    def put(key: str, content: bytes) -> str:
        s3.put_object(Bucket=bucket, Key=key, Body=content)
        return f"s3://{bucket}/{key}"

    def left() -> int:
        counts = told("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(map(int, counts.values()))

    source = BucketSource(name=name, customer="Acme", url=f"s3://{bucket}", endpoint=server.endpoint)
    return Place(
        source,
        open_store(source.url, Access(session=session(server), endpoint=server.endpoint)),
        bucket_subscription(queue.settings, queue.open()),
        put,
        lambda key: s3.delete_object(Bucket=bucket, Key=key),
        lambda body: queue.send([body], {}),
        left,
    )


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GcsServer, PubSubServer, Any]]:
    """A GCS whose buckets all tell one subscription."""
    with pubsub_server() as pubsub:
        queue = pubsub_queue(pubsub)
        topic = queue.settings.url.replace("pubsub://demo/sub-", "projects/demo/topics/topic-")
        with gcs_server(tmp_path_factory.mktemp("telling"), topic, pubsub.host) as gcs:
            yield gcs, pubsub, queue


def gcs_place(telling: tuple[GcsServer, PubSubServer, Any]) -> Place:
    gcs, pubsub, queue = telling
    bucket = f"reacting-{next(numbers)}"

    def left() -> int:
        [held] = pubsub.broker._subscriptions.values()
        return len(held.waiting) + len(held.leased)

    def ask(method: str, path: str, **request: Any) -> None:
        requests.request(method, f"{gcs.endpoint}{path}", timeout=30, **request).raise_for_status()

    def change(method: str, path: str, **request: Any) -> None:
        before, deadline = left(), time.monotonic() + 20
        ask(method, path, **request)
        while left() == before and time.monotonic() < deadline:
            time.sleep(0.01)  # the server tells of it a moment later

    def put(key: str, content: bytes) -> str:
        change("POST", f"/upload/storage/v1/b/{bucket}/o", params={"uploadType": "media", "name": key}, data=content)
        return f"gs://{bucket}/{key}"

    ask("POST", "/storage/v1/b", params={"project": "demo"}, json={"name": bucket})
    source = BucketSource(name="acme", customer="Acme", url=f"gs://{bucket}", endpoint=gcs.endpoint)
    return Place(
        source,
        open_store(source.url, Access(endpoint=gcs.endpoint)),
        bucket_subscription(queue.settings, queue.open()),
        put,
        lambda key: change("DELETE", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"),
        lambda body: queue.send([body], {}),
        left,
    )


@pytest.fixture(params=["s3", "gcs"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Of each cloud."""
    if request.param == "s3":
        return s3_place(request.getfixturevalue("s3"))
    monkeypatch.setattr("roomledger.queues.pubsub._LEAST_PATIENCE_S", 0.3)  # the stand-in is near
    return gcs_place(request.getfixturevalue("telling"))


@pytest.fixture
def any_ready(ready_postgres: Callable[[], Database]) -> Database:
    """A warehouse, where the engine makes no difference."""
    return ready_postgres()


@pytest.fixture
def s3_here(s3: S3Server) -> Place:
    return s3_place(s3)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return open_inbox(f"file://{tmp_path}/inbox")


def event(event_id: str, **data: Any) -> bytes:
    """A webhook that tells of a recording."""
    said = {"room_id": "room1", "session_id": "s1", "beam_id": "b1", "started_at": "2026-03-02T10:00:00Z"}
    body = {"version": "2.0", "id": event_id, "timestamp": "2026-03-02T10:30:00Z", "type": "beam.recording.success"}
    return json.dumps(body | {"data": said | data}).encode()


def work(
    database: Database,
    subscriptions: Sequence[Subscription],
    *where: Where,
    quiet_s: float = 0,
    most_s: float = 60,
    **more: Any,
) -> Iterator[Round | Load]:
    """Take in what waits in the queues, and load it; without patience for more, unless it is given some."""
    sources, stores = [source for source, _ in where], {source.name: store for source, store in where}
    return listen_and_load(
        database, [*sources, TALK], stores, stores, subscriptions, quiet_s=quiet_s, most_s=most_s, **more
    )


def new(found: Round | Counter[str]) -> dict[str, int]:
    """Versions not known before, by disposition, and restored ones."""
    counts = found.counts if isinstance(found, Round) else found
    return {
        name.removeprefix("new_"): number
        for name, number in counts.items()
        if number and (name.startswith("new_") or name == "restored")
    }


def once(database: Database, subscriptions: Sequence[Subscription], *where: Where) -> Round:
    """The same; give what the queues brought, in however many rounds."""
    found = Round()
    for one in work(database, subscriptions, *where):
        if isinstance(one, Round):
            found.counts += one.counts
            found.problems |= one.problems
    return found


def one_round(
    database: Database, sources: Sequence[Source], stores: dict[str, Store], subscriptions: Sequence[Subscription]
) -> Round:
    """Take in what waits, and load nothing."""
    with Receiver(subscriptions) as receiver:
        receiver.request(1)
        return ingest(database, sources, stores, receiver.take(1))


def in_folder(folder: Path) -> Where:
    source = source_of(folder)
    return source, store_of(source)


def s3_event(uri: str) -> bytes:
    """What S3 says of an upload, as far as it is read."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return json.dumps({"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": quote(key)}}}]}).encode()


def messages(database: Database) -> list[str]:
    return [said for (said,) in ask(database, "SELECT message FROM chat_messages ORDER BY message")]


def dispositions(database: Database) -> list[str]:
    rows = ask(database, "SELECT disposition FROM object_ledger ORDER BY uri, modified_at, first_seen_at")
    return [said for (said,) in rows]


def test_an_upload_is_loaded_and_its_message_is_settled(ready: Database, place: Place) -> None:
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
    assert ask(ready, "SELECT DISTINCT observed_by, kind FROM observations") == [(observed_by, "exists")]
    assert place.left() == 0
    assert new(collect_bucket(ready, *place.where)) == {}, "the listing has the same versions"


def test_a_webhook_brings_its_event_and_the_object_that_it_names(ready: Database, tmp_path: Path, inbox: Inbox) -> None:
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
    assert ask(ready, "SELECT message, session_id, session_evidence FROM chat_messages") == [("hello", "s1", "webhook")]
    assert ask(ready, "SELECT observed_by FROM observations") == [("webhook",)]
    assert ask(ready, "SELECT source, event_id, received_at FROM vendor_events") == [("talk", "e1", NOON)]
    assert not inbox.peek(0)


def test_all_queues_sources_and_witnesses_are_served_at_once(ready: Database, s3: S3Server, inbox: Inbox) -> None:
    acme, other = s3_place(s3), s3_place(s3, "other")
    uris = [place.put(chat_key(number), chat(f"{number}")) for number, place in enumerate([acme, acme, other, other])]
    for number, uri in enumerate([*uris, f"{acme.source.url}/gone.csv", f"{other.source.url}/gone.csv"]):
        inbox.put("talk", event(f"e{number}", chat_recording_path=uri), NOON)
    subscriptions = [acme.subscription, webhook_subscription(inbox, [TALK]), other.subscription]
    found = once(ready, subscriptions, acme.where, other.where)
    assert (found.counts["events"], new(found), messages(ready)) == (6, {"seen": 4}, ["0", "1", "2", "3"])
    assert ask(ready, "SELECT observed_by, count(*) FROM observations GROUP BY 1 ORDER BY 1") == [
        ("s3_event", 4),
        ("webhook", 4),
    ]
    assert (acme.left(), other.left(), inbox.peek(0)) == (0, 0, False)


def test_what_the_ledger_does_not_commit_stays_in_its_queue(
    ready: Database, s3_here: Place, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sqs, "visibility_timeout_s", 1.0)
    inbox.put("talk", event("e1", chat_recording_path=s3_here.put(chat_key(), chat("hello"))), NOON)
    waiting, subscriptions = s3_here.left(), [s3_here.subscription, webhook_subscription(inbox, [TALK])]

    def fail(_: Any) -> None:
        raise OSError("no space left on device")

    engine_event.listen(Engine, "commit", fail)
    try:
        with pytest.raises(OSError, match="no space"):
            one_round(ready, [s3_here.source, TALK], {"acme": s3_here.store}, subscriptions)
    finally:
        engine_event.remove(Engine, "commit", fail)
    assert (s3_here.left(), len(inbox.receive(0)), dispositions(ready)) == (waiting, 1, [])
    time.sleep(1.1)
    assert once(ready, subscriptions, s3_here.where).counts["messages"] == waiting + 1
    assert (s3_here.left(), inbox.peek(0), messages(ready)) == (0, False, ["hello"])


HOLDER = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"


def test_a_warehouse_that_another_process_holds_takes_nothing_out_of_a_queue(
    ready_duckdb: Callable[[Path], Database], tmp_path: Path, inbox: Inbox
) -> None:
    url = ready_duckdb(tmp_path).url
    inbox.put("talk", event("e1"), NOON)
    subscriptions = [webhook_subscription(inbox, [TALK])]
    command = [sys.executable, "-c", HOLDER, url.removeprefix("duckdb:///")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(WarehouseError, match="another process has held"):
            one_round(DuckDB(url, lock_wait_s=0.2), [TALK], {}, subscriptions)
        assert inbox.peek(0)
        holder.communicate()
    assert one_round(DuckDB(url), [TALK], {}, subscriptions).counts["events"] == 1
    assert not inbox.peek(0)


KILLED = """
import os, signal
from roomledger.cli.main import app
from roomledger.queues.inbox_folder import FolderInbox

FolderInbox.ack = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
app()
"""
"""The command line, killed when it is about to settle."""


def test_who_is_killed_before_settling_changes_nothing_the_second_time(
    ready: Database, tmp_path: Path, inbox: Inbox
) -> None:
    folder = in_folder(tmp_path / "bucket")
    inbox.put("talk", event("e1", chat_recording_path=put(tmp_path / "bucket", chat_key(), chat("hello"))), NOON)
    inbox.put("talk", b"\0 no event", NOON)
    inbox.put("nobody", event("e2"), NOON)
    config = tmp_path / "roomledger.toml"
    config.write_text(
        f'[warehouse]\nurl = "{ready.url}"\n[webhooks]\ninbox = "file://{tmp_path}/inbox"\n'
        f'[[source]]\nname = "acme"\ncustomer = "Acme"\nurl = "{folder[0].url}"\n'
        '[[source]]\nname = "talk"\ncustomer = "Acme"\nurl = "100ms://acme"\napi = false\nwebhook_header = "X-A"\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", KILLED, "listen", "--once"],
        env=os.environ | {"ROOMLEDGER_CONFIG": str(config)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    queries = ("contents", "SELECT * FROM observations", "SELECT * FROM vendor_events", "SELECT * FROM refusals")

    def tables() -> list[Any]:
        return [contents(ready), *(sorted(ask(ready, query), key=repr) for query in queries[1:])]

    before = tables()
    assert [len(found) for found in before[1:]] == [1, 1, 2]
    subscription = webhook_subscription(inbox, [TALK])
    found = one_round(ready, [folder[0], TALK], {"acme": folder[1]}, [subscription])
    assert (found.counts["messages"], found.counts["events"], new(found), found.counts["messages_refused"]) == (
        3,
        0,
        {},
        2,
    )
    assert tables() == before
    assert not inbox.peek(0)


def test_what_cannot_be_settled_comes_again(any_ready: Database, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    subscriptions = [webhook_subscription(inbox, [TALK])]
    inbox.put("talk", event("e1"), NOON)

    def settle(*_: Any) -> None:
        raise QueueError("the folder is read-only")

    with monkeypatch.context() as patched:
        patched.setattr(FolderInbox, "ack", settle)
        assert one_round(any_ready, [TALK], {}, subscriptions).problems == {"the folder is read-only"}
    found = one_round(any_ready, [TALK], {}, subscriptions)
    assert (found.counts["messages"], found.counts["events"], found.problems) == (1, 0, set())
    assert not inbox.peek(0)


def test_each_message_meets_its_own_fate(
    ready: Database, s3: S3Server, s3_here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sqs, "visibility_timeout_s", 1.0)
    bucket = f"not-yet-{next(numbers)}"
    other = BucketSource(name="other", customer="Other", url=f"s3://{bucket}/live", endpoint=s3.endpoint)
    missing = (other, open_store(other.url, Access(session=session(s3), endpoint=s3.endpoint)))
    s3_here.put(chat_key(), chat("hello"))
    for uri in (f"s3://{bucket}/live/{chat_key(2)}", "s3://strange/a.csv", f"s3://{bucket}/livelier/a.csv"):
        s3_here.send(s3_event(uri))
    s3_here.send(b'{"Records": 7}')
    found = once(ready, [s3_here.subscription], s3_here.where, missing)
    assert (new(found), found.counts["foreign"], found.counts["messages_refused"], found.counts["messages_left"]) == (
        {"seen": 1},
        2,
        1,
        1,
    )
    [problem] = found.problems
    assert f"no bucket {bucket}" in problem
    assert (messages(ready), s3_here.left()) == (["hello"], 1)
    [refusal] = ask(ready, "SELECT customer, source, reason_code, raw FROM refusals WHERE uri LIKE 'sqs://queue%/%'")
    assert (*refusal[:3], bytes(refusal[3])) == ("", "events", "not_an_event", b'{"Records": 7}')

    client = aws(s3, "s3")
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key=f"live/{chat_key(2)}", Body=chat("hello too"))
    time.sleep(1.1)
    found = once(ready, [s3_here.subscription], s3_here.where, missing)
    assert (found.counts["messages"], new(found), found.problems) == (1, {"seen": 1}, set())
    assert (messages(ready), s3_here.left()) == (["hello", "hello too"], 0)


def test_a_webhook_is_taken_in_though_its_object_cannot_be_looked_up(
    any_ready: Database, tmp_path: Path, inbox: Inbox
) -> None:
    """What stayed in the inbox would come again at once, a thousand of them before all others."""
    folder = source_of(tmp_path / "bucket")
    where = (folder, store_of(folder))
    (tmp_path / "bucket").rmdir()
    uri = f"file://{tmp_path}/bucket/{chat_key()}"
    inbox.put("talk", event("e1", chat_recording_path=uri), NOON)
    found = once(any_ready, [webhook_subscription(inbox, [TALK])], where)
    assert (
        found.counts["events"],
        found.counts["messages_left"],
        found.counts["missing"],
        dispositions(any_ready),
    ) == (1, 0, 0, [])
    assert found.problems == {f"there is no folder {folder.url}: create it, or correct the source's url"}
    assert not inbox.peek(0)

    put(tmp_path / "bucket", chat_key(), chat("hello"))
    collect_bucket(any_ready, *where)
    list(load_batches(any_ready, [folder], {"acme": where[1]}))
    assert ask(any_ready, "SELECT message, session_id FROM chat_messages") == [("hello", "s1")]


def test_a_look_that_fails_does_not_make_an_object_missing(any_ready: Database, tmp_path: Path, inbox: Inbox) -> None:
    folder = in_folder(tmp_path / "bucket")
    uri = put(tmp_path / "bucket", chat_key(), chat("hello"))
    inbox.put("talk", event("e1", chat_recording_path=uri), NOON)
    once(any_ready, [webhook_subscription(inbox, [TALK])], folder)
    (tmp_path / "bucket").rename(tmp_path / "unmounted")
    inbox.put("talk", event("e2", chat_recording_path=uri), NOON)
    found = once(any_ready, [webhook_subscription(inbox, [TALK])], folder)
    assert (found.counts["events"], found.counts["missing"], len(found.problems), dispositions(any_ready)) == (
        1,
        0,
        1,
        ["loaded"],
    )


def test_webhooks_that_were_refused_are_taken_in_when_they_are_understood(
    ready: Database, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(said: Any) -> Any:
        raise LookupError("sesame\0\ud800")

    subscription = webhook_subscription(inbox, [TALK])
    with monkeypatch.context() as patched:
        patched.setattr("roomledger.hundredms.webhooks.decode", mistaken)
        inbox.put("talk", event("mistaken"), NOON)
        assert once(ready, [subscription]).counts["messages_refused"] == 1
    with monkeypatch.context() as patched:
        patched.setattr("roomledger.hundredms.webhooks.decode", unknown_type)
        inbox.put("talk", event("too new"), NOON)
        assert one_round(ready, [TALK], {}, [subscription]).counts["messages_refused"] == 1
    inbox.put("talk", b"[]", NOON)
    inbox.put("gone-acme", event("removed source"), NOON)
    assert one_round(ready, [TALK], {}, [subscription]).counts["messages_refused"] == 2
    codes = "SELECT reason_code FROM refusals WHERE resolved_at IS NULL ORDER BY 1"
    assert ask(ready, codes) == [("not_an_object",), ("parser_failed",), ("source_unknown",), ("type_unknown",)]

    list(work(ready, [subscription]))
    assert ask(ready, "SELECT event_id FROM vendor_events ORDER BY 1") == [("mistaken",), ("too new",)]
    assert ask(ready, codes) == [("not_an_object",), ("source_unknown",)]
    named = WorkspaceSource(name="gone-acme", customer="Acme", url="100ms://gone", webhook_header="X-Secret")
    list(work(ready, [webhook_subscription(inbox, [TALK, named])]))
    assert ask(ready, codes) == [("not_an_object",)]
    assert ask(ready, "SELECT source, event_id FROM vendor_events ORDER BY 2") == [
        ("talk", "mistaken"),
        ("gone-acme", "removed source"),
        ("talk", "too new"),
    ]
    assert ask(ready, "SELECT count(*) FROM refusals") == [(4,)]


def unknown_type(said: Any) -> Any:
    raise Rejected("type_unknown", "The event is of a type that is not known yet.")


def test_what_is_deleted_is_missing_and_may_be_put_anew(ready: Database, place: Place) -> None:
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


def test_of_versions_of_one_second_the_one_that_is_there_is_loaded(any_ready: Database, s3_here: Place) -> None:
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


def test_an_event_may_come_before_its_object(any_ready: Database, s3_here: Place, inbox: Inbox) -> None:
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
    assert ask(any_ready, "SELECT message, session_id FROM chat_messages") == [("hello", "s1")]


class Slow:
    """A store that takes its time to look."""

    def __init__(self, store: Store, seconds: float) -> None:
        self.url, self.list, self.read = store.url, store.list, store.read
        self._store, self._seconds = store, seconds

    def stat(self, uri: str) -> Observation | None:
        time.sleep(self._seconds)
        return self._store.stat(uri)


def test_messages_are_held_while_work_on_them_goes_on(
    any_ready: Database, s3_here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sqs, "visibility_timeout_s", 1.0)
    s3_here.put(chat_key(), chat("hello"))
    once(any_ready, [s3_here.subscription], s3_here.where)
    s3_here.put(chat_key(2), chat("hello again"))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(once, any_ready, [s3_here.subscription], (s3_here.source, Slow(s3_here.store, 2.5)))
        while s3_here.subscription.queue.peek(0):
            pass  # until it is received
        others = []
        while not slow.done():
            others += s3_here.subscription.queue.receive(0)
        assert (slow.result().counts["messages"], others) == (1, [])
    assert s3_here.left() == 0


def test_listening_ends_when_nothing_has_come_for_a_while(any_ready: Database, tmp_path: Path, inbox: Inbox) -> None:
    folder = in_folder(tmp_path / "bucket")
    uri = put(tmp_path / "bucket", chat_key(), chat("hello"))
    later = threading.Timer(1.5, inbox.put, ("talk", event("e1", chat_recording_path=uri), NOON))
    later.start()
    began = time.monotonic()
    done = list(work(any_ready, [webhook_subscription(inbox, [TALK])], folder, quiet_s=3))
    assert 1.5 + 3 <= time.monotonic() - began < 15
    assert [type(one) for one in done] == [Round, Load]
    assert messages(any_ready) == ["hello"]


def test_listening_ends_in_time_though_something_comes_all_the_time(any_ready: Database, inbox: Inbox) -> None:
    over = threading.Event()

    def talk() -> None:
        number = 0
        while not over.wait(0.05):
            inbox.put("talk", event(f"e{(number := number + 1)}"), NOON)

    with ThreadPoolExecutor(1) as pool:
        talking = pool.submit(talk)
        began = time.monotonic()
        try:
            done = list(work(any_ready, [webhook_subscription(inbox, [TALK])], quiet_s=1, most_s=2))
        finally:
            over.set()
        took = time.monotonic() - began
        talking.result()
    assert 2 <= took < 10
    # One at once, one for each second, and one for what was asked for before the end.
    assert 1 < sum(isinstance(one, Round) for one in done) <= 4


def test_listening_ends_when_somebody_says_so(any_ready: Database, inbox: Inbox) -> None:
    inbox.put("talk", event("e1"), NOON)
    done = work(any_ready, [webhook_subscription(inbox, [TALK])], quiet_s=60, is_over=lambda: not inbox.peek(0))
    assert len(list(done)) == 1


def test_what_a_queue_gave_as_somebody_ended_the_listening_is_taken_in(any_ready: Database, tmp_path: Path) -> None:
    """Else it would come again only when its time with us has run out."""
    over = threading.Event()
    silent = Silent(put(tmp_path / "bucket", chat_key(), chat("hello")).encode())

    def is_over() -> bool:
        if silent.asked:
            over.set()
            threading.Timer(0.5, silent.may_speak.set).start()
        return over.is_set()

    done = list(work(any_ready, [plain_bell(silent)], in_folder(tmp_path / "bucket"), quiet_s=60, is_over=is_over))
    assert [type(one) for one in done] == [Round, Load]
    assert messages(any_ready) == ["hello"]


def test_what_has_just_come_is_loaded_before_a_backlog(any_ready: Database, tmp_path: Path, inbox: Inbox) -> None:
    bucket = tmp_path / "bucket"
    folder = in_folder(bucket)
    for number in range(12):
        put(bucket, chat_key(number), chat(f"old {number:02}"), minute=number)
    collect_bucket(any_ready, *folder)
    done = work(any_ready, [webhook_subscription(inbox, [TALK])], folder, batch=5)
    assert isinstance(next(done), Load)
    assert messages(any_ready) == [f"old {number:02}" for number in range(7, 12)]
    inbox.put("talk", event("e1", chat_recording_path=put(bucket, chat_key(99), chat("new"), minute=99)), NOON)
    assert isinstance(next(done), Round)
    assert isinstance(next(done), Load)
    assert messages(any_ready) == ["new", *(f"old {number:02}" for number in range(3, 12))]
    list(done)
    assert len(messages(any_ready)) == 13


class Silent:
    """A queue that has its one message only when it is allowed to speak, however long that takes."""

    name, visibility_timeout_s = "silent", 60.0

    def __init__(self, body: bytes) -> None:
        self.may_speak = threading.Event()
        self.asked = 0
        self._left = [Message("m", body, {}, "r")]

    def peek(self, patience_s: float) -> bool:
        raise AssertionError("nobody asks")

    def receive(self, patience_s: float, most: int = 1) -> list[Message]:
        self.asked += 1
        assert self.may_speak.wait(60)
        return list(self._left)

    def extend(self, messages: Sequence[Message]) -> None:
        pass

    def ack(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._left.remove(message)


def test_a_silent_queue_does_not_keep_back_the_others_and_is_heard_to_the_end(
    any_ready: Database, tmp_path: Path, inbox: Inbox
) -> None:
    bucket = tmp_path / "bucket"
    silent = Silent(put(bucket, chat_key(), chat("late")).encode())
    inbox.put("talk", event("e1"), NOON)
    done = work(any_ready, [plain_bell(silent), webhook_subscription(inbox, [TALK])], in_folder(bucket), quiet_s=0.5)
    first = next(done)
    assert isinstance(first, Round)
    assert (first.counts["events"], silent.asked) == (1, 1)
    inbox.put("talk", event("e2"), NOON)
    second = next(done)
    assert isinstance(second, Round)
    assert (second.counts["events"], silent.asked) == (1, 1)
    threading.Timer(1, silent.may_speak.set).start()
    rest = list(done)
    assert [type(one) for one in rest] == [Round, Load]
    assert messages(any_ready) == ["late"]


def test_a_queue_that_cannot_be_read_does_not_keep_back_the_others(
    any_ready: Database, s3: S3Server, inbox: Inbox
) -> None:
    lost = QueueSettings(name="lost", url="sqs://never-made", endpoint=s3.endpoint)
    subscriptions = [
        bucket_subscription(lost, open_bucket_queue(lost, Access(session=session(s3)))),
        webhook_subscription(inbox, [TALK]),
    ]
    inbox.put("talk", event("e1"), NOON)
    done = work(any_ready, subscriptions, quiet_s=60, is_over=lambda: len(told) >= 3)
    told: list[Round] = []
    for one in done:
        assert isinstance(one, Round)
        told.append(one)
        if len(told) == 2:
            inbox.put("talk", event("e2"), NOON)
    assert sorted((one.counts["messages"], one.counts["events"]) for one in told[:2]) == [(0, 0), (1, 1)]
    assert sum(one.counts["events"] for one in told[:3]) == 2
    for one in told[1:]:  # what ails it is told as long as it does
        [problem] = one.problems
        assert "has no queue sqs://never-made" in problem
    assert not inbox.peek(0)


def test_a_batch_that_is_refused_stops_the_listening_and_loses_nothing(
    any_ready: Database, tmp_path: Path, inbox: Inbox
) -> None:
    folder = in_folder(tmp_path / "bucket")
    for number in range(20):
        uri = put(tmp_path / "bucket", chat_key(number), b"Some,Other,Header\n1,2,3\n")
        inbox.put("talk", event(f"e{number}", chat_recording_path=uri), NOON)
    with pytest.raises(BatchRefused, match="20 of 20"):
        list(work(any_ready, [webhook_subscription(inbox, [TALK])], folder, quiet_s=60))
    assert (inbox.peek(0), dispositions(any_ready)) == (False, ["seen"] * 20)


def test_without_a_queue_what_waits_is_loaded_and_that_is_all(any_ready: Database, tmp_path: Path) -> None:
    folder = in_folder(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("hello"))
    collect_bucket(any_ready, *folder)
    began = time.monotonic()
    assert len(list(work(any_ready, [], folder, quiet_s=60))) == 1
    assert (time.monotonic() - began < 10, messages(any_ready)) == (True, ["hello"])


def test_a_source_without_a_store_is_left_to_those_who_have_it(
    any_ready: Database, tmp_path: Path, inbox: Inbox
) -> None:
    """Such as a workspace whose API is not asked any more."""
    folder = in_folder(tmp_path / "bucket")
    put(tmp_path / "bucket", chat_key(), chat("hello"))
    collect_bucket(any_ready, *folder)
    change(any_ready, "UPDATE object_ledger SET source = 'talk'")
    assert list(work(any_ready, [webhook_subscription(inbox, [TALK])], folder)) == []
    assert dispositions(any_ready) == ["seen"]


def test_noting_what_a_listing_notes_in_another_order_waits_for_it(
    ready_postgres: Callable[[], Database], tmp_path: Path, inbox: Inbox
) -> None:
    """Each would hold what the other waits for."""
    database, (source, store) = ready_postgres(), in_folder(tmp_path / "bucket")
    for number in range(20):
        inbox.put("any", put(tmp_path / "bucket", chat_key(number), chat("hello")).encode(), NOON)
    [seen] = store.list()
    noted = [(one, object_keys.recognise(one)) for one in seen]
    with ThreadPoolExecutor(1) as pool:
        with database.begin() as tx:
            record_observations(tx, database, source, noted[:1], observed_by="listing", now=times.utc_now())
            answering = pool.submit(one_round, database, [source], {"acme": store}, [plain_bell(inbox)])
            deadline = time.monotonic() + 20
            while not answering.done() and not ask(database, WAITS) and time.monotonic() < deadline:
                time.sleep(0.05)
            record_observations(tx, database, source, noted[1:], observed_by="listing", now=times.utc_now())
        assert answering.result().counts["messages"] == 20
    assert dispositions(database) == ["seen"] * 20


WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def plain_bell(queue: Queue) -> Subscription:
    """A bell whose messages are addresses, as S3's are at bottom."""
    events = bucket_subscription(QueueSettings(name="plain", url="sqs://plain"), queue)
    return replace(events, decode=lambda message: Decoded([Notification(message.body.decode(), None)]))


class World(NamedTuple):
    """Sources, and what a sweep alone makes of them."""

    where: list[Where]
    swept: Tables


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, ready_duckdb: Callable[[Path], Database]) -> World:
    """A small world in folders; segments of films are many, and all alike."""
    made, folder = generate(sessions=6), tmp_path_factory.mktemp("world")
    lay_out([thing for thing in made.objects if not thing.key.endswith(".ts")], folder)
    where = []
    for bucket in made.buckets:
        source = source_of(folder / bucket.source, name=bucket.source, customer=bucket.customer)
        where.append((source, store_of(source)))
    database = ready_duckdb(tmp_path_factory.mktemp("swept"))
    sweep(database, where)
    return World(where, contents(database, past=False))


def sweep(database: Database, where: Sequence[Where]) -> None:
    for source, store in where:
        collect_bucket(database, source, store)
    change(database, "UPDATE object_ledger SET retry_at = NULL")
    list(load_batches(database, [s for s, _ in where], {s.name: store for s, store in where}, accept_refusals=True))


def check_that_notices_change_nothing_in_the_end(database: Database, world: World, seed: int, folder: Path) -> None:
    """Notices get lost, doubled, shuffled and late, tell of versions long replaced, and come in batches of any size.

    By the clock that the program reads hours pass between them, and a day before the last of them.
    """
    chance, passed = random.Random(seed), timedelta()
    told = [seen for _, store in world.where for page in store.list() for seen in page]
    notices = [
        Notification(seen.uri, seen if chance.random() < 0.5 else None) for seen in told if chance.random() < 0.7
    ]
    notices += chance.sample(notices, len(notices) * 3 // 10)
    old = [replace(seen, version="old", modified_at=seen.modified_at - timedelta(hours=1)) for seen in told]
    notices += [Notification(seen.uri, seen) for seen in chance.sample(old, len(old) // 10)]
    notices += [Notification(f"{source.url}/nothing/is/here.csv", None) for source, _ in world.where]
    chance.shuffle(notices)
    inbox = open_inbox(f"file://{folder}/inbox")
    subscription = replace(plain_bell(inbox), decode=lambda message: Decoded(notices[slice(*json.loads(message.body))]))

    def come(first: int, end: int) -> None:
        nonlocal passed
        while first < end:
            passed += timedelta(hours=chance.uniform(0, 3))
            some = range(first, end)[: chance.choice([1, 30, 200])]
            for start in some[::10]:
                inbox.put("any", json.dumps([start, min(start + 10, some.stop)]).encode(), NOON)
            if some.stop == end or chance.random() < 0.5:
                list(work(database, [subscription], *world.where, batch=chance.choice([50, 1000])))
            first = some.stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(times, "utc_now", lambda: datetime.now(UTC) + passed)
        come(0, in_time := len(notices) * 9 // 10)
        sweep(database, world.where)
        passed += timedelta(days=1)
        come(in_time, len(notices))
    assert not inbox.peek(0)
    assert ask(database, "SELECT count(*) FROM object_ledger WHERE first_seen_by = 's3_event'") > [(len(told) // 2,)]
    change(database, "UPDATE object_ledger SET first_seen_by = 'listing'")
    found = contents(database, past=False)
    for table, rows in world.swept.items():
        assert found[table] == rows, table


@settings(deadline=None, max_examples=2, phases=[Phase.generate])
@given(seed=st.integers(0, 1 << 32))
def test_whatever_becomes_of_notices_the_sweep_decides_on_duckdb(
    seed: int,
    world: World,
    ready_duckdb: Callable[[Path], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("notices")
    check_that_notices_change_nothing_in_the_end(ready_duckdb(folder), world, seed, folder)


def test_whatever_becomes_of_notices_the_sweep_decides_on_postgresql(
    world: World, ready_postgres: Callable[[], Database], tmp_path: Path
) -> None:
    check_that_notices_change_nothing_in_the_end(ready_postgres(), world, 7, tmp_path)
