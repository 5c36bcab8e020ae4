"""The inbox of webhooks: one contract for a folder and for buckets on real servers, and details of each kind."""

from __future__ import annotations

import errno
import logging
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from pathlib import Path

import boto3
import pytest
import requests

from roomledger.queues import Message, QueueError
from roomledger.queues.inbox import Inbox
from roomledger.queues.inbox_folder import FolderInbox, is_event, new_name, read_all
from roomledger.runtime import open_inbox
from sandbox.servers.gcs import GcsServer
from sandbox.servers.s3 import S3Server

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
KINDS = ("folder", "ministack", "seaweedfs", "gcs")
numbers = count(1)


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an inbox that does not exist yet; the environment has the endpoint of its server."""
    name = f"inbox-{next(numbers)}"
    match request.param:
        case "folder":
            return f"file://{tmp_path}/created/with the first/event"
        case "gcs":
            gcs: GcsServer = request.getfixturevalue("gcs")
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint)
            where = f"{gcs.endpoint}/storage/v1/b"
            requests.post(where, params={"project": "demo"}, json={"name": name}, timeout=30).raise_for_status()
            return f"gs://{name}/events/new"
        case kind:
            server: S3Server = request.getfixturevalue("s3" if kind == "ministack" else kind)
            for variable, value in s3_environment(server).items():
                monkeypatch.setenv(variable, value)
            boto3.Session().client("s3", endpoint_url=server.endpoint).create_bucket(Bucket=name)
            return f"s3://{name}/events/new"


def s3_environment(server: S3Server) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_S3": server.endpoint,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": server.region,
    }


@pytest.fixture
def inbox(url: str) -> Inbox:
    return open_inbox(url)


@pytest.fixture
def folder(tmp_path: Path) -> FolderInbox:
    return FolderInbox(tmp_path / "inbox")


def bodies(messages: list[Message]) -> list[bytes]:
    return [message.body for message in messages]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put_other_objects(url: str, endpoint: str) -> None:
    """Store objects in an inbox that are not events."""
    event = new_name("acme", NOON)
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    others = ["0.txt", "readme.json", f"{event}.bak", f"old/{event}", event.replace("-acme", "")]
    for name in others:
        if scheme == "file":
            path = Path(rest, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"other")
        elif scheme == "gs":
            where = f"{endpoint}/upload/storage/v1/b/{bucket}/o"
            query = {"uploadType": "media", "name": f"{prefix}/{name}"}
            requests.post(where, params=query, data=b"other", timeout=30).raise_for_status()
        else:
            s3 = boto3.Session().client("s3")
            s3.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=b"other")
            s3.put_object(Bucket=bucket, Key=f"{prefix}/", Body=b"")  # as S3's console makes folders
            s3.put_object(Bucket=bucket, Key=f"{prefix}er/{event}", Body=b"another inbox")


def test_an_event_waits_until_it_is_acknowledged(url: str, inbox: Inbox) -> None:
    assert (inbox.peek(0), inbox.receive(0)) == (False, [])
    body = bytes(range(256)) * 40
    inbox.put("acme-eu_2", body, NOON + timedelta(microseconds=1234))
    assert inbox.peek(0)

    [found] = inbox.receive(0)
    assert found.body == body
    assert found.attributes == {"source": "acme-eu_2", "received_at": "2026-03-02T12:00:00.001234+00:00"}
    inbox.extend([found])
    assert open_inbox(url).receive(0) == [found]  # another process, after this one has died
    inbox.ack([found])
    assert (inbox.peek(0), inbox.receive(0)) == (False, [])
    inbox.ack([found])
    inbox.ack([])


def test_the_oldest_events_of_all_writers_come_first(url: str, inbox: Inbox) -> None:
    other = open_inbox(url)
    for minute in (3, 0, 4, 1, 2):
        (inbox, other)[minute % 2].put("acme", f"{minute}".encode(), NOON + timedelta(minutes=minute))
    assert bodies(inbox.receive(0, most=2)) == [b"0", b"1"]
    assert bodies(other.receive(0)) == [b"0", b"1", b"2", b"3", b"4"]


def test_simultaneous_events_are_all_stored(inbox: Inbox) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: inbox.put("acme", f"{number}".encode(), NOON), range(40)))
    found = inbox.receive(0)
    assert sorted(int(each.body) for each in found) == list(range(40))
    assert len({each.message_id for each in found}) == 40


def test_an_empty_body_is_an_event(inbox: Inbox) -> None:
    inbox.put("acme", b"", NOON)
    assert bodies(inbox.receive(0)) == [b""]


def test_two_receivers_at_once_lose_nothing_and_do_not_fail(url: str, inbox: Inbox) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: inbox.put("acme", f"{number}".encode(), NOON), range(120)))

    def drain() -> set[bytes]:
        received: set[bytes] = set()
        mine = open_inbox(url)
        while found := mine.receive(0, most=25):
            received |= set(bodies(found))
            mine.ack(found)
        return received

    with ThreadPoolExecutor(2) as threads:
        one, other = (threads.submit(drain) for _ in range(2))
        assert one.result() | other.result() == {f"{number}".encode() for number in range(120)}
    assert not inbox.peek(0)


def test_events_that_another_receiver_acknowledged_do_not_block_the_rest(url: str, inbox: Inbox) -> None:
    for number in range(15):
        inbox.put("acme", f"{number}".encode(), NOON + timedelta(seconds=number))
    found = inbox.receive(0)
    open_inbox(url).ack(found[:1] + found[7:8])
    inbox.ack(found)
    assert inbox.receive(0) == []


def test_an_event_that_is_removed_before_it_is_read_is_omitted() -> None:
    stored, removed = new_name("acme", NOON), new_name("acme", NOON)

    def read(name: str) -> bytes:
        if name == removed:
            raise FileNotFoundError(name)
        return b"event"

    assert bodies(read_all(read, [removed, stored])) == [b"event"]
    assert read_all(read, [removed]) == []


def test_objects_that_are_not_events_are_ignored(url: str, inbox: Inbox) -> None:
    inbox.put("acme", b"event", NOON)
    endpoint = os.environ.get("STORAGE_EMULATOR_HOST", "")
    put_other_objects(url, endpoint)
    found = inbox.receive(0)
    assert bodies(found) == [b"event"]
    inbox.ack(found)
    assert (inbox.peek(0), inbox.receive(0)) == (False, [])


def test_peek_returns_at_the_first_event_or_after_its_timeout(inbox: Inbox) -> None:
    began = time.monotonic()
    assert not inbox.peek(0.2)
    assert 0.2 <= time.monotonic() - began < 5

    later = threading.Timer(0.3, inbox.put, ("acme", b"here", NOON))
    later.start()
    began = time.monotonic()
    assert inbox.peek(30)
    assert time.monotonic() - began < 10
    assert bodies(inbox.receive(30)) == [b"here"]
    later.join()


@pytest.mark.parametrize("source", ["", "../acme", "a/b", "Acme", "acme.json", "acme\n"])
def test_only_a_valid_source_name_becomes_part_of_a_name(source: str, folder: FolderInbox) -> None:
    with pytest.raises(ValueError, match="is not a valid source name"):
        folder.put(source, b"{}", NOON)


@pytest.mark.parametrize("source", ["a", "acme", "acme-eu_2", "20260302t120000", "-".join("abc")])
def test_the_name_of_an_event_is_recognised(source: str) -> None:
    name = new_name(source, NOON)
    assert is_event(name)
    assert not any(is_event(other) for other in (f".{name}.part", f"x{name}", f"{name}x", name.upper(), f"{name}\n"))


def test_names_sort_by_arrival_in_any_time_zone() -> None:
    moments = [NOON - timedelta(days=400), NOON, NOON + timedelta(microseconds=1), NOON + timedelta(hours=1)]
    zones = [timezone(timedelta(hours=hours)) for hours in (-11, 14, 0, -3)]
    names = [new_name("acme", moment.astimezone(zone)) for moment, zone in zip(moments, zones, strict=True)]
    assert names == sorted(names)


@pytest.mark.parametrize("url", ["100ms://acme", "inbox", "http://host/inbox"])
def test_an_unsupported_url_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        open_inbox(url)


# A folder.


def test_put_returns_after_the_file_and_its_name_are_on_disk(
    folder: FolderInbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put("acme", b"first", NOON)  # creates the folder
    synced: list[tuple[str, list[str]]] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.read_text() if path.is_file() else str(path), names(tmp_path / "inbox")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    folder.put("acme", b"second", NOON + timedelta(seconds=1))
    (content, before), (where, after) = synced
    assert (content, where) == ("second", str(tmp_path / "inbox"))
    assert [is_event(name) for name in before] == [False, True]
    assert [is_event(name) for name in after] == [True, True]


def test_the_folder_is_created_durably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    FolderInbox(tmp_path / "a" / "b").put("acme", b"{}", NOON)
    assert synced[:2] == [str(tmp_path), str(tmp_path / "a")]
    assert synced[3:] == [str(tmp_path / "a" / "b")]


DYING = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from roomledger.queues.inbox_folder import FolderInbox

folder, calls = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir()

def fsync(descriptor):
    global calls
    calls -= 1
    if not calls:
        os.kill(os.getpid(), signal.SIGKILL)

os.fsync = fsync
FolderInbox(folder).put("acme", b"event", datetime.now(UTC))
"""


