"""What is Pub/Sub's alone: deliveries of exactly one kind, its limits, and what a person is told when it refuses."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import google.auth.credentials
import pytest
from google.api_core import exceptions
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import RefreshError

from roomledger.queues import Message, QueueError, pubsub, pubsub_errors
from roomledger.runtime import StandardConnections, open_bucket_queue
from roomledger.settings import QueueSettings
from roomledger.stores import Access, transfer
from sandbox.servers.pubsub import broker
from sandbox.servers.pubsub.server import PubSubServer
from tests.queues.conftest import pubsub_place

SETTINGS = QueueSettings(name="q", url="pubsub://acme/objects")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that last are reported at once."""
    monkeypatch.setattr(transfer, "RETRY_TIME", timedelta(seconds=0.1))
    monkeypatch.setattr(pubsub, "_LEAST_PATIENCE_S", 0.5)


def test_bytes_come_as_they_were_sent(pubsub: PubSubServer) -> None:
    place = pubsub_place(pubsub)
    place.send([bytes(range(256))], {})
    assert [message.body for message in place.open().receive(5)] == [bytes(range(256))]


def test_what_is_received_is_kept_longer_than_the_subscription_says(pubsub: PubSubServer) -> None:
    place = pubsub_place(pubsub, ack_deadline_seconds=1)
    place.send([b"message"], {})
    queue = place.open()
    assert len(queue.receive(5)) == 1
    assert not queue.peek(2)


def test_an_empty_answer_before_its_time_does_not_end_the_waiting(
    pubsub: PubSubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "LONGEST_PULL_S", 0.1)
    place = pubsub_place(pubsub)
    sender = threading.Timer(1, place.send, ([b"message"], {}))
    sender.start()
    assert place.open().peek(15)
    sender.join()


def test_what_is_gone_is_no_error_where_each_is_delivered_once(pubsub: PubSubServer) -> None:
    place = pubsub_place(pubsub, enable_exactly_once_delivery=True)
    place.send([b"1", b"2", b"3"], {})
    queue = place.open()
    queue.visibility_timeout_s = 1
    first, *rest = queue.receive(5)
    queue.ack([first])
    queue.visibility_timeout_s = 60
    queue.extend([first, *rest])
    queue.ack([first, *rest])
    queue.ack([first, *rest])
    assert queue.receive(0) == []


def test_a_request_is_no_larger_than_pubsub_takes(pubsub: PubSubServer) -> None:
    place = pubsub_place(pubsub)
    place.send([b"last"], {})
    queue = place.open()
    [last] = queue.receive(5)
    long_gone = [Message("m", b"", {}, f"{number:0900}") for number in range(broker.LARGEST_REQUEST // 900 * 2)]
    queue.extend([*long_gone, last])
    queue.ack([*long_gone, last])


REFUSALS: list[tuple[Exception, str]] = [
    (exceptions.NotFound("gone"), r"has no subscription pubsub://acme/objects: create it"),
    (exceptions.PermissionDenied("no"), r"no permission for pubsub://acme/objects: .*roles/pubsub\.subscriber"),
    (exceptions.Unauthenticated("who"), r"does not accept the credentials for pubsub://acme/objects.*who"),
    (RefreshError("old"), r"does not accept the credentials for pubsub://acme/objects.*old"),
    (exceptions.ServiceUnavailable("down"), r"no proper answer from host for pubsub://acme/objects: check the network"),
    (exceptions.RetryError("late", exceptions.ServiceUnavailable("down")), r"no proper answer from host.*down"),
    (exceptions.FailedPrecondition("push"), r"host could not serve pubsub://acme/objects: .*push"),
    (GoogleAPIError("odd"), r"host could not serve pubsub://acme/objects: odd"),
]


@pytest.mark.parametrize(("error", "words"), REFUSALS, ids=lambda value: type(value).__name__)
def test_a_refusal_is_told_with_the_way_out(error: Exception, words: str) -> None:
    with pytest.raises(QueueError, match=words):
        raise pubsub_errors.explain(error, url=SETTINGS.url, endpoint="host")
    assert not pubsub_errors.is_gone(error)


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("verb", ["peek", "receive"])
def test_a_server_that_cannot_be_reached_is_not_an_empty_queue(verb: str, silent: str) -> None:
    for endpoint in ("http://127.0.0.1:1", silent):
        queue = open_bucket_queue(replace(SETTINGS, endpoint=endpoint), Access())
        with pytest.raises(QueueError, match=rf"no proper answer from {endpoint[7:]} for {SETTINGS.url}: check"):
            getattr(queue, verb)(0.5)


class Tokens(google.auth.credentials.Credentials):
    """Credentials that cannot be had."""

    def refresh(self, request: object) -> None:
        raise RefreshError("the key was deleted")


@pytest.mark.usefixtures("impatient")
def test_credentials_are_not_sent_without_encryption_nor_asked_of_an_emulator(pubsub: PubSubServer) -> None:
    place = pubsub_place(pubsub)
    assert replace(place, access=Access(credentials=Tokens())).open().receive(0) == []
    queue = open_bucket_queue(replace(SETTINGS, endpoint="https://127.0.0.1:1"), Access(credentials=Tokens()))
    with pytest.raises(QueueError, match=r"127\.0\.0\.1:1 .*pubsub://acme/objects"):
        queue.receive(0)


def test_missing_credentials_are_named_with_the_ways_to_give_them() -> None:
    words = r"no Google credentials for pubsub://acme/objects: .*gcloud auth.*connection"
    with pytest.raises(QueueError, match=words):
        open_bucket_queue(SETTINGS, Access())
    with pytest.raises(QueueError, match=words):
        StandardConnections().queue(SETTINGS)


def test_an_emulator_needs_no_credentials(pubsub: PubSubServer) -> None:
    settings = pubsub_place(pubsub).settings
    assert open_bucket_queue(settings, StandardConnections().queue(settings)).receive(0) == []


def test_a_missing_library_is_named_with_the_way_to_install_it() -> None:
    program = (
        "import sys; sys.modules['google.pubsub_v1'] = None\n"
        "from roomledger import queues, runtime, settings, stores\n"
        "sqs = settings.QueueSettings(name='q', url='sqs://q', region='eu-central-1')\n"
        "try: runtime.open_bucket_queue(settings.QueueSettings(name='q', url='pubsub://p/sub'), stores.Access())\n"
        "except queues.QueueError as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "pip install 'roomledger[pubsub]'" in told