@pytest.mark.parametrize(("call", "left"), [(1, []), (2, [b"event"])])
def test_a_killed_writer_leaves_a_complete_event_or_none(
    call: int, left: list[bytes], folder: FolderInbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = subprocess.run([sys.executable, "-c", DYING, tmp_path / "inbox", str(call)], check=False)
    assert done.returncode == -9
    found = folder.receive(0)
    assert bodies(found) == left
    folder.ack(found)
    rest = names(tmp_path / "inbox")
    assert len(rest) == 1 - len(left)  # an unfinished file may still be finished
    for name in rest:
        an_hour_ago = time.time() - 3601
        os.utime(tmp_path / "inbox" / name, (an_hour_ago, an_hour_ago))
        assert not folder.peek(0)
        assert (tmp_path / "inbox" / name).exists()
    assert folder.receive(0) == []
    assert names(tmp_path / "inbox") == []
    assert len(caplog.messages) == len(rest)
    assert all("which was never finished" in message for message in caplog.messages)


@pytest.mark.parametrize("failing", [1, 2])
def test_an_event_that_was_not_synced_is_not_accepted(
    failing: int, folder: FolderInbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inbox").mkdir()
    calls = count(1)

    def fsync(descriptor: int) -> None:
        if next(calls) == failing:
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fsync)
        with pytest.raises(QueueError, match=r"cannot write an event to the inbox .*: Input/output error"):
            folder.put("acme", b"event", NOON)
    # The second time the file exists, but may not be durable: the sender gets an error and sends the event again.
    assert len(names(tmp_path / "inbox")) == failing - 1


FULL = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from roomledger.queues import QueueError
from roomledger.queues.inbox_folder import FolderInbox

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
inbox = FolderInbox(Path(sys.argv[1]))
try:
    inbox.put("acme", b"x" * 5000, datetime.now(UTC))
except QueueError as error:
    print(error)
inbox.put("acme", b"small", datetime.now(UTC))
"""


def test_an_event_that_does_not_fit_leaves_no_file(folder: FolderInbox, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / "inbox"], check=True, capture_output=True, text=True)
    assert re.search("cannot write an event to the inbox .*: File too large", done.stdout)
    assert bodies(folder.receive(0)) == [b"small"]
    assert len(names(tmp_path / "inbox")) == 1


def test_a_folder_that_cannot_be_created_is_reported_and_can_be_corrected(folder: FolderInbox, tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("in the way")
    with pytest.raises(QueueError, match="cannot write an event to the inbox"):
        folder.put("acme", b"event", NOON)
    with pytest.raises(QueueError, match="cannot be read: Not a directory"):
        folder.peek(0)
    (tmp_path / "inbox").unlink()
    folder.put("acme", b"event", NOON)
    assert bodies(folder.receive(0)) == [b"event"]


def test_one_unreadable_event_does_not_delay_the_others(
    folder: FolderInbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable = tmp_path / "inbox" / new_name("acme", NOON)
    unreadable.mkdir(parents=True)
    with pytest.raises(QueueError, match="cannot be read: Is a directory"):
        folder.receive(0)
    folder.put("acme", b"event", NOON)
    assert bodies(folder.receive(0)) == [b"event"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert str(unreadable) in caplog.text


def test_a_missing_folder_is_reported_once(folder: FolderInbox, caplog: pytest.LogCaptureFixture) -> None:
    assert [folder.peek(0), folder.receive(0), folder.peek(0)] == [False, [], False]
    assert len(caplog.messages) == 1
    assert "the API server creates it with the first webhook" in caplog.messages[0]


# A bucket.


def test_a_bucket_as_a_whole_may_be_the_inbox(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in s3_environment(s3).items():
        monkeypatch.setenv(variable, value)
    boto3.Session().client("s3").create_bucket(Bucket="whole")
    inbox = open_inbox("s3://whole")
    inbox.put("acme", b"event", NOON)
    inbox.ack(found := inbox.receive(0))
    assert bodies(found) == [b"event"]
    assert inbox.receive(0) == []


def s3_without_permissions(server: S3Server, environment: pytest.MonkeyPatch) -> Inbox:
    for variable, value in s3_environment(server).items():
        environment.setenv(variable, value)
    bucket = f"rights-{next(numbers)}"
    boto3.Session().client("s3").create_bucket(Bucket=bucket)
    environment.setenv("AWS_ACCESS_KEY_ID", "lister")
    environment.setenv("AWS_SECRET_ACCESS_KEY", server.others["lister"])
    return open_inbox(f"s3://{bucket}/inbox")


def test_a_missing_permission_is_reported(seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = s3_without_permissions(seaweedfs, monkeypatch)
    assert not inbox.peek(0)
    with pytest.raises(QueueError, match=r"no permission to write an event to the inbox s3://.*create objects"):
        inbox.put("acme", b"event", NOON)


@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_a_missing_bucket_is_reported(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = request.getfixturevalue(kind)
    variables = s3_environment(server) if kind == "s3" else {"STORAGE_EMULATOR_HOST": server.endpoint}
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    url = f"{'s3' if kind == 's3' else 'gs'}://nowhere/inbox"
    inbox = open_inbox(url)
    with pytest.raises(QueueError, match=f"could not write an event to the inbox {url}"):
        inbox.put("acme", b"event", NOON)


def test_missing_credentials_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QueueError, match="the inbox s3://bucket/inbox cannot be opened: no AWS credentials"):
        open_inbox("s3://bucket/inbox")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(QueueError, match="the inbox gs://bucket/inbox cannot be opened: no Google credentials"):
        open_inbox("gs://bucket/inbox")
